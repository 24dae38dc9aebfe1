"""An agent in a room of its own, under a virtual clock: how it begins, stays and ends, whatever breaks."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import pytest
from livekit import rtc
from pydantic import SecretStr

from libacli.config import Settings
from libacli.core.messages import SayRequest
from libacli.core.protocol import (
    AGENT_ATTRIBUTE,
    CAN_SAY_ATTRIBUTE,
    EPOCH_ATTRIBUTE,
    EVENTS_TOPIC,
    SAY_METHOD,
    SAY_TOPIC,
    STATE_ATTRIBUTE,
    STATUS_METHOD,
)
from libacli.core.trace_context import UNTRACED, TraceContext
from libacli.core.utterance_record import UtteranceRecord
from libacli.edges.avatars.fakes import FakeAvatarService
from libacli.edges.avatars.ledger import Ledger
from libacli.edges.avatars.port import Invitation
from libacli.edges.livekit.api import Participant
from libacli.edges.livekit.fake_streams import HANG, FakeOrigin
from libacli.edges.livekit.fakes import FakeParticipant, FakeRoom
from libacli.edges.livekit.participants import is_agent, is_listener
from libacli.edges.livekit.tokens import ON_BEHALF_ATTRIBUTE
from libacli.edges.metrics.meter import Meter
from libacli.errors import RefusedError, VoiceError
from libacli.room_agent import (
    DRAIN_TIMEOUT_S,
    FLUSH_TIMEOUT_S,
    LAST_WORD_S,
    WARM_UP_TIMEOUT_S,
    agent_in_room,
)
from libacli.room_parts import Parts, assemble
from libacli.speech.fakes import RecordingSink, ScriptedVoice
from libacli.speech.journal import Journal
from tests.lone_job import LoneJob
from tests.redis_server import RedisServer
from tests.twirp_server import API_KEY, API_SECRET

pytestmark = pytest.mark.anyio

TAKEOVER_LOOK_S = 0.5
"""What an agent that ends takes at most to ask LiveKit, of which there is none here, who has its identity."""

NEVER_S = 1000.0

LONG = "word " * 80
"""Takes 24 s."""


class Track(RecordingSink):
    """Stands where the agent's own audio track does."""

    sid = ""
    subscribe_s = 0.3
    """How long those who are there need to take it."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = asyncio.Event()

    @property
    def is_taken(self) -> bool:
        return self.taken.is_set()

    async def open(self) -> None:
        self.sid = "TR_speech"
        self.publish(self.subscribe_s)

    def publish(self, subscribe_s: float) -> None:
        """It is taken so much later."""
        self.taken.clear()
        asyncio.get_running_loop().call_later(subscribe_s, self.taken.set)

    async def subscribed(self, *, within_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.taken.wait()


class People:
    """Who is in a room, as its server would tell."""

    def __init__(self, room: FakeRoom) -> None:
        self._room = room

    async def participants(self, room: str) -> list[Participant]:
        return [
            Participant(one.identity, True, is_agent(one.as_sdk()), {}, may_hear=is_listener(one.as_sdk()))
            for one in self._room.remote_participants.values()
        ]

    async def aclose(self) -> None:
        pass


class Voice(ScriptedVoice):
    """Its warm-up takes so long, or fails so."""

    warm_up_takes: float | Exception = 0.0
    warm_since: float | None = None

    async def warm_up(self) -> None:
        await super().warm_up()
        if isinstance(self.warm_up_takes, Exception):
            raise self.warm_up_takes
        await asyncio.sleep(self.warm_up_takes)
        self.warm_since = now()


class Counts(Meter):
    def __init__(self) -> None:
        self.outcomes: list[str] = []
        self.refused: list[str] = []
        self.is_closed = False

    def observe(self, record: UtteranceRecord, trace: TraceContext = UNTRACED) -> None:
        self.outcomes.append(record.outcome)

    def refuse(self, reason: str) -> None:
        self.refused.append(reason)

    async def aclose(self) -> None:
        self.is_closed = True


class NotedLedger(Ledger):
    is_closed = False

    def close(self) -> None:
        super().close()
        self.is_closed = True


@dataclass
class Stage:
    """A room, and all that an agent there is made of."""

    folder: Path
    room: FakeRoom = field(default_factory=lambda: FakeRoom("demo", identity="liba-agent-1"))
    voice: Voice = field(default_factory=lambda: Voice(first_byte_s=0.1))
    track: Track = field(default_factory=Track)
    meter: Counts = field(default_factory=Counts)
    job: LoneJob = field(default_factory=LoneJob)
    avatar_service: FakeAvatarService | None = None
    origin: FakeOrigin = field(default_factory=FakeOrigin)
    pronounce: dict[str, str] = field(default_factory=dict)
    pronounce_file: Path | None = None
    redis_url: str = ""
    journal: Journal | None = None
    parts: Parts = field(init=False)
    ledger: NotedLedger = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = NotedLedger(self.folder)
        settings = Settings(
            livekit_url="ws://127.0.0.1:9",
            livekit_api_key=API_KEY,
            livekit_api_secret=SecretStr(API_SECRET),
            pronounce=self.pronounce,
            voice_pronounce_file=self.pronounce_file,
            redis_url=SecretStr(self.redis_url) if self.redis_url else None,
        )
        self.parts = assemble(
            settings,
            self.room.as_sdk(),
            self.voice,
            meters=[self.meter],
            ledger=self.ledger,
            track=self.track,
            avatar_service=self.avatar_service,
            characters=self.folder / "characters.json",
            origin=self.origin,
            journal=self.journal,
            people=People(self.room),
        )

    @asynccontextmanager
    async def agent(self) -> AsyncIterator[None]:
        async with agent_in_room(self.parts, self.job):
            yield

    def say(self, text: str, utterance_id: str) -> None:
        self.parts.speaker.say(SayRequest(text, id=utterance_id))

    def told(self, utterance_id: str) -> list[str]:
        """States of an utterance, as everybody in the room was told them."""
        return [event["state"] for event in self.events() if event.get("id") == utterance_id]

    def events(self) -> list[dict[str, Any]]:
        sent = self.room.local_participant.data
        return [json.loads(packet.payload) for packet in sent if packet.topic == EVENTS_TOPIC]

    @property
    def left_open(self) -> list[str]:
        """What was not closed."""
        parts: dict[str, Any] = {
            "voice": self.voice,
            "sink": self.track,
            "meter": self.meter,
            "ledger": self.ledger,
        }
        return [name for name, part in parts.items() if not part.is_closed]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Any]:
    yield lambda **parts: Stage(tmp_path / "ledger", **parts)
    gc.unfreeze()  # what an agent freezes is for a process of its own


def now() -> float:
    return asyncio.get_running_loop().time()


# What it is made of


@pytest.mark.parametrize(
    ("service", "key", "has_avatar", "told"),
    [
        ("https://tavus.example", "a key", False, "encrypted"),
        ("https://tavus.example", None, True, "not ready"),
        ("http://127.0.0.1:1", "a key", True, "not ready"),
    ],
)
async def test_in_an_encrypted_room_no_avatar_is_asked_for_that_can_be_given_no_key(
    tmp_path: Path, service: str, key: str | None, has_avatar: bool, told: str
) -> None:
    settings = Settings(
        livekit_url="ws://127.0.0.1:9",
        livekit_api_key=API_KEY,
        livekit_api_secret=SecretStr(API_SECRET),
        livekit_e2ee_key=SecretStr(key) if key else None,
        tavus_api_key=SecretStr("key"),
        tavus_face_id="face",
        tavus_base_url=service,
    )
    parts = assemble(settings, FakeRoom().as_sdk(), Voice(), ledger=NotedLedger(tmp_path))
    assert (parts.avatar is not None) is has_avatar
    facts = parts.desk._announcer.facts()
    assert (facts.avatar, facts.encryption) == (told, "encrypted" if key else "")
    if not has_avatar:
        assert (await parts.track.start(lambda: None)).reason == "encrypted"


# How it begins


async def test_an_agent_that_has_begun_has_its_track_and_a_warm_voice_and_is_known(stage: Any) -> None:
    on = stage()
    async with on.agent():
        assert on.track.sid == "TR_speech"
        assert on.voice.warm_ups == 1
        assert on.room.local_participant.attributes == {
            AGENT_ATTRIBUTE: "liba",
            EPOCH_ATTRIBUTE: on.parts.epoch,
            STATE_ATTRIBUTE: "listening",
        }
    assert on.left_open == []


async def test_livekits_pages_see_when_it_speaks(stage: Any) -> None:
    on = stage()
    shown = on.room.local_participant.attributes
    async with on.agent():
        on.say("Hello.", "a")
        await asyncio.sleep(0.05)
        assert shown[STATE_ATTRIBUTE] == "listening"
        await asyncio.sleep(0.15)
        assert (on.told("a")[-1], shown[STATE_ATTRIBUTE]) == ("audible", "speaking")
        await asyncio.sleep(5.0)
        assert (on.told("a")[-1], shown[STATE_ATTRIBUTE]) == ("done", "listening")


async def test_requests_are_taken_once_the_voice_is_warm_and_not_before(stage: Any) -> None:
    on = stage(voice=Voice(first_byte_s=0.1))
    on.voice.warm_up_takes = 2.0
    on.track.subscribe_s = 2.3
    on.room.join("viewer")
    async with asyncio.TaskGroup() as tasks:
        began = asyncio.Event()
        tasks.create_task(_stay(on, began))
        await asyncio.sleep(1.9)
        with pytest.raises(rtc.RpcError):
            await on.room.call("viewer", STATUS_METHOD, "{}")
        await began.wait()
        assert now() == pytest.approx(2.0 + 0.3)  # the viewer is given time to take the track
        assert json.loads(await on.room.call("viewer", STATUS_METHOD, "{}"))["epoch"] == on.parts.epoch


@pytest.mark.parametrize(
    ("is_agent", "takes_s", "waits_s"),
    [(False, 1.0, 1.0), (False, 3600.0, 2.0), (True, 3600.0, 0.3)],
    ids=["a slow viewer", "one who never takes it", "another agent"],
)
async def test_viewers_are_given_time_to_take_the_track_before_the_first_word(
    stage: Any, is_agent: bool, takes_s: float, waits_s: float
) -> None:
    on = stage()
    on.track.subscribe_s = takes_s
    on.room.join("somebody", is_agent=is_agent)
    async with on.agent():
        assert now() == pytest.approx(waits_s)


async def _stay(on: Stage, began: asyncio.Event) -> None:
    async with on.agent():
        began.set()
        await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("trouble", "begins_at_s", "told"),
    [
        (HANG, WARM_UP_TIMEOUT_S, "the voice was not warm within 5 s; the first line may be late"),
        (VoiceError("no answer", hint="ask it"), 0.0, "the voice does not work: no answer - ask it"),
    ],
)
async def test_an_agent_begins_also_when_its_voice_is_slow_or_does_not_work(
    stage: Any,
    caplog: pytest.LogCaptureFixture,
    trouble: float | Exception,
    begins_at_s: float,
    told: str,
) -> None:
    on = stage()
    on.voice.warm_up_takes = trouble
    async with on.agent():
        assert now() == pytest.approx(begins_at_s)
    assert told in caplog.messages


async def test_a_warm_up_that_takes_its_time_is_not_begun_anew(stage: Any) -> None:
    on = stage()
    on.voice.warm_up_takes = 25.0
    async with on.agent():
        await asyncio.sleep(30)
    assert (on.voice.warm_ups, on.voice.warm_since) == (1, pytest.approx(25))


async def test_an_agent_that_cannot_begin_closes_what_it_has_opened(stage: Any) -> None:
    on = stage()
    on.room.script.play("set_attributes", RuntimeError("not connected"))
    with pytest.raises(ExceptionGroup) as raised:
        async with on.agent():
            pytest.fail("it cannot have begun")
    assert raised.value.subgroup(RuntimeError)
    assert on.left_open == []


async def test_captions_and_events_keep_the_authors_spelling(stage: Any) -> None:
    on = stage(pronounce={"gif": "jif"})
    async with on.agent():
        on.say("A GIF¹. [pause 500ms] That's it 🎉", "a")
        await asyncio.sleep(5.0)
        assert on.told("a")[-1] == "done"
    assert [sent.text for sent in on.room.local_participant.text_writers] == ["A GIF¹. ", "That's it 🎉"]
    assert on.voice.texts == ["A jif.", "That's it"]
    assert {event["chars"] for event in on.events() if event.get("id") == "a"} == {
        len("A GIF¹. That's it 🎉")
    }


async def test_an_agent_whose_pronunciations_are_gone_speaks_all_the_same(
    stage: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    on = stage(pronounce_file=tmp_path / "gone.toml")
    async with on.agent():
        on.say("Hello.", "a")
        await asyncio.sleep(5.0)
        assert on.told("a")[-1] == "done"
    assert f"no word is respelled: cannot read {tmp_path}/gone.toml" in caplog.text


# How it ends


async def test_an_agent_that_ends_speaks_what_it_has_accepted_and_takes_nothing_new(stage: Any) -> None:
    on = stage()
    async with asyncio.TaskGroup() as tasks, on.agent():
        on.say("One line.", "a")
        on.say("And one.", "b")
        ending_at = now()
        tasks.create_task(_refused_after(1.0, on))
    assert on.told("a")[-1] == on.told("b")[-1] == "done"
    spoken_until = on.track.spans[-1][1]
    assert now() == pytest.approx(spoken_until + LAST_WORD_S, abs=0.01)
    assert now() - ending_at < DRAIN_TIMEOUT_S
    assert on.meter.outcomes == ["done", "done"]
    assert on.left_open == []


async def _refused_after(delay_s: float, on: Stage) -> None:
    await asyncio.sleep(delay_s)
    with pytest.raises(RefusedError) as refused:
        on.say("More.", "c")
    assert refused.value.reason == "draining"


async def test_an_agent_that_has_nothing_to_say_ends_at_once(stage: Any) -> None:
    on = stage()
    async with on.agent():
        ending_at = now()
    assert now() - ending_at <= TAKEOVER_LOOK_S


async def test_what_an_agent_has_no_time_for_is_told_as_interrupted_before_it_goes(stage: Any) -> None:
    on = stage()
    async with on.agent():
        on.say(LONG, "long")
        on.say("It waits in vain.", "waiting")
        on.room.script.always("publish_data", 0.02)  # the way to a server and back
        await asyncio.sleep(1)
        ending_at = now()
    assert on.told("long")[-1] == on.told("waiting")[-1] == "interrupted"
    assert {event["reason"] for event in on.events() if event["state"] == "interrupted"} == {
        "the agent stopped"
    }
    took_s = now() - ending_at
    assert DRAIN_TIMEOUT_S - 0.01 < took_s < DRAIN_TIMEOUT_S + TAKEOVER_LOOK_S + FLUSH_TIMEOUT_S
    assert on.track.clears
    assert on.left_open == []


async def test_a_room_that_takes_no_events_any_more_does_not_keep_an_agent_from_going(stage: Any) -> None:
    on = stage()
    async with on.agent():
        on.say(LONG, "long")
        await asyncio.sleep(1)
        on.room.script.always("publish_data", HANG)
        ending_at = now()
    assert now() - ending_at <= DRAIN_TIMEOUT_S + TAKEOVER_LOOK_S + FLUSH_TIMEOUT_S + 0.01
    assert on.left_open == []


async def test_an_agent_whose_room_is_gone_does_not_go_on_speaking(stage: Any) -> None:
    on = stage()
    async with on.agent():
        on.say(LONG, "long")
        await asyncio.sleep(1)
        on.room.lose_connection()
        ending_at = now()
    assert now() - ending_at < TAKEOVER_LOOK_S + 0.1
    assert on.meter.outcomes == ["interrupted"]
    assert on.left_open == []


async def test_an_agent_that_is_cancelled_ends_without_another_word(stage: Any) -> None:
    on = stage()
    began = asyncio.Event()

    async def live() -> None:
        async with on.agent():
            on.say(LONG, "long")
            began.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as tasks:
        living = tasks.create_task(live())
        await began.wait()
        await asyncio.sleep(1)
        ending_at = now()
        living.cancel()
    assert now() == ending_at
    assert living.cancelled()
    assert on.left_open == []


async def test_an_agent_that_is_cancelled_while_it_finishes_ends_there_and_then(stage: Any) -> None:
    on = stage()

    async def live() -> None:
        async with on.agent():
            on.say(LONG, "long")

    async with asyncio.TaskGroup() as tasks:
        living = tasks.create_task(live())
        await asyncio.sleep(3)
        living.cancel()
    assert now() == pytest.approx(3.0)
    assert on.left_open == []


class Stubborn:
    """What does not let itself be closed."""

    async def aclose(self) -> None:
        await super().aclose()  # type: ignore[misc]
        raise OSError("it is stuck")


class StubbornVoice(Stubborn, Voice):
    pass


class StubbornTrack(Stubborn, Track):
    pass


class StubbornCounts(Stubborn, Counts):
    def avatar_seconds(self, seconds: float) -> None:
        raise OSError("it does not count")


async def test_whatever_does_not_let_itself_be_closed_everything_else_is_closed_all_the_same(
    stage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    on = stage(voice=StubbornVoice(), track=StubbornTrack(), meter=StubbornCounts())
    with pytest.raises(OSError, match="it is stuck"):
        async with on.agent():
            pass
    assert on.left_open == []
    assert "StubbornCounts did not finish" in caplog.messages


def end_of_the_body(on: Stage) -> None:
    pass


def cancelling(on: Stage) -> None:
    raise asyncio.CancelledError


def a_failing_body(on: Stage) -> None:
    raise ZeroDivisionError


def a_lost_room(on: Stage) -> None:
    on.room.lose_connection()


def a_defect(on: Stage) -> None:
    on.job.answers = KeyError("a defect")
    on.room.emit("reconnected")


@pytest.mark.parametrize("way_out", [end_of_the_body, cancelling, a_failing_body, a_lost_room, a_defect])
async def test_an_avatar_is_ended_exactly_once_whatever_the_way_out(
    stage: Any, way_out: Callable[[Stage], None]
) -> None:
    room = FakeRoom("demo", identity="liba-agent-1")
    room.join("viewer")

    def let_in(invitation: Invitation) -> None:
        on_behalf = {ON_BEHALF_ATTRIBUTE: "liba-agent-1"}
        kind = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
        room.join(FakeParticipant(invitation.identity, kind=kind, attributes=on_behalf))
        room.publish(invitation.identity, rtc.TrackKind.KIND_VIDEO)

    service = FakeAvatarService(on_begun=let_in)
    on = stage(room=room, voice=StubbornVoice(), avatar_service=service)
    begun: list[str] = []
    with suppress(OSError, asyncio.CancelledError, ExceptionGroup):
        async with on.agent():
            while on.parts.avatar.sink.state != "ready":  # noqa: ASYNC110 - threads write the ledger meanwhile
                await asyncio.sleep(0.1)
            begun.extend(service.running)
            way_out(on)
            await asyncio.sleep(0)
    assert begun == ["c1"]
    assert service.running == {}
    assert service.ends == ["c1"]
    assert on.ledger.entries() == []
    assert on.left_open == []


# How it stays


async def test_an_agent_makes_itself_known_again_after_a_reconnect_and_again_where_that_fails(
    stage: Any,
) -> None:
    on = stage()
    async with on.agent():
        on.room.local_participant.attributes.clear()
        on.room.script.play("set_attributes", RuntimeError("reconnecting"))
        on.room.emit("reconnected")
        await asyncio.sleep(0.9)
        assert on.room.local_participant.attributes == {}
        await asyncio.sleep(0.2)
        assert on.room.local_participant.attributes[EPOCH_ATTRIBUTE] == on.parts.epoch
    assert on.job.left == []


async def test_an_agent_whose_room_another_one_has_taken_over_falls_silent_and_leaves(stage: Any) -> None:
    on = stage(job=LoneJob(answers=False))
    async with on.agent():
        on.say(LONG, "long")
        on.say("It waits in vain.", "waiting")
        await asyncio.sleep(1)
        on.room.emit("reconnected")
        await asyncio.sleep(0.1)
        assert on.job.left == ["already_running"]
    assert on.told("long")[-1] == on.told("waiting")[-1] == "interrupted"
    reasons = {event["reason"] for event in on.events() if event["state"] == "interrupted"}
    assert reasons == {"another agent took its place"}
    assert on.left_open == []


async def test_after_a_reconnect_nothing_new_is_spoken_before_the_room_is_known_to_be_still_its_own(
    stage: Any,
) -> None:
    on = stage(job=LoneJob(after_s=3.0))
    async with on.agent():
        on.room.emit("reconnecting")
        on.say("It waits.", "waiting")
        await asyncio.sleep(1)
        on.room.emit("reconnected")
        await asyncio.sleep(2.9)
        assert on.told("waiting") == ["accepted"]
        await asyncio.sleep(5)
    assert on.told("waiting")[-1] == "done"


@pytest.mark.parametrize(
    ("back_after_s", "waits_s"),
    [((11.0,), 11.3), ((None,), 45.0), ((), 0.0)],
    ids=["a viewer who is late", "one who never comes", "no viewer"],
)
async def test_after_its_node_has_died_nothing_is_spoken_to_viewers_who_are_not_back(
    stage: Any, back_after_s: tuple[float | None, ...], waits_s: float
) -> None:
    on = stage()
    for number in range(len(back_after_s)):
        on.room.join(f"viewer-{number}")
    async with on.agent():
        there = on.room.lose_node()
        on.say("It waits.", "waiting")
        on.track.publish(0.3 + max((after_s or NEVER_S for after_s in back_after_s), default=NEVER_S))
        on.room.find_node()
        began_at = now()
        for viewer, after_s in zip(there, back_after_s, strict=True):
            if after_s is not None:
                asyncio.get_running_loop().call_later(after_s, on.room.join, viewer)
        await asyncio.sleep(60)
        assert on.told("waiting")[-1] == "done"
        assert on.track.spans[0][0] - began_at == pytest.approx(waits_s + 0.1, abs=0.11)


async def test_an_agent_whose_room_was_taken_over_while_it_was_cut_off_speaks_no_line_beside_the_new_one(
    stage: Any,
) -> None:
    on = stage(job=LoneJob(answers=False, after_s=3.0))
    async with on.agent():
        on.room.emit("reconnecting")
        on.say("It waits in vain.", "waiting")
        await asyncio.sleep(1)
        on.room.emit("reconnected")
        await asyncio.sleep(3.1)
        assert on.job.left == ["already_running"]
    assert on.told("waiting") == ["accepted", "interrupted"]


async def test_an_agent_with_a_defect_says_so_and_leaves_and_is_closed_as_any_other(
    stage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    on = stage(job=LoneJob(answers=KeyError("a defect")))
    async with on.agent():
        on.room.emit("reconnected")
        await asyncio.sleep(0.1)
        assert on.job.left == ["defect"]
        ending_at = now()
    assert now() - ending_at < TAKEOVER_LOOK_S + 0.1
    assert "the agent in room demo cannot go on" in caplog.messages
    assert on.left_open == []


async def test_somebody_who_takes_the_agents_identity_is_counted_once(
    stage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    on = stage()
    async with on.agent():
        on.room.lose_connection(rtc.DisconnectReason.DUPLICATE_IDENTITY)
        await asyncio.sleep(0.1)
    assert on.meter.refused == ["takeover"]
    assert len([message for message in caplog.messages if message.startswith("TAKEOVER")]) == 1
    assert not [record for record in caplog.records if record.levelno > logging.ERROR]


# Whom it obeys


def claimed(**changes: Any) -> str:
    """What a token has as `liba.say`: a permission of vera's, with some of its claims changed."""
    now = int(time.time())  # noqa: TID251 - the life of a permission is wall time
    claims = {"iss": API_KEY, "aud": "liba-say", "room": "demo", "sub": "vera", "nbf": now, "exp": now + 3600}
    secret = changes.pop("secret", API_SECRET)
    return jwt.encode(claims | changes, secret, algorithm="HS256")


