"""Rooms and agents in memory: what the web gets instead of LiveKit."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from libacli.core.acknowledgement import Acknowledgement
from libacli.core.agent_status import AgentStatus
from libacli.core.caption_cue import CaptionCue
from libacli.core.connection_details import ConnectionDetails
from libacli.core.delivery import Delivery
from libacli.core.event import AgentFacts, Event, Report
from libacli.core.given_sound import GivenSound
from libacli.core.lifecycle import FINAL_STATES, LEVEL_STATES, has_reached
from libacli.core.messages import SayRequest, read_say
from libacli.core.queue_requests import MoveRequest, NextAnswer, PauseAnswer
from libacli.core.reasons import refusal
from libacli.core.room_update import NoAgent, RoomUpdate
from libacli.errors import InterruptedSpeechError, NoAgentError, RefusedError, TimedOutError, UsageError


@dataclass(frozen=True)
class FakeSound:
    """One that was prepared."""

    given: GivenSound


@dataclass
class FakeAgent:
    """One life of an agent in a room: it forgets nothing, and speaks when it is told to."""

    room: str
    epoch: str
    reports: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By id, in the order in which they came."""

    requests: list[SayRequest] = field(default_factory=list)
    """What was handed over and is no duplicate."""

    accounts: dict[str, str] = field(default_factory=dict)
    """On whose behalf each was said."""

    is_paused: bool = False

    def reports_in(self, *states: str) -> list[dict[str, Any]]:
        return [report for report in self.reports.values() if report["state"] in states]

    def facts(self) -> AgentFacts:
        queue = len(self.reports_in("accepted"))
        return AgentFacts(
            self.room, "liba", "hibari", "ready", queue=queue, epoch=self.epoch, paused=self.is_paused
        )

    def status(self) -> AgentStatus:
        """As a real one answers."""
        return AgentStatus.read(
            {
                **self.facts().encode(),
                "speaking": next(iter(self.reports_in("speaking", "audible")), None),
                "waiting": self.reports_in("accepted"),
            }
        )


