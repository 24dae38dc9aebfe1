"""A queue that outlives its agent, under a virtual clock: killed, told to go, overtaken, cut off from it."""

from __future__ import annotations

import asyncio
import gc
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from livekit import rtc

from libacli.core.journal import Ended, Legacy, Line
from libacli.core.lifecycle import OUTCOMES
from libacli.core.protocol import (
    CAN_SAY_ATTRIBUTE,
    CANCEL_METHOD,
    MOVE_METHOD,
    PAUSE_METHOD,
    RESUME_METHOD,
    SAY_METHOD,
    STATUS_METHOD,
    STOP_METHOD,
)
from libacli.edges.livekit.fakes import FakeParticipant, FakeRoom
from libacli.room_agent import DRAIN_TIMEOUT_S
from libacli.speech.fake_journal import FakeJournal, JournalShelf
from libacli.speech.ports import Playback, Route
from libacli.speech.scribe import BEGUN_TOO_OFTEN, CONFIRM_S, UNREADABLE
from tests.lone_job import LoneJob
from tests.test_room_agent import TAKEOVER_LOOK_S, Stage, Track, Voice, claimed, now
from tests.virtual_time import VirtualLoop

pytestmark = pytest.mark.anyio

LINE = "This is a line of some length."
"""Takes 1.8 s."""

TAKES_S = 0.02
"""A write to the journal, where it takes any time at all; it counts when half of that is over."""

LONG = "word " * 80
"""Takes 24 s."""


class MortalJournal(FakeJournal):
    """One whose agent may be killed: from then on nothing comes of what it asks for."""

    is_dead = False

    def __init__(self, shelf: JournalShelf, *, epoch: str) -> None:
        super().__init__(shelf, epoch=epoch)
        self.moments: list[float] = []
        """When a call came, when it was done, and when it was answered."""

    def _check_held(self) -> None:
        super()._check_held()
        self.moments.append(now())

    async def write(
        self, lines: Sequence[Line], ended: Sequence[Ended], *, paused_at: float | None = None
    ) -> None:
        await self._alive(super().write(lines, ended, paused_at=paused_at))

    async def take_over(self) -> Legacy:
        found: Legacy = await self._alive(super().take_over())
        return found

    async def release(self) -> None:
        await self._alive(super().release())

    async def _alive(self, call: Any) -> Any:
        if self.is_dead:
            call.close()
            await asyncio.Event().wait()
        self.moments.append(now())
        answer = await call
        self.moments.append(now())
        return answer


@dataclass
class Ears:
    """What was heard in the room, whoever said it."""

    begun: list[str] = field(default_factory=list)
    whole: list[str] = field(default_factory=list)


class HeardTrack(Track):
    """Tells the ears of whom it has been told to play, as long as its agent lives."""

    def __init__(self, ears: Ears) -> None:
        super().__init__()
        self.ears = ears
        self.begun: list[str] = []
        self.is_dead = False
        self.who: Callable[[], str] = lambda: ""

    async def start(self, on_audible: Callable[[], None]) -> Route:
        if not self.is_dead:
            self.begun.append(self.who())
            self.ears.begun.append(self.who())
        return await super().start(on_audible)

    async def finish(self) -> Playback:
        playback = await super().finish()
        if not self.is_dead and not self._cleared.is_set():
            self.ears.whole.append(self.who())
        return playback


