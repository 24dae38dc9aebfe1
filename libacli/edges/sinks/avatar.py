"""Speech to an avatar over LiveKit's byte-stream protocol, every wait bounded, events of this room alone.

The protocol is that of livekit-agents' `DataStreamAudioOutput`: one byte stream per utterance on topic
`lk.audio_stream`, its close is the end of the utterance; the avatar reports `lk.playback_finished` by RPC and
takes `lk.clear_buffer`. What each of these means for an utterance is in `core.turn`; here it is carried out.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from livekit import rtc

from libacli.complaint_log import ComplaintLog
from libacli.core.audio import SAMPLE_RATE, is_audible
from libacli.core.bounds import Bounds
from libacli.core.complaints import Complaints
from libacli.core.turn import Turn, TurnHistory, Verdict, played_s
from libacli.edges.sinks.avatar_presence import AvatarPresence
from libacli.edges.sinks.avatar_tracks import AvatarTracks, SoundOf, sound_of
from libacli.errors import SinkError
from libacli.speech.ports import Playback, Route

logger = logging.getLogger("liba.avatar")

AUDIO_TOPIC = "lk.audio_stream"
FINISHED_METHOD = "lk.playback_finished"
STARTED_METHOD = "lk.playback_started"
CLEAR_METHOD = "lk.clear_buffer"

_COMPLAINTS_PER_MINUTE = 2


@dataclass(eq=False)
class _Delivery:
    """A turn, and what it is carried out with."""

    turn: Turn
    identity: str
    """The avatar it goes to."""

    on_audible: Callable[[], None]
    writer: rtc.ByteStreamWriter | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the turn has ended while somebody may be waiting for something else."""


