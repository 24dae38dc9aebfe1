"""A room without a server, shipped so that whoever builds on one can test it without network or native code.

It runs on the loop's clock alone, so under a virtual clock every wait is exact and costs nothing. Errors are
those of the SDK (livekit 1.1), at the same moments; what a callback raises it logs and swallows, as there.
Give `room.as_sdk()` to what is tested.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

from livekit import rtc

from libacli.edges.livekit.fake_rpc import Answer, answer_call, rpc_error, send_failed
from libacli.edges.livekit.fake_streams import (
    Call,
    FakeTrack,
    Script,
    ScriptedByteReader,
    ScriptedTextReader,
    ScriptedTextWriter,
    ScriptedWriter,
    Step,
)

_RPC_TIMEOUT_S = 15.0
"""As the SDK's `perform_rpc` has it when nothing is said."""

_AGENT = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT


@dataclass(frozen=True)
class Permissions:
    can_update_metadata: bool = False
    hidden: bool = False


class FakePublication:
    """A track that a participant has published; `FakeParticipant.publish` makes it."""

    def __init__(
        self,
        kind: rtc.TrackKind.ValueType,
        sid: str,
        *,
        subscribe_s: float,
        on_subscribed: Callable[[FakeTrack, FakePublication], None],
        is_encrypted: bool = False,
    ) -> None:
        self.kind = kind
        self.sid = sid
        self.encryption_type = rtc.EncryptionType.GCM if is_encrypted else rtc.EncryptionType.NONE
        self.subscribed = False
        self.track: FakeTrack | None = None
        self._subscribe_s = subscribe_s
        self._on_subscribed = on_subscribed

    def set_subscribed(self, subscribed: bool) -> None:
        """The track comes a little later, as it does from a server."""
        if subscribed and not self.subscribed:
            loop = asyncio.get_running_loop()
            loop.call_later(self._subscribe_s, self._come) if self._subscribe_s else loop.call_soon(
                self._come
            )
        self.subscribed = subscribed

    def _come(self) -> None:
        self.track = FakeTrack(self.kind, self.sid)
        self._on_subscribed(self.track, self)


class FakeParticipant:
    """Somebody else in the room. `FakeRoom.join` brings one in."""

    def __init__(
        self,
        identity: str,
        *,
        kind: rtc.ParticipantKind.ValueType = rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD,
        attributes: Mapping[str, str] | None = None,
        can_update_metadata: bool = False,
        hidden: bool = False,
    ) -> None:
        self.identity = identity
        self.kind = kind
        self.attributes = dict(attributes or {})
        self.permissions = Permissions(can_update_metadata, hidden)
        self.state = rtc.ParticipantState.PARTICIPANT_STATE_ACTIVE
        self.disconnect_reason: rtc.DisconnectReason.ValueType | None = None
        """Why it has left; None: it is there, or nobody was told."""

        self.track_publications: dict[str, FakePublication] = {}
        self.rpc_methods: dict[str, Answer] = {}
        """How it answers calls; a method that is not there is refused as the SDK does."""

        self.streams: asyncio.Queue[ScriptedWriter] = asyncio.Queue()
        """Byte streams that were opened to it, in order."""

    def as_sdk(self) -> rtc.RemoteParticipant:
        """This one, where a type is asked for that it only looks like."""
        return cast(rtc.RemoteParticipant, self)


@dataclass(frozen=True)
class SentData:
    payload: bytes
    topic: str
    to: list[str]


@dataclass(frozen=True)
class SentText:
    text: str
    topic: str
    attributes: dict[str, str]
    to: list[str] = field(default_factory=list)