@dataclass
class Life:
    """One life of an agent in the room."""

    on: Stage
    journal: MortalJournal
    track: HeardTrack
    _leave: asyncio.Event = field(default_factory=asyncio.Event)
    began: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None
    _told: list[dict[str, Any]] | None = None

    async def begin(self, tasks: asyncio.TaskGroup) -> None:
        self._task = tasks.create_task(self._live())
        await self.began.wait()

    async def leave(self) -> None:
        """As SIGTERM has it."""
        self._leave.set()
        assert self._task
        await self._task

    def kill(self) -> None:
        """As `kill -9` has it: from this very moment nothing of it reaches anybody."""
        self.journal.is_dead = self.track.is_dead = True
        self._told = self.on.events()
        assert self._task
        self._task.cancel()

    def end_at_once(self) -> None:
        """As a worker has it that must be gone: without another word."""
        assert self._task
        self._task.cancel()

    @property
    def spoken(self) -> list[str]:
        """Whom it said, to the end or not."""
        return self.track.begun

    @property
    def ends(self) -> list[str]:
        return [event["state"] for event in self.events if event["state"] in OUTCOMES]

    @property
    def events(self) -> list[dict[str, Any]]:
        """What it told the room while it lived."""
        return self.on.events() if self._told is None else self._told

    def states(self, utterance_id: str) -> list[str]:
        return [event["state"] for event in self.events if event.get("id") == utterance_id]

    async def ask(self, method: str, **body: Any) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(await self.on.room.call("vera", method, json.dumps(body)))
        return answer

    async def say(self, utterance_id: str, text: str = LINE, **body: Any) -> dict[str, Any]:
        return await self.ask(SAY_METHOD, id=utterance_id, text=text, **body)

    async def _live(self) -> None:
        async with self.on.agent():
            self.began.set()
            await self._leave.wait()


@dataclass
class Play:
    """A room through the lives of its agents."""

    folder: Path
    shelf: JournalShelf = field(default_factory=JournalShelf)
    ears: Ears = field(default_factory=Ears)
    lives: list[Life] = field(default_factory=list)

    def life(self, *, takes_s: float = 0.0, voice: Voice | None = None, job: LoneJob | None = None) -> Life:
        """An agent that has not begun. Each call of its journal takes so long."""
        number = len(self.lives) + 1
        journal = MortalJournal(self.shelf, epoch=f"life{number}")
        journal.takes_s = takes_s
        track = HeardTrack(self.ears)
        room = FakeRoom("demo", identity=f"liba-agent-{number}")
        voice = voice or Voice(first_byte_s=0.1)
        on = Stage(
            self.folder / f"{number}",
            room=room,
            voice=voice,
            track=track,
            job=job or LoneJob(),
            journal=journal,
        )
        track.who = lambda: on.parts.speaker.speaking.id if on.parts.speaker.speaking else ""
        room.join(FakeParticipant("vera", attributes={CAN_SAY_ATTRIBUTE: claimed(may=["say", "control"])}))
        self.lives.append(Life(on, journal, track))
        return self.lives[-1]

    def ends(self, utterance_id: str) -> list[str]:
        """How it ended, as often as the room was told."""
        return [state for life in self.lives for state in life.states(utterance_id) if state in OUTCOMES]

    def resumed(self) -> set[str]:
        events = [event for life in self.lives for event in life.events]
        return {event["id"] for event in events if event.get("resumed")}


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    yield Play(tmp_path)
    gc.unfreeze()  # what an agent freezes is for a process of its own


# Killed


async def test_what_waited_in_an_agent_that_is_killed_the_next_one_says_in_order(play: Play) -> None:
    async with asyncio.TaskGroup() as tasks:
        first, second = play.life(), play.life()
        await first.begin(tasks)
        for name in "abcde":
            assert (await first.say(name))["journaled"] is True
        await asyncio.sleep(3.0)
        first.kill()
        await second.begin(tasks)
        await asyncio.sleep(15.0)
        await second.leave()
    assert play.ears.begun == ["a", "b", "b", "c", "d", "e"]
    assert play.ears.whole == ["a", "b", "c", "d", "e"]
    assert [play.ends(name) for name in "abcde"] == [["done"]] * 5
    assert play.resumed() == {"b"}


async def perform(play: Play, *kills: float) -> None:
    """Three lines are said, to agents of which all but the last are killed, each so long after it began.

    Whoever gets no answer says it again, with its id.
    """
    taken: set[str] = set()
    for kill_at in (*kills, None):
        async with asyncio.TaskGroup() as tasks:
            life = play.life(takes_s=TAKES_S)
            beginning = tasks.create_task(life.begin(tasks))
            saying = tasks.create_task(say_all(life, taken))
            await asyncio.sleep(10.0 if kill_at is None else kill_at)
            if kill_at is None:
                await life.leave()
            else:
                life.kill()
                beginning.cancel()
                saying.cancel()


