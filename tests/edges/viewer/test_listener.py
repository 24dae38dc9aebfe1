"""What a listener makes of the frames it gets."""

from __future__ import annotations

from typing import Any, cast

import pytest

from libacli.core.audio import silence
from libacli.core.protocol import EVENTS_TOPIC
from libacli.edges.livekit.fakes import FakeParticipant, FakeRoom
from libacli.edges.viewer.listener import AudioCapture, Listener
from libacli.speech.fakes import tone
from tests.belief_contract import AGENT, OWN, BeliefContract, Watcher, event

SOUND, SILENCE = tone(20), silence(20)


def capture_of(*frames: tuple[bytes, str]) -> AudioCapture:
    """Frames of 20 ms with their track, two tracks at a time."""
    capture = AudioCapture()
    for number, (pcm, source) in enumerate(frames):
        capture.add(pcm, number * 0.01, source)
    return capture


def test_a_pause_is_a_gap_and_counts_into_the_span() -> None:
    capture = capture_of((SOUND, "a"), *[(SILENCE, "a")] * 5, (SOUND, "a"), (SILENCE, "a"))
    assert capture.gaps_s == [pytest.approx(0.1)]
    assert capture.span_s == pytest.approx(0.14)
    assert capture.speech_s == pytest.approx(0.04)


def test_the_silence_of_another_track_is_neither_gap_nor_span() -> None:
    capture = capture_of(*[(SOUND, "a"), (SILENCE, "b")] * 10)
    assert not capture.gaps_s
    assert capture.span_s == capture.speech_s == pytest.approx(0.2)
    assert bytes(capture.pcm) == SOUND * 10


def test_the_wait_for_another_track_to_go_on_is_a_gap() -> None:
    capture = capture_of((SOUND, "a"), *[(SILENCE, "a"), (SILENCE, "b")] * 5, (SOUND, "b"))
    assert capture.gaps_s == [pytest.approx(0.1)]
    assert capture.span_s == pytest.approx(0.14)


def test_how_loud_it_was_is_kept_from_the_start() -> None:
    capture = capture_of((SILENCE, "a"), (SOUND, "a"))
    assert [at for at, _ in capture.levels] == pytest.approx([-0.01, 0.0])
    assert capture.levels[0][1] == 0 < capture.levels[1][1]


def test_a_take_that_nobody_ends_does_not_keep_every_level() -> None:
    capture = AudioCapture()
    for number in range(13_000):
        capture.add(b"\0\0", number * 0.01)
    assert len(capture.levels) == 12_000


class ListenerThatWatches:
    def __init__(self) -> None:
        self.room = FakeRoom("demo")
        self.room.join(FakeParticipant("agent-1", kind=AGENT, attributes=OWN))
        self.listener = Listener(self.room.as_sdk(), agent_name="liba")

    async def told(self) -> list[dict[str, Any]]:
        events = [self.listener.events.get_nowait() for _ in range(self.listener.events.qsize())]
        return [{name: event[name] for name in ("state", "id", "epoch")} for event in events]


class TestListener(BeliefContract):
    """A listener, as one who watches a room: what `liba probe` and `liba demo` go by."""

    @pytest.fixture
    def watcher(self) -> Watcher:
        return ListenerThatWatches()


async def test_an_event_that_the_listener_fails_at_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    watcher = ListenerThatWatches()
    for payload in (b"{", b"\xff", b"[]", b"[" * 10_000, cast(bytes, 5), event()):
        watcher.room.receive_data(payload, topic=EVENTS_TOPIC, sender="agent-1")
    assert len(await watcher.told()) == 1
    assert len(caplog.records) == 1
