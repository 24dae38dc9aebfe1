"""What settings let others read on the way, or guess."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from libacli.config import Settings, is_loopback, toml_name

_PLAIN = {"ws": "wss", "http": "https"}
_ADDRESSES = {
    "livekit_url": "signed requests, tokens and events",
    "livekit_public_url": "tokens, events and all that is said",
    "openai_base_url": "the key and all that is said",
    "tavus_base_url": "the key and a token for the room",
    "serve_public_url": "keys, tokens and all that is said",
}
_SECRETS = ("livekit_api_secret", "livekit_previous_api_secret")

_LEAST_CHARS = 32
"""A signature by HS256 is as strong as a key of as many bytes: https://www.rfc-editor.org/rfc/rfc7518#section-3.2"""

_LEAST_DIFFERENT = 8
_PLACEHOLDER = re.compile(
    r"^(your|my|some|the)[-_ ].*(secret|key)|change.?me|replace.?me|placeholder|<.*>|\.\.\.", re.IGNORECASE
)


@dataclass(frozen=True)
class Exposure:
    """A setting that others gain from."""

    message: str
    """What it is, in one clause. It holds no secret."""

    fix: str


def exposures(settings: Settings) -> list[Exposure]:
    """All that there are, the worst first. What stays on this machine is none."""
    return [*_guessable(settings), *_in_the_clear(settings)]


def guess(secret: str) -> str:
    """How a secret can be guessed, "" if it cannot be."""
    if len(secret) < _LEAST_CHARS:
        return f"is shorter than {_LEAST_CHARS} characters"
    if len(set(secret)) < _LEAST_DIFFERENT or (secret + secret).find(secret, 1) < _LEAST_CHARS:
        return "repeats itself"
    return "is from an example" if _PLACEHOLDER.search(secret) else ""


def _guessable(settings: Settings) -> Iterator[Exposure]:
    """Secrets that whoever gets hold of one token finds out, and then signs tokens of his own."""
    host = settings.serve_host
    own = f"//[{host}]" if ":" in host else f"//{host}"
    places = [settings.livekit_url, settings.livekit_public_url, settings.serve_public_url, own]
    if all(is_loopback(place) for place in places if place):
        return
    for field in _SECRETS:
        secret = getattr(settings, field)
        if secret and (how := guess(secret.get_secret_value())):
            message = f"{toml_name(field)} {how}: who has one token can find it out, and make any other"
            yield Exposure(message, "make a new one for the server: livekit-server generate-keys")


def _in_the_clear(settings: Settings) -> Iterator[Exposure]:
    for field, what in _ADDRESSES.items():
        address = getattr(settings, field)
        scheme, host = _parts(address)
        if scheme in _PLAIN and not is_loopback(address):
            message = f"{toml_name(field)} is {scheme}://{host}: {what} can be read on the way"
            yield Exposure(message, f"have it speak TLS, and write {_PLAIN[scheme]}://")


def _parts(address: str) -> tuple[str, str]:
    """Scheme and host, without who logs in there; of what is no address, the scheme that it begins with."""
    try:
        parts = urlsplit(address)
        return parts.scheme, parts.netloc.rpartition("@")[2]
    except ValueError:
        return address.partition(":")[0].lower(), "?"