async def say_all(life: Life, taken: set[str]) -> None:
    await life.began.wait()
    for name, text in (("a", "Hello."), ("b", LINE), ("c", "Bye.")):
        if name not in taken:
            await life.say(name, text)
            taken.add(name)


def run(folder: Path, *kills: float) -> Play:
    """`perform` in a loop of its own."""
    play = Play(folder)
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(perform(play, *kills))
    gc.unfreeze()
    return play


def between_two_steps(play: Play) -> list[float]:
    """Moments at which the first agent can be killed: at each step of its journal, just before and after."""
    steps = sorted(set(play.lives[0].journal.moments))
    return sorted({max(0.0, moment + shift) for moment in steps for shift in (-0.001, 0.0, 0.001)})


def check(play: Play, case: object) -> None:
    """All was heard whole, in order; and what anybody was told to be done was not said again."""
    last = sorted(set(play.ears.whole), key=lambda name: last_place(play.ears.whole, name))
    assert last == ["a", "b", "c"], (case, play.ears)
    for name in "abc":
        assert play.shelf.ended[name].state == "done", (case, name)
        told_by = [life for life in play.lives if "done" in life.states(name)]
        assert len(told_by) <= 1, (case, name)
        after = play.lives[play.lives.index(told_by[0]) + 1 :] if told_by else []
        assert not [life for life in after if name in life.spoken], (case, name)
        assert play.ears.begun.count(name) <= len(play.lives), (case, name)


def last_place(names: list[str], name: str) -> int:
    return max(place for place, one in enumerate(names) if one == name)


def test_killed_between_any_two_steps_all_is_said_in_order_and_what_was_told_as_done_never_again(
    tmp_path: Path,
) -> None:
    undisturbed = run(tmp_path / "undisturbed")
    check(undisturbed, "nobody dies")
    assert undisturbed.ears.whole == ["a", "b", "c"]
    twice: list[float] = []
    for kill_at in between_two_steps(undisturbed):
        play = run(tmp_path / f"{kill_at:.3f}", kill_at)
        check(play, kill_at)
        counts = Counter(play.ears.whole)
        assert max(counts.values()) <= 2
        twice += [kill_at] * (counts.total() - 3)
        assert play.resumed() <= {name for name in "abc" if play.ears.begun.count(name) > 1}
    # Between the end of the sound and the first half of the write that tells of it, and at no other moment.
    ends = [end for _, end in undisturbed.lives[0].track.spans]
    assert twice
    assert all(any(end - 0.002 <= at <= end + TAKES_S / 2 + 0.002 for end in ends) for at in twice), twice


def test_killed_while_it_takes_over_the_next_one_says_all_of_it(tmp_path: Path) -> None:
    for first in (0.5, 0.9):
        for second in (0.0, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05):
            play = run(tmp_path / f"{first}-{second}", first, second)
            check(play, (first, second))


# Cut off


async def test_a_line_whose_agent_lost_its_connection_it_says_again_from_its_beginning(play: Play) -> None:
    async with asyncio.TaskGroup() as tasks:
        life = play.life()
        await life.begin(tasks)
        for name in "abc":
            await life.say(name)
        await asyncio.sleep(3.0)
        (vera,) = life.on.room.lose_node()
        await asyncio.sleep(4.0)
        life.on.room.find_node()
        asyncio.get_running_loop().call_later(7.0, life.on.room.join, vera)
        await asyncio.sleep(25.0)
        await life.leave()
    assert play.ears.begun == ["a", "b", "b", "c"]
    assert [play.ends(name) for name in "abc"] == [["done"]] * 3
    assert play.resumed() == {"b"}
    report = next(event for event in life.events if event["id"] == "b" and event["state"] == "done")
    whole = next(event for event in life.events if event["id"] == "a" and event["state"] == "done")
    assert report["frames"] == whole["frames"]