@dataclass
class FakeLocalParticipant:
    """The tested side's own participant; it remembers what it was told to send."""

    room: FakeRoom
    identity: str
    attributes: dict[str, str] = field(default_factory=dict)
    writers: list[ScriptedWriter] = field(default_factory=list)
    data: list[SentData] = field(default_factory=list)
    texts: list[SentText] = field(default_factory=list)
    text_writers: list[ScriptedTextWriter] = field(default_factory=list)
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    """Identity, method and payload of the RPC calls made."""

    rpc_methods: dict[str, Answer] = field(default_factory=dict)
    rpc_interceptors: list[rtc.RpcInterceptor] = field(default_factory=list)

    async def stream_bytes(
        self,
        name: str,
        *,
        topic: str = "",
        attributes: dict[str, str] | None = None,
        destination_identities: list[str] | None = None,
    ) -> ScriptedWriter:
        await self._perform("stream_bytes", rtc.StreamError)
        writer = ScriptedWriter(self.room.script, topic, attributes or {})
        self.writers.append(writer)
        for identity in destination_identities or self.room.remote_participants:
            if receiver := self.room.remote_participants.get(identity):
                receiver.streams.put_nowait(writer)
        return writer

    async def perform_rpc(
        self,
        *,
        destination_identity: str,
        method: str,
        payload: str,
        response_timeout: float | None = None,
    ) -> str:
        self.calls.append((destination_identity, method, payload))
        timeout_s = _RPC_TIMEOUT_S if response_timeout is None else response_timeout
        try:
            async with asyncio.timeout(timeout_s):
                await self._perform("perform_rpc", send_failed)
                receiver = self.room.remote_participants.get(destination_identity)
                if receiver is None:
                    raise rpc_error(rtc.RpcError.ErrorCode.RECIPIENT_NOT_FOUND)
                return await answer_call(receiver.rpc_methods, method, self.identity, payload, timeout_s)
        except TimeoutError:
            raise rpc_error(rtc.RpcError.ErrorCode.RESPONSE_TIMEOUT) from None

    def register_rpc_method(self, method_name: str, handler: Answer) -> Answer:
        self.rpc_methods[method_name] = handler
        return handler

    def unregister_rpc_method(self, method: str) -> None:
        self.rpc_methods.pop(method, None)

    def add_rpc_interceptor(self, interceptor: rtc.RpcInterceptor) -> None:
        self.rpc_interceptors.append(interceptor)

    async def publish_data(
        self,
        payload: bytes | str,
        *,
        reliable: bool = True,
        destination_identities: list[str] | None = None,
        topic: str = "",
    ) -> None:
        await self._perform("publish_data", rtc.participant.PublishDataError)
        data = payload.encode() if isinstance(payload, str) else payload
        self.data.append(SentData(data, topic, destination_identities or []))

    async def send_text(
        self,
        text: str,
        *,
        topic: str = "",
        attributes: dict[str, str] | None = None,
        destination_identities: list[str] | None = None,
    ) -> None:
        await self._perform("send_text", rtc.StreamError)
        self.texts.append(SentText(text, topic, attributes or {}, destination_identities or []))

    async def stream_text(
        self, *, topic: str = "", attributes: dict[str, str] | None = None
    ) -> ScriptedTextWriter:
        await self._perform("stream_text", rtc.StreamError)
        self.text_writers.append(ScriptedTextWriter(self.room.script, topic, attributes or {}))
        return self.text_writers[-1]

    async def set_attributes(self, attributes: dict[str, str]) -> None:
        await self.room.script.perform("set_attributes")
        self.attributes |= attributes

    async def _perform(self, call: Call, error: Callable[[str], Exception]) -> None:
        await self.room.script.perform(call)
        if not self.room.isconnected():
            raise error("the room is not connected")


