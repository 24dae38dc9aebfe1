"""Claims signed with a shared secret: a JWT (RFC 7519) as a compact JWS (RFC 7515) with HS256 (RFC 7518 3.2).

Signing alone, which is a hash and base64. What others have signed is for PyJWT to judge; but it loads X.509
and an HTTP client with it, an eighth of the time in which a command begins.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

_HEADER = {"alg": "HS256", "typ": "JWT"}


def signed(claims: Mapping[str, Any], secret: str) -> str:
    """The token that holds `claims`, which can be written as JSON. Raises ValueError for an empty secret."""
    if not secret:
        raise ValueError("what is signed with an empty secret anybody can sign")
    text = f"{_part(_json(_HEADER))}.{_part(_json(claims))}"
    return f"{text}.{_part(hmac.digest(secret.encode(), text.encode(), hashlib.sha256))}"


def claims_of(token: str) -> dict[str, Any]:
    """What stands in a token of our own: its signature is not looked at."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _part(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()
