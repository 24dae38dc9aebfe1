"""Reads what callers of the avatar service send, and says what is wrong with it by the field's name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from libacli.local.avatar import Invitation

MAX_CALL_S = 3600
_ABSENT_TIMEOUT_S = 300
_MAX_TEXT_CHARS = 1000
_URL_SCHEMES = ("ws://", "wss://", "http://", "https://")


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
        try:
            fields = json.loads(body)
        except (ValueError, RecursionError):
            raise WrongRequestError("the body is not JSON") from None
        if not isinstance(fields, dict):
            raise WrongRequestError("the body is not a JSON object")
        self._fields: dict[str, Any] = fields
        properties = fields.get("properties", {})
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
            absent_timeout_s=self._seconds("participant_absent_timeout", _ABSENT_TIMEOUT_S),
        )

    def _seconds(self, name: str, default: int, *, least: int = 0, most: int = MAX_CALL_S) -> int:
        value = self._properties.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise WrongRequestError(f"properties.{name} must be a whole number of seconds, {least} to {most}")
        return value


def number_in(query: Mapping[str, str], name: str, default: int, *, most: int = 1_000_000) -> int:
    """A number from 1 to `most` of the query string. Raises WrongRequestError."""
    text = query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not 1 <= int(text) <= most:
        raise WrongRequestError(f"{name} must be a whole number, 1 to {most}")
    return int(text)


def _text(fields: Mapping[str, Any], name: str, *, of: str = "", most: int = _MAX_TEXT_CHARS) -> str:
    value = fields.get(name) or ""
    if not isinstance(value, str) or len(value) > most:
        raise WrongRequestError(f"{of}{name} must be a string of at most {most} characters")
    return value