async def test_a_line_whose_agent_lost_its_connection_twice_is_told_as_failed_and_the_next_one_is_said(
    play: Play,
) -> None:
    async with asyncio.TaskGroup() as tasks:
        life = play.life()
        await life.begin(tasks)
        await life.say("a")
        await life.say("b")
        for after_s in (1.0, 2.0):
            await asyncio.sleep(after_s)
            (vera,) = life.on.room.lose_node()
            life.on.room.find_node()
            life.on.room.join(vera)
        await asyncio.sleep(10.0)
        await life.leave()
    assert (play.ends("a"), play.ends("b")) == (["failed"], ["done"])
    assert play.ears.begun == ["a", "a", "b"]


async def test_a_line_that_is_stopped_while_its_agent_has_no_connection_is_not_said_again(play: Play) -> None:
    async with asyncio.TaskGroup() as tasks:
        life = play.life()
        await life.begin(tasks)
        await life.say("a")
        await asyncio.sleep(1.0)
        life.on.room.lose_node()
        life.on.room.find_node()
        await asyncio.sleep(1.0)
        assert [one.id for one in life.on.parts.speaker.stop()] == ["a"]
        await asyncio.sleep(60.0)
        await life.leave()
    assert play.ends("a") == ["interrupted"]
    assert play.ears.begun == ["a"]


async def test_a_line_in_which_two_agents_have_died_is_told_as_lost_and_the_next_one_is_said(
    play: Play,
) -> None:
    async with asyncio.TaskGroup() as tasks:
        for number in range(3):
            life = play.life()
            await life.begin(tasks)
            if number == 0:
                await life.say("poison")
                await life.say("next")
            await asyncio.sleep(1.0 if number < 2 else 3.0)
            if number < 2:
                life.kill()
        await life.leave()
    assert play.ears.begun == ["poison", "poison", "next"]
    assert (play.ends("poison"), play.ends("next")) == (["failed"], ["done"])
    lost = next(event for event in life.events if event["id"] == "poison")
    assert lost["reason"] == BEGUN_TOO_OFTEN


async def test_an_id_that_has_ended_is_a_duplicate_and_answered_for_with_the_next_agent(play: Play) -> None:
    async with asyncio.TaskGroup() as tasks:
        first, second = play.life(), play.life()
        await first.begin(tasks)
        await first.say("a")
        await asyncio.sleep(2.5)
        first.kill()
        await second.begin(tasks)
        assert (await second.say("a"))["duplicate"] is True
        report = await second.ask(STATUS_METHOD, id="a")
        assert (report["epoch"], report["state"]) == (second.on.parts.epoch, "done")
        await asyncio.sleep(3.0)
        await second.leave()
    assert play.ears.begun == ["a"]


async def test_what_was_moved_keeps_its_place_and_what_was_cancelled_nobody_says(play: Play) -> None:
    async with asyncio.TaskGroup() as tasks:
        first, second = play.life(), play.life()
        await first.begin(tasks)
        for name in "abcde":
            await first.say(name)
        assert (await first.ask(MOVE_METHOD, id="e", before="b"))["journaled"] is True
        assert (await first.ask(MOVE_METHOD, id="b", to="last"))["position"] == 4
        assert (await first.ask(CANCEL_METHOD, id="c"))["journaled"] is True
        first.kill()
        await second.begin(tasks)
        report = await second.ask(STATUS_METHOD, id="c")
        assert (report["state"], report["reason"]) == ("interrupted", "cancelled")
        await asyncio.sleep(15.0)
        await second.leave()
    assert play.ears.whole == ["a", "e", "d", "b"]


async def test_a_pause_outlives_its_agent_and_no_time_to_live_runs_meanwhile(play: Play) -> None:
    async with asyncio.TaskGroup() as tasks:
        first, second, third = play.life(), play.life(), play.life()
        await first.begin(tasks)
        assert (await first.ask(PAUSE_METHOD))["journaled"] is True
        await first.say("a", ttl_ms=3000)
        await asyncio.sleep(60.0)
        first.kill()
        await second.begin(tasks)
        assert (await second.ask(STATUS_METHOD))["paused"] is True
        await asyncio.sleep(60.0)
        await second.leave()  # nothing of it is spoken, and it does not take long
        assert play.ears.begun == []
        await third.begin(tasks)
        assert (await third.ask(RESUME_METHOD))["changed"] is True
        await asyncio.sleep(3.0)
        await third.leave()
    assert play.ears.whole == ["a"]
    assert play.shelf.paused_at is None


