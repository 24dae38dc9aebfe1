"""Text out of bytes that arrive in pieces, whatever has written them."""

from __future__ import annotations

import codecs

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: it begins with that one's mark
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_HEAD = 4
"""Bytes by which an encoding is known."""

_OLDER = "cp1252"
"""Latin-1 as it is written: with the quotes, dashes and the euro sign of Windows."""

_BREAKS = str.maketrans(dict.fromkeys("\r\0\x0b\x0c\x1c\x1d\x1e\x85\u2028", "\n") | {"\u2029": "\n\n"})


class TextDecoder:
    """Reads UTF-8; UTF-16 and UTF-32 by their mark; and what is none of these as Latin-1, byte by byte.

    Lines end as they may: with LF, CRLF, CR, NUL, a form feed. Each end is given out at once, as `\\n`.
    """

    def __init__(self) -> None:
        self.is_guessed = False
        """Whether some of it was no UTF-8, and was taken for Latin-1."""

        self._head = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._is_utf8 = False
        """Some of it can be nothing else."""

        self._ends_in_cr = False

    def push(self, data: bytes) -> str:
        """The text that is complete with `data`."""
        return self._lines(self._decode(data, is_last=False))

    def flush(self) -> str:
        """What is left when nothing more comes. A UTF-8 character of which only a part came is none."""
        return self._lines(self._decode(b"", is_last=True))

    def _decode(self, data: bytes, *, is_last: bool) -> str:
        if self._decoder is None:
            data = self._head = self._head + data
            if not is_last and _may_be_marked(data):
                return ""
            self._decoder = _decoder_of(data)
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
                bad, data = error.object[error.start : error.end], error.object[error.end :]
                if data or not is_last or not (self._is_utf8 or len(bad) > 1):  # else it was cut off
                    self.is_guessed = True
                    text += bad.decode(_OLDER, "ignore")
                decoder.reset()

    def _seen(self, text: str) -> str:
        self._is_utf8 = self._is_utf8 or not text.isascii()
        return text

    def _lines(self, text: str) -> str:
        if not text:
            return ""
        begin = 1 if self._ends_in_cr and text[0] == "\n" else 0
        self._ends_in_cr = text[-1] == "\r"
        return text[begin:].replace("\r\n", "\n").translate(_BREAKS)


def _may_be_marked(head: bytes) -> bool:
    """Whether more has to be seen of it."""
    is_mark = any(mark.startswith(head) for mark, _ in _MARKS)
    return len(head) < 2 or (len(head) < _HEAD and (is_mark or 0 in head[:2]))


def _decoder_of(head: bytes) -> codecs.IncrementalDecoder:
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return codecs.getincrementaldecoder(encoding)("strict" if mark == codecs.BOM_UTF8 else "replace")
    match [byte != 0 for byte in head[:_HEAD]]:
        case [True, False, True, False]:  # of every other letter nothing is there but a zero
            return codecs.getincrementaldecoder("utf-16-le")("replace")
        case [False, True, False, True]:
            return codecs.getincrementaldecoder("utf-16-be")("replace")
    return codecs.getincrementaldecoder("utf-8")("strict")
