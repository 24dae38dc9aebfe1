from __future__ import annotations

import asyncio

import pytest
from livekit import rtc
from pydantic import SecretStr

from libacli.edges.livekit.encryption import EncryptionWatch, encrypt, room_options
from libacli.edges.livekit.fakes import FakeParticipant, FakeRoom

KEY = SecretStr("a key of the room")
PICTURE = rtc.TrackKind.KIND_VIDEO


def test_without_a_key_nothing_is_encrypted() -> None:
    options = room_options(None, auto_subscribe=False)
    assert (options.e2ee, options.encryption, options.auto_subscribe) == (None, None, False)


def test_a_key_encrypts_sound_and_picture_as_livekit_js_does_with_the_same_text() -> None:
    encryption = room_options(KEY).e2ee
    assert encryption
    assert encryption.encryption_type == rtc.EncryptionType.GCM
    provider = encryption.key_provider_options
    assert provider.shared_key == KEY.get_secret_value().encode()
    # As `ExternalE2EEKeyProvider.setKey` of livekit-client does with a text.
    assert provider.key_derivation_function == rtc.KeyDerivationFunction.PBKDF2
    assert provider.ratchet_salt == b"LKFrameEncryptionKey"
    assert provider.ratchet_window_size == 0


def test_what_is_sent_as_data_is_left_readable_for_the_server_that_asks_the_agent() -> None:
    """With `encryption` the answer to `RoomService.PerformRpc` would be encrypted, and be no answer."""
    assert room_options(KEY).encryption is None


async def test_a_room_that_somebody_else_joins_is_joined_with_the_key() -> None:
    room = FakeRoom(is_connected=False)
    encrypt(room.as_sdk(), KEY)
    # As livekit.agents.JobContext.connect does.
    await room.as_sdk().connect("ws://here", "token", options=rtc.RoomOptions(auto_subscribe=False))
    assert room.isconnected()
    assert room.options
    assert room.options.e2ee == room_options(KEY).e2ee
    assert room.options.auto_subscribe is False


async def test_without_a_key_it_is_joined_as_it_is() -> None:
    room = FakeRoom(is_connected=False)
    encrypt(room.as_sdk(), None)
    await room.as_sdk().connect("ws://here", "token", options=rtc.RoomOptions())
    assert room.options == rtc.RoomOptions()


@pytest.mark.parametrize("was_there", [True, False])
async def test_an_encrypted_room_without_a_key_here_is_named_once(
    was_there: bool, caplog: pytest.LogCaptureFixture
) -> None:
    room = FakeRoom("hall")
    room.join("ann")
    if was_there:
        room.publish("ann", PICTURE, is_encrypted=True)
    watch = EncryptionWatch(room.as_sdk(), has_key=False)
    if not was_there:
        assert watch.state == ""
        room.publish("ann", PICTURE, is_encrypted=True)
    room.publish("ann", PICTURE, is_encrypted=True)
    assert (watch.state, watch.state) == ("encrypted, no key", "encrypted, no key")
    (record,) = caplog.records
    assert record.getMessage() == (
        "'ann' in room 'hall' publishes encrypted end to end, and there is no key here; "
        "set LIVEKIT_E2EE_KEY (livekit.e2ee_key) to the key of the room"
    )


async def test_what_was_published_before_one_came_is_named_when_it_is_subscribed_to(
    caplog: pytest.LogCaptureFixture,
) -> None:
    room = FakeRoom("hall")
    EncryptionWatch(room.as_sdk(), has_key=False)
    room.remote_participants["ann"] = FakeParticipant("ann")  # as at the moment of joining: no event
    room.publish("ann", PICTURE, is_encrypted=True).set_subscribed(True)
    caplog.clear()
    watch = EncryptionWatch(room.as_sdk(), has_key=False)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    (record,) = caplog.records
    assert "'ann' in room 'hall' publishes encrypted" in record.getMessage()
    assert watch.state == "encrypted, no key"


async def test_a_room_in_the_clear_is_nothing_to_speak_of(caplog: pytest.LogCaptureFixture) -> None:
    room = FakeRoom()
    room.join("ann")
    watch = EncryptionWatch(room.as_sdk(), has_key=False)
    room.publish("ann", PICTURE)
    assert (watch.state, caplog.records) == ("", [])


@pytest.mark.parametrize("state", ["DECRYPTION_FAILED", "MISSING_KEY"])
async def test_another_key_is_named_and_not_heard_as_silence(
    state: str, caplog: pytest.LogCaptureFixture
) -> None:
    room = FakeRoom("hall")
    ann = room.join("ann")
    watch = EncryptionWatch(room.as_sdk(), has_key=True)
    room.publish("ann", PICTURE, is_encrypted=True)
    assert watch.state == "encrypted"
    for _ in range(3):
        room.emit("e2ee_state_changed", ann, rtc.EncryptionState.Value(state))
    assert watch.state == "encrypted, another key"
    (record,) = caplog.records
    assert "'ann' in room 'hall' cannot be heard or seen" in record.getMessage()


@pytest.mark.parametrize("kind", ["SIP", "CONNECTOR"])
async def test_the_number_of_a_phone_caller_is_in_no_log(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    room = FakeRoom("hall")
    caller = FakeParticipant("sip_+15550100", kind=rtc.ParticipantKind.Value(f"PARTICIPANT_KIND_{kind}"))
    watch = EncryptionWatch(room.as_sdk(), has_key=True)
    room.join(caller)
    room.emit("e2ee_state_changed", caller, rtc.EncryptionState.MISSING_KEY)
    assert watch.state == "encrypted, another key"
    assert "a phone caller in room 'hall' cannot be heard" in caplog.text
    assert "5550100" not in caplog.text


async def test_states_that_are_fine_or_our_own_are_no_trouble() -> None:
    room = FakeRoom()
    ann = room.join("ann")
    watch = EncryptionWatch(room.as_sdk(), has_key=True)
    room.emit("e2ee_state_changed", ann, rtc.EncryptionState.OK)
    room.emit("e2ee_state_changed", ann, rtc.EncryptionState.NEW)
    room.emit("e2ee_state_changed", room.local_participant, rtc.EncryptionState.MISSING_KEY)
    assert watch.state == "encrypted"