class AvatarSink(AvatarPresence):
    """A GatedSink to the avatar that is `present`.

    `audible_timeout_s` is how long the avatar may take from sound sent to sound heard; longer is `stalled`.
    """

    def __init__(
        self,
        room: rtc.Room,
        *,
        audible_timeout_s: float = 5.0,
        bounds: Bounds | None = None,
        sound_of: SoundOf = sound_of,
    ) -> None:
        super().__init__()
        self._room = room
        self._audible_timeout_s = audible_timeout_s
        self._bounds = bounds or Bounds.derive(frame_s=5.0, gate_s=5.0)
        self._history = TurnHistory()
        self._delivery: _Delivery | None = None
        self._clearing = asyncio.Lock()
        self._log = ComplaintLog(logger, Complaints(_COMPLAINTS_PER_MINUTE))
        self._tracks = AvatarTracks(
            room,
            is_avatar=lambda identity: identity in (self._identity, self._expected),
            on_pcm=self._on_pcm,
            log=self._log,
            sound_of=sound_of,
        )

    def open(self) -> None:
        """Takes the avatar's reports from now on. The room must be connected."""
        self._room.local_participant.register_rpc_method(FINISHED_METHOD, self._on_finished)
        self._room.local_participant.register_rpc_method(STARTED_METHOD, self._on_started)
        self._room.on("participant_disconnected", self._on_left)
        self._tracks.open()

    async def listen(self) -> None:
        """Hears what the avatar publishes, to know when its sound begins; until cancelled."""
        await self._tracks.listen()

    def expect(self, identity: str) -> None:
        super().expect(identity)
        self._tracks.take(identity)

    def present(self, identity: str) -> None:
        super().present(identity)
        self._history.misses = 0
        self._tracks.take(identity)

    def absent(self, reason: str) -> None:
        super().absent(reason)
        if self._delivery:
            self._delivery.turn.lost(reason)
            self._delivery.over.set()

    async def start(self, on_audible: Callable[[], None]) -> Route:
        if self._absence:
            raise SinkError(self._absence)
        self._idle.clear()  # from here on: whoever changes the avatar waits for this utterance too
        turn = Turn(self._history, audible_timeout_s=self._audible_timeout_s)
        self._delivery = delivery = _Delivery(turn, self._identity, on_audible)
        try:
            with self._delivering(delivery):
                async with asyncio.timeout(self._bounds.stream_s):
                    delivery.writer = await self._room.local_participant.stream_bytes(
                        name=f"AUDIO_{uuid.uuid4().hex[:8]}",
                        topic=AUDIO_TOPIC,
                        destination_identities=[delivery.identity],
                        attributes={"sample_rate": str(SAMPLE_RATE), "num_channels": "1"},
                    )
            turn.opened()
            self._verdict_on(delivery)
        except BaseException:
            self._release(delivery)
            raise
        return Route("avatar", target=delivery.identity)

    async def write(self, frame: bytes) -> None:
        delivery, writer = self._current()
        turn = delivery.turn
        if (pause_s := turn.pause_s(self._now())) > 0:
            await self._until(delivery, self._now() + pause_s)
        self._verdict_on(delivery)
        handed_at = self._now()
        with self._delivering(delivery):
            async with asyncio.timeout(self._bounds.stream_s):
                await writer.write(frame)
        sounds = turn.sounded_at is None and is_audible(frame)
        turn.wrote(handed_at=handed_at, now=self._now(), is_audible=sounds)

    async def finish(self) -> Playback:
        delivery, writer = self._current()
        turn = delivery.turn
        self._verdict_on(delivery)
        turn.closing(self._now())
        with self._delivering(delivery):
            async with asyncio.timeout(self._bounds.stream_s):
                await writer.aclose()
        turn.closed()
        while (verdict := self._verdict_on(delivery)) is None:
            await self._until(delivery, turn.due_at())
        self._release(delivery)
        return Playback("reported" if verdict.outcome == "reported" else "estimated")

    async def clear(self) -> None:
        if (delivery := self._delivery) is None:
            return
        delivery.turn.cleared()
        delivery.over.set()
        async with self._clearing:  # one at a time; when one is given up the next takes over
            # One that was given up is not waited for, and its successor has nothing to fall silent with.
            if self._delivery is delivery and self._takes_calls(delivery.identity):
                await self._silence(delivery)
            self._release(delivery)

    async def aclose(self) -> None:
        await self.clear()
        self.absent("closed")

    async def _silence(self, delivery: _Delivery) -> None:
        turn = delivery.turn
        try:
            async with asyncio.timeout(self._bounds.clear_s):
                if turn.has_to_be_silenced:
                    await self._room.local_participant.perform_rpc(
                        destination_identity=delivery.identity, method=CLEAR_METHOD, payload=""
                    )
                    turn.silenced()
                if turn.has_open_stream and delivery.writer:
                    turn.closing(self._now())
                    await delivery.writer.aclose()
        except (TimeoutError, rtc.RpcError) as error:
            logger.warning("the avatar did not take `clear`: %s", error or "no answer")
            if delivery.identity == self._identity:
                self._give_up("stalled")
        except Exception as error:  # the avatar is silent; that it is not told of the end too does no harm
            logger.warning("the avatar's stream was not closed: %s", error)

    @contextmanager
    def _delivering(self, delivery: _Delivery) -> Iterator[None]:
        """Whatever the SDK raises for a stream ends the turn, and is raised as SinkError."""
        try:
            yield
        except TimeoutError as error:
            delivery.turn.lost("stalled", gives_up="stalled")
            self._verdict_on(delivery, cause=error)
        except Exception as error:  # StreamError, RuntimeError, RpcError: the SDK has no common one
            delivery.turn.lost("left")
            self._verdict_on(delivery, cause=error)

    def _verdict_on(self, delivery: _Delivery, *, cause: Exception | None = None) -> Verdict | None:
        """What became of the turn, if that is known. Raises SinkError when it was not heard to its end."""
        verdict = delivery.turn.judge(self._now())
        if verdict and verdict.gives_up and delivery.identity == self._identity:
            self._give_up(verdict.gives_up)
        if verdict and verdict.outcome in ("lost", "cleared"):
            raise SinkError(verdict.reason) from cause
        return verdict

    async def _until(self, delivery: _Delivery, when: float) -> None:
        """Waits until then, or until the turn has ended."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(when):
                await delivery.over.wait()

    def _takes_calls(self, identity: str) -> bool:
        return identity == self._identity and identity in self._room.remote_participants

    def _current(self) -> tuple[_Delivery, rtc.ByteStreamWriter]:
        if self._delivery is None or self._delivery.writer is None:
            raise SinkError(self._absence or "not started")
        return self._delivery, self._delivery.writer

    def _release(self, delivery: _Delivery) -> None:
        if self._delivery is delivery:
            self._delivery = None
            self._idle.set()

    def _on_pcm(self, pcm: bytes, identity: str) -> None:
        delivery = self._delivery
        if delivery is None or identity != delivery.identity:
            return
        if delivery.turn.awaits_sound and is_audible(pcm) and delivery.turn.heard(self._now()):
            delivery.on_audible()

    async def _on_finished(self, call: rtc.RpcInvocationData) -> str:
        position_s = played_s(call.payload)
        if call.caller_identity != self._identity or position_s is None:
            self._log.tell(
                call.caller_identity, "report of the end", "passed over: not its own, or malformed"
            )
            return "reject"
        if self._delivery and self._delivery.turn.reported(position_s, self._now()):
            self._delivery.over.set()
        else:
            told = f"passed over: at {position_s:.2f} s it fits no utterance"
            self._log.tell(self._identity, "report of the end", told, level=logging.INFO)
        return "ok"

    async def _on_started(self, call: rtc.RpcInvocationData) -> str:
        return "ok"  # what counts is what is heard on its track

    def _on_left(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity == self._identity:
            self._give_up("left")

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
