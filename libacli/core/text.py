"""Text on its way to a voice, made clean."""

from __future__ import annotations

import re
import unicodedata

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, but for tab and newline
    "\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # zero width, marks
    "\U000e0000-\U000e007f]"  # tags: whole sentences can be hidden in them
)
_OF_TERMINALS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
"""Colours, titles and links, as programs write them for a terminal (ECMA-48, section 5.4; OSC of xterm)."""

_LINE_END = re.compile("\r\n|[\r\x0b\x0c\x85]")
"""As systems and page ends have it: between two lines is a blank at least."""

_CLOSERS = "\"'”’»›)]}）】」』〉》*_` "
_END_MARKS = (*".!?…:;,—–", *"。！？，、；：", *"।॥۔؟،։።။។")
_WIDE_LETTER = re.compile("[\u3041-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]")


def clean(text: str) -> str:
    """`text` in Unicode's composed form, without what cannot be seen or heard; newlines are kept.

    Raises ValueError for text that is not Unicode (a lone surrogate).
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("the text holds half a character (a lone surrogate)") from error
    seen = _UNSEEN.sub("", _LINE_END.sub("\n", _OF_TERMINALS.sub("", text)))
    return unicodedata.normalize("NFC", seen).strip()


def is_speakable(text: str) -> bool:
    """Whether there is a letter or a digit in it: punctuation and emoji alone make no sound."""
    return any(unicodedata.category(character)[0] in "LN" for character in text)


def ended(line: str) -> str:
    """`line` with a mark at its end, for the pause that a reader makes there."""
    if not line or line.rstrip(_CLOSERS).endswith(_END_MARKS):
        return line
    return line + ("。" if _WIDE_LETTER.match(line[-1]) else ".")
