"""Reads what callers of the avatar service send, and says what is wrong with it by the field's name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from libacli.local.avatar_manners import MAX_CALL_S
from libacli.local.avatar_presence import Invitation

_ABSENT_TIMEOUT_S = 300
_MAX_TEXT_CHARS = 1000
_MAX_PROMPT_CHARS = 20_000
_PAGE_LIMIT = 100
_URL_SCHEMES = ("ws://", "wss://", "http://", "https://")
_PIPELINE_MODES = ("full", "echo", "speech-to-speech")

_T = TypeVar("_T")


class WrongRequestError(Exception):
    """A request that is answered 400; `member` is where the answer has the message."""

    def __init__(self, message: str, *, member: str = "error") -> None:
        super().__init__(message)
        self.member = member


class CreateRequest:
    """The body of a request for a new conversation. Fields that it does not know are passed over.

    All methods raise WrongRequestError.
    """

    def __init__(self, body: bytes) -> None:
        self._fields = _fields_of(body)
        properties = self._fields.get("properties", {})
        if not isinstance(properties, dict):
            raise WrongRequestError("properties must be an object")
        self._properties: dict[str, Any] = properties

    @property
    def name(self) -> str:
        return _text(self._fields, "conversation_name")

    @property
    def face_id(self) -> str:
        return _text(self._fields, "face_id") or _text(self._fields, "replica_id")

    @property
    def pal_id(self) -> str:
        return _text(self._fields, "pal_id") or _text(self._fields, "persona_id")

    @property
    def is_test(self) -> bool:
        """Whether nobody is to join a room."""
        wanted = self._fields.get("test_mode", False)
        if not isinstance(wanted, bool):
            raise WrongRequestError("test_mode must be true or false")
        return wanted

    @property
    def max_duration_s(self) -> int:
        return self._seconds("max_call_duration", MAX_CALL_S, least=1, most=MAX_CALL_S)

    @property
    def absent_timeout_s(self) -> int:
        return self._seconds("participant_absent_timeout", _ABSENT_TIMEOUT_S)

    def invitation(self) -> Invitation:
        """Where the avatar is to go."""
        url = _text(self._properties, "livekit_ws_url", of="properties.")
        token = _text(self._properties, "livekit_room_token", of="properties.", most=_MAX_TEXT_CHARS * 20)
        if not url.startswith(_URL_SCHEMES):
            raise WrongRequestError("properties.livekit_ws_url must be the address of a LiveKit server")
        if not token:
            raise WrongRequestError("properties.livekit_room_token is required")
        return Invitation(
            url,
            token,
            left_timeout_s=self._seconds("participant_left_timeout", 0),
            absent_timeout_s=self.absent_timeout_s,
        )

    def _seconds(self, name: str, default: int, *, least: int = 0, most: int = MAX_CALL_S) -> int:
        value = self._properties.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise WrongRequestError(f"properties.{name} must be a whole number of seconds, {least} to {most}")
        return value


class PalRequest:
    """The body of a request for a new pal. Fields that it does not know are passed over.

    All methods raise WrongRequestError.
    """

    def __init__(self, body: bytes) -> None:
        self._fields = _fields_of(body)

    @property
    def name(self) -> str:
        return _text(self._fields, "pal_name") or _text(self._fields, "persona_name")

    @property
    def face_id(self) -> str:
        return _text(self._fields, "default_face_id") or _text(self._fields, "default_replica_id")

    @property
    def pipeline_mode(self) -> str:
        mode = _text(self._fields, "pipeline_mode") or "full"
        if mode not in _PIPELINE_MODES:
            raise WrongRequestError(f"pipeline_mode must be one of {', '.join(_PIPELINE_MODES)}")
        return mode

    @property
    def system_prompt(self) -> str:
        prompt = _text(self._fields, "system_prompt", most=_MAX_PROMPT_CHARS)
        if self.pipeline_mode == "full" and not prompt:
            raise WrongRequestError("system_prompt is required, unless pipeline_mode is echo")
        return prompt

    @property
    def layers(self) -> dict[str, Any]:
        layers = self._fields.get("layers") or {}
        if not isinstance(layers, dict) or not isinstance(layers.get("transport", {}), dict):
            raise WrongRequestError("layers must be an object of objects")
        return layers


def page_of(items: Sequence[_T], query: Mapping[str, str], *, most: int = _PAGE_LIMIT) -> list[_T]:
    """What a list shows by its parameters `limit` and `page`, at most `most`. Raises WrongRequestError."""
    limit = min(most, _number(query, "limit", 10, least=1, most=_PAGE_LIMIT))
    page = max(1, _number(query, "page", 1))  # Tavus's own client asks for page 0 when it means the first
    return list(items[(page - 1) * limit : page * limit])


def _number(
    query: Mapping[str, str], name: str, default: int, *, least: int = 0, most: int = 1_000_000
) -> int:
    text = query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not least <= int(text) <= most:
        raise WrongRequestError(f"{name} must be a whole number, {least} to {most}")
    return int(text)


def _fields_of(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise WrongRequestError("the body is not JSON") from None
    if not isinstance(fields, dict):
        raise WrongRequestError("the body is not a JSON object")
    return fields


def _text(fields: Mapping[str, Any], name: str, *, of: str = "", most: int = _MAX_TEXT_CHARS) -> str:
    value = fields.get(name) or ""
    if not isinstance(value, str) or len(value) > most:
        raise WrongRequestError(f"{of}{name} must be a string of at most {most} characters")
    return value