async def test_a_pause_without_a_line_outlives_its_agent_too(play: Play) -> None:
    async with asyncio.TaskGroup() as tasks:
        first, second = play.life(), play.life()
        await first.begin(tasks)
        await first.ask(PAUSE_METHOD)
        await first.leave()
        await second.begin(tasks)
        assert (await second.say("a"))["paused"] is True
        await asyncio.sleep(10.0)
        assert play.ears.begun == []
        await second.ask(RESUME_METHOD)
        await asyncio.sleep(3.0)
        await second.leave()
    assert play.ears.whole == ["a"]


async def test_how_long_it_was_paused_counts_with_the_next_agent_too(play: Play) -> None:
    async with asyncio.TaskGroup() as tasks:
        first, second = play.life(), play.life()
        await first.begin(tasks)
        await first.say("a")
        await first.say("b", ttl_ms=8000)
        await first.ask(PAUSE_METHOD)
        await asyncio.sleep(60.0)
        await first.ask(RESUME_METHOD)
        first.kill()
        await second.begin(tasks)
        await asyncio.sleep(8.0)
        await second.leave()
    assert play.ears.whole == ["a", "b"]


async def test_what_was_stopped_nobody_says_again(play: Play) -> None:
    async with asyncio.TaskGroup() as tasks:
        first, second = play.life(), play.life()
        await first.begin(tasks)
        for name in "abc":
            await first.say(name)
        assert (await first.ask(STOP_METHOD, id="b"))["journaled"] is True
        await first.say("d")
        await asyncio.sleep(0.5)
        await first.ask(STOP_METHOD)
        await first.say("e")
        first.kill()
        await second.begin(tasks)
        await asyncio.sleep(5.0)
        await second.leave()
    assert play.ears.whole == ["e"]
    assert [play.ends(name) for name in "abcde"] == [["interrupted"]] * 4 + [["done"]]


async def test_priority_interruption_and_time_to_live_mean_the_same_with_the_next_agent(play: Play) -> None:
    async with asyncio.TaskGroup() as tasks:
        first, second = play.life(), play.life()
        await first.begin(tasks)
        await first.say("gone")
        await asyncio.sleep(0.5)
        await first.say("cut", interrupt=True)
        await first.say("brief", ttl_ms=3000)
        await first.say("late")
        await first.say("early", priority=5)
        await asyncio.sleep(1.0)
        first.kill()
        await asyncio.sleep(3.0)
        await second.begin(tasks)
        await asyncio.sleep(8.0)
        await second.leave()
    assert play.ears.whole == ["cut", "early", "late"]
    assert (play.ends("gone"), play.ends("brief")) == (["interrupted"], ["expired"])


async def test_characters_that_wait_are_promised_by_the_next_agent_too(play: Play) -> None:
    async def used(life: Life) -> float:
        caps = (await life.ask(STATUS_METHOD))["caps"]
        return next(float(cap["used"]) for cap in caps if cap["name"] == "your speech")

    async with asyncio.TaskGroup() as tasks:
        first, second = play.life(), play.life()
        await first.begin(tasks)
        await first.say("a", LONG)
        await first.say("b")
        promised = await used(first)
        first.kill()
        await second.begin(tasks)
        assert await used(second) == promised == len(LONG.strip()) + len(LINE)
        second.kill()


# Told to go


async def test_an_agent_that_is_told_to_go_finishes_its_line_and_leaves_the_rest(play: Play) -> None:
    async with asyncio.TaskGroup() as tasks:
        first, second = play.life(), play.life()
        await first.begin(tasks)
        for name in "abc":
            await first.say(name)
        await asyncio.sleep(1.0)
        leaving_at = now()
        await first.leave()
        assert now() - leaving_at < 2.0 + TAKEOVER_LOOK_S
        assert first.states("a")[-1] == "done"
        assert first.states("b") == first.states("c") == ["accepted"]
        assert play.shelf.holder == ""
        await second.begin(tasks)
        await asyncio.sleep(6.0)
        await second.leave()
    assert play.ears.begun == play.ears.whole == ["a", "b", "c"]
    assert play.resumed() == set()


