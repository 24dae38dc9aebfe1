"""What travels in the room: say requests in, replies and events out. JSON, UTF-8, snake_case."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from libacli.core.emotion import EMOTIONS
from libacli.core.given_sound import GivenSound, read_sound
from libacli.core.packing import PACKED, unpacked
from libacli.core.reasons import refusal
from libacli.core.script import read_script, without_pauses
from libacli.core.text import clean, is_speakable
from libacli.core.trace_context import TraceContext, read_traceparent, read_tracestate
from libacli.errors import RefusedError

MAX_REQUEST_BYTES = 64 * 1024
"""The longest text and manner, 5000 characters, take 60 000 where each is written as `\\ud83d\\ude00`."""

MAX_ID_CHARS = 64
MAX_WAIT_MS = 2900
"""How late an agent answers at most: what takes 3 s LiveKit's server API hands to it a second time."""

MAX_TTL_MS = 86_400_000
MAX_ENDED = 50


@dataclass(frozen=True)
class SayRequest:
    """One text to be spoken, as it was asked for."""

    text: str
    """Clean, with something to say in it, and the marks of its pauses; empty where a sound is given."""

    id: str = ""
    """Chosen by the sender and kept over its retries; empty: the agent makes one."""

    voice: str | None = None
    speed: float | None = None
    instructions: str | None = None
    emotion: str | None = None
    """One of `EMOTIONS`, for the face of an avatar that can show them; None: neutral."""

    interrupt: bool = False
    """Stop what is being spoken and forget what waits, then say this."""

    priority: int = 0
    """Higher goes first; equals in order of acceptance. -100 to 100."""

    ttl_ms: int | None = None
    """Not worth saying if it had to wait longer than this, in milliseconds."""

    standby: bool = False
    """Not to be said before somebody gives the go-ahead; until then it is made ready, and gets no older."""

    sound: GivenSound | None = None
    """What is heard instead of a voice; None: a voice says the text."""

    traceparent: str = ""
    """The caller's span, and what belongs to it, see `TraceContext`; empty: it has none."""

    tracestate: str = ""

    @property
    def trace(self) -> TraceContext:
        return TraceContext(self.traceparent, self.tracestate)

    @property
    def words(self) -> str:
        """The text without the marks of pauses: what captions show, and what is counted."""
        return self.sound.words if self.sound else without_pauses(self.text)

    @property
    def fingerprint(self) -> str:
        """A digest of what would be heard and seen, in hex: another one under the same id is a mistake."""
        content: tuple[Any, ...] = (self.text, self.voice, self.speed, self.instructions, self.emotion)
        if self.sound:
            content = (*content, self.sound.encode())
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def encode(self) -> dict[str, Any]:
        """The request as JSON members; what has its default value is left out."""
        members = {
            field.name: value
            for field in fields(self)
            if (value := getattr(self, field.name)) != field.default
        }
        if self.sound:
            del members["text"]  # an agent that knows of no sounds is to refuse it, not to read it aloud
            members["sound"] = self.sound.encode()
        return members


@dataclass(frozen=True)
class StatusRequest:
    """Asks what is known of one utterance; without an id, of all that is spoken and waits."""

    id: str = ""
    level: str = ""
    """`audible` or `done`: the answer may wait for it, or for the utterance to end without it."""

    wait_s: float = 0.0
    """... for so long; 0: it is to come at once."""

    ended: int = 0
    """Without an id: how many of those that ended last are wanted too."""

    def encode(self) -> dict[str, Any]:
        """The request as JSON members. An agent of an older version passes over what it does not know."""
        wait = {"level": self.level, "wait_ms": round(self.wait_s * 1000)} if self.wait_s else {}
        return {"id": self.id, **wait} if self.id else {"ended": self.ended} if self.ended else {}


