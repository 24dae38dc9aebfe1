"""Avatar services as processes, for the benches, and the agents that speak through them."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
from pydantic import SecretStr

from libacli.edges.avatars.tavus import Tavus
from libacli.edges.livekit.tokens import AVATAR_IDENTITIES
from libacli.local.guard import GuardedProcess
from tests.bench.agents_and_seats import Kind
from tests.bench.local_stack import Stack, clean_env, deadline


@dataclass(frozen=True)
class AvatarService:
    """A running one."""

    pid: int
    base_url: str
    key: SecretStr

    @property
    def env(self) -> dict[str, str]:
        """What an agent needs to have an avatar of this service."""
        return {
            "TAVUS_BASE_URL": self.base_url,
            "TAVUS_API_KEY": self.key.get_secret_value(),
            "TAVUS_FACE_ID": "bench",
            "TAVUS_PAL_ID": "bench",
        }

    async def end_all(self) -> None:
        """Ends all conversations: agents that are killed leave theirs behind."""
        async with Tavus(self.key, self.base_url) as tavus:
            for conversation in await tavus.active():
                await tavus.end(conversation.id)


def avatar_service(folder: Path, *, size: int, fps: float = 25.0) -> AbstractContextManager[AvatarService]:
    """`liba avatar run`, its picture `size` pixels wide; its log is kept in `folder`."""
    options = ["--json", "--size", str(size), "--fps", str(fps)]
    return _running([sys.executable, "-m", "libacli", "avatar", "run", *options], folder)


def plain_avatar_service(folder: Path) -> AbstractContextManager[AvatarService]:
    """One whose avatars give back what they are sent, frame by frame, beside a grey picture."""
    return _running([sys.executable, "-m", "tests.bench.plain_avatar"], folder)


@contextmanager
def _running(command: Sequence[str], folder: Path) -> Iterator[AvatarService]:
    log_path = folder / "avatar.log"
    env = clean_env(folder) | {"PYTHONPATH": str(Path.cwd())}
    with (
        log_path.open("wb") as log,
        GuardedProcess.start(command, env=env, cwd=folder, stdout=log) as process,
    ):
        told = _announcement(process, log_path)
        (service,) = psutil.Process(process.pid).children()
        yield AvatarService(service.pid, told["TAVUS_BASE_URL"], SecretStr(told["TAVUS_API_KEY"]))


def _announcement(process: GuardedProcess, log_path: Path) -> dict[str, Any]:
    until = deadline()
    while process.wait(0.05) is None and time.monotonic() < until:
        for line in log_path.read_text(errors="replace").splitlines(keepends=True):
            if line.startswith("{") and line.endswith("\n"):
                told: dict[str, Any] = json.loads(line)
                return told
    raise RuntimeError(f"the avatar service did not start:\n{log_path.read_text(errors='replace')}")


def through_avatar(kind: Kind, service: AvatarService) -> Kind:
    """That agent with an avatar; only what the avatar says counts as heard."""
    return replace(kind, heard_from=AVATAR_IDENTITIES["tavus"], env=dict(kind.env) | service.env)


def avatar_floor(sound_ms: float, service: AvatarService) -> Kind:
    """The floor of this route, with a tone of that length."""

    def command(stack: Stack, rooms: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "tests.bench.avatar_floor", str(sound_ms), *rooms]

    return through_avatar(Kind("floor", command, has_voice=False), service)
