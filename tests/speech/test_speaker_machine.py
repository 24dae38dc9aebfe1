"""Whatever is asked of a speaker, and when: one speaks, the order is kept, each id ends exactly once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from libacli.core.lifecycle import FINAL_STATES
from libacli.core.messages import SayRequest
from libacli.core.queue_requests import MoveRequest
from libacli.core.utterance import Utterance
from libacli.errors import RefusedError, SinkError, VoiceError
from libacli.speech.fakes import RecordingSink, ScriptedVoice, tone
from libacli.speech.speaker import Speaker
from tests.virtual_time import VirtualLoop

T = TypeVar("T")

LIMIT = 4
IN_THE_MOUTH = {"speaking", "audible"}


class SpeakerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.voice, self.sink = ScriptedVoice(), RecordingSink()
        self.speaker = Speaker(self.voice, self.sink, on_change=self._on_change, queue_limit=LIMIT)
        self.histories: dict[str, list[str]] = defaultdict(list)
        self.order: list[tuple[int, str]] = []
        """Of what waits: what stands for its priority, less goes first, and its id; in its order."""

        self.texts: dict[str, str] = {}
        self.out_of_order: list[str] = []
        self.said = 0
        self.is_draining = False
        self.running = self.loop.create_task(self.speaker.run())
        self._settle()

    def _on_change(self, utterance: Utterance) -> None:
        history = self.histories[utterance.id]
        history.append(utterance.state)
        if utterance.state in ("speaking", "expired") and self.speaker.is_paused:
            self.out_of_order.append(utterance.id)
        if utterance.state == "speaking" and utterance.id != self.order[0][1]:
            self.out_of_order.append(utterance.id)  # not raised here: the speaker would take it for its own
        if utterance.state != "accepted":
            self.order = [place for place in self.order if place[1] != utterance.id]

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
        burst=st.lists(st.tuples(st.integers(-1, 1), st.integers(10, 40)), min_size=1, max_size=LIMIT),
        ttl_ms=st.sampled_from([None, None, 3000]),
    )
    def say(self, burst: list[tuple[int, int]], ttl_ms: int | None) -> None:
        def say_all() -> None:  # at one moment: what has been taken out already is not overtaken
            for priority, words in burst:
                self._say(SayRequest("word " * words, priority=priority, ttl_ms=ttl_ms))

        self._do(say_all)
        self._settle()

    @rule()
    def interrupt(self) -> None:
        self._do(lambda: self._say(SayRequest("word " * 10, interrupt=True)))
        self._settle()

    def _say(self, request: SayRequest) -> None:
        self.said += 1
        request = replace(request, id=f"u{self.said}")
        before = self._snapshot()
        if request.interrupt and not self.is_draining:
            self.order.clear()
        order = list(self.order)
        at = sum(rank <= -request.priority for rank, _ in self.order)
        self.order.insert(at, (-request.priority, request.id))
        self.texts[request.id] = request.text
        try:
            assert not self.speaker.say(request).duplicate
        except RefusedError as refusal:
            assert refusal.reason == ("draining" if self.is_draining else "queue_full")
            assert self.histories == before, "a refused request did something"
            self.order = order

    @precondition(lambda self: self.histories)
    @rule(data=st.data(), interrupt=st.booleans(), is_same=st.booleans())
    def say_again(self, data: st.DataObject, interrupt: bool, is_same: bool) -> None:
        id = data.draw(st.sampled_from(sorted(self.histories)))
        before = self._snapshot()
        text = self.texts[id] if is_same else "something else"
        request = SayRequest(text, id=id, interrupt=interrupt, priority=1)
        try:
            assert self._do(lambda: self.speaker.say(request)).duplicate
            assert is_same
        except RefusedError as refusal:
            assert (refusal.reason, is_same) == ("id_reused", False)
        assert self.histories == before, "a repeated request did something"
        self._settle()

    @rule()
    def stop(self) -> None:
        stopped = {utterance.id for utterance in self._do(self.speaker.stop)}
        self._settle()
        assert all(self.histories[id][-1] in FINAL_STATES for id in stopped)
        assert self._waiting() == set()

    @precondition(lambda self: self.histories)
    @rule(data=st.data())
    def stop_one(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(sorted(self.histories)))
        history, others = list(self.histories[id]), self._waiting() - {id}
        stopped = [utterance.id for utterance in self._do(lambda: self.speaker.stop_one(id))]
        assert stopped == ([] if history[-1] in FINAL_STATES else [id])
        assert self._waiting() == others, "another one was taken out"
        self._settle()
        assert self.histories[id][-1] in FINAL_STATES

    @precondition(lambda self: self.histories)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(sorted(self.histories)))
        before, others = self._snapshot(), self._waiting() - {id}
        try:
            self._do(lambda: self.speaker.cancel(id))
            assert before[id][-1] == "accepted"
            assert self.histories[id][-1] == "interrupted"
        except RefusedError as refusal:
            assert refusal.reason in ("being_spoken", "not_waiting")
            assert self.histories == before, "a refused request did something"
        assert self._waiting() == others
        self._settle()

    @precondition(lambda self: self.histories)
    @rule(data=st.data(), to=st.sampled_from(["first", "last", "before"]))
    def move(self, data: st.DataObject, to: str) -> None:
        id, other = (data.draw(st.sampled_from(sorted(self.histories))) for _ in range(2))
        before, waiting = self._snapshot(), self._waiting()
        asked = MoveRequest(id, before=other) if to == "before" else MoveRequest(id, to)  # type: ignore[arg-type]

        def move() -> None:  # at one moment: what has been taken out already is not overtaken
            self.speaker.move(asked)
            self._arrange(asked)

        try:
            self._do(move)
            assert {id, asked.before or id} <= waiting
        except RefusedError:
            assert not {id, asked.before or id} <= waiting
        assert self.histories == before, "a move told something of an utterance"
        assert self._do(lambda: [one.id for one in self.speaker.waiting]) == [one for _, one in self.order]
        self._settle()

    def _arrange(self, asked: MoveRequest) -> None:
        """The same, by the book: it takes the priority of the one that it goes before, or behind."""
        others = [place for place in self.order if place[1] != asked.id]
        if asked.before == asked.id or not others:
            return
        at = {"first": 0, "last": len(others)}.get(asked.to)
        if at is None:
            at = [id for _, id in others].index(asked.before)
        rank = others[-1][0] if asked.to == "last" else others[at][0]
        self.order = [*others[:at], (rank, asked.id), *others[at:]]

    @precondition(lambda self: not self.is_draining)
    @rule()
    def pause(self) -> None:
        was_paused = self.speaker.is_paused
        assert self._do(self.speaker.pause) != was_paused
        self._settle()

    @rule()
    def resume(self) -> None:
        was_paused = self.speaker.is_paused
        assert self._do(self.speaker.resume) == was_paused
        self._settle()

    @rule(seconds=st.floats(0.001, 5))
    def wait(self, seconds: float) -> None:
        self._settle(seconds)

    @rule(failure=st.sampled_from([VoiceError("no sound"), SinkError("gone")]))
    def something_fails(self, failure: VoiceError | SinkError) -> None:
        if isinstance(failure, SinkError):
            self.sink.failure = failure
        else:
            self.voice.play(tone(40), 0.1, failure)

    @precondition(lambda self: self.said >= 5 and not self.is_draining)
    @rule()
    def begin_to_drain(self) -> None:
        self.is_draining = True
        self.draining = self.loop.create_task(self.speaker.drain())
        self._settle()

    @invariant()
    def the_next_one_is_spoken_next(self) -> None:
        assert self.out_of_order == []

    @invariant()
    def one_speaks_at_most(self) -> None:
        assert sum(history[-1] in IN_THE_MOUTH for history in self.histories.values()) <= 1

    @invariant()
    def no_more_wait_than_may(self) -> None:
        assert len(self._waiting()) <= LIMIT

    @invariant()
    def each_id_is_accepted_once_and_ends_at_most_once(self) -> None:
        for history in self.histories.values():
            assert history.count("accepted") == 1
            assert sum(state in FINAL_STATES for state in history) <= 1
            assert not set(history[:-1]) & FINAL_STATES, "something happened after the end"

    @invariant()
    def what_is_not_over_waits_or_is_spoken(self) -> None:
        open_ones = {id for id, history in self.histories.items() if history[-1] not in FINAL_STATES}
        waiting = self._waiting()
        speaking = {self.speaker.speaking.id} if self.speaker.speaking else set()
        assert open_ones <= waiting | speaking

    def _snapshot(self) -> dict[str, list[str]]:
        return {id: list(history) for id, history in self.histories.items()}

    def _waiting(self) -> set[str]:
        return {utterance.id for utterance in self._do(lambda: self.speaker.waiting)}

    def teardown(self) -> None:
        self._do(self.speaker.resume)
        self._settle(600)
        unfinished = {id for id, history in self.histories.items() if history[-1] not in FINAL_STATES}
        if self.is_draining:
            assert self.draining.done()
        self.running.cancel()
        with suppress(asyncio.CancelledError):
            self.loop.run_until_complete(self.running)
        self.loop.close()
        assert unfinished == set()


SpeakerMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestSpeakerMachine = SpeakerMachine.TestCase