async def test_a_line_that_is_too_long_to_be_finished_is_cut_and_resumed(play: Play) -> None:
    async with asyncio.TaskGroup() as tasks:
        first, second = play.life(), play.life()
        await first.begin(tasks)
        await first.say("long", LONG)
        await first.say("next")
        await asyncio.sleep(1.0)
        leaving_at = now()
        await first.leave()
        assert now() - leaving_at == pytest.approx(DRAIN_TIMEOUT_S, abs=TAKEOVER_LOOK_S + 0.6)
        assert first.states("long")[-1] == "audible"
        await second.begin(tasks)
        await asyncio.sleep(30.0)
        await second.leave()
    assert play.ears.whole == ["long", "next"]
    assert play.resumed() == {"long"}
    assert (play.ends("long"), play.ends("next")) == (["done"], ["done"])


async def test_an_agent_that_is_ended_at_once_leaves_what_it_spoke_too(play: Play) -> None:
    async with asyncio.TaskGroup() as tasks:
        first, second = play.life(), play.life()
        await first.begin(tasks)
        for name in "ab":
            await first.say(name)
        await asyncio.sleep(1.0)
        first.end_at_once()
        await second.begin(tasks)
        await asyncio.sleep(6.0)
        await second.leave()
    assert play.ears.begun == ["a", "a", "b"]
    assert (play.ends("a"), play.ends("b")) == (["done"], ["done"])


async def test_what_waits_for_a_room_that_was_closed_nobody_says(play: Play) -> None:
    async with asyncio.TaskGroup() as tasks:
        first, second = play.life(), play.life()
        await first.begin(tasks)
        for name in "ab":
            await first.say(name)
        await asyncio.sleep(1.0)
        first.on.room.lose_connection(rtc.DisconnectReason.ROOM_DELETED)
        await first.leave()
        await second.begin(tasks)
        await asyncio.sleep(6.0)
        await second.leave()
    assert play.ears.begun == ["a"]


async def test_an_agent_that_lost_its_room_leaves_all_to_the_next_one(play: Play) -> None:
    async with asyncio.TaskGroup() as tasks:
        first, second = play.life(), play.life()
        await first.begin(tasks)
        for name in "ab":
            await first.say(name)
        await asyncio.sleep(1.0)
        first.on.room.lose_connection(rtc.DisconnectReason.SIGNAL_CLOSE)
        await first.leave()
        await second.begin(tasks)
        await asyncio.sleep(6.0)
        await second.leave()
    assert play.ears.begun == ["a", "a", "b"]
    assert play.resumed() == {"a"}


# Overtaken


async def test_an_agent_that_was_overtaken_falls_silent_and_touches_nothing_of_the_next_ones(
    play: Play,
) -> None:
    async with asyncio.TaskGroup() as tasks:
        first, second = play.life(), play.life()
        await first.begin(tasks)
        for name in "abc":
            await first.say(name)
        await asyncio.sleep(1.0)
        await second.begin(tasks)
        await asyncio.sleep(1.5)
        assert first.on.job.left == ["already_running"]
        await first.leave()
        await asyncio.sleep(8.0)
        await second.leave()
    assert [life for life in ("b", "c") if life in first.spoken] == []
    assert second.ends == ["done", "done", "done"]
    assert first.states("b") == first.states("c") == ["accepted"]


async def test_what_an_agent_that_was_overtaken_could_not_write_down_it_tells_as_interrupted(
    play: Play,
) -> None:
    async with asyncio.TaskGroup() as tasks:
        first, second = play.life(), play.life()
        await first.begin(tasks)
        await first.say("a", LONG)
        await second.begin(tasks)
        assert (await first.say("late"))["journaled"] is False
        await asyncio.sleep(0.5)
        await first.leave()
        second.kill()
    assert first.states("late")[-1] == "interrupted"
    assert first.states("a")[-1] in ("speaking", "audible")
    assert play.shelf.lines.keys() == {"a"}


# Cut off from the journal


