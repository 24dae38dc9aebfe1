"""How soon agents are heard, by a real subscriber in a real room: `python -m tests.bench.first_audio`.

Three agents take turns in one run, so that a busy moment of the machine meets all of them: liba, the stock
`AgentSession.say` of livekit-agents, and the floor, a participant that plays a ready tone at once. All get
the same packet from the same participant. The voice is a scripted speech server that needs 300 ms, which
are taken off for liba and stock.

A subscriber adds a delay of its own that stays as long as it does: where its 10 ms beats fall, and how much
its jitter buffer thinks it needs. So agents and rooms are made anew several times, the subscribers more often
("visits"), and what is compared are medians over visits. A pause of random length before each text keeps it
from meeting the same point of a beat each time. What is said before the first visit is the warm-up.

`--route avatar` compares the same through avatars of one local service: liba, the stock session with the
stock Tavus plugin, and as floor a participant that sends its avatar a ready tone at once. Only what avatars
say counts; a run in which an agent speaks by itself fails. Rendering faces for many rooms is heavy on two
processors, so these are small and slow (128 pixels, 5 pictures a second), and there are three rooms at a
time, one for each agent. Long texts are left out. `--avatar plain` takes avatars that only give back what
they are sent, so that what the agents do differently is all there is to be seen.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import psutil

from tests.bench.agents_and_seats import (
    LIBA,
    LIBA_THREAD,
    STOCK,
    Kind,
    NotHeardError,
    RunningAgents,
    Seat,
    calm,
    floor,
)
from tests.bench.avatar_agents import avatar_floor, avatar_service, plain_avatar_service, through_avatar
from tests.bench.ears import Hearing
from tests.bench.first_audio_report import AVATAR_LIMITS, TRACK_LIMITS, Report, Scores
from tests.bench.local_stack import local_server
from tests.bench.voice_process import VoiceProcess, voice_process
from tests.speech_server import Script

_VOICE_MS = 300.0
_MS_PER_CHAR = 60.0
_QUICK = Script(first_byte_s=_VOICE_MS / 1000, ms_per_char=_MS_PER_CHAR)

_LONG_MS_PER_CHAR = 30.0
_SLOW = Script(first_byte_s=_VOICE_MS / 1000, per_char_s=0.002, ms_per_char=_LONG_MS_PER_CHAR)

_SHORT = "Now."
_SHORT_MS = len(_SHORT) * _MS_PER_CHAR
_PAIR = ("One two.", "Three...")
_LONG = {
    "sentences": ("The quick brown fox jumps over the lazy dog while it rains. " * 17)[:999] + ".",
    "unpunctuated": ("the quick brown fox jumps over the lazy dog while it rains " * 17)[:1000],
}
_BEAT_S = 0.04
_HEARD_TIMEOUT_S = 10.0
_PAIRS = 2
_VISITS = 3
_FACE_SIZE = 128
_FACE_FPS = 5.0


class Bench:
    """One run: fills `scores`."""

    def __init__(
        self,
        running_agents: RunningAgents,
        voice: VoiceProcess,
        kinds: Sequence[Kind],
        *,
        with_longs: bool = True,
    ) -> None:
        self.scores = {kind.name: Scores() for kind in kinds}
        self._troupe = running_agents
        self._voice = voice
        self._kinds = kinds
        self._with_longs = with_longs

    async def run_set(self, number: int, rounds: int) -> None:
        """Each agent started anew in a new room: its start, its first text, and all else by turns."""
        await self._voice.become(_QUICK)
        async with AsyncExitStack() as stack:
            seats = []
            for kind in self._kinds:
                (seat,) = await self._start(stack, kind)
                self.scores[kind.name].firsts.append(await self._time(seat, counted=False))
                await calm()
                seats.append(seat)
            voiced = [seat for seat in seats if seat.kind.has_voice]
            for _ in range(_PAIRS):
                for seat in voiced:
                    self.scores[seat.kind.name].gaps.append(await self._gap(seat))
            for _ in range(_VISITS):
                await self._visit(seats, rounds)
            if self._with_longs:
                await self._voice.become(_SLOW)
                for seat in voiced:
                    await self._begin_long(seat, list(_LONG)[number % len(_LONG)])

    async def _visit(self, seats: Sequence[Seat], rounds: int) -> None:
        """Takes all seats anew, and times one text after the other, by turns."""
        for seat in random.sample(seats, len(seats)):
            await seat.join()
            await seat.ready()
            self.scores[seat.kind.name].latencies.append([])
        await calm()
        for _ in range(rounds):
            for seat in random.sample(seats, len(seats)):
                self.scores[seat.kind.name].latencies[-1].append(await self._time(seat))

    async def run_start(self, kind: Kind) -> None:
        """Only the start of an agent."""
        await self._voice.become(_QUICK)
        self.scores.setdefault(kind.name, Scores())
        async with AsyncExitStack() as stack:
            await self._start(stack, kind)

    async def run_long(self) -> None:
        """Long texts, heard to their end: all sound at the same time, but begin one after the other."""
        await self._voice.become(_SLOW)
        async with AsyncExitStack() as stack:
            rooms = [await self._start(stack, kind, len(_LONG)) for kind in self._kinds if kind.has_voice]
            await calm()
            async with asyncio.TaskGroup() as tasks:
                for name, seats in zip(_LONG, zip(*rooms, strict=True), strict=True):
                    for seat in seats:
                        hearing = await self._begin_long(seat, name)
                        tasks.create_task(self._finish_long(seat, name, hearing))

    async def _start(self, stack: AsyncExitStack, kind: Kind, rooms: int = 1) -> list[Seat]:
        seats, started_at = await stack.enter_async_context(self._troupe.seats(kind, rooms))
        scores, first = self.scores[kind.name], seats[0]
        scores.starts.append((first.track_at - started_at) * 1000)
        scores.readies.append((first.ready_at - started_at) * 1000)
        return seats

    async def _time(self, seat: Seat, *, counted: bool = True) -> float:
        """Milliseconds from sending a short text to its first sound, without what the voice needs."""
        await asyncio.sleep(random.uniform(0, _BEAT_S))
        hearing = seat.listen()
        utterance, sent_at = await seat.send(_SHORT)
        await self._heard_out(seat, hearing, _SHORT_MS)
        if seat.kind.tells:
            outcome = await seat.outcome(utterance)
            if counted:
                self.scores[seat.kind.name].add_marks(outcome)
        return _ms_until_heard(hearing, sent_at) - (_VOICE_MS if seat.kind.has_voice else 0.0)

    async def _gap(self, seat: Seat) -> float:
        """Milliseconds of silence between two texts that were sent together."""
        hearing = seat.listen(quiet_s=0.7)
        for text in _PAIR:
            await seat.send(text)
        await self._heard_out(seat, hearing, len("".join(_PAIR)) * _MS_PER_CHAR)
        return hearing.longest_silence_ms()

    async def _begin_long(self, seat: Seat, name: str) -> Hearing:
        hearing = seat.listen(quiet_s=2.0)
        _, sent_at = await seat.send(_LONG[name])
        async with asyncio.timeout(_HEARD_TIMEOUT_S):
            await hearing.began.wait()
        self.scores[seat.kind.name].longs[name].append(_ms_until_heard(hearing, sent_at))
        return hearing

    async def _finish_long(self, seat: Seat, name: str, hearing: Hearing) -> None:
        await self._heard_out(seat, hearing, len(_LONG[name]) * _LONG_MS_PER_CHAR)
        self.scores[seat.kind.name].silences[name].append(hearing.longest_silence_ms())

    async def _heard_out(self, seat: Seat, hearing: Hearing, sound_ms: float) -> None:
        """Waits until it is quiet again. Raises NotHeardError unless all of the sound was there."""
        try:
            async with asyncio.timeout(sound_ms / 1000 + _HEARD_TIMEOUT_S):
                await hearing.ended.wait()
        except TimeoutError as error:
            seat.check_origin()
            heard_ms = hearing.speech_s * 1000
            raise seat.failure(f"was not heard to its end, but for {heard_ms:.0f} ms") from error
        seat.check_origin()
        heard_ms = hearing.speech_s * 1000
        # The subscriber's jitter buffer may stretch sound and, less often, shorten it.
        if not 0.95 * sound_ms - 30 < heard_ms < 1.05 * sound_ms + 150:
            raise seat.failure(f"was heard for {heard_ms:.0f} ms instead of {sound_ms:.0f} ms")


def _ms_until_heard(hearing: Hearing, sent_at: float) -> float:
    assert hearing.first_audible_at is not None
    return (hearing.first_audible_at - sent_at) * 1000


async def _run(arguments: argparse.Namespace) -> Report:
    liba = [LIBA_THREAD] if arguments.isolation == "thread" else [LIBA]
    if arguments.isolation == "both":
        liba.append(LIBA_THREAD)
    begun_at = time.monotonic()
    psutil.cpu_percent()
    with tempfile.TemporaryDirectory() as folder, local_server(Path(folder)) as stack:
        async with voice_process() as voice:
            running_agents = RunningAgents(stack, voice.base_url)
            run = _run_avatar if arguments.route == "avatar" else _run_track
            scores = await run(arguments, liba, running_agents, voice)
    limits = AVATAR_LIMITS if arguments.route == "avatar" else TRACK_LIMITS
    seconds = time.monotonic() - begun_at
    return Report(scores, limits, seconds=seconds, busy_percent=psutil.cpu_percent())


async def _run_track(
    arguments: argparse.Namespace, liba: Sequence[Kind], running_agents: RunningAgents, voice: VoiceProcess
) -> dict[str, Scores]:
    bench = Bench(running_agents, voice, [*liba, STOCK, floor(_SHORT_MS)])
    for number in range(arguments.rooms):
        _progress(f"set {number + 1} of {arguments.rooms}")
        await bench.run_set(number, arguments.rounds)
        if LIBA_THREAD not in liba:
            await bench.run_start(LIBA_THREAD)
    if arguments.long:
        _progress("long texts")
        await bench.run_long()
    return bench.scores


async def _run_avatar(
    arguments: argparse.Namespace, liba: Sequence[Kind], running_agents: RunningAgents, voice: VoiceProcess
) -> dict[str, Scores]:
    folder = running_agents.stack.folder
    is_plain = arguments.avatar == "plain"
    running = (
        plain_avatar_service(folder) if is_plain else avatar_service(folder, size=_FACE_SIZE, fps=_FACE_FPS)
    )
    with running as service:
        speaking = [through_avatar(kind, service) for kind in (*liba, STOCK)]
        bench = Bench(running_agents, voice, [*speaking, avatar_floor(_SHORT_MS, service)], with_longs=False)
        for number in range(arguments.rooms):
            _progress(f"set {number + 1} of {arguments.rooms}")
            await bench.run_set(number, arguments.rounds)
            await service.end_all()
    return bench.scores


def _progress(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def main() -> None:
    """Runs the bench; exits with 1 when something was not heard, or a goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--route", choices=("track", "avatar"), default="track", help="what speech goes through"
    )
    parser.add_argument(
        "--avatar", choices=("local", "plain"), default="local", help="plain: it gives back what it is sent"
    )
    parser.add_argument("--rooms", type=int, default=4, help="times that every agent is started anew")
    parser.add_argument(
        "--rounds", type=int, default=4, help=f"texts for each agent in each of {_VISITS} visits"
    )
    parser.add_argument("--isolation", choices=("process", "thread", "both"), default="process")
    parser.add_argument("--no-long", dest="long", action="store_false", help="leave the long texts out")
    parser.add_argument("--json", action="store_true", help="all numbers as JSON")
    arguments = parser.parse_args()
    try:
        report = asyncio.run(_run(arguments))
    except* NotHeardError as group:
        sys.exit(f"NOT HEARD: {group.exceptions[0]}")
    print(json.dumps(report.encode(), indent=2) if arguments.json else report.table())
    sys.exit(0 if report.reaches_its_goals else 1)


if __name__ == "__main__":
    main()
