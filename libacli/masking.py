"""Keeps secrets out of logs and errors: servers and libraries quote them in their complaints."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote

from libacli.secret_forms import pattern_of

if TYPE_CHECKING:  # an error of the command line is told before settings are loaded, and without
    from libacli.config import Settings

_SHORTEST = 8
"""What is shorter is no secret: `livekit-server --dev` has the secret "secret", which is a word as well."""

_LOGIN = re.compile(r"(://)[^/?#\s\"']*@")
_RANDOM = r"(?=[\w-]{0,43}[A-Z\d])[\w-]{16,}"
"""Behind a prefix: no name of ours is so long with a capital or a digit in it."""


def _token(found: re.Match[str]) -> str:
    """A word without a dot is none; it is found as well, or each `eyJ` in it would have its rest read."""
    return "[token]" if found[2] else found[0]


_RULES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(rf"(?:liba_|lss_|(?:(?<![\w-])|(?<=%[\dA-Fa-f]{{2}}))sk-){_RANDOM}"), "[secret]"),
    (re.compile(rf"\b(code=){_RANDOM}"), r"\1[secret]"),
    (re.compile(r"(eyJ[\w-]+)(\.[\w.-]+)?"), _token),
    (re.compile(r"(access_token=)(?!\[)[^&\s\"']+"), r"\1[token]"),
    (re.compile(r"\b(Bearer|Basic)( |%20)(?!\[)[\w.~+/=*-]{6,}", re.IGNORECASE), r"\1\2[secret]"),
    (
        re.compile(r"(x-api-key[\"']?\s?[:=,]\s?(?!b?[\"']?\[)b?[\"']?)[^\s\"',;&)]+", re.IGNORECASE),
        r"\1[secret]",
    ),
)
"""What looks like a secret, whoever's it is: keys of ours and of OpenAI, sessions, codes, tokens, headers."""

SECRET_NAME = re.compile(r"(?:^|_)(?:key|token|secret|password|credentials)(?:$|_)", re.IGNORECASE)
"""How options and variables are called whose value is one."""

_HEADER_VARIABLES = tuple(f"OTEL_EXPORTER_OTLP_{kind}HEADERS" for kind in ("", "TRACES_", "METRICS_"))


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without `secrets`, however they are encoded there, and without what looks like one."""
    told = [secret for secret in secrets if len(secret) >= _SHORTEST]
    for secret in sorted(told, key=len, reverse=True):
        text = pattern_of(secret).sub("[secret]", text)
    for pattern, shown in _RULES:
        text = pattern.sub(shown, text)
    return without_password(text)


def without_password(text: str) -> str:
    """Addresses as they may be shown: who logs in there stays out."""
    return _LOGIN.sub(r"\1[secret]@", text)


def secrets_of(settings: Settings, environment: Mapping[str, str]) -> list[str]:
    """Every value that must not be told: secret settings, passwords in addresses, headers and parameters."""
    from pydantic import SecretStr

    from libacli.config_values import pairs_of, tables_of

    found = []
    for value in vars(settings).values():
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
            found.append(value)
        if isinstance(value, str) and "://" in value:
            found += _logins(value)
    for pairs in (settings.openai_headers, settings.openai_query):
        found += pairs_of(pairs).values()
    for table in tables_of(settings.voice_options).values():
        found += [
            value for name, value in table.items() if SECRET_NAME.search(name) and isinstance(value, str)
        ]
    for name in _HEADER_VARIABLES:
        for header in environment.get(name, "").split(","):
            value = header.partition("=")[2].strip()
            found += [value, unquote(value)]
    return [secret for secret in found if len(secret) >= _SHORTEST]


def _logins(address: str) -> list[str]:
    """The password in `address`, or whoever logs in without one, also if it should have been encoded."""
    login = address.partition("://")[2].rpartition("@")[0]
    name, colon, password = login.partition(":")
    secret = password if colon else name
    return [secret, unquote(secret)]


class TokenMask(logging.Filter):
    """Masks what looks like a secret in a record's message; for loggers of libraries."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        told = masked(message)
        if told != message:
            record.msg, record.args = told, None
        return True