class FakeGateway:
    """A Gateway without a server.

    An agent comes into a room when something is said there, unless `has_worker` is false. What is said waits
    until `becomes` tells what became of it. With `is_ideal` there is an agent in every room, and what is said
    is done at once.
    """

    def __init__(self) -> None:
        self.agents: dict[str, FakeAgent] = {}
        self.failures: dict[str, Exception] = {}
        """What a method raises, by its name."""

        self.has_worker = True
        self.e2ee_key = ""
        self.is_ideal = False
        self.calls: list[str] = []
        """Names of the methods that were called."""

        self.joined: list[tuple[str, str, str, int, bool]] = []
        """Tokens that were made: room, identity, name, seconds, whether it may speak."""

        self.rights: list[tuple[bool, bool, str]] = []
        """Of those tokens: whether they may speak, and control, and on whose behalf."""

        self.callers: list[str] = []
        """On whose behalf something was said, or a status asked for; empty: the owner's."""

        self.present: set[str] = set()
        """Identities of who is in a room; nobody is taken out of it."""

        self.removed: list[tuple[str, str]] = []
        """Room and identity of who was put out, in order."""

        self.delay_s = 0.0
        """How long `check` takes."""

        self.ahead_s = 0.0
        """How long what is said before each line takes at most."""

        self.waiting = 0
        """How many calls of `wait` have not come to an end."""

        self._lives = 0
        self._changed = asyncio.Event()
        self._listeners: defaultdict[str, list[asyncio.Queue[RoomUpdate]]] = defaultdict(list)

    def comes(self, room: str) -> FakeAgent:
        """A new agent in `room`, in the place of the one that was there, whose queue is gone."""
        self._lives += 1
        self.agents[room] = FakeAgent(room, f"epoch{self._lives}")
        self.tell(room, self.agents[room].status())
        self._wake()
        return self.agents[room]

    def leaves(self, room: str) -> None:
        """The agent of `room` is gone, and no other one comes."""
        del self.agents[room]
        self.has_worker = False
        self.tell(room, NoAgent())
        self._wake()

    def becomes(self, room: str, utterance_id: str, state: str, **members: Any) -> None:
        """The agent of `room` finds its utterance in `state`; `members` are the rest of its report."""
        agent = self.agents[room]
        agent.reports[utterance_id] |= {"state": state, **members}
        self.tell(room, Event(agent.facts(), Report.read(agent.reports[utterance_id]), t0=1.0))
        self._wake()

    def tell(self, room: str, *updates: RoomUpdate) -> None:
        """Whoever follows `room` hears `updates`."""
        for listener in self._listeners[room]:
            for update in updates:
                listener.put_nowait(update)

    def followers(self, room: str) -> int:
        """How many follow `room` now."""
        return len(self._listeners[room])

    async def say(self, room: str, request: SayRequest, *, timeout_s: float, on_behalf: str = "") -> Delivery:
        self._called("say", room)
        self.callers.append(on_behalf)
        agent = self.agents.get(room)
        if not agent:
            if not self.has_worker:
                await asyncio.sleep(timeout_s)
                raise NoAgentError(
                    f"no agent named 'liba' came into room {room!r} within {timeout_s:g} s",
                    hint="start one: liba agent run",
                )
            agent = self.comes(room)
        if request.id in agent.reports:
            if any(r.id == request.id and r.fingerprint != request.fingerprint for r in agent.requests):
                raise RefusedError("id_reused", "this id is that of another text")
            return Delivery.accepted(Acknowledgement(request.id, 0, True, agent.epoch))
        position = len(agent.reports_in("accepted"))
        agent.requests.append(request)
        agent.accounts[request.id] = on_behalf
        agent.reports[request.id] = {"id": request.id, "state": "accepted"}
        if self.is_ideal:
            self.becomes(room, request.id, "done", route="fallback")
        return Delivery.accepted(Acknowledgement(request.id, position, False, agent.epoch))

    async def prepare_sound(
        self, file: Path, *, named: str, max_s: float, text: str, captions: Sequence[CaptionCue]
    ) -> FakeSound:
        """Reads a file that begins as WAV does; each of its bytes is a millisecond."""
        content = await asyncio.to_thread(file.read_bytes)
        if not content.startswith(b"RIFF"):
            raise UsageError(f"{named} is not a sound that can be read", hint="it can be WAV")
        if len(content) > max_s * 1000:
            raise refusal("sound_too_long", f"the sound is longer than {max_s:g} s")
        cues = tuple(captions) or ((CaptionCue(0, len(content), text),) if text else ())
        return FakeSound(GivenSound(hashlib.sha256(content).hexdigest(), len(content), cues))

    async def say_sound(
        self, room: str, sound: FakeSound, *, id: str, timeout_s: float, on_behalf: str = "", **members: Any
    ) -> Delivery:
        request = read_say({"id": id, "sound": sound.given.encode()} | members, max_text_chars=0)
        self._called("say_sound", room)
        return await self.say(room, request, timeout_s=timeout_s, on_behalf=on_behalf)

    async def wait(
        self, room: str, said: Delivery, level: str, *, timeout_s: float, grows_to_s: float = 0.0
    ) -> Delivery:
        timeout_s = max(timeout_s, min(timeout_s + self.ahead_s, grows_to_s))
        self._called("wait", room)
        self._count_waiting(1)
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    reached = self._reached(room, said)
                    if has_reached(reached.level, level):
                        return reached
                    await self._changed.wait()
        except TimeoutError as error:
            raise TimedOutError(f"{said.id} was not {level} after {timeout_s:g} s") from error
        finally:
            self._count_waiting(-1)

    async def until_waiting(self, number: int) -> None:
        """Returns once so many calls of `wait` have not come to an end."""
        while self.waiting != number:
            await self._changed.wait()

    async def report(self, room: str, utterance_id: str) -> dict[str, Any]:
        self._called("report", room)
        agent = self._agent(room)
        unknown = {"id": utterance_id, "state": "unknown"}
        return {"epoch": agent.epoch, **agent.reports.get(utterance_id, unknown)}

    async def stop(self, room: str, utterance_id: str = "") -> list[str]:
        self._called("stop", room)
        agent = self._agent(room)
        ongoing = [report["id"] for report in agent.reports_in("accepted", "speaking", "audible")]
        stopped = [one for one in ongoing if utterance_id in ("", one)]
        for utterance_id in stopped:
            self.becomes(room, utterance_id, "interrupted", reason="stopped")
        return stopped

    async def cancel(
        self, room: str, utterance_id: str, *, on_behalf: str = "", is_own: bool = False
    ) -> dict[str, Any]:
        self._called("cancel", room)
        agent = self._waiting_at(room, utterance_id)
        if is_own and agent.accounts.get(utterance_id, on_behalf) != on_behalf:
            raise refusal("not_yours", "this line is another's: you may cancel your own alone")
        self.becomes(room, utterance_id, "interrupted", reason="cancelled")
        return {"epoch": agent.epoch, **agent.reports[utterance_id]}

    async def move(self, room: str, asked: MoveRequest) -> dict[str, Any]:
        self._called("move", room)
        agent = self._waiting_at(room, asked.id)
        self._waiting_at(room, asked.before or asked.id)
        others = [one for one in agent.reports if one != asked.id]
        place = others.index(asked.before) if asked.before else 0 if asked.to == "first" else len(others)
        order = [*others[:place], asked.id, *others[place:]]
        agent.reports = {one: agent.reports[one] for one in order}
        self.tell(room, agent.status())
        waiting = [report["id"] for report in agent.reports_in("accepted")]
        return {"epoch": agent.epoch, **agent.reports[asked.id]} | {
            "position": waiting.index(asked.id) + len(agent.reports_in("speaking", "audible")),
            "priority": 0,
        }

    async def pause(self, room: str, is_paused: bool) -> PauseAnswer:
        self._called("pause", room)
        agent = self._agent(room)
        is_news, agent.is_paused = agent.is_paused != is_paused, is_paused
        self.tell(room, agent.status())
        return PauseAnswer(is_paused, is_news, len(agent.reports_in("accepted")))

    async def next(self, room: str, utterance_id: str = "") -> NextAnswer:
        self._called("next", room)
        agent = self._agent(room)
        held = [report for report in agent.reports_in("accepted") if report.get("standby")]
        if not utterance_id and not held:
            raise refusal("nothing_on_standby", "no line waits for its go-ahead")
        wanted = utterance_id or str(held[0]["id"])
        if wanted not in agent.reports:
            raise refusal("unknown_utterance", "the agent knows of no utterance with this id")
        is_news = bool(agent.reports[wanted].pop("standby", False))
        self.tell(room, agent.status())
        return NextAnswer(wanted, is_news)

    async def status(self, room: str, *, on_behalf: str = "") -> AgentStatus | None:
        self._called("status", room)
        self.callers.append(on_behalf)
        agent = self.agents.get(room)
        return agent.status() if agent else None

    def updates(self, room: str) -> AsyncGenerator[RoomUpdate]:
        self._called("updates", room)
        return self._updates(room)

    def join(
        self,
        room: str,
        identity: str,
        *,
        name: str,
        valid_for_s: int,
        can_say: bool,
        can_control: bool = False,
        on_behalf: str = "",
    ) -> ConnectionDetails:
        self._called("join", room)
        _check_name(identity)
        if identity.startswith(("liba-", "agent-")):
            raise RefusedError("reserved_identity", f"the identity {identity!r} is reserved")
        self.joined.append((room, identity, name, valid_for_s, can_say))
        self.rights.append((can_say, can_control, on_behalf))
        return ConnectionDetails("ws://127.0.0.1:7880", f"token of {identity} for {room}", self.e2ee_key)

    async def put_out(self, room: str, identities: Collection[str]) -> None:
        self._called("put_out", room)
        self.removed += [(room, identity) for identity in identities if identity in self.present]

    async def check(self) -> None:
        self._called("check", "liba-check")
        await asyncio.sleep(self.delay_s)

    async def _updates(self, room: str) -> AsyncGenerator[RoomUpdate]:
        heard: asyncio.Queue[RoomUpdate] = asyncio.Queue()
        self._listeners[room].append(heard)
        try:
            agent = self.agents.get(room)
            yield agent.status() if agent else NoAgent()
            while True:
                yield await heard.get()
        finally:
            self._listeners[room].remove(heard)

    def _reached(self, room: str, said: Delivery) -> Delivery:
        agent = self.agents.get(room)
        if not agent or agent.epoch != said.epoch:
            raise InterruptedSpeechError("the agent was started anew and its queue is gone")
        report = dict(agent.reports[said.id])
        state = report["state"]
        if state in LEVEL_STATES:
            return Delivery(said.id, state, said.acknowledgement, report)
        if state in FINAL_STATES:
            raise InterruptedSpeechError(f"{said.id} was {state}")
        return said

    def _agent(self, room: str) -> FakeAgent:
        if room not in self.agents:
            raise NoAgentError(
                f"no agent named 'liba' is in room {room!r}",
                hint="`liba say` brings one there, if `liba agent run` is running",
            )
        return self.agents[room]

    def _waiting_at(self, room: str, utterance_id: str) -> FakeAgent:
        agent = self._agent(room)
        report = agent.reports.get(utterance_id)
        if report is None:
            raise refusal("unknown_utterance", "the agent knows of no utterance with this id")
        if report["state"] in FINAL_STATES:
            raise refusal("not_waiting", f"it does not wait any more: it is {report['state']}")
        if report["state"] != "accepted":
            raise refusal("being_spoken", "it does not wait any more: it is being spoken")
        return agent

    def _called(self, method: str, room: str) -> None:
        self.calls.append(method)
        if failure := self.failures.get(method):
            raise failure
        _check_name(room)
        if self.is_ideal and room not in self.agents:
            self.comes(room)

    def _count_waiting(self, change: int) -> None:
        self.waiting += change
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _check_name(name: str) -> None:
    if not name or name != name.strip() or len(name) > 128 or not name.isprintable():
        raise UsageError("a name must be 1 to 128 printable characters without spaces around them")
