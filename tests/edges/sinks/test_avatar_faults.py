"""An avatar that fails at each moment of a line, and between two: each line is heard whole, once, by one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import get_args

import pytest

from libacli.core.bounds import Bounds
from libacli.core.messages import SayRequest
from libacli.core.utterance import Utterance
from libacli.speech.fallback import FallbackSink
from libacli.speech.speaker import Speaker
from tests.contracts import now
from tests.edges.sinks.test_avatar import Scene, scene_in
from tests.fake_avatar import FakeAvatar, Report
from tests.marked_speech import Ear, HeardTrack, MarkedVoice

WAY_S = 0.3
WORDS = 140
LINE_S = WORDS * 2 / 2 * 0.02
STALLED_S = 1.0
MOMENTS = {"start": 0.1, "middle": LINE_S / 2, "end": LINE_S - 0.7}
"""Seconds from the first sound of a line."""


class Show:
    """Lines spoken by an avatar, with a track beside it; one that is given up is followed by another."""

    def __init__(self, scene: Scene, bounds: Bounds) -> None:
        self.scene = scene
        self.voice = MarkedVoice()
        self.track = HeardTrack()
        self.ear = Ear(self.voice, lambda: scene.avatar.heard, lambda: self.track.heard)
        self.comes = 0
        self.began_at: dict[str, float] = {}
        sink = FallbackSink(scene.sink, self.track, bounds=bounds)
        self.speaker = Speaker(self.voice, sink, on_change=self._on_change, bounds=bounds)
        self._changed = asyncio.Event()

    @property
    def avatar(self) -> FakeAvatar:
        return self.scene.avatar

    def say(self, *lines: int, words: int = WORDS) -> None:
        for line in lines:
            self.speaker.say(SayRequest(f"{line} " * words, id=str(line)))

    async def spoken(self, line: int) -> Utterance:
        async with asyncio.timeout(1000):
            while not (found := self.speaker.find(str(line))) or not found.is_over:
                self._changed.clear()
                await self._changed.wait()
        return found

    async def sounding(self, line: int, seconds: float) -> None:
        """Waits until a line has sounded for so long."""
        while not self.ear.heard("avatar", line):  # noqa: ASYNC110 - no event for what the fake plays
            await asyncio.sleep(0.01)
        await asyncio.sleep(seconds)

    async def call_back(self) -> None:
        """As a session does: who is in trouble is put out, and another one comes a second later."""
        while True:
            await self.scene.sink.trouble.wait()
            self.avatar.leave()
            self.avatar.is_frozen = False
            await asyncio.sleep(1)
            self.comes += 1
            self.scene.come()

    def _on_change(self, utterance: Utterance) -> None:
        if utterance.state == "speaking":
            self.began_at[utterance.id] = now()
        self._changed.set()


@asynccontextmanager
async def on_show(*, way_s: float = WAY_S) -> AsyncIterator[Show]:
    bounds = Bounds.derive(frame_s=5.0, gate_s=5.0)
    async with scene_in(way_s=way_s, bounds=bounds) as scene, asyncio.TaskGroup() as tasks:
        show = Show(scene, bounds)
        running = [tasks.create_task(show.speaker.run()), tasks.create_task(show.call_back())]
        await asyncio.sleep(0.01)
        yield show
        assert not any(task.done() for task in running), "the speaker died"
        for task in running:
            task.cancel()
    show.ear.assert_one_speaker()


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("reports", [False, True], ids=["silent", "reports all the same"])
async def test_a_line_whose_avatar_freezes_is_repeated_whole_a_second_later(
    moment: str, reports: bool
) -> None:
    async with on_show() as show:
        show.avatar.reports_frozen = reports
        show.say(1, 2, 3, 4)
        await show.sounding(2, MOMENTS[moment])
        show.avatar.is_frozen = True
        frozen_at = now()
        two = await show.spoken(2)
        assert (two.state, two.route, two.route_reason, two.replayed) == ("done", "track", "stalled", True)
        assert show.ear.heard("track", 2)[0][0] - frozen_at == pytest.approx(STALLED_S, abs=0.1)
        await show.spoken(4)
        for line, way in ((1, "avatar"), (2, "track"), (4, "avatar")):
            show.ear.assert_whole(line, by=way)
        assert show.comes == 1


@pytest.mark.parametrize("lines_before", [0, 1, 4])
async def test_an_avatar_that_freezes_between_two_lines_has_lost_the_next_one(lines_before: int) -> None:
    async with on_show() as show:
        for line in range(1, lines_before + 1):
            show.say(line)
            await show.spoken(line)
        show.avatar.is_frozen = True
        began_at = now()
        show.say(9)
        spoken = await show.spoken(9)
        assert (spoken.route, spoken.route_reason) == ("track", "stalled")
        expected_s = WAY_S + STALLED_S if lines_before >= 3 else 5.0
        assert show.ear.heard("track", 9)[0][0] - began_at == pytest.approx(expected_s + 0.05, abs=0.1)
        show.ear.assert_whole(9, by="track")


@pytest.mark.parametrize("moment", MOMENTS)
async def test_one_that_thaws_does_not_go_on_with_what_another_one_says(moment: str) -> None:
    async with on_show() as show:
        show.scene.sink.trouble = asyncio.Event()  # nobody puts it out
        show.say(1)
        await show.sounding(1, MOMENTS[moment])
        show.avatar.is_frozen = True
        await asyncio.sleep(STALLED_S + 0.5)
        show.avatar.is_frozen = False
        await show.spoken(1)
        show.ear.assert_whole(1, by="track")
        assert show.avatar.clears == 1


@pytest.mark.parametrize("swallows_s", [0.7, 1.0, 2.0])
async def test_a_line_whose_end_is_swallowed_is_repeated_though_it_was_reported(swallows_s: float) -> None:
    async with on_show() as show:
        show.avatar.swallows_s = swallows_s + 0.12
        show.say(1)
        spoken = await show.spoken(1)
        assert (spoken.state, spoken.route, spoken.route_reason) == ("done", "track", "stalled")
        show.ear.assert_whole(1, by="track")


async def test_an_avatar_that_drops_the_last_syllable_is_not_given_up_for_it() -> None:
    async with on_show() as show:
        show.avatar.swallows_s = 0.3 + 0.12
        show.say(1, 2)
        assert (await show.spoken(2)).route == "avatar"
        assert show.comes == 0


@pytest.mark.parametrize("report", [mode for mode in get_args(Report) if mode != "late"])
async def test_f6_a_hundred_lines_are_heard_whole_and_once_however_their_ends_are_reported(
    report: Report,
) -> None:
    async with on_show() as show:
        show.avatar.report = report
        lines = range(1, 101)
        for line in lines:
            show.say(line, words=30)
            if line % 20 == 0:
                await show.spoken(line)
        for line in lines:
            show.ear.assert_whole(line, by="avatar")
            assert show.speaker.find(str(line)).state in ("done", "unconfirmed")  # type: ignore[union-attr]
        for line in lines[1:]:
            assert show.began_at[str(line)] >= show.ear.span(line - 1)[1] - 0.2, "the one before was heard"
        assert show.comes == 0
        assert show.scene.sink.state == "ready"
        line_s = sum(end - begin for begin, end in map(show.ear.span, lines)) / len(lines)
        extra_s = {"a second late": 1.0, "never": 0.5, "malformed": 0.5}.get(report, 0.0)
        assert now() < 100 * (line_s + WAY_S + 0.05 + 0.12 + 0.05 + extra_s) + 5


async def test_reports_that_come_later_than_anybody_waits_do_no_harm() -> None:
    async with on_show() as show:
        show.avatar.report = "late"
        show.say(*range(1, 21))
        await show.spoken(20)
        for line in range(1, 21):
            show.ear.assert_whole(line, by="avatar")
        assert show.comes == 0


@pytest.mark.parametrize("hole_s", [0.1, 0.4, 0.8])
@pytest.mark.parametrize("report", ["on time", "never", "at once"])
async def test_an_avatar_that_falters_is_waited_for(hole_s: float, report: Report) -> None:
    async with on_show() as show:
        show.avatar.hole_s, show.avatar.report = hole_s, report
        show.say(1, 2, 3)
        await show.spoken(3)
        for line in (1, 2, 3):
            show.ear.assert_whole(line, by="avatar")
        assert show.comes == 0


@pytest.mark.parametrize("moment", ["start", "middle", "end"])
@pytest.mark.parametrize("deaf_to_clears", [0, 1, 2])
async def test_a_line_that_is_stopped_is_not_heard_on_whatever_becomes_of_the_call(
    moment: str, deaf_to_clears: int
) -> None:
    async with on_show() as show:
        show.say(1)
        await show.sounding(1, MOMENTS[moment])
        show.avatar.deaf_to_clears = deaf_to_clears
        show.speaker.stop()
        assert (await show.spoken(1)).state == "interrupted"
        ended_at = now()
        show.say(2)
        two = await show.spoken(2)
        assert two.state == "done"
        show.ear.assert_whole(2, by=two.route or "")
        if show.comes == 0:
            assert show.ear.span(1)[1] <= ended_at + 0.02
        assert show.comes == 0 or deaf_to_clears == 2


@pytest.mark.parametrize("reason", ["not watched", "spend cap"])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("is_stopped", [True, False])
async def test_an_avatar_that_is_not_wanted_any_more_is_heard_no_further(
    reason: str, moment: str, is_stopped: bool
) -> None:
    async with on_show() as show:
        show.say(1)
        await show.sounding(1, MOMENTS[moment])
        show.scene.sink.absent(reason)
        gone_at = now()
        if is_stopped:
            show.speaker.stop()
        spoken = await show.spoken(1)
        await asyncio.sleep(3)
        assert show.ear.heard("avatar", 1)[-1][0] <= gone_at + 0.02
        assert spoken.state == ("interrupted" if is_stopped else "done")
        if not is_stopped:
            show.ear.assert_whole(1, by="track")


@pytest.mark.parametrize("report", ["on time", "early", "at once", "padded"])
async def test_an_avatar_that_cannot_be_heard_by_the_agent_speaks_all_lines(report: Report) -> None:
    async with on_show() as show:
        show.scene.room.subscribe_s = 10_000.0
        show.scene.sink.absent("not watched")
        show.avatar.leave()
        show.scene.come()
        show.avatar.report = report
        show.say(1, 2, 3)
        assert (await show.spoken(3)).state == "done"
        await asyncio.sleep(2)  # nobody knows how long the way is
        for line in (1, 2, 3):
            show.ear.assert_whole(line, by="avatar")
        assert show.comes == 0


async def test_the_next_line_begins_as_soon_as_the_avatar_says_that_the_last_one_has_ended() -> None:
    async with on_show() as show:
        show.say(1, 2)
        await show.spoken(1)
        assert now() - show.ear.span(1)[1] == pytest.approx(0.12, abs=0.001)
        await show.spoken(2)
