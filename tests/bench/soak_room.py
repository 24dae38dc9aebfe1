"""One room of the soak: says numbers, and compares what was told of them with what was heard."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from livekit import rtc

from libacli.config import LiveKitCredentials
from libacli.core.delivery import Delivery
from libacli.core.lifecycle import OUTCOMES
from libacli.core.messages import SayRequest
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import AgentLocator
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.tokens import listener_token
from libacli.edges.viewer.listener import Listener
from libacli.errors import InterruptedSpeechError, LibaError, RefusedError, TimedOutError
from tests.bench.local_stack import Stack
from tests.bench.soak_ear import CODES, WHOLE_S, HeardTone, ToneCapture

_STUCK_S = 90.0
_AHEAD = 4
"""Utterances on their way in a room at a time; far fewer than `CODES`."""

_SETTLE_S = 2.0
_NEW_S = 1.5
_HEARD_LATER_S = 0.3
"""What an agent has sent is heard so much later, or not any more where its node dies meanwhile."""

_SUBSCRIBE_S = 10.0


@dataclass
class Said:
    """One utterance from its request to its end."""

    number: int
    id: str
    outcome: str = ""
    """Final state; `told` when the sender was told that it is gone; `refused`; empty: nobody knows."""

    replayed: bool = False
    resumed: bool = False
    """Its agent died in it, and the next one said it again from its beginning."""

    route: str = ""
    at: float = 0.0
    """When it was said, on the loop's clock."""

    taken_at: float = 0.0
    """When its sender knew that it was accepted."""

    ended_at: float = 0.0
    """No earlier than it was over, and no later than its end was told."""

    news: str = ""
    """What the sender was told, without the id."""

    def told(self, error: LibaError) -> None:
        self.outcome, self.news = "told", str(error).replace(self.id, "it")

    def ended(self, outcome: str, report: Mapping[str, object]) -> None:
        self.outcome, self.replayed = outcome, bool(report.get("replayed"))
        self.resumed = bool(report.get("resumed"))
        self.route = str(report.get("route") or "none")
        self.ended_at = asyncio.get_running_loop().time()
        total_ms = report.get("total")
        if self.taken_at and isinstance(total_ms, int | float):  # who asks late is told late
            self.ended_at = min(self.ended_at, self.taken_at + total_ms / 1000)

    def near(self, at: float) -> bool:
        """Whether `at` is between its request and its end, or a little before or after."""
        return self.at - 3 < at < self.ended_at + _NEW_S


@dataclass
class Tally:
    """What came of it all."""

    said: list[Said] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    untracked: list[str] = field(default_factory=list)
    """Not heard whole, and a track came to the listener about then: he may have been too late for it."""

    unnoticed: list[str] = field(default_factory=list)
    """Not heard whole, and over before it could be noticed that something had died."""

    doubled: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    """Heard twice, and its sender was told that nothing is known of it."""

    resumed: list[str] = field(default_factory=list)
    """Heard twice: its agent died when it had said it, and before that was written down."""

    disordered: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)


