"""Speech to an avatar over LiveKit's byte-stream protocol, every wait bounded, events of this room alone.

The protocol is that of livekit-agents' `DataStreamAudioOutput`: one byte stream per utterance on topic
`lk.audio_stream`, its close is the end of the utterance; the avatar reports `lk.playback_finished` by RPC and
takes `lk.clear_buffer`. What each of these means for an utterance, and what is heard of the avatar's track,
is in `core.turn`; here it is carried out.
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
from libacli.core.audio import SAMPLE_RATE, duration_s, frames_of, is_audible
from libacli.core.bounds import Bounds
from libacli.core.complaints import Complaints
from libacli.core.return_feed import loudness_of
from libacli.core.turn import Turn, Verdict, position_told
from libacli.core.turn_history import TurnHistory
from libacli.edges.sinks.avatar_presence import AvatarPresence
from libacli.edges.sinks.avatar_tracks import AvatarTracks, SoundOf, sound_of
from libacli.errors import SinkError
from libacli.speech.ports import Playback, Route

logger = logging.getLogger("liba.avatar")

AUDIO_TOPIC = "lk.audio_stream"
FINISHED_METHOD = "lk.playback_finished"
STARTED_METHOD = "lk.playback_started"
CLEAR_METHOD = "lk.clear_buffer"

_CLEAR_TRIES = 2
_CLEAR_TRY = 0.4
"""Part of the time for falling silent that one call may take: two of them, and then the stream is closed."""

_GONE = (rtc.RpcError.ErrorCode.RECIPIENT_DISCONNECTED, rtc.RpcError.ErrorCode.RECIPIENT_NOT_FOUND)

_LOOK_EVERY_S = 0.1
_SILENT_S = 0.3
"""Who was not heard for so long has fallen silent: who speaks pauses mostly for less."""

_COMPLAINTS_PER_MINUTE = 2


@dataclass(eq=False)
class _Delivery:
    """A turn, and what it is carried out with."""

    turn: Turn
    identity: str
    """The avatar it goes to."""

    on_audible: Callable[[], None]
    writer: rtc.ByteStreamWriter | None = None
    stirred: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when something has happened that whoever waits has to look at."""

    heard_at: float | None = None
    """When something was heard of that avatar last."""

    def may_be_heard(self, now: float) -> bool:
        return self.heard_at is None or self.is_heard(now)

    def is_heard(self, now: float) -> bool:
        return self.heard_at is not None and now < self.heard_at + _SILENT_S


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
        self._history.meet_another()
        self._tracks.take(identity)
        if identity not in self._room.remote_participants:  # it has gone while it was waited for
            self._give_up("left")

    def absent(self, reason: str) -> None:
        super().absent(reason)
        if self._delivery:
            self._delivery.turn.lost(reason)
            self._delivery.stirred.set()

    async def start(self, on_audible: Callable[[], None]) -> Route:
        if self._absence:
            raise SinkError(self._absence)
        self._idle.clear()  # from here on: whoever changes the avatar waits for this utterance too
        if self._tracks.is_deaf_to(self._identity):
            self._tracks.take(self._identity)  # asks for it once more
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

    async def write(self, frames: bytes) -> None:
        delivery, writer = self._current()
        turn = delivery.turn
        while self._verdict_on(delivery) is None and (pause_s := turn.pause_s(self._now())) > 0:
            await self._until(delivery, self._now() + pause_s)
        with self._delivering(delivery):
            async with asyncio.timeout(self._bounds.stream_s):
                await writer.write(frames)
        now = self._now()
        for frame in frames_of(frames):
            turn.wrote(now, loudness=loudness_of(frame))

    async def finish(self) -> Playback:
        delivery, writer = self._current()
        turn = delivery.turn
        self._verdict_on(delivery)
        turn.closing()
        with self._delivering(delivery):
            async with asyncio.timeout(self._bounds.stream_s):
                await writer.aclose()
        turn.closed()
        while (verdict := self._verdict_on(delivery)) is None:
            await self._until(delivery, turn.due_at(self._now()))
        self._release(delivery)
        return Playback("reported" if verdict.outcome == "reported" else "estimated")

    async def clear(self) -> None:
        if (delivery := self._delivery) is None:
            return
        delivery.turn.cleared()
        delivery.stirred.set()
        async with self._clearing:  # one at a time; when one is given up the next takes over
            # Also one that was given up, or is not wanted any more, could go on as long as it is there.
            if self._delivery is delivery and delivery.identity in self._room.remote_participants:
                await self._silence(delivery)
            self._release(delivery)

    async def aclose(self) -> None:
        await self.clear()
        self.absent("closed")

    async def _silence(self, delivery: _Delivery) -> None:
        turn = delivery.turn
        try:
            async with asyncio.timeout(self._bounds.clear_s):
                is_silent = not turn.has_to_be_silenced or await self._takes_clear(delivery.identity)
                if is_silent:
                    turn.silenced()
                if turn.has_open_stream and delivery.writer:
                    turn.closing()
                    await delivery.writer.aclose()
                if not is_silent:
                    await self._until_silent(delivery)
        except TimeoutError:
            logger.warning("the avatar took longer than %g s to fall silent", self._bounds.clear_s)
            if delivery.identity == self._identity and delivery.is_heard(self._now()):
                self._give_up("stalled")
        except Exception as error:  # the avatar is silent; that it is not told of the end too does no harm
            logger.warning("the avatar's stream was not closed: %s", error)

    async def _takes_clear(self, identity: str) -> bool:
        """Whether the avatar drops what it has, or is gone; one call may get lost, so it is called twice."""
        for _ in range(_CLEAR_TRIES):
            if identity not in self._room.remote_participants:
                return True
            try:
                async with asyncio.timeout(self._bounds.clear_s * _CLEAR_TRY):
                    await self._room.local_participant.perform_rpc(
                        destination_identity=identity, method=CLEAR_METHOD, payload=""
                    )
            except Exception as error:  # RpcError, and what else the SDK may raise
                if isinstance(error, rtc.RpcError) and error.code in _GONE:
                    return True
                logger.warning("the avatar did not take `clear`: %s", str(error) or "no answer")
            else:
                return True
        return False

    async def _until_silent(self, delivery: _Delivery) -> None:
        """What was sent and was not heard yet may still come, unless that was waited for already."""
        is_stalled = delivery.turn.verdict and delivery.turn.verdict.reason == "stalled"
        while delivery.may_be_heard(self._now()) and not is_stalled:  # noqa: ASYNC110 - silence is no event
            await asyncio.sleep(_LOOK_EVERY_S)

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
        if self._tracks.is_deaf_to(delivery.identity):
            delivery.turn.deaf(self._now())
        verdict = delivery.turn.judge(self._now())
        if verdict and verdict.gives_up and delivery.identity == self._identity:
            self._give_up(verdict.gives_up)
        if verdict and verdict.outcome in ("lost", "cleared"):
            raise SinkError(verdict.reason) from cause
        return verdict

    async def _until(self, delivery: _Delivery, when: float) -> None:
        """Waits until then, or until something happens that has to be looked at."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(when):
                await delivery.stirred.wait()
        delivery.stirred.clear()

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
        is_ours = delivery is not None and identity == delivery.identity
        sounds = is_audible(pcm)
        if sounds:
            self._overhear(identity, duration_s(len(pcm)), is_ours=is_ours)
        if delivery is None or not is_ours:
            return
        now = self._now()
        if sounds:
            delivery.heard_at = now
        if delivery.turn.listened(now, duration_s(len(pcm)), is_audible=sounds):
            delivery.on_audible()
            delivery.stirred.set()

    async def _on_finished(self, call: rtc.RpcInvocationData) -> str:
        position = position_told(call.payload)
        if call.caller_identity != self._identity or position is None:
            self._log.tell(
                call.caller_identity, "report of the end", "passed over: not its own, or malformed"
            )
            return "reject"
        if self._delivery is None:
            self._history.takes_report(self._now())
        elif self._delivery.turn.reported(self._now()):
            self._delivery.stirred.set()
            return "ok"
        told = f"passed over: no utterance waits for one, {position}"
        self._log.tell(self._identity, "report of the end", told, level=logging.INFO)
        return "ok"

    async def _on_started(self, call: rtc.RpcInvocationData) -> str:
        if self._delivery and call.caller_identity == self._delivery.identity:
            self._delivery.turn.started()
        return "ok"  # what counts, where anything is heard, is what is heard on its track

    def _on_left(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity == self._identity:
            self._give_up("left")

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
