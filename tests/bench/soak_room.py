"""One room of the soak: says numbers, and compares what was told of them with what was heard."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

from livekit import rtc

from libacli.config import LiveKitCredentials
from libacli.core.delivery import Delivery
from libacli.core.lifecycle import OUTCOMES
from libacli.core.messages import SayRequest
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import AgentLocator
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.background import in_background
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


class Ear:
    """One viewer of a room, who hears which numbers were spoken."""

    def __init__(self, name: str, seat: LiveKitCredentials) -> None:
        """`seat`: where it sits down, a node for instance."""
        self.name = name
        self.listener: Listener
        self._capture = ToneCapture()
        self._seat = seat
        self._tracks_at: list[float] = []
        """When a track began to arrive here."""

    @property
    def tones(self) -> list[HeardTone]:
        return self._capture.tones

    @property
    def hears(self) -> bool:
        """Whether a line sounds right now."""
        return self._capture.hears

    @asynccontextmanager
    async def listening(self, room: str) -> AsyncIterator[Listener]:
        """Sits in that room as long as the block lasts."""
        token = listener_token(self._seat, room=room, identity=f"liba-soak-{self.name}")
        there = rtc.Room()
        clock = asyncio.get_running_loop().time
        self.listener = Listener(there, agent_name=None)
        self.listener.capture = self._capture
        there.on("track_subscribed", lambda *_: self._tracks_at.append(clock()))
        there.on("track_unsubscribed", lambda track, *_: self._capture.end(track.sid))
        async with joined(there, self._seat.ws_url, token), in_background(self.listener.run()):
            yield self.listener

    def judge(self, tally: Tally, all_said: Sequence[Said], started: float, *, unnoticed_s: float) -> None:
        """Compares what was told with what was heard; what died at `started` was noticed so much later."""
        heard: dict[int, list[HeardTone]] = {said.number: [] for said in all_said}
        for tone in self.tones:
            candidates = [s for s in all_said if s.number % CODES == tone.code and s.at <= tone.at + 0.5]
            if candidates:
                heard[candidates[-1].number].append(tone)
        first_heard = []
        for said in all_said:
            whole = [tone for tone in heard[said.number] if tone.is_whole]
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
                    f"{said.id} ({said.route}, {when}, heard {part} by {self.name}; "
                    f"new tracks: {tracks or 'none'})"
                )
            if len(whole) > 1 and not said.replayed:
                times = ", ".join(f"{tone.at - started:.1f} s on {tone.source}" for tone in whole)
                # Of one that its sender was told to be unknown nothing says whether it was begun again.
                found = tally.unclear if said.outcome == "told" else tally.doubled
                found = tally.resumed if said.resumed and len(whole) == 2 else found
                found.append(f"{said.id} ({said.route}, {said.outcome}, {self.name}: {times})")
            if whole and said.outcome == "done":
                first_heard.append((whole[0].at, said))
        in_time = [said for _, said in sorted(first_heard, key=lambda one: one[0])]
        tally.disordered += [
            f"{after.id} ({self.name})"
            for before, after in itertools.pairwise(in_time)
            if after.number < before.number
        ]

    def _had_new_ear(self, said: Said) -> bool:
        """Whether a track came here about when it was spoken: a busy listener may be too late for it."""
        return any(abs(said.ended_at - at) < _NEW_S for at in self._tracks_at)


class Room:
    """One room: says numbers, and has ears that hear which of them were spoken."""

    def __init__(self, stack: Stack, name: str, *, seats: Sequence[LiveKitCredentials] = ()) -> None:
        """`seats`: where its viewers sit down; one at the server, if not told otherwise."""
        self.name = name
        self._stack = stack
        self.ears = [
            Ear(f"{name}-{number}", seat) for number, seat in enumerate(seats or [stack.credentials])
        ]
        self._waiting: dict[str, asyncio.Future[dict[str, object]]] = {}
        self._acks: dict[str, Delivery] = {}
        self.said: list[Said] = []
        self._is_stopped = False

    def stop(self) -> None:
        """Has it say nothing new; it ends when what was said has ended."""
        self._is_stopped = True

    async def run(self, count: int, ends_at: float) -> None:
        """Says `count` numbers, or until `ends_at` or it is stopped, and waits until each has ended; some are
        under way at a time."""
        loop = asyncio.get_running_loop()
        gate = asyncio.Semaphore(_AHEAD)
        async with AsyncExitStack() as stack:
            api = await stack.enter_async_context(LiveKitApi(self._stack.credentials))
            there = [await stack.enter_async_context(ear.listening(self.name)) for ear in self.ears]
            await stack.enter_async_context(in_background(self._take_events(there[0])))
            client = AgentClient(api, AgentLocator(api, room=self.name, agent_name="liba"))
            with suppress(LibaError):
                await client.reach(timeout_s=40)
            async with asyncio.timeout(_SUBSCRIBE_S):  # what was said before there was an ear counts as lost
                for listener in there:
                    await listener.subscribed.wait()
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

    async def _take_events(self, listener: Listener) -> None:
        while True:
            event = await listener.events.get()
            waiting = self._waiting.get(str(event.get("id")))
            # Who is refused by an agent that is going may be accepted by the next one: the call tells.
            if event.get("state") in OUTCOMES and waiting and not waiting.done():
                waiting.set_result(event)

    def judge(self, tally: Tally, started: float, *, unnoticed_s: float = 0) -> None:
        """Adds what became of what was said, by each of its ears; see `Ear.judge`."""
        tally.said += self.said
        tally.stuck += [said.id for said in self.said if not said.outcome]
        for ear in self.ears:
            ear.judge(tally, self.said, started, unnoticed_s=unnoticed_s)
