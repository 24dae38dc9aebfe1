"""End-to-end encryption of sound and picture, with one key for all: https://docs.livekit.io/transport/encryption.

What liba sends as data is not encrypted (`RoomOptions.e2ee`, not `encryption`): LiveKit's server hands
requests to the agent (`RoomService.PerformRpc`), and drops an answer that it cannot read. What others send
encrypted is read all the same. Where no key is, or the wrong one, that is told once, not heard as silence.
"""

from __future__ import annotations

import asyncio
import logging
import warnings
from dataclasses import replace

from livekit import rtc
from pydantic import SecretStr

from libacli.edges.livekit.participants import shown

logger = logging.getLogger("liba.encryption")

NO_KEY = "encrypted, no key"
ANOTHER_KEY = "encrypted, another key"
ENCRYPTED = "encrypted"

_FIX = "set LIVEKIT_E2EE_KEY (livekit.e2ee_key) to the key of the room"
_DOES_NOT_FIT = "cannot be heard or seen: it is encrypted with another key"
_PACKETS_THAT_TELL = 50
"""A second of sound. What comes before decryption begins may get through, and is noise."""

_LEAST_PLAYED = 96
"""A tenth of the samples that a packet has: 20 ms at 48 kHz."""


_STATS_TIMEOUT_S = 1.0
_UNREADABLE = (rtc.EncryptionState.DECRYPTION_FAILED, rtc.EncryptionState.MISSING_KEY)


def room_options(key: SecretStr | None, *, auto_subscribe: bool = True) -> rtc.RoomOptions:
    """Options to join with, sound and picture encrypted by `key` if there is one."""
    return with_key(rtc.RoomOptions(auto_subscribe=auto_subscribe), key)


def with_key(options: rtc.RoomOptions, key: SecretStr | None) -> rtc.RoomOptions:
    """`options`, sound and picture encrypted by `key` if there is one.

    A key is a text, of which all SDKs derive the same by PBKDF2. No other one is tried when it does not fit
    (`ratchet_window_size`, as in livekit-client): sixteen tries a packet would be slow, and tell nothing.
    """
    if key is None:
        return options
    warnings.filterwarnings("ignore", "options.e2ee is deprecated", DeprecationWarning)  # see above
    shared = rtc.KeyProviderOptions(shared_key=key.get_secret_value().encode(), ratchet_window_size=0)
    return replace(options, e2ee=rtc.E2EEOptions(key_provider_options=shared), encryption=None)


def encrypt(room: rtc.Room, key: SecretStr | None) -> None:
    """Has `room`, whose `connect` somebody else calls, as livekit-agents does, be joined with `key`."""
    if key is None:
        return
    connect = room.connect

    async def connect_with_key(url: str, token: str, options: rtc.RoomOptions | None = None) -> None:
        await connect(url, token, with_key(options or rtc.RoomOptions(), key))

    room.connect = connect_with_key  # type: ignore[method-assign]


class EncryptionWatch:
    """Looks whether `room` is encrypted, and whether that can be read with the key it was joined with."""

    def __init__(self, room: rtc.Room, *, has_key: bool) -> None:
        self._room = room
        self._has_key = has_key
        self._trouble = ""
        self._has_looked = has_key
        self._could_read = False
        room.on("track_published", self._on_published)
        room.on("track_subscribed", lambda _, *published: self._on_published(*published))
        room.on("e2ee_state_changed", self._on_state)
        room.on("participant_connected", self._look_at)

    @property
    def state(self) -> str:
        """`encrypted`, or with why it cannot be read; empty where nothing is, as far as can be seen.

        Who publishes nothing may expect it encrypted, too: that cannot be seen.
        """
        if not self._has_looked:  # of what was there before us the SDK tells nothing
            self._has_looked = True
            for participant in self._room.remote_participants.values():
                self._look_at(participant)
        return self._trouble or (ENCRYPTED if self._has_key else "")

    async def look(self) -> None:
        """Looks whether sound that came could be read: of a key that does not fit the SDK tells nothing.

        For who is about to leave the room. Takes a second at most.
        """
        if not self._has_key or self._trouble or self._could_read:
            return
        for participant in self._room.remote_participants.values():
            for publication in participant.track_publications.values():
                is_encrypted = publication.encryption_type != rtc.EncryptionType.NONE
                if is_encrypted and isinstance(publication.track, rtc.RemoteAudioTrack):
                    received, played = await _packets(publication.track)
                    if received >= _PACKETS_THAT_TELL and played < _LEAST_PLAYED * received:
                        self._tell(ANOTHER_KEY, participant, _DOES_NOT_FIT)

    def _look_at(self, participant: rtc.RemoteParticipant) -> None:
        for publication in participant.track_publications.values():
            self._on_published(publication, participant)

    def _on_published(
        self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        if not self._has_key and publication.encryption_type != rtc.EncryptionType.NONE:
            self._tell(NO_KEY, participant, "publishes encrypted end to end, and there is no key here")

    def _on_state(self, participant: rtc.Participant, state: rtc.EncryptionState.ValueType) -> None:
        if not self._has_key or participant.identity not in self._room.remote_participants:
            return
        self._could_read = self._could_read or state == rtc.EncryptionState.OK
        if state in _UNREADABLE:
            self._tell(ANOTHER_KEY, participant, _DOES_NOT_FIT)

    def _tell(self, trouble: str, participant: rtc.Participant, told: str) -> None:
        if not self._trouble:
            self._trouble = trouble
            logger.warning("%s in room %r %s; %s", shown(participant), self._room.name, told, _FIX)


async def _packets(track: rtc.RemoteAudioTrack) -> tuple[int, int]:
    """How many packets have come, and how many samples of them got through to be played."""
    try:
        async with asyncio.timeout(_STATS_TIMEOUT_S):
            told = await track.get_stats()
    except Exception as error:  # the SDK raises nothing narrower for a track that is just going
        logger.debug("no statistics of track %s", track.sid, exc_info=error)
        return 0, 0
    streams = [one.inbound_rtp for one in told if one.WhichOneof("stats") == "inbound_rtp"]
    return (
        sum(one.received.packets_received for one in streams),
        sum(one.inbound.jitter_buffer_emitted_count for one in streams),
    )