def parse_request(payload: bytes) -> tuple[dict[str, Any], str | None]:
    """Reads a request: its members without `auth`, and `auth`, its signature, if there is one.

    A JSON object, packed or not, or bare UTF-8 text, which stands for `{"text": ...}`.
    Raises RefusedError with the reason `too_large` or `malformed`.
    """
    if len(payload) > MAX_REQUEST_BYTES:
        raise RefusedError(
            "too_large", f"the request has {len(payload)} bytes, {MAX_REQUEST_BYTES} are allowed"
        )
    try:
        source = payload.decode()
    except UnicodeDecodeError as error:
        raise RefusedError("malformed", "the request is not UTF-8") from error
    if not _means_json(source):
        return {"text": source}, None
    members = parse_object(source)
    if members.keys() == {PACKED}:
        members = _unpacked_object(members[PACKED])
    auth = members.pop("auth", None)
    return members, None if auth is None else read_text("auth", auth)


def read_say(members: Mapping[str, Any], *, max_text_chars: int) -> SayRequest:
    """The say request in `members`; members that are not known, or null, are passed over.

    Raises RefusedError with a reason: `malformed`, `nothing_to_say`, `text_too_long`, `unsupported_markup`.
    """
    values: dict[str, Any] = {
        name: read(name, members[name]) for name, read in _READ.items() if members.get(name) is not None
    }
    if "sound" in values:
        return _with_sound(values)
    if "text" not in values:
        raise RefusedError("malformed", "`text` is missing")
    if values.get("standby") and values.get("interrupt"):
        raise RefusedError(
            "malformed", "a text is on standby, or it interrupts: `standby` and `interrupt` are both set"
        )
    return SayRequest(**values | {"text": checked_text(values["text"], max_text_chars)})


def _with_sound(values: Mapping[str, Any]) -> SayRequest:
    """Raises RefusedError for what is of voices alone."""
    for name in ("text", "voice", "speed", "instructions"):
        if name in values:
            raise RefusedError("malformed", f"`{name}` is not for a sound that is given: no voice is asked")
    return SayRequest(**{"text": "", **values})


def read_status(members: Mapping[str, Any]) -> StatusRequest:
    """The status request in `members`. Raises RefusedError: `malformed`."""
    level, wait_ms, ended = (members.get(name) for name in ("level", "wait_ms", "ended"))
    return StatusRequest(
        str(members.get("id") or ""),
        "" if level is None else read_text("level", level),
        0.0 if wait_ms is None else min(_number("wait_ms", wait_ms, 0, 86_400_000), MAX_WAIT_MS) / 1000,
        0 if ended is None else int(_number("ended", ended, 0, MAX_ENDED)),
    )


def read_stop(members: Mapping[str, Any]) -> str:
    """The id of the only utterance that is to be ended; empty: all are. Raises RefusedError: `malformed`."""
    wanted = members.get("id")
    return "" if wanted is None else read_label("id", wanted)


def checked_text(text: str, max_text_chars: int) -> str:
    """`text`, clean and fit to be spoken. Raises RefusedError."""
    try:
        text = clean(text)
    except ValueError as error:
        raise RefusedError("malformed", str(error)) from error
    words = without_pauses(text)
    if not is_speakable(words):
        raise RefusedError("nothing_to_say", "there is no letter or digit in the text")
    if len(words) > max_text_chars:
        raise refusal("text_too_long", f"the text has {len(words)} characters, {max_text_chars} are allowed")
    read_script(text)
    return text


def parse_object(source: str) -> dict[str, Any]:
    """Reads one JSON object, strictly: no NaN, no key twice, no byte-order mark. Raises RefusedError."""
    value = parse_json(source)
    if not isinstance(value, dict):
        raise RefusedError("malformed", f"a JSON object is wanted, not {_kind(value)}")
    return value


