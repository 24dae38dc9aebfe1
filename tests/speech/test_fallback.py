from __future__ import annotations

import asyncio

import pytest

from libacli.core.audio import FRAME_BYTES, FRAME_MS
from libacli.errors import SinkError
from libacli.speech.fakes import GatedRecordingSink, RecordingSink, ScriptedVoice, tone
from libacli.speech.fallback import FallbackSink
from libacli.speech.ports import Route
from tests.contracts import FaultySinkContract
from tests.speech.test_fakes import RecordingSinkFaults
from tests.speech.test_speaker import TAIL, on_stage


class Pair:
    def __init__(self) -> None:
        self.avatar = GatedRecordingSink()
        self.track = RecordingSink()
        self.sink = FallbackSink(self.avatar, self.track)


@pytest.fixture
def pair() -> Pair:
    return Pair()


class TestFallbackSinkOnTheAvatar(FaultySinkContract):
    SLACK_S = 0.001

    @pytest.fixture
    def sink(self, pair: Pair) -> FallbackSink:
        return pair.sink

    @pytest.fixture
    def faults(self, pair: Pair) -> RecordingSinkFaults:
        return RecordingSinkFaults(pair.avatar)


class TestFallbackSinkOnTheTrack(FaultySinkContract):
    SLACK_S = 0.001

    @pytest.fixture
    def faults(self, pair: Pair) -> RecordingSinkFaults:
        return RecordingSinkFaults(pair.track)

    @pytest.fixture
    def sink(self, pair: Pair) -> FallbackSink:
        pair.avatar.absence = "402"
        return pair.sink


async def test_an_avatar_that_is_there_is_the_only_one_to_speak(pair: Pair) -> None:
    async with on_stage(sink=pair.sink) as stage:  # type: ignore[arg-type]
        stage.say("Hello.", "a")
        spoken = await stage.spoken("a")
    assert (spoken.route, spoken.route_reason, spoken.t3_source) == ("avatar", "", "reported")
    assert pair.avatar.segments == [tone(360) + TAIL]
    assert pair.track.segments == []


async def test_an_avatar_that_is_not_there_is_replaced_with_its_reason(pair: Pair) -> None:
    pair.avatar.absence = "402"
    async with on_stage(sink=pair.sink) as stage:  # type: ignore[arg-type]
        stage.say("Hello.", "a")
        spoken = await stage.spoken("a")
    assert (spoken.route, spoken.route_reason) == ("track", "402")
    assert pair.track.segments == [tone(360) + TAIL]
    assert pair.avatar.segments == []


async def test_waiting_for_the_avatar_and_for_the_voice_happens_at_the_same_time(pair: Pair) -> None:
    pair.avatar.gate_s = 0.3
    async with on_stage(ScriptedVoice(first_byte_s=0.3), pair.sink) as stage:  # type: ignore[arg-type]
        stage.say("Hello.", "a")
        spoken = await stage.spoken("a")
    assert spoken.timeline.durations_ms()["d12"] == 0.0
    assert (spoken.timeline.t2 or 0) - spoken.timeline.t0 == pytest.approx(0.3)


async def test_fault_20_a_line_that_is_lost_while_it_is_written_is_repeated_whole_on_the_track(
    pair: Pair,
) -> None:
    async with on_stage(sink=pair.sink) as stage:  # type: ignore[arg-type]
        stage.say("A line of some length, to be lost in its middle.", "a")
        await asyncio.sleep(1)
        pair.avatar.failure = SinkError("left")
        spoken = await stage.spoken("a")
    whole = tone(60 * len("A line of some length, to be lost in its middle."))
    assert pair.track.segments == [whole + TAIL]
    assert (spoken.state, spoken.route, spoken.route_reason) == ("done", "track", "left")
    assert spoken.replayed
    assert pair.avatar.clears == 1


async def test_fault_20_a_line_that_is_lost_before_its_end_is_confirmed_is_repeated_too(pair: Pair) -> None:
    pair.avatar.lost = "stalled"
    async with on_stage(sink=pair.sink) as stage:  # type: ignore[arg-type]
        stage.say("A line of quite some length, longer than the queue of a sink is.", "a")
        spoken = await stage.spoken("a")
    assert len(pair.track.segments[0]) == len(pair.avatar.segments[0])
    assert (spoken.state, spoken.route_reason, spoken.replayed) == ("done", "stalled", True)


async def test_the_line_after_a_lost_one_tries_the_avatar_again(pair: Pair) -> None:
    pair.avatar.lost = "left"
    async with on_stage(sink=pair.sink) as stage:  # type: ignore[arg-type]
        stage.say("First.", "a")
        stage.say("Second.", "b")
        await stage.spoken("b")
        assert stage.speaker.find("a").route == "track"  # type: ignore[union-attr]
        assert stage.speaker.find("b").route == "avatar"  # type: ignore[union-attr]
        assert not stage.speaker.find("b").replayed  # type: ignore[union-attr]


async def test_an_avatar_that_will_not_start_is_replaced_at_once(pair: Pair) -> None:
    class Refusing(GatedRecordingSink):
        async def start(self, on_audible: object) -> Route:
            raise SinkError("left")

    sink = FallbackSink(Refusing(), pair.track)
    route = await sink.start(lambda: None)
    assert route == Route("track", reason="left", target="fake")


async def test_a_stopped_line_is_not_repeated(pair: Pair) -> None:
    async with on_stage(sink=pair.sink) as stage:  # type: ignore[arg-type]
        stage.say("A line of some length, to be stopped in its middle.", "a")
        await asyncio.sleep(1)
        stage.speaker.stop()
        await stage.spoken("a")
    assert pair.track.segments == []
    assert pair.avatar.clears == 1


async def test_a_repeated_line_does_not_block_its_writer_longer_than_a_frame_plays(pair: Pair) -> None:
    await pair.sink.start(lambda: None)
    for _ in range(500):
        await pair.sink.write(tone(FRAME_MS))
    pair.avatar.failure = SinkError("left")
    loop = asyncio.get_running_loop()
    for _ in range(10):
        before = loop.time()
        await pair.sink.write(bytes(FRAME_BYTES))
        assert loop.time() - before <= 1.001
    playback = await pair.sink.finish()
    assert playback.replayed
    assert len(pair.track.segments[0]) == 510 * FRAME_BYTES
