"""What an avatar may cost, and who may be one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from livekit import rtc

from libacli.config import LiveKitCredentials
from libacli.core.audio import silence
from libacli.edges.avatars.learned_cap import LearnedCap
from libacli.edges.avatars.ledger import Ledger
from libacli.edges.avatars.minutes import AvatarMinutes
from libacli.edges.avatars.policy import AvatarPolicy
from libacli.edges.avatars.session import AvatarSession
from libacli.edges.avatars.tavus import Tavus
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.joining import joined
from libacli.edges.sinks.avatar import AvatarSink
from tests.faulty_avatar import FaultyAvatar
from tests.live.conftest import Listen

pytestmark = pytest.mark.live

AGENT = "liba-agent-test"


class Clock:
    """The time of day; tests put it forward."""

    ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC).replace(hour=12) + self.ahead


@dataclass(frozen=True)
class KeptAvatar:
    """An agent that keeps an avatar while somebody watches."""

    sink: AvatarSink
    session: AvatarSession
    tavus: FaultyAvatar
    minutes: AvatarMinutes
    clock: Clock

    async def until(self, condition: Callable[[], bool], *, timeout_s: float = 60.0) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110 - it is asked for from outside
                await asyncio.sleep(0.05)


def token(credentials: LiveKitCredentials, room: str, identity: str, *, kind: str) -> str:
    claims = {
        "iss": credentials.api_key,
        "sub": identity,
        "exp": 4_000_000_000,
        "kind": kind,
        "video": {"roomJoin": True, "room": room, "agent": kind == "agent"},
    }
    return jwt.encode(claims, credentials.api_secret.get_secret_value(), algorithm="HS256")


async def remove(credentials: LiveKitCredentials, room: str, identity: str) -> None:
    async with LiveKitApi(credentials) as api:
        await api.remove(room, identity)


@asynccontextmanager
async def keeping_avatar(
    credentials: LiveKitCredentials, room: str, folder: Path, *, max_minutes: float, idle_s: float = 120.0
) -> AsyncIterator[KeptAvatar]:
    clock, ledger = Clock(), Ledger(folder / "conversations")
    minutes = AvatarMinutes(folder / "minutes.json", max_minutes=max_minutes, clock=clock)
    agent = token(credentials, room, AGENT, kind="agent")
    async with (
        FaultyAvatar() as faulty,
        Tavus(faulty.api_key, faulty.base_url, face_id="face") as tavus,
        joined(rtc.Room(), credentials.ws_url, agent, auto_subscribe=False) as there,
    ):
        sink = AvatarSink(there)
        sink.open()
        session = AvatarSession(
            *(there, sink, tavus),
            policy=AvatarPolicy(idle_timeout_s=idle_s),
            credentials=credentials,
            ledger=ledger,
            minutes=minutes,
            cap=LearnedCap(folder / "caps.json", "account"),
            remove=lambda identity: remove(credentials, room, identity),
        )
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(session.run())
            yield KeptAvatar(sink, session, faulty, minutes, clock)
            running.cancel()
        ledger.close()
        assert faulty.active == []
        assert len(faulty.ends) == len(set(faulty.ends)) == faulty.creates


async def test_fault_09_an_avatar_is_ended_between_utterances_when_the_minutes_of_the_day_are_used_up(
    credentials: LiveKitCredentials, room: str, listen: Listen, tmp_path: Path
) -> None:
    async with listen(), keeping_avatar(credentials, room, tmp_path, max_minutes=6 / 60) as kept:
        await kept.until(lambda: kept.sink.state == "ready")
        await kept.sink.start(lambda: None)
        await kept.sink.write(silence(20))
        await kept.until(lambda: kept.minutes.are_used_up)
        await asyncio.sleep(1)
        assert (kept.sink.state, kept.tavus.ends) == ("ready", [])  # what is begun is spoken to its end
        await kept.sink.finish()
        await kept.until(lambda: kept.sink.state == "spend cap")
        await kept.until(lambda: len(kept.tavus.ends) == 1)
        await asyncio.sleep(3)
        assert kept.tavus.creates == 1
        (cap,) = kept.minutes.usage()
        assert cap.used * 60 >= cap.limit * 60


async def test_fault_10_an_avatar_is_there_only_while_somebody_watches(
    credentials: LiveKitCredentials, room: str, listen: Listen, tmp_path: Path
) -> None:
    another_agent = token(credentials, room, "agent-2", kind="agent")
    async with keeping_avatar(credentials, room, tmp_path, max_minutes=0, idle_s=1.0) as kept:
        async with joined(rtc.Room(), credentials.ws_url, another_agent):
            await asyncio.sleep(4)
            assert kept.tavus.creates == 0  # an agent is no viewer
            async with listen():
                await kept.until(lambda: kept.sink.state == "ready")
            await kept.until(lambda: kept.tavus.active == [])
        assert (kept.sink.state, len(kept.tavus.ends)) == ("not watched", 1)


async def test_who_has_used_the_day_up_has_no_avatar_after_a_restart_either_but_the_next_day(
    credentials: LiveKitCredentials, room: str, listen: Listen, tmp_path: Path
) -> None:
    before = AvatarMinutes(tmp_path / "minutes.json", max_minutes=1, clock=Clock())
    await before.count(60)
    async with listen(), keeping_avatar(credentials, room, tmp_path, max_minutes=1) as kept:
        await kept.until(lambda: kept.sink.state == "spend cap")
        await asyncio.sleep(1)
        assert kept.tavus.creates == 0
        kept.clock.ahead = timedelta(days=1)
        await kept.until(lambda: kept.sink.state == "ready")


async def test_fault_07_who_joins_as_the_avatar_is_noticed_and_another_avatar_takes_over(
    credentials: LiveKitCredentials,
    room: str,
    listen: Listen,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    impostor = token(credentials, room, "tavus-avatar-agent", kind="standard")
    async with listen(), keeping_avatar(credentials, room, tmp_path, max_minutes=0) as kept:
        await kept.until(lambda: kept.sink.state == "ready")
        await asyncio.sleep(3)  # newcomers are made known with some delay, and so are those who replace them
        async with joined(rtc.Room(), credentials.ws_url, impostor) as there:
            heard: list[object] = []
            there.register_byte_stream_handler("lk.audio_stream", lambda *sent: heard.append(sent))
            await kept.until(lambda: "TAKEOVER" in caplog.text)
            await kept.until(lambda: kept.tavus.creates == 2 and kept.sink.state == "ready")
            route = await kept.sink.start(lambda: None)
            await kept.sink.write(silence(20))
            await kept.sink.finish()
            assert route.target.startswith("tavus-avatar-agent-")
            assert heard == []


async def test_fault_07_who_is_there_as_the_avatar_before_it_is_not_taken_for_it(
    credentials: LiveKitCredentials, room: str, listen: Listen, tmp_path: Path
) -> None:
    impostor = token(credentials, room, "tavus-avatar-agent", kind="standard")
    async with (
        joined(rtc.Room(), credentials.ws_url, impostor),
        listen(),
        keeping_avatar(credentials, room, tmp_path, max_minutes=0) as kept,
    ):
        await kept.until(lambda: kept.sink.state == "ready")
        assert (await kept.sink.start(lambda: None)).target.startswith("tavus-avatar-agent-")
        await kept.sink.clear()
