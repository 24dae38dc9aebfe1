"""How a secret may be written where it was passed on: quoted, encoded for a URL, for JSON, for a header."""

from __future__ import annotations

import base64
import json
import re
from functools import lru_cache

_CONTROLS = {"\n": "n", "\r": "r", "\t": "t"}
_ESCAPED_IN_JSON = "\"'/"
_IN_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&(?:quot|#34);", "'": "&#(?:39|x27);"}
_TIMES = 8
"""How often something may be escaped again: bounded, so that no line takes long to search."""


@lru_cache(maxsize=256)
def pattern_of(secret: str) -> re.Pattern[str]:
    """Finds `secret`, of some characters at least: as it is, with any of its characters escaped as in JSON,
    Python, HTML or a URL, also again and again, and in base64, whatever stands before and behind it there.
    """
    in_json = (json.dumps(secret, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False))
    cores = sorted({_percent_too(core) for form in (secret, *in_json) for core in _cores(form)})
    return re.compile("|".join(("".join(map(_written, secret)), *cores)))


def _written(character: str) -> str:
    """A pattern for one character, however it is escaped."""
    code, encoded = ord(character), character.encode("utf-8", "surrogatepass")
    forms = [re.escape(character), "".join(f"(?i:%(?:25){{0,{_TIMES}}}{byte:02x})" for byte in encoded)]
    if character == "\\":
        forms[0] = rf"\\{{1,{_TIMES}}}"
    elif character in _ESCAPED_IN_JSON:
        forms[0] = rf"\\{{0,{_TIMES}}}{character}"
    elif character in _CONTROLS:
        forms.append(rf"\\{{1,{_TIMES}}}{_CONTROLS[character]}")
    if character == " ":
        forms.append(r"\+")
    if character in _IN_HTML:
        forms.append(_IN_HTML[character])
    if not (character.isascii() and character.isalnum()):
        units = character.encode("utf-16-be", "surrogatepass")
        halves = (units[at : at + 2].hex() for at in range(0, len(units), 2))
        forms.append("".join(rf"(?i:\\{{1,{_TIMES}}}u{half})" for half in halves))
        forms.append("".join(rf"(?i:\\{{1,{_TIMES}}}x{byte:02x})" for byte in encoded))
        forms.append(rf"(?i:\\{{1,{_TIMES}}}(?:x{code:02x}|U{code:08x}))")
    return f"(?:{'|'.join(forms)})"


def _cores(secret: str) -> set[str]:
    """What base64 has of it wherever it begins, without the characters that its neighbours change."""
    plain = secret.encode("utf-8", "surrogatepass")
    found = set()
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + plain).decode().rstrip("=")
        begin = (before * 8 + 5) // 6
        end = (before + len(plain)) * 8 // 6
        found.add(encoded[begin:end])
        found.add(encoded[begin:end].translate(str.maketrans("+/", "-_")))
    return found


def _percent_too(core: str) -> str:
    return "".join(_written(character) if character in "+/" else re.escape(character) for character in core)
