"""What is to be deployed, in words that are safe to write into any of the files."""

from __future__ import annotations

import enum
import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from libacli.errors import UsageError

_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_WORD = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_PATH_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"

_SHAPES = {
    "namespace": (_LABEL, "small letters, digits and dashes, 63 at most"),
    "agent name": (_WORD, "letters, digits, dots, dashes and underscores, 64 at most"),
    # https://github.com/distribution/reference, without its rarities
    "image": (
        rf"(?:[A-Za-z0-9.-]+(?::\d{{1,5}})?/)?{_PATH_PART}(?:/{_PATH_PART})*"
        r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?",
        "like registry.example.org/liba:1.0",
    ),
    "URL": (
        r"wss?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?(?:/[A-Za-z0-9._~/-]*)?",
        "like wss://my-project.livekit.cloud, without a name or password",
    ),
    "program": (r"/[A-Za-z0-9._+/-]+", "an absolute path of letters, digits and ._+-"),
    "subdomain": (_LABEL, "what stands before .livekit.cloud in the project's address"),
    "agent id": (r"[A-Za-z0-9_-]{1,64}", "as `lk agent list` shows it: CA_..."),
}
"""What a value is → how it is written, as a whole, and the same in words."""

_MOST_CHARS = 512


class Part(enum.StrEnum):
    """What can stand beside the worker."""

    SERVE = "serve"
    """The page and the HTTP API."""

    REDIS = "redis"
    """What several machines share, and what was accepted, kept."""

    LIVEKIT = "livekit"
    """A LiveKit server of one's own."""

    OPENAI = "openai"
    """OpenAI's voice: its key."""

    TAVUS = "tavus"
    """An avatar: its key."""

    NETWORK_POLICY = "network-policy"
    """Who may reach what, in Kubernetes."""


@dataclass(frozen=True)
class Plan:
    """What is to be deployed. Raises UsageError for a value that its file could take for something else."""

    version: str
    """Of liba."""

    image: str = ""
    """Reference of the container image; empty: `liba` of this version."""

    url: str = ""
    """Of the LiveKit server; empty: somebody fills it in."""

    agent_name: str = "liba"
    max_rooms: int = 8
    """Rooms of one worker at a time."""

    replicas: int = 2
    """Workers, and servers of the page where they share a Redis."""

    parts: frozenset[Part] = frozenset()
    namespace: str = "liba"
    livekit_version: str = ""
    """Of the LiveKit server that is asked for."""

    def __post_init__(self) -> None:
        checked("agent name", self.agent_name)
        checked("namespace", self.namespace)
        for kind, value in (("image", self.image), ("URL", self.url)):
            if value:
                checked(kind, value)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Variables that a worker reads from files, in the order in which they are told."""
        return (
            "LIVEKIT_API_KEY",
            "LIVEKIT_API_SECRET",
            *(["OPENAI_API_KEY"] if Part.OPENAI in self.parts else []),
            *(["TAVUS_API_KEY"] if Part.TAVUS in self.parts else []),
            *(["LIBA_REDIS_URL"] if Part.REDIS in self.parts else []),
        )

    @property
    def serve_secrets(self) -> tuple[str, ...]:
        """The same for a server of the page."""
        return (*self.secrets, "LIBA_SERVE_KEYS")


def checked(kind: str, value: str) -> str:
    """`value` if it is written as something of this kind is. Raises UsageError."""
    shape, words = _SHAPES[kind]
    is_port = kind != "URL" or _has_port(value)
    if len(value) > _MOST_CHARS or not re.fullmatch(shape, value, re.ASCII) or not is_port:
        raise UsageError(f"the {kind} cannot be written like that", hint=words)  # it may hold a password
    return value


def _has_port(url: str) -> bool:
    """Whether the port of `url` can be one, or it has none."""
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def parts_of(words: str, allowed: Collection[Part]) -> frozenset[Part]:
    """Reads `serve,redis`; nothing at all is the worker alone. Raises UsageError for another word."""
    named = [word.strip() for word in words.split(",") if word.strip()]
    for word in named:
        if word not in allowed:
            raise UsageError(f"{word[:80]!r} is no part here", hint=f"there are {', '.join(sorted(allowed))}")
    return frozenset(Part(word) for word in named)