async def test_without_its_journal_it_speaks_on_and_says_once_that_nothing_is_written_down(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async with asyncio.TaskGroup() as tasks:
        first = play.life()
        first.journal.failure = "it is full"
        await first.begin(tasks)
        for name in "ab":
            asked_at = now()
            assert (await first.say(name))["journaled"] is False
            assert now() - asked_at < 0.1
        await asyncio.sleep(5.0)
        await first.leave()
    assert play.ears.whole == ["a", "b"]
    assert [message for message in caplog.messages if "not written down" in message] == [
        "what is accepted is not written down: it is full"
    ]


async def test_a_journal_that_hangs_holds_one_answer_up_for_a_second_and_no_sound(play: Play) -> None:
    async with asyncio.TaskGroup() as tasks:
        first = play.life()
        await first.begin(tasks)
        first.journal.takes_s = 3600.0
        asked_at = now()
        assert (await first.say("a"))["journaled"] is False
        assert now() - asked_at == pytest.approx(CONFIRM_S)
        assert first.states("a")[-1] == "audible"
        assert (await first.say("b"))["journaled"] is False
        assert now() - asked_at == pytest.approx(CONFIRM_S)
        await asyncio.sleep(5.0)
        await first.leave()
    assert play.ears.whole == ["a", "b"]


async def test_a_journal_that_is_there_again_gets_what_it_has_missed(play: Play) -> None:
    async with asyncio.TaskGroup() as tasks:
        first, second = play.life(), play.life()
        first.journal.failure = "it is away"
        await first.begin(tasks)
        await first.say("a")
        await first.say("b", LONG)
        await first.say("c")
        await asyncio.sleep(3.0)
        first.journal.failure = ""
        await asyncio.sleep(4.0)
        assert play.shelf.lines.keys() == {"b", "c"}
        assert (await first.say("d"))["journaled"] is True
        first.kill()
        await second.begin(tasks)
        await asyncio.sleep(35.0)
        await second.leave()
    assert play.ears.whole == ["a", "b", "c", "d"]


async def test_an_agent_that_finds_the_journal_late_takes_up_late_what_is_in_it(play: Play) -> None:
    async with asyncio.TaskGroup() as tasks:
        first, second = play.life(), play.life()
        await first.begin(tasks)
        for name in "abc":
            await first.say(name)
        await first.ask(STOP_METHOD, id="c")
        first.kill()
        second.journal.failure = "it is away"
        await second.begin(tasks)
        await second.say("b")  # its sender has lost patience
        await second.say("d")
        await asyncio.sleep(0.5)
        second.journal.failure = ""
        await asyncio.sleep(10.0)
        await second.leave()
    assert sorted(play.ears.whole) == ["a", "b", "d"]
    assert [play.ends(name) for name in "abd"] == [["done"]] * 3


async def test_what_the_journal_has_lost_is_written_down_anew(play: Play) -> None:
    async with asyncio.TaskGroup() as tasks:
        first, second = play.life(), play.life()
        await first.begin(tasks)
        for name in "abc":
            await first.say(name)
        play.shelf.forget()
        await asyncio.sleep(2.5)
        first.kill()
        await second.begin(tasks)
        await asyncio.sleep(6.0)
        await second.leave()
    assert play.ears.whole == ["a", "b", "c"]


async def test_a_line_that_cannot_be_read_any_more_is_told_as_lost_once(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async with asyncio.TaskGroup() as tasks:
        first, second, third = play.life(), play.life(), play.life()
        await first.begin(tasks)
        for name in "ab":
            await first.say(name)
        first.kill()
        line = play.shelf.lines["a"]
        play.shelf.lines["a"] = Line("a", line.number, play.shelf.lines["b"].sealed)
        await second.begin(tasks)
        await asyncio.sleep(3.0)
        await second.leave()
        await third.begin(tasks)
        await third.leave()
    assert (play.ends("a"), play.ends("b")) == (["failed"], ["done"])
    assert next(event for event in second.events if event["id"] == "a")["reason"] == UNREADABLE
    assert play.shelf.ended["a"] == Ended("a", "failed", UNREADABLE, play.shelf.ended["a"].ended_at)
