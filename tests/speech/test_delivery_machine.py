"""Speaker, fallback and avatar sink together, and whatever can go wrong between any two steps of them.

Nobody hears silence, nothing is heard twice but what is marked as repeated, each id ends once, the speaker
lives. Each frame of the voice carries the number of its line: so it is known whose sound is heard, and when.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import TypeVar, get_args

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from livekit import rtc

from libacli.core.bounds import Bounds
from libacli.core.lifecycle import FINAL_STATES
from libacli.core.messages import SayRequest
from libacli.core.utterance import Utterance
from libacli.edges.livekit.fake_streams import HANG, Call, sound_of
from libacli.edges.livekit.fakes import FakeRoom
from libacli.edges.sinks.avatar import AvatarSink
from libacli.speech.fallback import FallbackSink
from libacli.speech.speaker import Speaker
from tests.fake_avatar import FakeAvatar, Report
from tests.marked_speech import FRAME_S, HeardTrack, Mark, MarkedVoice, mark_of
from tests.virtual_time import VirtualLoop

T = TypeVar("T")
MISSED_FRAMES = 25 + 10
"""Half a second that an avatar may swallow, and what still is on its way when it says that it has ended."""
HOLE_FRAMES = 100
"""More than an avatar may ever be silent for without being given up: 2 s, once it has had holes of 1 s."""

ERRORS = [rtc.StreamError("gone"), RuntimeError("Stream is not open"), rtc.RpcError(1503, "disconnected")]


class DeliveryMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.histories: dict[str, list[str]] = defaultdict(list)
        self.ended_at: dict[str, float] = {}
        self.said = 0
        self.clear_fails = False
        self.tasks: list[asyncio.Task[None]] = []

    @initialize(
        frame_s=st.sampled_from([0.5, 2.0, 5.0, 60.0]),
        gate_s=st.sampled_from([0.5, 5.0, 100.0]),
        audible_s=st.sampled_from([1.5, 5.0]),
        way_s=st.sampled_from([0.0, 0.3]),
        report=st.sampled_from(["on time", *get_args(Report)]),
        reports_frozen=st.booleans(),
        is_deaf=st.sampled_from([False, False, False, True]),
    )
    def begin(
        self,
        frame_s: float,
        gate_s: float,
        audible_s: float,
        way_s: float,
        report: Report,
        reports_frozen: bool,
        is_deaf: bool,
    ) -> None:
        self.is_deaf = is_deaf
        self.gate_s = gate_s
        bounds = Bounds.derive(frame_s=frame_s, gate_s=gate_s)

        def make() -> None:
            self.room, self.voice, self.track = FakeRoom(), MarkedVoice(), HeardTrack()
            self.sink = AvatarSink(
                self.room.as_sdk(), audible_timeout_s=audible_s, bounds=bounds, sound_of=sound_of
            )
            self.sink.open()
            self.avatar = FakeAvatar(self.room, way_s=way_s)
            self.avatar.report = report
            self.avatar.reports_frozen = reports_frozen
            if is_deaf:
                self.room.subscribe_s = 1_000_000.0
            self.fallback = FallbackSink(self.sink, self.track, bounds=bounds)
            self.speaker = Speaker(self.voice, self.fallback, on_change=self._on_change, bounds=bounds)
            for run in (self.speaker.run(), self.sink.listen(), self.avatar.run()):
                self.tasks.append(self.loop.create_task(run))

        self._do(make)
        self.an_avatar_comes()

    def _on_change(self, utterance: Utterance) -> None:
        self.histories[utterance.id].append(utterance.state)
        if utterance.is_over:
            self.ended_at[utterance.id] = self.loop.time()

    def _do(self, act: Callable[[], T]) -> T:
        """Runs `act` where there is a loop, with nothing else happening meanwhile."""

        async def run() -> T:
            return act()

        return self.loop.run_until_complete(run())

    def _settle(self, seconds: float = 0.001) -> None:
        """Lets everything happen that is due until then."""

        async def wait() -> None:
            await asyncio.sleep(seconds)

        self.loop.run_until_complete(wait())

    @rule(
        seconds=st.sampled_from([0.05, 0.5, 1.5, 2.5]),
        fault=st.sampled_from(["freezes", "leaves", "is not wanted", "falters", "does well"]),
        then=st.sampled_from(["stop", "thaw", "go on"]),
        later_s=st.sampled_from([0.0, 0.4, 1.5, 4.0]),
    )
    def a_long_line_meets_a_fault(self, seconds: float, fault: str, then: str, later_s: float) -> None:
        """So long after it was said; then somebody stops it, or the avatar goes on."""
        self.say(100, interrupt=False)
        self._settle(seconds)
        match fault:
            case "freezes":
                self.the_avatar_freezes()
            case "leaves":
                self.the_avatar_leaves()
            case "is not wanted":
                self.the_avatar_is_not_wanted_any_more("not watched")
            case "falters":
                self.the_avatar_falters(0.7)
        self._settle(later_s or 0.001)
        if then == "stop":
            self.stop()
        elif then == "thaw":
            self.the_avatar_thaws()

    @rule(words=st.sampled_from([3, 15, 45, 100]), interrupt=st.sampled_from([False, False, True]))
    def say(self, words: int, interrupt: bool) -> None:
        self.said += 1
        request = SayRequest(f"{self.said} " * words, id=str(self.said), interrupt=interrupt)
        self._do(lambda: self.speaker.say(request))
        self._settle()

    @rule()
    def stop(self) -> None:
        self._do(self.speaker.stop)
        self._settle()

    @rule(seconds=st.sampled_from([0.01, 0.1, 0.5, 1.0, 2.5, 6.0]) | st.floats(0.001, 3))
    def wait(self, seconds: float) -> None:
        self._settle(seconds)

    @rule()
    def an_avatar_is_on_its_way(self) -> None:
        if self.sink.state != "ready":
            self._do(lambda: self.sink.joining(timeout_s=self.gate_s))

    @rule()
    def an_avatar_comes(self) -> None:
        """The one before it leaves, as its conversation is ended."""

        def come() -> None:
            self.avatar.is_frozen = False
            self.avatar.leave()
            self.sink.present(self.avatar.join())

        self._do(come)
        self._settle()

    @rule()
    def the_avatar_leaves(self) -> None:
        self._do(self.avatar.leave)
        self._settle()

    @rule()
    def the_avatar_freezes(self) -> None:
        self.avatar.is_frozen = True

    @rule()
    def the_avatar_thaws(self) -> None:
        self.avatar.is_frozen = False
        self._settle()

    @rule(seconds=st.sampled_from([0.0, 0.3, 1.0]))
    def the_avatar_swallows_ends(self, seconds: float) -> None:
        self.avatar.swallows_s = seconds

    @rule(hole_s=st.sampled_from([0.0, 0.3, 0.7]))
    def the_avatar_falters(self, hole_s: float) -> None:
        self.avatar.hole_s = hole_s

    @rule(times=st.sampled_from([1, 2]))
    def the_avatar_is_deaf_to_clears(self, times: int) -> None:
        self.clear_fails |= times > 1
        self.avatar.deaf_to_clears = times

    @rule(reason=st.sampled_from(["not watched", "spend cap"]))
    def the_avatar_is_not_wanted_any_more(self, reason: str) -> None:
        self._do(lambda: self.sink.absent(reason))
        self._settle()

    @rule(
        call=st.sampled_from(["stream_bytes", "write", "write", "aclose", "perform_rpc"]),
        step=st.sampled_from([HANG, 0.3, 1.0, *ERRORS]),
    )
    def something_fails(self, call: Call, step: float | Exception) -> None:
        self.clear_fails |= call == "perform_rpc"
        self.room.script.play(call, step)

    @invariant()
    def everything_lives(self) -> None:
        assert not any(task.done() for task in self.tasks)

    @invariant()
    def each_id_ends_at_most_once_and_none_fails(self) -> None:
        for history in self.histories.values():
            assert sum(state in FINAL_STATES for state in history) <= 1
            assert not set(history[:-1]) & FINAL_STATES, "something happened after the end"
            assert "failed" not in history, "there always was a way for it to be heard"

    @invariant()
    def no_more_is_kept_than_one_line(self) -> None:
        if self.tasks:
            longest = max(map(len, self.voice.spoken.values()), default=0)
            assert len(self.fallback._kept) <= longest + 6

    @invariant()
    def whatever_is_over_was_heard_as_it_was_told(self) -> None:
        if not self.tasks:
            return
        heard: dict[str, dict[int, list[tuple[float, Mark]]]] = {
            "avatar": defaultdict(list),
            "track": defaultdict(list),
        }
        for way, sounds in (("avatar", self.avatar.heard), ("track", self.track.heard)):
            for at, frame in sounds:
                heard[way][mark_of(frame)[0]].append((at, mark_of(frame)))
        for id, history in self.histories.items():
            if history[-1] in FINAL_STATES:
                self._check(id, history[-1], heard["avatar"][int(id)], heard["track"][int(id)])

    @invariant()
    def one_speaks_at_a_time_and_one_line_after_the_other(self) -> None:
        if not self.tasks or self.clear_fails:
            return
        spans: dict[tuple[int, str], list[float]] = defaultdict(list)
        for way, sounds in (("avatar", self.avatar.heard), ("track", self.track.heard)):
            for at, frame in sounds:
                spans[mark_of(frame)[0], way].append(at)
        in_time = sorted((min(times), max(times), line, way) for (line, way), times in spans.items())
        for (_, last_at, *before), (first_at, _, *after) in pairwise(in_time):
            assert last_at < first_at + FRAME_S, f"{after} was heard before {before} had ended"

    def _check(
        self, id: str, state: str, by_avatar: list[tuple[float, Mark]], on_track: list[tuple[float, Mark]]
    ) -> None:
        utterance = self._do(lambda: self.speaker.find(id))
        assert utterance
        whole = self.voice.spoken[int(id)]
        avatar, track = [mark for _, mark in by_avatar], [mark for _, mark in on_track]
        assert self._is_in_order(avatar, whole), "the avatar left something out, or said it twice"
        assert track == whole[: len(track)], "the track left something out, or said it twice"
        by_avatar_first = not utterance.route_reason
        is_repeated = utterance.replayed or (state == "interrupted" and by_avatar_first)
        assert not (avatar and track) or is_repeated, "it was heard twice"
        if state == "interrupted":
            last_at = max([at for at, _ in by_avatar + on_track], default=0.0)
            assert self.clear_fails or last_at <= self.ended_at[id] + FRAME_S, "it was heard after its end"
        elif by_avatar_first:
            unheard = whole[whole.index(avatar[-1]) + 1 :] if avatar else whole
            assert self.is_deaf or len(unheard) <= MISSED_FRAMES, "it was not heard to its end"
            assert avatar or not self.is_deaf or state != "unconfirmed", "it was heard by nobody"
        else:
            assert track == whole, "it was heard by nobody"
            assert state == "done"

    def _is_in_order(self, heard: list[Mark], whole: list[Mark]) -> bool:
        """Who goes on while it is frozen leaves out a moment, which is no reason to give it up."""
        if not self.avatar.reports_frozen:
            return heard == whole[: len(heard)]
        places = [whole.index(mark) for mark in heard]
        steps = [after - before for before, after in pairwise([-1, *places])]
        return all(0 < step <= (math.inf if self.is_deaf else HOLE_FRAMES) for step in steps)

    def teardown(self) -> None:
        try:
            if self.tasks:
                self._all_comes_to_rest()
        finally:
            for task in self.tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    self.loop.run_until_complete(task)
            self.loop.close()

    def _all_comes_to_rest(self) -> None:
        self._settle(1500)
        self.everything_lives()
        assert all(history[-1] in FINAL_STATES for history in self.histories.values())
        self.whatever_is_over_was_heard_as_it_was_told()
        assert not self.fallback._kept
        assert self.sink._idle.is_set()


DeliveryMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestDeliveryMachine = DeliveryMachine.TestCase
