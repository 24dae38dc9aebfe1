"""Shows on a virtual clock, with an agent that speaks each line in three seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from libacli.cli.runs.show_player import ShowPlayer
from libacli.core.acknowledgement import Acknowledgement
from libacli.core.cue import Cue
from libacli.core.cue_result import CueResult
from libacli.core.delivery import Delivery
from libacli.core.messages import SayRequest
from libacli.core.queue_requests import NextAnswer
from libacli.core.show_plan import ShowLine, plan_show
from libacli.errors import InterruptedSpeechError, LibaError, NoAgentError, RefusedError, UsageError

LINE_S = 3.0


def now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Stage:
    """The agent of one room. Lines on standby begin when they get the go-ahead."""

    log: list[tuple[float, str, str]] = field(default_factory=list)
    """What happened: when, what, to which id."""

    refusals: dict[str, LibaError] = field(default_factory=dict)
    ends: dict[str, InterruptedSpeechError] = field(default_factory=dict)
    """How lines end that are not spoken to their end."""

    _ends_at: dict[str, float] = field(default_factory=dict)
    _standby: list[str] = field(default_factory=list)

    async def say(self, request: SayRequest) -> Delivery:
        if error := self.refusals.get(request.id):
            raise error
        self._note("standby" if request.standby else "taken", request.id)
        if request.standby:
            self._standby.append(request.id)
        else:
            self._begin(request.id)
        return Delivery.accepted(Acknowledgement(request.id, 0, standby=request.standby))

    async def next(self, utterance_id: str = "") -> NextAnswer:
        wanted = utterance_id or self._standby[0]
        is_news = wanted in self._standby
        if is_news:
            self._note("next", wanted)
            self._standby.remove(wanted)
            self._begin(wanted)
        return NextAnswer(wanted, is_news)

    async def stop(self, utterance_id: str = "") -> list[str]:
        self._note("stop", utterance_id)
        return [utterance_id]

    async def wait(
        self,
        said: Delivery,
        level: str,
        *,
        timeout_s: float,
        grows_to_s: float = 0.0,
        on_paused: Callable[[], None] | None = None,
    ) -> Delivery:
        while True:
            ends_at = self._ends_at.get(said.id)
            if ends_at is not None and now() >= ends_at - (LINE_S if level == "audible" else 0.0):
                break
            await asyncio.sleep(0.01)
        if level == "done" and (error := self.ends.get(said.id)):
            raise error
        return Delivery(said.id, level, said.acknowledgement, {"route": "tavus"})

    def times(self, what: str) -> list[tuple[float, str]]:
        return [(round(at), id) for at, kind, id in self.log if kind == what]

    def _begin(self, utterance_id: str) -> None:
        self._ends_at[utterance_id] = max([now(), *self._ends_at.values()]) + LINE_S

    def _note(self, what: str, utterance_id: str) -> None:
        self.log.append((now(), what, utterance_id))


@dataclass
class Notebook:
    """A watcher."""

    results: list[CueResult] = field(default_factory=list)
    waiting: list[tuple[float, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def pauses(self, number: int, cue: Cue) -> None: ...

    def waits(self, line: ShowLine) -> None:
        self.waiting.append((round(now()), line.number))

    def speaks(self, line: ShowLine) -> None: ...

    def over(self, result: CueResult, cue: Cue) -> None:
        self.results.append(result)

    def note(self, words: str) -> None:
        self.notes.append(words)

    @property
    def timeline(self) -> list[tuple[int, str, float | None, float | None]]:
        """Number, state, and when it began and ended, to the tenth of a second."""
        return [(one.number, one.state, _tenths(one.started), _tenths(one.ended)) for one in self.results]


def _tenths(at: float | None) -> float | None:
    return None if at is None else round(at, 1)


@dataclass
class Theatre:
    stages: dict[str, Stage]
    watcher: Notebook
    player: ShowPlayer

    @classmethod
    def of(cls, **stages: Stage) -> Theatre:
        watcher = Notebook()
        player = ShowPlayer(stages, _request, watcher, now())
        return cls(stages, watcher, player)

    async def play(self, *cues: Cue, steps: bool = False) -> None:
        await self.player.play(plan_show(cues, room="demo", steps=steps))


def _request(line: ShowLine) -> SayRequest:
    return SayRequest(line.cue.text, id=f"{line.number}", standby=line.is_on_standby)


def text(step: bool = False, room: str | None = None, label: str = "") -> Cue:
    return Cue(text="Hello.", step=step, room=room, label=label)


PAUSE = Cue(pause_s=2.0)


async def test_lines_follow_each_other_and_a_few_are_with_the_agent_before_their_time() -> None:
    theatre = Theatre.of(demo=(stage := Stage()))
    await theatre.play(*[text()] * 6)
    assert theatre.watcher.timeline == [(n, "done", max(0.0, 3.0 * n - 3), 3.0 * n) for n in range(1, 7)]
    assert stage.times("taken") == [(0, "1"), (0, "2"), (0, "3"), (0, "4"), (3, "5"), (6, "6")]
    assert theatre.player.place is None


async def test_behind_a_pause_a_line_is_held_until_it_is_over() -> None:
    theatre = Theatre.of(demo=(stage := Stage()))
    await theatre.play(text(), PAUSE, PAUSE, text(), text(), PAUSE)
    assert stage.times("standby") == [(0, "4")]
    assert stage.times("next") == [(7, "4")]
    assert stage.times("taken") == [(0, "1"), (7, "5")]
    assert [(n, start) for n, _, start, _ in theatre.watcher.timeline] == [
        (1, 0.0), (2, 3.0), (3, 5.0), (4, 7.0), (5, 10.0), (6, 13.0)
    ]  # fmt: skip


async def test_a_step_waits_for_the_go_ahead_wherever_that_comes_from() -> None:
    theatre = Theatre.of(demo=(stage := Stage()))
    async with asyncio.TaskGroup() as tasks:
        playing = tasks.create_task(theatre.play(text(), text(step=True), text(step=True), text()))
        await asyncio.sleep(10)
        assert theatre.watcher.waiting == [(3, 2)]
        theatre.player.go()
        await asyncio.sleep(10)
        assert theatre.watcher.waiting[-1] == (13, 3)
        await stage.next()
        await playing
    assert [start for _, _, start, _ in theatre.watcher.timeline] == [0.0, 10.0, 20.0, 23.0]


async def test_a_go_ahead_before_its_time_has_the_line_follow_at_once_and_skips_a_pause() -> None:
    theatre = Theatre.of(demo=Stage())
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(theatre.play(text(), text(step=True), PAUSE, text()))
        await asyncio.sleep(1)
        theatre.player.go()
        await asyncio.sleep(6)  # the pause has begun
        theatre.player.go()
    assert [state for _, state, _, _ in theatre.watcher.timeline] == ["done", "done", "skipped", "done"]
    assert [start for _, _, start, _ in theatre.watcher.timeline] == [0.0, 3.0, 6.0, 7.0]


async def test_a_go_ahead_that_nothing_waits_for_is_told() -> None:
    theatre = Theatre.of(demo=Stage())
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(theatre.play(text(), text()))
        await asyncio.sleep(1)
        theatre.player.go()
    assert theatre.watcher.notes == ["nothing waits for the go-ahead now"]


async def test_lines_of_several_rooms_are_spoken_one_after_the_other() -> None:
    theatre = Theatre.of(demo=Stage(), lobby=(lobby := Stage()))
    await theatre.play(text(), text(room="lobby"), text())
    assert [start for _, _, start, _ in theatre.watcher.timeline] == [0.0, 3.0, 6.0]
    assert lobby.times("standby") == [(0, "2")]


async def test_a_line_that_fails_or_is_refused_or_cancelled_ends_nothing() -> None:
    stage = Stage(
        refusals={"2": RefusedError("unknown_voice", "nobody"), "3": RefusedError("text_too_long", "long")},
        ends={
            "4": InterruptedSpeechError("4 failed", state="failed"),
            "5": InterruptedSpeechError("5", state="interrupted", reason="cancelled"),
        },
    )
    theatre = Theatre.of(demo=stage)
    await theatre.play(text(), text(step=True), text(), text(), text(), text())
    assert [state for _, state, _, _ in theatre.watcher.timeline] == [
        "done", "rejected", "rejected", "failed", "interrupted", "done"
    ]  # fmt: skip
    assert [number for number, _ in theatre.player.failures] == [2, 3, 4, 5]


async def test_a_sound_whose_file_is_gone_meanwhile_ends_nothing() -> None:
    stage = Stage(refusals={"2": UsageError("cannot read jingle.wav: No such file or directory")})
    theatre = Theatre.of(demo=stage)
    await theatre.play(text(), text(), text())
    assert [(one.number, one.state) for one in theatre.watcher.results] == [
        (1, "done"),
        (2, "failed"),
        (3, "done"),
    ]
    assert [number for number, _ in theatre.player.failures] == [2]


@pytest.mark.parametrize(
    "error",
    [
        InterruptedSpeechError("stopped", state="interrupted", reason="stopped"),
        InterruptedSpeechError("the agent left"),
        InterruptedSpeechError("started anew", state="unknown"),
    ],
    ids=["a stop", "gone", "anew"],
)
async def test_a_stop_or_an_agent_that_is_gone_ends_the_show_at_that_line(
    error: InterruptedSpeechError,
) -> None:
    theatre = Theatre.of(demo=(stage := Stage(ends={"2": error})))
    with pytest.raises(InterruptedSpeechError):
        await theatre.play(text(), text(label="x"), text(), text())
    assert theatre.player.place == (2, text(label="x"))
    assert [id for _, id in stage.times("stop")] == ["4", "3", "2"]


async def test_a_show_that_is_ended_takes_back_its_own_lines_the_last_one_first() -> None:
    theatre = Theatre.of(demo=(stage := Stage()))
    playing = asyncio.get_running_loop().create_task(theatre.play(text(), PAUSE, text(), text()))
    await asyncio.sleep(1)
    playing.cancel()
    with suppress(asyncio.CancelledError):
        await playing
    assert stage.times("stop") == [(1, "3"), (1, "1")]
    assert theatre.watcher.timeline == [(1, "interrupted", 0.0, 1.0)]
    assert theatre.player.place == (1, text())


async def test_where_nobody_can_be_asked_the_show_ends_at_the_line_that_was_next() -> None:
    theatre = Theatre.of(demo=Stage(refusals={"3": NoAgentError("no agent")}))
    with pytest.raises(NoAgentError):
        await theatre.play(text(), text(), text(), text())
    assert [state for _, state, _, _ in theatre.watcher.timeline] == ["done", "done", "failed"]
    assert theatre.player.place == (3, text())