class FakeRoom(rtc.EventEmitter[str]):
    """A room that is connected from the beginning, unless told otherwise; nobody else is there yet."""

    def __init__(self, name: str = "room", *, identity: str = "agent", is_connected: bool = True) -> None:
        super().__init__()
        self.name = name
        self.script = Script()
        """What goes wrong with calls to the SDK."""

        self.subscribe_s = 0.0
        """How long a track takes that somebody has subscribed to."""

        self.state_when_connected = rtc.ConnectionState.CONN_CONNECTED
        """Or CONN_RECONNECTING."""

        self.local_participant = FakeLocalParticipant(self, identity)
        self.remote_participants: dict[str, FakeParticipant] = {}
        self._is_connected = is_connected
        self.options: rtc.RoomOptions | None = None
        """Those that it was joined with."""

        self.readers: list[ScriptedTextReader] = []
        """Of the text streams that came, those that are open, and the last one."""

        self.byte_readers: list[ScriptedByteReader] = []
        """The same of byte streams."""

        self._byte_handlers: dict[str, Callable[[rtc.ByteStreamReader, str], None]] = {}
        self._text_handlers: dict[str, Callable[[rtc.TextStreamReader, str], None]] = {}
        self._tracks = 0

    def as_sdk(self) -> rtc.Room:
        """This room, where a type is asked for that it only looks like."""
        return cast(rtc.Room, self)

    def isconnected(self) -> bool:
        return self._is_connected

    @property
    def connection_state(self) -> rtc.ConnectionState.ValueType:
        if not self._is_connected:
            return rtc.ConnectionState.CONN_DISCONNECTED
        return self.state_when_connected

    async def connect(self, url: str, token: str, options: rtc.RoomOptions | None = None) -> None:
        await self.script.perform("connect")
        self.options = options
        self._is_connected = True

    async def disconnect(self) -> None:
        self.lose_connection(rtc.DisconnectReason.CLIENT_INITIATED)

    def register_text_stream_handler(
        self, topic: str, handler: Callable[[rtc.TextStreamReader, str], None]
    ) -> None:
        if topic in self._text_handlers:
            raise ValueError(f"text stream handler for topic '{topic}' already set")
        self._text_handlers[topic] = handler

    def register_byte_stream_handler(
        self, topic: str, handler: Callable[[rtc.ByteStreamReader, str], None]
    ) -> None:
        if topic in self._byte_handlers:
            raise ValueError(f"byte stream handler for topic '{topic}' already set")
        self._byte_handlers[topic] = handler

    def lose_connection(
        self, reason: rtc.DisconnectReason.ValueType = rtc.DisconnectReason.SERVER_SHUTDOWN
    ) -> None:
        """Ends it for good, once; `emit` tells of what comes and goes ("reconnecting", "reconnected")."""
        if self._is_connected:
            self._is_connected = False
            self.emit("disconnected", reason)

    def join(self, participant: FakeParticipant | str, *, is_agent: bool = False) -> FakeParticipant:
        if isinstance(participant, str):
            kind = _AGENT if is_agent else rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD
            participant = FakeParticipant(participant, kind=kind)
        self.remote_participants[participant.identity] = participant
        self.emit("participant_connected", participant)
        return participant

    def leave(
        self,
        identity: str,
        reason: rtc.DisconnectReason.ValueType | None = rtc.DisconnectReason.CLIENT_INITIATED,
    ) -> None:
        participant = self.remote_participants.pop(identity)
        participant.disconnect_reason = reason
        self.emit("participant_disconnected", participant)

    def lose_node(self) -> list[FakeParticipant]:
        """Its node dies: the connection is being made anew, and who else was there is gone; these are."""
        there = list(self.remote_participants.values())
        self.emit("reconnecting")
        for participant in there:
            self.leave(participant.identity, None)
        return there

    def find_node(self) -> None:
        """It is connected anew, and its tracks are published again; who else is there comes by `join`."""
        self.emit("local_track_republished")
        self.emit("reconnected")

    def change_attributes(self, identity: str, **attributes: str) -> None:
        participant = self.remote_participants[identity]
        participant.attributes |= attributes
        self.emit("participant_attributes_changed", attributes, participant)

    def publish(
        self, identity: str, kind: rtc.TrackKind.ValueType, *, is_encrypted: bool = False
    ) -> FakePublication:
        """The participant publishes a track; who wants it has to subscribe."""
        participant = self.remote_participants[identity]
        self._tracks += 1
        publication = FakePublication(
            kind,
            f"TR_{self._tracks}",
            subscribe_s=self.subscribe_s,
            on_subscribed=lambda *track: self.emit("track_subscribed", *track, participant),
            is_encrypted=is_encrypted,
        )
        participant.track_publications[publication.sid] = publication
        self.emit("track_published", publication, participant)
        return publication

    async def call(
        self,
        caller: str,
        method: str,
        payload: str = "",
        *,
        timeout_s: float = 10.0,
        request_id: str = "request",
    ) -> str:
        """Calls an RPC method of the tested side as the participant `caller`. Raises rtc.RpcError.

        The server's own calls have a caller that is no participant, and the same as `request_id`.
        """
        me = self.local_participant
        return await answer_call(
            me.rpc_methods,
            method,
            caller,
            payload,
            timeout_s,
            interceptors=me.rpc_interceptors,
            request_id=request_id,
        )

    def receive_data(self, data: bytes, *, topic: str, sender: str | None) -> None:
        """A data packet comes; None is the server, or somebody whom it cannot name."""
        participant = self.remote_participants.get(sender) if sender else None
        kind = rtc.DataPacketKind.KIND_RELIABLE
        packet = rtc.DataPacket(data, kind, cast("rtc.RemoteParticipant | None", participant), topic)
        self.emit("data_received", packet)

    def receive_text(
        self,
        *pieces: str | Step,
        topic: str,
        sender: str,
        attributes: dict[str, str] | None = None,
        stream_id: str = "",
        size: int = 0,
    ) -> None:
        """A text stream comes, see `ScriptedTextReader`; without a handler for its topic the SDK drops it.

        `size` is what its sender said of it, in bytes; 0: nothing.
        """
        if handler := self._text_handlers.get(topic):
            info = rtc.TextStreamInfo(
                stream_id or f"text-{sender}", "text/plain", topic, 0, size, attributes or {}, []
            )
            reader = ScriptedTextReader(info, pieces)
            self.readers = [one for one in self.readers if not one.closed.is_set()] + [reader]
            handler(reader, sender)

    def receive_bytes(
        self, *pieces: bytes | Step, topic: str, sender: str, attributes: dict[str, str], size: int
    ) -> None:
        """A byte stream comes; see `receive_text`."""
        if handler := self._byte_handlers.get(topic):
            info = rtc.ByteStreamInfo("bytes", "audio/flac", topic, 0, size, attributes, "sound.flac")
            reader = ScriptedByteReader(info, pieces)
            self.byte_readers = [one for one in self.byte_readers if not one.closed.is_set()] + [reader]
            handler(reader, sender)

    @property
    def open_readers(self) -> int:
        """Text streams that came and were neither read to their end nor closed."""
        return sum(not reader.closed.is_set() for reader in self.readers)