@pytest.mark.parametrize(
    ("permission", "is_taken"),
    [
        (claimed(), True),
        ("true", False),
        (claimed(sub="another"), False),
        (claimed(room="another"), False),
        (claimed(nbf=1000, exp=1060), False),
        (claimed(secret="a-secret-of-somebody-else-32-chars"), False),
        (None, False),
    ],
    ids=["her own", "just true", "another's", "for another room", "expired", "forged", "none"],
)
async def test_a_guest_makes_it_speak_with_a_permission_of_its_own_and_with_nothing_else(
    stage: Any, permission: str | None, is_taken: bool
) -> None:
    on = stage()
    async with on.agent():
        attributes = {} if permission is None else {CAN_SAY_ATTRIBUTE: permission}
        on.room.join(FakeParticipant("vera", attributes=attributes))
        answer = json.loads(await on.room.call("vera", SAY_METHOD, '{"text": "Hello.", "id": "called"}'))
        on.room.receive_data(b'{"text": "Hello.", "id": "sent"}', topic=SAY_TOPIC, sender="vera")
        await asyncio.sleep(5)
    assert answer.get("rejected") == (None if is_taken else "unauthorized")
    assert bool(on.voice.texts) == is_taken
    assert [on.told(id)[-1:] == ["done"] for id in ("called", "sent")] == [is_taken] * 2