class Room:
    """One room: says numbers, and hears which of them were spoken."""

    def __init__(self, stack: Stack, name: str, *, seat: LiveKitCredentials | None = None) -> None:
        """`seat`: the node at which its listener sits down, where there is more than one."""
        self.name = name
        self._stack = stack
        self._seat = seat or stack.credentials
        self._capture = ToneCapture()
        self._listener: Listener
        self._waiting: dict[str, asyncio.Future[dict[str, object]]] = {}
        self._acks: dict[str, Delivery] = {}
        self._tracks_at: list[float] = []
        """When a track began to arrive here."""

        self.said: list[Said] = []
        self._is_stopped = False

    def stop(self) -> None:
        """Has it say nothing new; it ends when what was said has ended."""
        self._is_stopped = True

    @property
    def tones(self) -> list[HeardTone]:
        return self._capture.tones

    async def run(self, count: int, ends_at: float) -> None:
        """Says `count` numbers, or until `ends_at` or it is stopped, and waits until each has ended; some are
        under way at a time."""
        credentials, seat = self._stack.credentials, self._seat
        token = listener_token(seat, room=self.name, identity=f"liba-soak-{self.name}")
        there = rtc.Room()
        self._listener = Listener(there, agent_name=None)
        self._listener.capture = self._capture
        loop = asyncio.get_running_loop()
        there.on("track_subscribed", lambda *_: self._tracks_at.append(loop.time()))
        gate = asyncio.Semaphore(_AHEAD)
        async with (
            joined(there, seat.ws_url, token),
            LiveKitApi(credentials) as api,
            asyncio.TaskGroup() as tasks,
        ):
            helpers = [tasks.create_task(self._listener.run()), tasks.create_task(self._take_events())]
            client = AgentClient(api, AgentLocator(api, room=self.name, agent_name="liba"))
            with suppress(LibaError):
                await client.reach(timeout_s=40)
            async with asyncio.timeout(_SUBSCRIBE_S):  # what was said before there was an ear counts as lost
                await self._listener.subscribed.wait()
            async with asyncio.TaskGroup() as sayings:
                for number in range(count):
                    await gate.acquire()
                    if self._is_stopped or loop.time() > ends_at:
                        break
                    said = Said(number, f"{self.name}-{number}", at=loop.time())
                    self.said.append(said)
                    if await self._hand_over(client, said):
                        sayings.create_task(self._wait(client, said, gate))
                    else:
                        gate.release()
            await asyncio.sleep(_SETTLE_S)
            for helper in helpers:
                helper.cancel()

    async def _hand_over(self, client: AgentClient, said: Said) -> bool:
        self._waiting[said.id] = asyncio.get_running_loop().create_future()
        try:
            self._acks[said.id] = await client.say(SayRequest(f"Line {said.number}.", id=said.id))
            said.taken_at = asyncio.get_running_loop().time()
        except RefusedError as error:
            said.outcome = "refused"
            await asyncio.sleep(1.0 if error.reason == "voice_unavailable" else 0.2)
            return False
        except LibaError as error:  # no agent, or no answer
            said.told(error)
            await asyncio.sleep(1.0)
            return False
        return True

    async def _wait(self, client: AgentClient, said: Said, gate: asyncio.Semaphore) -> None:
        """Until an event tells its end, or the agent, when asked, that it knows nothing of it any more."""
        waiting, deadline = self._waiting[said.id], said.at + _STUCK_S
        try:
            while not said.outcome and asyncio.get_running_loop().time() < deadline:
                await asyncio.wait([waiting], timeout=5.0)
                if waiting.done():
                    event = waiting.result()
                    said.ended(str(event["state"]), event)
                    return
                try:
                    done = await client.wait(self._acks[said.id], "done", timeout_s=30)
                    said.ended(done.level, done.report or {})
                except TimedOutError:
                    continue
                except InterruptedSpeechError as error:
                    said.told(error)
                except LibaError:
                    await asyncio.sleep(1.0)
        finally:
            gate.release()

    async def _take_events(self) -> None:
        while True:
            event = await self._listener.events.get()
            waiting = self._waiting.get(str(event.get("id")))
            # Who is refused by an agent that is going may be accepted by the next one: the call tells.
            if event.get("state") in OUTCOMES and waiting and not waiting.done():
                waiting.set_result(event)

    def _had_new_ear(self, said: Said) -> bool:
        """Whether a track came here about when it was spoken: a busy listener may be too late for it."""
        return any(abs(said.ended_at - at) < _NEW_S for at in self._tracks_at)

    def judge(self, tally: Tally, started: float, *, unnoticed_s: float = 0) -> None:
        """Compares what was told with what was heard; what died at `started` was noticed so much later."""
        heard: dict[int, list[HeardTone]] = {said.number: [] for said in self.said}
        for tone in self.tones:
            candidates = [s for s in self.said if s.number % CODES == tone.code and s.at <= tone.at + 0.5]
            if candidates:
                heard[candidates[-1].number].append(tone)
        first_heard = []
        for said in self.said:
            tally.said.append(said)
            whole = [tone for tone in heard[said.number] if tone.is_whole]
            if not said.outcome:
                tally.stuck.append(said.id)
            # In pieces it was late, not lost.
            heard_s = sum(tone.length_s for tone in heard[said.number])
            if said.outcome == "done" and heard_s < WHOLE_S:
                part = "in part" if heard_s else "not at all"
                when = f"said at {said.at - started:.1f} s, over at {said.ended_at - started:.1f} s"
                tracks = ", ".join(f"{at - started:.1f}" for at in self._tracks_at if said.near(at))
                found = tally.untracked if self._had_new_ear(said) else tally.lost
                if unnoticed_s and -_HEARD_LATER_S <= said.ended_at - started < unnoticed_s:
                    found = tally.unnoticed
                found.append(
                    f"{said.id} ({said.route}, {when}, heard {part}; new tracks: {tracks or 'none'})"
                )
            if len(whole) > 1 and not said.replayed:
                times = ", ".join(f"{tone.at - started:.1f} s on {tone.source}" for tone in whole)
                # Of one that its sender was told to be unknown nothing says whether it was begun again.
                found = tally.unclear if said.outcome == "told" else tally.doubled
                found = tally.resumed if said.resumed and len(whole) == 2 else found
                found.append(f"{said.id} ({said.route}, {said.outcome}, {times})")
            if whole and said.outcome == "done":
                first_heard.append((whole[0].at, said.number))
        numbers = [number for _, number in sorted(first_heard)]
        tally.disordered += [
            f"{self.name}-{after}" for before, after in itertools.pairwise(numbers) if after < before
        ]
