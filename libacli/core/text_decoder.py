"""Text out of bytes that arrive in pieces, whatever has written them."""

from __future__ import annotations

import codecs
import re

from libacli.core.encoding_guess import USUAL, guess_encoding

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: it begins with that one's mark
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_NO_TEXT = re.compile("[\x00-\x06\x0e-\x1a\x7f\ufffd]")
"""What no text has, and what stands for bytes that are none; without what terminals are driven by."""

_FEW, _ONE_IN = 8, 50
"""So much of it is noise; more is a sound, a picture or a program."""

_HEAD = 4
"""Bytes by which an encoding is known."""

_HIGH = range(9)
"""Upper halves of letters in 16 bits, from Latin to Arabic; but for 0, no text has such characters."""

_ENOUGH = 200
"""Bytes that are not ASCII, by which another encoding than UTF-8 is known as well as by more."""

_BREAKS = str.maketrans(dict.fromkeys("\r\0\x0b\x0c\x1c\x1d\x1e\x85\u2028", "\n") | {"\u2029": "\n\n"})


class TextDecoder:
    """Reads UTF-8 as it comes; UTF-16 and UTF-32 by their mark; what is none of these in the encoding that it
    is likely to be in, see `guess_encoding`. Latin-1 is read byte by byte, as it stands among UTF-8, too.

    From the first byte on that is no UTF-8 text is held back until enough has come, or nothing comes.
    Lines end as they may: with LF, CRLF, CR, NUL, a form feed. Each end is given out at once, as `\\n`.
    """

    def __init__(self, encoding: str = "", *, preferred: str = "") -> None:
        """`encoding` is known; `preferred`, where it is none of Unicode's, is the likeliest of the others.

        Raises LookupError for one that Python does not know.
        """
        self.guessed = ""
        """The encoding that some of it, no UTF-8, was taken to be in; empty: nothing was guessed."""

        self._preferred = preferred
        self._head = b""
        self._held: bytes | None = None
        """What came since the first byte that is no UTF-8, as long as it is not known what it is."""

        self._decoder = codecs.getincrementaldecoder(encoding)("replace") if encoding else None
        self._wide = 0
        """Characters that can be nothing but UTF-8: those that are not ASCII."""

        self._ends_in_cr = False

    def push(self, data: bytes) -> str:
        """The text that is complete with `data`."""
        return self._lines(self._decode(data, is_last=False))

    def lull(self) -> str:
        """Nothing comes for a while: what was held back."""
        return self._lines(self._settle(is_last=False)) if self._held else ""

    def flush(self) -> str:
        """What is left when nothing more comes. A UTF-8 character of which only a part came is none."""
        return self._lines(self._decode(b"", is_last=True))

    def _decode(self, data: bytes, *, is_last: bool) -> str:
        if self._decoder is None:
            data = self._head = self._head + data
            if not is_last and _may_be_marked(data):
                return ""
            self._decoder = _decoder_of(data)
        if self._held is not None:
            self._held += data
            is_enough = sum(byte > 0x7F for byte in self._held) >= _ENOUGH
            return self._settle(is_last=is_last) if is_enough or is_last else ""
        if self._decoder.errors == "strict":
            return self._decode_utf8(self._decoder, data, is_last=is_last)
        return self._decoder.decode(data, is_last)

    def _decode_utf8(self, decoder: codecs.IncrementalDecoder, data: bytes, *, is_last: bool) -> str:
        text = ""
        while True:
            try:
                return text + self._seen(decoder.decode(data, is_last))
            except UnicodeDecodeError as error:
                text += self._seen(error.object[: error.start].decode())
                rest = error.object[error.start :]
                bad, data = error.object[error.start : error.end], error.object[error.end :]
                decoder.reset()
                if not data and is_last and (self._wide or len(bad) > 1):  # it was cut off
                    continue
                if not self.guessed:
                    self._held = rest
                    return text + self._decode(b"", is_last=is_last)
                text += bad.decode(USUAL, "ignore")

    def _settle(self, *, is_last: bool) -> str:
        """Finds out what was held back, and reads it."""
        data, self._held = self._held or b"", None
        if self._wide + _wide_in(data) > _wrong_in(data):
            self.guessed = USUAL
        else:
            self.guessed = guess_encoding(data, preferred=self._preferred)
        if self.guessed != USUAL:
            self._decoder = codecs.getincrementaldecoder(self.guessed)("replace")
        return self._decode(data, is_last=is_last)

    def _seen(self, text: str) -> str:
        self._wide += sum(not letter.isascii() for letter in text)
        return text

    def _lines(self, text: str) -> str:
        if not text:
            return ""
        begin = 1 if self._ends_in_cr and text[0] == "\n" else 0
        self._ends_in_cr = text[-1] == "\r"
        return text[begin:].replace("\r\n", "\n").translate(_BREAKS)


def is_binary(begin: str) -> bool:
    """Whether what was read as `begin` is no text at all."""
    return len(_NO_TEXT.findall(begin)) > max(_FEW, len(begin) // _ONE_IN)


def _may_be_marked(head: bytes) -> bool:
    """Whether more has to be seen of it."""
    is_mark = any(mark.startswith(head) for mark, _ in _MARKS)
    return len(head) < 2 or (len(head) < _HEAD and (is_mark or min(head[:2]) in _HIGH))


def _decoder_of(head: bytes) -> codecs.IncrementalDecoder:
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return codecs.getincrementaldecoder(encoding)("strict" if mark == codecs.BOM_UTF8 else "replace")
    wide = _unmarked(head[:_HEAD])
    return codecs.getincrementaldecoder(wide or "utf-8")("replace" if wide else "strict")


def _unmarked(head: bytes) -> str:
    """UTF-16 or UTF-32 that begins without its mark, known by the upper halves of letters; empty: neither."""
    match list(head):
        case [low, high, 0, 0] if high in _HIGH and low:
            return "utf-32-le"
        case [0, 0, high, low] if high in _HIGH and low:
            return "utf-32-be"
        case [low, high, second, also_high] if {high, also_high} <= set(_HIGH) and low and second:
            return "utf-16-le"
        case [high, low, also_high, second] if {high, also_high} <= set(_HIGH) and low and second:
            return "utf-16-be"
    return ""


def _wrong_in(data: bytes) -> int:
    """How many bytes of it are no UTF-8, about."""
    return data.decode("utf-8", "replace").count("\ufffd")


def _wide_in(data: bytes) -> int:
    """How many characters of it are UTF-8 and not ASCII."""
    return sum(not letter.isascii() for letter in data.decode("utf-8", "ignore"))