# What it may spend


async def used(on: Stage) -> float:
    """Characters of the hour, as the participant `vera` is told."""
    status = json.loads(await on.room.call("vera", STATUS_METHOD, "{}"))
    return next(float(cap["used"]) for cap in status["caps"] if cap["name"] == "speech")


async def test_what_one_agent_has_spent_the_next_one_knows(stage: Any) -> None:
    first, second = stage(), stage()

    for on in (first, second):
        on.room.join(FakeParticipant("vera", attributes={CAN_SAY_ATTRIBUTE: claimed()}))
    async with first.agent():
        assert await used(first) == 0
        await first.room.call("vera", SAY_METHOD, json.dumps({"text": LONG, "id": "long"}))
        assert await used(first) == len(LONG.strip())
        await asyncio.sleep(3)
        first.parts.speaker.stop()
        await asyncio.sleep(1)
        spent = await used(first)
    assert spent == sum(map(len, first.voice.texts)) < len(LONG)
    async with second.agent():
        assert await used(second) == spent


async def test_an_agent_that_is_cut_off_leaves_what_it_has_spent_and_no_promise(stage: Any) -> None:
    first, second = stage(), stage()
    for on in (first, second):
        on.room.join(FakeParticipant("vera", attributes={CAN_SAY_ATTRIBUTE: claimed()}))
    with pytest.raises(ExceptionGroup):
        async with first.agent():
            await first.room.call("vera", SAY_METHOD, json.dumps({"text": LONG, "id": "long"}))
            await asyncio.sleep(3)
            raise ZeroDivisionError
    async with second.agent():
        status = json.loads(await second.room.call("vera", STATUS_METHOD, "{}"))
    caps = {cap["name"]: cap["used"] for cap in status["caps"]}
    assert caps["speech"] == caps["your speech"] == sum(map(len, first.voice.texts))


async def test_an_agent_whose_redis_is_gone_begins_speaks_and_leaves_as_without_and_says_so_once(
    stage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    on = stage(redis_url="redis://127.0.0.1:1/0")
    async with on.agent():
        assert now() < 1.0
        on.say("Hello.", "a")
        await asyncio.sleep(60)
        assert on.told("a")[-1] == "done"
    assert on.left_open == []
    assert caplog.text.count("what may be spent is counted on this machine alone") == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"], ids=["real time"])
async def test_what_is_spoken_on_one_machine_counts_on_another_one_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anyio_backend: str
) -> None:
    with RedisServer(tmp_path) as redis:
        machines = []
        for name in ("one", "other"):
            monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / name))
            machines.append(Stage(tmp_path / name, redis_url=redis.url))
        here, there = machines
        async with here.agent(), there.agent():
            here.say("Hello there.", "a")
            there.room.join(FakeParticipant("vera", attributes={CAN_SAY_ATTRIBUTE: claimed()}))
            async with asyncio.timeout(3):
                while await used(there) != len("Hello there."):  # noqa: ASYNC110 - it is asked for from outside
                    await asyncio.sleep(0.05)
        gc.unfreeze()
