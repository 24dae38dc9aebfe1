"""The fake room behaves as the SDK does where that is surprising."""

from __future__ import annotations

import asyncio

import pytest
from livekit import rtc

from libacli.edges.livekit.fake_streams import HANG, FakeTrack, sound_of
from libacli.edges.livekit.fakes import FakeParticipant, FakeRoom

AUDIO = rtc.TrackKind.KIND_AUDIO


@pytest.fixture
def room() -> FakeRoom:
    room = FakeRoom()
    room.join("avatar", is_agent=True)
    return room


async def open_stream(room: FakeRoom) -> tuple[rtc.ByteStreamWriter, FakeParticipant]:
    writer = await room.as_sdk().local_participant.stream_bytes(
        "sound", topic="lk.audio_stream", destination_identities=["avatar"]
    )
    return writer, room.remote_participants["avatar"]


async def test_what_is_written_is_received_up_to_the_close(room: FakeRoom) -> None:
    writer, avatar = await open_stream(room)
    await writer.write(b"one")
    await writer.write(b"two")
    await writer.aclose()
    stream = avatar.streams.get_nowait()
    assert stream.topic == "lk.audio_stream"
    assert [piece async for piece in stream.received()] == [b"one", b"two"]


async def test_a_stream_is_closed_once_whatever_came_of_it(room: FakeRoom) -> None:
    writer, _ = await open_stream(room)
    room.script.play("aclose", rtc.StreamError("engine: connection closed"))
    with pytest.raises(rtc.StreamError):
        await writer.aclose()
    with pytest.raises(RuntimeError, match="Stream already closed"):
        await writer.aclose()
    with pytest.raises(RuntimeError, match="Cannot write after stream is closed"):
        await writer.write(b"late")


async def test_a_scripted_call_takes_its_time_fails_or_never_ends(room: FakeRoom) -> None:
    writer, _ = await open_stream(room)
    loop = asyncio.get_running_loop()
    room.script.play("write", 1.5)
    room.script.play("write", 0.5, rtc.StreamError("gone"))
    room.script.always("write", HANG)
    await writer.write(b"slow")
    assert loop.time() == 1.5
    with pytest.raises(rtc.StreamError):
        await writer.write(b"lost")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(60):
            await writer.write(b"never")
    assert room.local_participant.writers[0].chunks == [b"slow"]


async def test_nothing_can_be_sent_when_the_connection_is_gone(room: FakeRoom) -> None:
    reasons: list[int] = []
    room.on("disconnected", reasons.append)
    room.lose_connection(rtc.DisconnectReason.ROOM_DELETED)
    await room.disconnect()
    assert reasons == [rtc.DisconnectReason.ROOM_DELETED]
    with pytest.raises(rtc.StreamError):
        await open_stream(room)
    with pytest.raises(rtc.RpcError):
        await room.local_participant.perform_rpc(destination_identity="avatar", method="m", payload="")


async def test_calls_go_both_ways_and_fail_as_the_sdk_says(room: FakeRoom) -> None:
    me, avatar = room.local_participant, room.remote_participants["avatar"]

    async def on_call(call: rtc.RpcInvocationData) -> str:
        return f"{call.caller_identity} said {call.payload}"

    def broken(_: rtc.RpcInvocationData) -> str:
        raise KeyError("a defect")

    async def asked(identity: str, method: str) -> str | int:
        try:
            return await me.perform_rpc(destination_identity=identity, method=method, payload="hello")
        except rtc.RpcError as error:
            return error.code

    code = rtc.RpcError.ErrorCode
    me.register_rpc_method("here", on_call)
    avatar.rpc_methods |= {"there": on_call, "broken": broken}
    assert await room.call("avatar", "here", "hello") == "avatar said hello"
    assert await asked("avatar", "there") == "agent said hello"
    assert await asked("nobody", "there") == code.RECIPIENT_NOT_FOUND
    assert await asked("avatar", "other") == code.UNSUPPORTED_METHOD
    assert await asked("avatar", "broken") == code.APPLICATION_ERROR
    room.script.play("perform_rpc", HANG)
    assert await asked("avatar", "there") == code.RESPONSE_TIMEOUT
    assert me.calls[0] == ("avatar", "there", "hello")


async def test_a_track_is_heard_by_who_subscribes_to_it(room: FakeRoom) -> None:
    tracks: list[FakeTrack] = []
    room.on("track_published", lambda publication, _: publication.set_subscribed(True))
    room.on("track_subscribed", lambda track, *_: tracks.append(track))
    room.publish("avatar", AUDIO)
    await asyncio.sleep(0)
    (track,) = tracks
    track.play(b"sound")
    track.end()
    assert [pcm async for pcm in sound_of(track)] == [b"sound"]


async def test_data_and_text_come_from_who_sent_them(room: FakeRoom) -> None:
    packets: list[rtc.DataPacket] = []
    texts: list[rtc.TextStreamReader] = []
    room.on("data_received", packets.append)
    room.register_text_stream_handler("lk.transcription", lambda reader, sender: texts.append(reader))
    room.receive_data(b"{}", topic="say", sender="avatar")
    room.receive_data(b"{}", topic="say", sender=None)
    assert [packet.participant and packet.participant.identity for packet in packets] == ["avatar", None]
    room.receive_text("Hel", "lo.", topic="lk.transcription", sender="avatar", attributes={"a": "b"})
    room.receive_text("dropped", topic="other", sender="avatar")
    (reader,) = texts
    assert (await reader.read_all(), reader.info.attributes) == ("Hello.", {"a": "b"})