def parse_json(source: str) -> Any:
    """Reads JSON as strictly. Raises RefusedError."""
    try:
        return json.loads(source, parse_constant=_no_constant, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise RefusedError("malformed", f"not valid JSON: {_what_is_wrong(error)}") from error
    except (ValueError, RecursionError) as error:
        raise RefusedError("malformed", f"not valid JSON: {error}") from error


def _what_is_wrong(error: json.JSONDecodeError) -> str:
    before, after = error.doc[: error.pos].rstrip(), error.doc[error.pos :].lstrip()
    if before.endswith(",") and after.startswith(("}", "]")):
        return f"a comma before the end: line {error.lineno} column {error.colno}"
    return str(error)


def _unpacked_object(content: object) -> dict[str, Any]:
    try:
        return parse_object(unpacked(read_text(PACKED, content), most=MAX_REQUEST_BYTES).decode())
    except ValueError as error:
        raise RefusedError("malformed", f"`{PACKED}`: {error}") from error


def _means_json(source: str) -> bool:
    """Whether `source` is JSON or was meant to be; anything else is bare text."""
    beginning = source.lstrip("\ufeff \t\r\n")
    if beginning.startswith(("{", "[")) and not beginning.lower().startswith("[pause"):
        return True
    try:
        json.loads(source)
    except ValueError:
        return False
    return True


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"a key stands twice: {json.dumps(twice[:MAX_ID_CHARS])}")
    return members


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _kind(value: object) -> str:
    kinds = {
        type(None): "null",
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "an array",
        dict: "an object",
    }
    return kinds.get(type(value), type(value).__name__)


def read_text(name: str, value: object) -> str:
    """A string, whatever is in it. Raises RefusedError: `malformed`."""
    if not isinstance(value, str):
        raise RefusedError("malformed", f"`{name}` must be a string, not {_kind(value)}")
    return value


def read_label(name: str, value: object) -> str:
    """An id, or the name of a speaker. Raises RefusedError: `malformed`."""
    text = read_text(name, value)
    if not text or len(text) > MAX_ID_CHARS or not text.isprintable():
        raise RefusedError("malformed", f"`{name}` must be 1 to {MAX_ID_CHARS} printable characters")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RefusedError("malformed", f"`{name}` holds half a character") from error
    return text


def _instructions(name: str, value: object) -> str:
    text = read_text(name, value)
    if len(text) > 1000:
        raise RefusedError("malformed", f"`{name}` may have 1000 characters")
    try:
        return clean(text)
    except ValueError as error:
        raise RefusedError("malformed", f"`{name}` holds half a character") from error


def _emotion(name: str, value: object) -> str:
    if read_text(name, value) not in EMOTIONS:
        raise RefusedError("malformed", f"`{name}` must be one of {', '.join(EMOTIONS)}")
    return str(value)


def read_flag(name: str, value: object) -> bool:
    """Raises RefusedError: `malformed`."""
    if not isinstance(value, bool):
        raise RefusedError("malformed", f"`{name}` must be true or false, not {_kind(value)}")
    return value


def _number(name: str, value: object, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RefusedError("malformed", f"`{name}` must be a number, not {_kind(value)}")
    if not low <= value <= high:
        raise RefusedError("malformed", f"`{name}` must be {low:g} to {high:g}")
    return value


def ttl_ms_of(ttl_s: float) -> int:
    """A time to live in seconds as a request has it, in ms. Raises RefusedError: `malformed`."""
    return round(_number("ttl_s", ttl_s, 0.001, MAX_TTL_MS / 1000) * 1000)


def _whole(name: str, value: object, low: int, high: int) -> int:
    number = _number(name, value, low, high)
    if number != int(number):
        raise RefusedError("malformed", f"`{name}` must be a whole number")
    return int(number)


_READ: dict[str, Callable[[str, object], Any]] = {
    "text": read_text,
    "id": read_label,
    "voice": read_label,
    "speed": lambda name, value: float(_number(name, value, 0.25, 4.0)),
    "instructions": _instructions,
    "emotion": _emotion,
    "sound": lambda name, value: read_sound(value),
    "interrupt": read_flag,
    "standby": read_flag,
    "priority": lambda name, value: _whole(name, value, -100, 100),
    "ttl_ms": lambda name, value: _whole(name, value, 1, MAX_TTL_MS),
    "traceparent": lambda name, value: read_traceparent(value),
    "tracestate": lambda name, value: read_tracestate(value),
}
