"""Speech to an avatar, in a room without a server, under a clock of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from livekit import rtc

from libacli.core.audio import FRAME_BYTES
from libacli.core.bounds import Bounds
from libacli.core.messages import SayRequest
from libacli.core.utterance import Utterance
from libacli.edges.livekit.fake_streams import HANG, sound_of
from libacli.edges.livekit.fakes import FakeParticipant, FakeRoom
from libacli.edges.sinks.avatar import CLEAR_METHOD, FINISHED_METHOD, AvatarSink
from libacli.errors import SinkError
from libacli.speech.fakes import RecordingSink, ScriptedVoice, tone
from libacli.speech.fallback import FallbackSink
from libacli.speech.speaker import Speaker
from tests.contracts import LOUD_FRAME, SILENT_FRAME, FaultySinkContract, now
from tests.fake_avatar import FakeAvatar, avatar_in

LINE = "a line that sounds for more than two seconds"
LINE_PCM = tone(60 * len(LINE)) + bytes(6 * FRAME_BYTES)


@dataclass(frozen=True)
class Scene:
    """A room with an avatar that is present, and the sink to it."""

    room: FakeRoom
    avatar: FakeAvatar
    sink: AvatarSink

    def come(self) -> None:
        self.sink.present(self.avatar.join())

    async def write(self, *frames: bytes) -> None:
        for frame in frames:
            await self.sink.write(frame)


@asynccontextmanager
async def scene_in(*, way_s: float = 0.0, bounds: Bounds | None = None) -> AsyncIterator[Scene]:
    room = FakeRoom()
    sink = AvatarSink(room.as_sdk(), bounds=bounds, sound_of=sound_of)
    sink.open()
    async with asyncio.TaskGroup() as tasks, avatar_in(room, way_s=way_s) as avatar:
        listening = tasks.create_task(sink.listen())
        scene = Scene(room, avatar, sink)
        scene.come()
        await asyncio.sleep(0)
        yield scene
        listening.cancel()


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with scene_in() as scene:
        yield scene


class AvatarFaults:
    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def hang_writes(self) -> None:
        self._scene.room.script.always("write", HANG)

    def fail_close(self) -> None:
        self._scene.room.script.play("aclose", rtc.StreamError("engine: connection closed"))

    def heal(self) -> None:
        self._scene.room.script.always("write")
        self._scene.avatar.leave()
        self._scene.come()


class TestAvatarSink(FaultySinkContract):
    SLACK_S = EARLY_S = 0.02

    @pytest.fixture
    def sink(self, scene: Scene) -> AvatarSink:
        return scene.sink

    @pytest.fixture
    def faults(self, scene: Scene) -> AvatarFaults:
        return AvatarFaults(scene)


class Stage:
    """A speaker on an avatar, with a track beside it."""

    def __init__(self, scene: Scene, bounds: Bounds) -> None:
        self.scene = scene
        self.track = RecordingSink()
        self.states: dict[str, list[str]] = {}
        self._changed = asyncio.Event()
        sink = FallbackSink(scene.sink, self.track, bounds=bounds)
        self.speaker = Speaker(
            ScriptedVoice(first_byte_s=0.05), sink, on_change=self._on_change, bounds=bounds
        )

    def say(self, text: str = LINE, id: str = "a") -> None:
        self.speaker.say(SayRequest(text, id=id))

    async def spoken(self, id: str = "a") -> Utterance:
        async with asyncio.timeout(4000):
            while not (found := self.speaker.find(id)) or not found.is_over:
                self._changed.clear()
                await self._changed.wait()
        return found

    def _on_change(self, utterance: Utterance) -> None:
        self.states.setdefault(utterance.id, []).append(utterance.state)
        self._changed.set()


@asynccontextmanager
async def on_stage(*, frame_s: float = 5.0, gate_s: float = 5.0, way_s: float = 0.1) -> AsyncIterator[Stage]:
    bounds = Bounds.derive(frame_s=frame_s, gate_s=gate_s)
    async with scene_in(way_s=way_s, bounds=bounds) as scene, asyncio.TaskGroup() as tasks:
        stage = Stage(scene, bounds)
        speaking = tasks.create_task(stage.speaker.run())
        await asyncio.sleep(0)
        yield stage
        assert not speaking.done(), "the speaker died"
        speaking.cancel()


async def test_a_line_is_heard_from_the_avatar_alone() -> None:
    async with on_stage() as stage:
        stage.say()
        spoken = await stage.spoken()
        assert (spoken.state, spoken.route, spoken.t3_source) == ("done", "avatar", "reported")
        assert spoken.timeline.durations_ms()["d2a"] == pytest.approx(100)
        assert stage.track.segments == []
        assert stage.scene.sink.state == "ready"


@pytest.mark.parametrize(
    "close",
    [(HANG,), (2.0,), (rtc.StreamError("engine: connection closed"),)],
    ids=["hangs", "slow", "fails"],
)
async def test_a_line_stopped_while_its_stream_is_closed_is_interrupted_and_the_next_is_spoken(
    close: tuple[float | Exception, ...],
) -> None:
    async with on_stage() as stage:
        stage.scene.room.script.play("aclose", 0.5, *close)
        stage.say()
        writers = stage.scene.room.local_participant.writers
        while not writers or not writers[0].is_closed:  # noqa: ASYNC110 - the SDK's has no event for it
            await asyncio.sleep(0.01)
        stage.speaker.stop()
        assert (await stage.spoken()).state == "interrupted"
        assert stage.scene.avatar.clears == 1
        stage.say(id="b")
        assert (await stage.spoken("b")).state == "done"


async def test_a_line_whose_stream_cannot_be_closed_is_repeated_whole_on_the_track() -> None:
    async with on_stage() as stage:
        stage.scene.room.script.play("aclose", rtc.StreamError("engine: connection closed"))
        stage.say()
        spoken = await stage.spoken()
        assert (spoken.state, spoken.route, spoken.route_reason) == ("done", "track", "left")
        assert spoken.replayed
        assert stage.track.segments == [LINE_PCM]
        assert stage.scene.avatar.clears == 1
        stage.say(id="b")
        assert (await stage.spoken("b")).route == "avatar"


@pytest.mark.parametrize("frame_s", [0.5, 2.0, 3.0, 5.0, 60.0])
async def test_a_line_whose_avatar_takes_no_more_is_repeated_whatever_bound_is_set(frame_s: float) -> None:
    async with on_stage(frame_s=frame_s) as stage:
        stage.say()
        await asyncio.sleep(0.3)
        stage.scene.room.script.always("write", HANG)
        spoken = await stage.spoken()
        assert (spoken.state, spoken.route, spoken.route_reason) == ("done", "track", "stalled")
        assert stage.track.segments == [LINE_PCM]
        assert stage.scene.sink.trouble.is_set()


@pytest.mark.parametrize("gate_s", [5.0, 62.0, 3600.0])
async def test_a_line_that_waits_for_the_avatar_is_spoken_without_it_however_long_that_may_be(
    gate_s: float,
) -> None:
    async with on_stage(gate_s=gate_s) as stage:
        stage.scene.sink.absent("left")
        stage.scene.sink.joining(timeout_s=gate_s)
        stage.say()
        spoken = await stage.spoken()
        assert (spoken.state, spoken.route, spoken.route_reason) == ("done", "track", "not ready")
        assert stage.track.segments == [LINE_PCM]
        assert now() == pytest.approx(gate_s + 2.8, abs=0.1)


async def test_an_avatar_is_not_changed_while_an_utterance_is_being_opened_to_it(scene: Scene) -> None:
    scene.room.script.play("stream_bytes", 2.0)
    changed_at = 0.0

    async def change() -> None:
        nonlocal changed_at
        await scene.sink.idle()
        changed_at = now()

    async with asyncio.TaskGroup() as tasks:
        starting = tasks.create_task(scene.sink.start(lambda: None))
        await asyncio.sleep(0.1)
        tasks.create_task(change())
        await starting
        await scene.write(*[LOUD_FRAME] * 25)
        await scene.sink.finish()
    assert changed_at == pytest.approx(2.5, abs=0.1)


async def test_an_avatar_is_not_changed_when_the_next_utterance_begins_where_the_last_one_ended(
    scene: Scene,
) -> None:
    order: list[str] = []

    async def speak_twice() -> None:
        for _ in range(2):
            await scene.sink.start(lambda: None)
            await scene.write(LOUD_FRAME)
            await scene.sink.finish()
            order.append("spoken")

    async def change() -> None:
        await scene.sink.idle()
        order.append("changed")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(speak_twice())
        await asyncio.sleep(0)
        tasks.create_task(change())
    assert order == ["spoken", "spoken", "changed"]


@pytest.mark.parametrize("at_s", [0.2, 1.0, 1.9])
async def test_a_stop_silences_the_avatar_also_when_all_of_the_line_has_been_sent(at_s: float) -> None:
    async with on_stage() as stage:
        stage.say("a line of two seconds, more or less")
        await asyncio.sleep(at_s)
        stage.speaker.stop()
        assert (await stage.spoken()).state == "interrupted"
        before = len(stage.scene.avatar.heard)
        await asyncio.sleep(3)
        assert len(stage.scene.avatar.heard) <= before + 1
        assert stage.scene.avatar.clears == 1


async def test_an_avatar_that_leaves_while_its_stream_is_opened_is_not_spoken_to(scene: Scene) -> None:
    scene.room.script.play("stream_bytes", 1.0)
    asyncio.get_running_loop().call_later(0.5, scene.avatar.leave)
    with pytest.raises(SinkError, match="left"):
        await scene.sink.start(lambda: None)
    assert now() == pytest.approx(1.0)
    await asyncio.wait_for(scene.sink.idle(), 0.1)


@pytest.mark.parametrize(
    ("step", "reason", "cause"),
    [
        (rtc.StreamError("closed"), "left", rtc.StreamError),
        (RuntimeError("Stream is not open"), "left", RuntimeError),
        (rtc.RpcError(1500, "odd"), "left", rtc.RpcError),
        (KeyError("a defect of the SDK"), "left", KeyError),
        (HANG, "stalled", TimeoutError),
    ],
)
@pytest.mark.parametrize("call", ["stream_bytes", "write", "aclose"])
async def test_whatever_a_stream_raises_is_a_sink_error_with_its_cause(
    scene: Scene, call: str, step: float | Exception, reason: str, cause: type[Exception]
) -> None:
    async def speak() -> None:
        await scene.sink.start(lambda: None)
        await scene.write(LOUD_FRAME)
        await scene.sink.finish()

    scene.room.script.play(call, step)  # type: ignore[arg-type]
    with pytest.raises(SinkError) as caught:
        await speak()
    assert str(caught.value) == reason
    assert isinstance(caught.value.__cause__, cause)
    assert scene.sink.trouble.is_set() == (reason == "stalled")
    await scene.sink.clear()
    await asyncio.wait_for(scene.sink.idle(), 0.1)


@pytest.mark.parametrize(
    ("call", "step"),
    [
        ("perform_rpc", HANG),
        ("perform_rpc", rtc.RpcError(1502, "Response timeout")),
        ("perform_rpc", RuntimeError("a defect of the SDK")),
        ("aclose", HANG),
        ("aclose", rtc.StreamError("closed")),
        ("aclose", RuntimeError("Stream already closed")),
    ],
)
async def test_clear_raises_nothing_and_is_bounded_whatever_the_sdk_does(
    scene: Scene, call: str, step: float | Exception
) -> None:
    await scene.sink.start(lambda: None)
    await scene.write(*[LOUD_FRAME] * 20)
    scene.room.script.play(call, step)  # type: ignore[arg-type]
    await scene.sink.clear()
    assert now() <= Bounds().clear_s
    await asyncio.wait_for(scene.sink.idle(), 0.1)


async def test_a_clear_that_is_not_answered_is_tried_once_more(scene: Scene) -> None:
    await scene.sink.start(lambda: None)
    await scene.write(*[LOUD_FRAME] * 100)
    scene.avatar.deaf_to_clears = 1
    await scene.sink.clear()
    assert now() == pytest.approx(0.8)
    assert scene.avatar.clears == 1
    assert scene.sink.state == "ready"


async def test_one_that_goes_while_it_is_called_is_not_called_again(scene: Scene) -> None:
    await scene.sink.start(lambda: None)
    await scene.write(*[LOUD_FRAME] * 100)
    scene.room.script.play("perform_rpc", rtc.RpcError(1503, "Recipient disconnected"), HANG)
    await scene.sink.clear()
    assert now() == pytest.approx(0.0, abs=0.01)
    assert len(scene.room.local_participant.calls) == 1


@pytest.mark.parametrize("deaf_to_clears", [0, 2])
async def test_an_avatar_that_falls_silent_without_an_answer_is_kept(
    scene: Scene, deaf_to_clears: int
) -> None:
    scene.avatar.deaf_to_clears = deaf_to_clears
    await scene.sink.start(lambda: None)
    await scene.write(*[LOUD_FRAME] * 70)
    if not deaf_to_clears:
        scene.room.script.always("perform_rpc", rtc.RpcError(1502, "Response timeout"))
    await scene.sink.clear()
    assert now() == pytest.approx(1.4 + 0.3, abs=0.05)
    assert len(scene.avatar.heard) == 70
    assert scene.sink.state == "ready"
    assert [writer.is_closed for writer in scene.room.local_participant.writers] == [True]


async def test_an_avatar_that_goes_on_and_does_not_answer_is_given_up_and_its_successor_is_not(
    scene: Scene,
) -> None:
    scene.room.script.always("perform_rpc", HANG)
    for state in ("stalled", "ready"):
        await scene.sink.start(lambda: None)
        await scene.write(*[LOUD_FRAME] * 100)
        if state == "ready":
            asyncio.get_running_loop().call_later(1, scene.come)
        await scene.sink.clear()
        assert scene.sink.state == state
        assert scene.sink.trouble.is_set() == (state == "stalled")
        scene.avatar.leave()
        scene.come()


async def test_no_more_than_two_seconds_are_sent_ahead(scene: Scene) -> None:
    await scene.sink.start(lambda: None)
    for written in range(200):
        await scene.sink.write(LOUD_FRAME)
        assert written * 0.02 - now() <= 2.0 + 1e-6
    await scene.sink.finish()


async def test_an_avatar_that_is_never_heard_is_stalled(scene: Scene) -> None:
    scene.avatar.is_frozen = True
    await scene.sink.start(lambda: None)
    with pytest.raises(SinkError, match="stalled"):
        await scene.write(*[SILENT_FRAME] * 5, *[LOUD_FRAME] * 500)
    assert now() == pytest.approx(0.1 + 5.0, abs=0.05)
    assert scene.sink.state == "stalled"


async def test_an_end_that_is_not_reported_is_estimated_and_waited_for_no_longer_the_next_time(
    scene: Scene,
) -> None:
    scene.avatar.report = "never"
    for margin_s in (3.0, 0.5, 0.5):
        began_at = now()
        await scene.sink.start(lambda: None)
        await scene.write(*[LOUD_FRAME] * 150)
        assert (await scene.sink.finish()).source == "estimated"
        assert now() - began_at == pytest.approx(3.0 + margin_s, abs=0.05)
    assert scene.sink.state == "ready"
    assert not scene.sink.trouble.is_set()


async def test_a_second_avatar_is_given_as_long_as_the_first_one(scene: Scene) -> None:
    for _ in range(2):
        for _ in range(4):
            await scene.sink.start(lambda: None)
            await scene.write(*[LOUD_FRAME] * 20)
            await scene.sink.finish()
        scene.avatar.leave()
        scene.come()
    scene.avatar.is_frozen = True
    began_at = now()
    await scene.sink.start(lambda: None)
    with pytest.raises(SinkError, match="stalled"):
        await scene.write(*[LOUD_FRAME] * 500)
    assert now() - began_at == pytest.approx(5.0, abs=0.05)


async def test_the_sound_of_the_avatar_that_comes_next_is_not_that_of_the_line(scene: Scene) -> None:
    scene.avatar.is_frozen = True
    heard: list[float] = []
    await scene.sink.start(lambda: heard.append(now()))
    await scene.write(LOUD_FRAME)
    next_one = FakeParticipant("next", kind=rtc.ParticipantKind.PARTICIPANT_KIND_AGENT)
    scene.room.join(next_one)
    scene.sink.expect("next")
    publication = scene.room.publish("next", rtc.TrackKind.KIND_AUDIO)
    await asyncio.sleep(0.1)
    assert publication.track, "it is not subscribed to before it is spoken through"
    publication.track.play(LOUD_FRAME)
    await asyncio.sleep(0.1)
    assert heard == []
    await scene.sink.clear()


async def test_a_report_of_somebody_else_or_one_that_cannot_be_read_ends_nothing(scene: Scene) -> None:
    scene.avatar.report = "never"
    await scene.sink.start(lambda: None)
    await scene.write(*[LOUD_FRAME] * 50)
    report = '{"playback_position": 1.0, "interrupted": false}'
    avatar = scene.avatar.identity

    async def tell() -> None:
        await asyncio.sleep(1.0)
        assert await scene.room.call("somebody", FINISHED_METHOD, report) == "reject"
        for odd in ("", "[]", "{}", '{"position": 1}', '"playback_position"', "[" * 9000):
            assert await scene.room.call(avatar, FINISHED_METHOD, odd) == "reject"
        await asyncio.sleep(0.5)
        assert await scene.room.call(avatar, FINISHED_METHOD, report) == "ok"

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(tell())
        playback = await scene.sink.finish()
    assert playback.source == "reported"
    assert now() == pytest.approx(1.5, abs=0.01)


@pytest.mark.parametrize(
    "report",
    [
        *('{"playback_position": "1.0"}', '{"playback_position": null}', '{"playback_position": -1}'),
        *('{"playback_position": 1e999}', '{"interrupted": false}', '{"playback_position": "no number"}'),
    ],
)
async def test_f6_the_end_is_reported_however_the_position_is_written(scene: Scene, report: str) -> None:
    scene.avatar.report = "never"
    await scene.sink.start(lambda: None)
    await scene.write(*[LOUD_FRAME] * 50)

    async def tell() -> None:
        await asyncio.sleep(1.0)
        assert await scene.room.call(scene.avatar.identity, FINISHED_METHOD, report) == "ok"

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(tell())
        playback = await scene.sink.finish()
    assert playback.source == "reported"


async def test_clearing_calls_the_avatar_once_and_closes_its_stream(scene: Scene) -> None:
    await scene.sink.start(lambda: None)
    await scene.write(LOUD_FRAME)
    await scene.sink.clear()
    await scene.sink.clear()
    assert scene.room.local_participant.calls == [(scene.avatar.identity, CLEAR_METHOD, "")]
    assert [writer.is_closed for writer in scene.room.local_participant.writers] == [True]


async def test_a_clear_that_is_given_up_on_the_way_is_made_again_by_the_next(scene: Scene) -> None:
    await scene.sink.start(lambda: None)
    await scene.write(LOUD_FRAME)
    scene.room.script.play("perform_rpc", HANG)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(scene.sink.clear(), 0.5)
    with pytest.raises(SinkError, match="cleared"):
        await scene.sink.write(LOUD_FRAME)
    await scene.sink.clear()
    assert scene.avatar.clears == 1
    assert [writer.is_closed for writer in scene.room.local_participant.writers] == [True]
    await asyncio.wait_for(scene.sink.idle(), 0.1)


async def test_one_that_has_left_is_not_called(scene: Scene) -> None:
    await scene.sink.start(lambda: None)
    await scene.write(LOUD_FRAME)
    scene.avatar.leave()
    with pytest.raises(SinkError, match="left"):
        await scene.sink.write(LOUD_FRAME)
    await scene.sink.clear()
    assert scene.room.local_participant.calls == []


async def test_one_that_is_not_wanted_any_more_is_silenced_as_long_as_it_is_there(scene: Scene) -> None:
    await scene.sink.start(lambda: None)
    await scene.write(*[LOUD_FRAME] * 100)
    await asyncio.sleep(0.5)
    avatar = scene.avatar.identity
    scene.sink.absent("spend cap")
    with pytest.raises(SinkError, match="spend cap"):
        await scene.sink.write(LOUD_FRAME)
    await scene.sink.clear()
    assert scene.room.local_participant.calls == [(avatar, CLEAR_METHOD, "")]
    await asyncio.sleep(3)
    assert len(scene.avatar.heard) <= 26
    assert scene.sink.state == "spend cap"


async def test_a_track_that_does_not_come_is_asked_for_again_and_its_avatar_is_not_taken_for_frozen(
    scene: Scene,
) -> None:
    scene.avatar.leave()
    scene.room.subscribe_s = 10_000.0
    scene.come()
    for _ in range(3):
        began_at = now()
        await scene.sink.start(lambda: None)
        await scene.write(*[LOUD_FRAME] * 400)
        assert (await scene.sink.finish()).source == "reported"
        assert now() - began_at == pytest.approx(8.0, abs=0.05)
    assert scene.sink.state == "ready"
    scene.avatar.is_frozen = True
    await scene.sink.start(lambda: None)
    await scene.write(*[LOUD_FRAME] * 400)
    with pytest.raises(SinkError, match="stalled"):
        await scene.sink.finish()


async def test_an_avatar_that_publishes_its_sound_anew_is_heard_as_before(scene: Scene) -> None:
    first = scene.avatar.publish_anew()
    await asyncio.sleep(0.1)
    first.end()  # the second one has come before
    await asyncio.sleep(0.1)
    scene.avatar.is_frozen = scene.avatar.reports_frozen = True
    await scene.sink.start(lambda: None)
    await scene.write(*[LOUD_FRAME] * 50)
    with pytest.raises(SinkError, match="stalled"):
        await scene.sink.finish()


async def test_utterances_wait_for_one_that_is_joining_and_not_twice(scene: Scene) -> None:
    async def timed(wait: Callable[[], Awaitable[str]]) -> tuple[str, float]:
        began_at = now()
        return await wait(), round(now() - began_at, 6)

    scene.sink.absent("left")
    assert await timed(scene.sink.gate) == ("left", 0.0)
    scene.sink.joining(timeout_s=5)
    asyncio.get_running_loop().call_later(2, scene.come)
    assert await timed(scene.sink.gate) == ("", 2.0)
    scene.sink.absent("left")
    scene.sink.joining(timeout_s=5)
    assert await timed(scene.sink.gate) == ("not ready", 5.0)
    assert await timed(scene.sink.gate) == ("not ready", 0.0)
