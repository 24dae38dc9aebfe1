"""What `liba play` does: reads a show, checks it, plays it, and tells where it can go on."""

from __future__ import annotations

import asyncio
import itertools
import shlex
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from libacli.cli.output import output
from libacli.cli.runs.interruptible import run_interruptible
from libacli.cli.runs.show_file import show_of, told_problems
from libacli.cli.runs.show_player import Agent, ShowPlayer
from libacli.cli.runs.show_sound import ShowSounds, SoundingAgent
from libacli.cli.screens.play import ShowScreen, show_check, told_problem
from libacli.config import Settings
from libacli.core.cue import Cue, Problem
from libacli.core.messages import MAX_TTL_MS, SayRequest, read_say
from libacli.core.show import Show
from libacli.core.show_plan import ShowLine, ShowPlan, plan_show
from libacli.edges.livekit.agent_client import talking_to
from libacli.errors import LibaError, UsageError

_REACH_TIMEOUT_S = 20.0
_CUES_TOLD = 5


@dataclass
class PlayRun:
    """One run of `liba play`."""

    settings: Settings
    file: Path
    room: str | None
    """As it was given; None: the show says it, or the setting does."""

    start: str = ""
    """Label or number of the first cue to come."""

    loops: bool = False
    steps: bool = False
    as_json: bool = False

    def check(self) -> None:
        """Tells of each cue, and of all that is wrong. Raises LibaError when something is."""
        show = self._show()
        problems, start = show.problems, 0
        try:
            start = show.place(self.start)
        except UsageError as error:
            problems += (Problem(0, f"--from: {error}: {error.hint}"),)
        show_check(self.file, show.cues, start, problems, self.settings, as_json=self.as_json)
        if problems:
            raise told_problems(self.file, problems)

    def run(self) -> None:
        """Plays it. Raises what `play` raises, and KeyboardInterrupt where a signal ended it."""
        run_interruptible(self.play())

    async def play(self) -> None:
        """Raises LibaError for what ended it early, or for the first cue that was not spoken as written."""
        show = await asyncio.to_thread(self._show)
        if show.problems:
            for problem in show.problems:
                output.status(told_problem(self.file, problem))
            raise told_problems(self.file, show.problems)
        start = show.place(self.start)
        plan = self._plan(show, start)
        if not plan.lines:
            raise UsageError("nothing is said from there on", hint="liba play --check shows the cues")
        async with AsyncExitStack() as stack:
            agents = await self._reach(self._plan(show, 0) if self.loops else plan, stack)
            screen = stack.enter_context(ShowScreen(show.cues, as_json=self.as_json))
            await self._play(show, plan, agents, screen)
        if screen.unwritten:
            raise screen.unwritten

    async def _play(
        self, show: Show, plan: ShowPlan, agents: Mapping[str, Agent], screen: ShowScreen
    ) -> None:
        began_at = asyncio.get_running_loop().time()
        run_id = uuid.uuid4().hex[:8]
        failures: list[tuple[int, LibaError]] = []
        played = 0
        for round in itertools.count(1):
            player = ShowPlayer(
                agents, _Requests(self.settings.say_max_text_chars, f"{run_id}-{round}"), screen, began_at
            )
            screen.begin(plan, player.go)
            try:
                await player.play(plan)
            except LibaError as error:
                error.hint = self._go_on(player.place) or error.hint
                raise
            except asyncio.CancelledError:
                output.status(f"ended {_in_cue(player.place)} - {self._go_on(player.place)}")
                raise
            failures += player.failures
            played += player.played
            if not self.loops or len(player.failures) == player.played:
                break
            plan = self._plan(show, 0)
        if failures:
            raise _not_as_written(failures, played)

    def _show(self) -> Show:
        return show_of(self.file, self._sounds, max_text_chars=self.settings.say_max_text_chars)

    @property
    def _sounds(self) -> ShowSounds:
        return ShowSounds(self.file.parent, self.settings.say_max_sound)

    def _plan(self, show: Show, start: int) -> ShowPlan:
        cues = [replace(cue, room=self.room) if self.room else cue for cue in show.cues]
        return plan_show(cues, room=self.settings.say_room, start=start, steps=self.steps)

    async def _reach(self, plan: ShowPlan, stack: AsyncExitStack) -> dict[str, SoundingAgent]:
        """The agents of all rooms that are spoken in, brought there where they are not."""
        agents = {}
        for room in sorted({line.room for line in plan.lines}):
            client = await stack.enter_async_context(talking_to(self.settings, room))
            await client.reach(timeout_s=_REACH_TIMEOUT_S, on_wait=output.status)
            agents[room] = SoundingAgent(client, self._sounds, [line.cue for line in plan.lines])
        return agents

    def _go_on(self, place: tuple[int, Cue] | None) -> str:
        """The command that goes on at `place`."""
        if place is None:
            return ""
        number, cue = place
        words = ["liba", "play", str(self.file)]
        words += ["--room", self.room] if self.room else []
        words += [flag for flag, is_set in (("--step", self.steps), ("--loop", self.loops)) if is_set]
        words += ["--from", cue.label or str(number)]
        return f"go on: {shlex.join(words)}"


def _in_cue(place: tuple[int, Cue] | None) -> str:
    if place is None:
        return "behind the last cue"
    number, cue = place
    return f"in cue {number}" + (f" {cue.label}" if cue.label else "")


@dataclass(frozen=True)
class _Requests:
    """Makes the say requests of one round of a show."""

    max_text_chars: int
    ids: str

    def __call__(self, line: ShowLine) -> SayRequest:
        """Raises RefusedError for a text that cannot be said."""
        text = {} if line.cue.sound else {"text": line.cue.text}
        members = (
            line.cue.members
            | text
            | {
                "id": f"{self.ids}-{line.number}",
                "ttl_ms": MAX_TTL_MS,
                "standby": line.is_on_standby,
            }
        )
        return read_say(members, max_text_chars=self.max_text_chars)


def _not_as_written(failures: Sequence[tuple[int, LibaError]], played: int) -> LibaError:
    """The first error, with words that tell of all of them."""
    error = failures[0][1]
    numbers = [str(number) for number, _ in failures[:_CUES_TOLD]]
    numbers += ["..."] if len(failures) > _CUES_TOLD else []
    lines = "1 line" if played == 1 else f"{played} lines"
    error.args = (f"{len(failures)} of {lines} not spoken as written: cue {', '.join(numbers)}; {error}",)
    return error
