"""Values of settings that are more than one word: names with values, and JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import BeforeValidator, Field, JsonValue, SecretStr

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""https://www.rfc-editor.org/rfc/rfc9110#name-tokens"""

_HEADER_VALUE = re.compile(r"[\x20-\x7e\xa0-\xff]*")
_BETWEEN_HEADERS = re.compile(r"[\n,]")
_BETWEEN_PARAMETERS = re.compile(r"[\n,&]")
_NAME_ENDS = re.compile(r"[=:]")


def _headers(value: Any) -> Any:
    """Headers as a table, JSON, `NAME=VALUE,…`, or, as in OPENAI_CUSTOM_HEADERS, lines of `NAME: VALUE`."""
    pairs = _pairs(value, _BETWEEN_HEADERS)
    for name, text in (pairs or {}).items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(text):
            raise ValueError("no header can have such a name or value")
    return _kept(pairs)


def _query(value: Any) -> Any:
    """Parameters as a table, JSON, or `NAME=VALUE,…`, also as they stand in an address: `?a=1&b=2`."""
    if isinstance(value, str) and not value.lstrip().startswith("{"):
        found = _pairs(value.strip().removeprefix("?"), _BETWEEN_PARAMETERS) or {}
        return _kept({unquote(name): unquote(text) for name, text in found.items()})
    return _kept(_pairs(value, _BETWEEN_PARAMETERS))


def _pairs(value: Any, between: re.Pattern[str]) -> dict[str, str] | None:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, str):
        value = _json(value) if value.lstrip().startswith("{") else _split(value, between)
    if value is None:
        return None
    if not isinstance(value, Mapping) or not all(
        isinstance(text, str | int | float) and not isinstance(text, bool) for text in value.values()
    ):
        raise ValueError("it must be names with values: a JSON object, or NAME=VALUE with commas between")
    return {str(name): str(text) for name, text in value.items()}


def _split(text: str, between: re.Pattern[str]) -> dict[str, str]:
    """With colons it is a header a line: a comma belongs to its value."""
    first = _NAME_ENDS.search(text)
    is_lines = "\n" in text or (first is not None and first[0] == ":")
    parts = text.split("\n") if is_lines else between.split(text)
    found = {}
    for part in filter(None, map(str.strip, parts)):
        sign = _NAME_ENDS.search(part)
        if not sign or not sign.start():
            raise ValueError("it must be NAME=VALUE, with commas between")
        found[part[: sign.start()].strip()] = part[sign.end() :].strip()
    return found


def _kept(pairs: dict[str, str] | None) -> SecretStr | None:
    return SecretStr(json.dumps(pairs)) if pairs else None


def _object(value: Any) -> Any:
    return _json(value) if isinstance(value, str) else value


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is not valid JSON") from None  # which would quote it


def pairs_of(value: SecretStr | None) -> dict[str, str]:
    """The names and values of a setting that is `Headers` or `Query`."""
    pairs: dict[str, str] = json.loads(value.get_secret_value()) if value else {}
    return pairs


def _tables(value: Any) -> Any:
    """Tables by name, as TOML or JSON."""
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    found = _json(value) if isinstance(value, str) else value
    if not found:
        return None
    if not isinstance(found, Mapping) or not all(isinstance(table, Mapping) for table in found.values()):
        raise ValueError("it must be tables by name: a JSON object of JSON objects")
    return SecretStr(json.dumps(found))


def tables_of(value: SecretStr | None) -> dict[str, dict[str, Any]]:
    """The tables of a setting that is `Tables`, by name."""
    tables: dict[str, dict[str, Any]] = json.loads(value.get_secret_value()) if value else {}
    return tables


Headers = Annotated[SecretStr | None, BeforeValidator(_headers)]
"""Kept as JSON. The whole of it is secret: a header of a service may be a key."""

Query = Annotated[SecretStr | None, BeforeValidator(_query)]
"""The same for an address."""

Tables = Annotated[SecretStr | None, BeforeValidator(_tables)]
"""The same for tables by name."""

JsonObject = Annotated[dict[str, JsonValue], BeforeValidator(_object)]


def _sendable(value: Any) -> Any:
    """A key goes in a header: what is none of ASCII's, a line break above all, is a slip in copying it."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if isinstance(text, str) and not (text.isascii() and text.isprintable()):
        raise ValueError("it holds what no key can, a line break or letters beyond ASCII: copy it anew")
    return value


Key = Annotated[SecretStr | None, BeforeValidator(_sendable)]
"""A key of somebody's service."""


def _level(value: Any) -> Any:
    """In any case, and by the names that livekit-agents and Python have beside ours."""
    if not isinstance(value, str):
        return value
    return {"trace": "debug", "warn": "warning", "critical": "error"}.get(value.lower(), value.lower())


LogLevel = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_level)]


def _words(value: Any) -> Any:
    """A list as an environment variable has it: with commas."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _parsed(value: Any) -> Any:
    """A table as an environment variable has it: JSON."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
Table = Annotated[dict[str, str], BeforeValidator(_parsed)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
