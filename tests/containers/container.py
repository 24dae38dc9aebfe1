"""What is to be run, whichever manifest says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.containers.image import Image


@dataclass(frozen=True)
class Folder:
    """A place that a container may write to."""

    path: str
    uid: int
    gid: int
    mode: int


@dataclass(frozen=True)
class Web:
    """A probe over HTTP, from outside, at the address that everything here has."""

    port: int
    path: str


@dataclass(frozen=True)
class Socket:
    """A probe that is content with a connection."""

    port: int


@dataclass(frozen=True)
class Command:
    """A probe that is run inside."""

    argv: tuple[str, ...]


Probe = Web | Socket | Command


@dataclass(frozen=True)
class Container:
    """One container as its manifest wants it."""

    name: str
    image: Image
    argv: tuple[str, ...]
    env: Mapping[str, str]
    uid: int
    gid: int
    grace_s: int
    folders: tuple[Folder, ...] = ()
    secrets: Mapping[str, Path] = field(default_factory=dict)
    """Path inside → the file that it shows."""

    secret_mode: int = 0o444
    alive: Probe | None = None
    ready: Probe | None = None
    start_s: float = 60.0
    """How long it may take to be alive for the first time."""
