"""A sound that is given, in the place of what a voice says: the same pipeline plays both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Protocol

from libacli.core.audio import duration_s
from libacli.core.given_sound import GIVEN, GivenSound
from libacli.core.passage import Passage
from libacli.core.reasons import refusal
from libacli.core.sound_shelf import SoundShelf
from libacli.errors import VoiceError, VoiceTruncatedError
from libacli.speech.ports import Take

Decode = Callable[[bytes], AsyncGenerator[bytes]]
"""PCM (24 kHz mono s16le), in pieces that are not empty, of a sound as it was sent. Raises VoiceError."""

_AHEAD_S = 3.0
"""So long before its end the next utterance may be asked for."""

_MISSING_S = 0.1
"""What the last of a sound may be shorter than was told."""


class Readable(Protocol):
    """What one utterance sounds like, as a speaker has it played; see `Reading`."""

    first_pcm_at: float | None
    is_all_asked: bool
    broke_off: VoiceError | None
    held_s: float

    @property
    def is_barren(self) -> bool: ...

    @property
    def chunks(self) -> int: ...

    @property
    def passages(self) -> Sequence[Passage]: ...

    def pcm(self) -> AsyncGenerator[bytes]: ...

    def cancel(self) -> None: ...


class GivenSounds:
    """The sounds that a speaker has been sent, and how they are read."""

    def __init__(self, decode: Decode, shelf: SoundShelf | None = None) -> None:
        self.shelf = shelf or SoundShelf()
        self._decode = decode

    def check(self, sound: GivenSound, now: float) -> None:
        """Raises RefusedError, `unknown_sound`, unless it is here."""
        if self.shelf.find(sound.sha256, now) is None:
            raise refusal("unknown_sound", "the agent does not have this sound, or not all of it yet")

    def read(
        self, sound: GivenSound, *, on_take: Callable[[Take], None], on_all_asked: Callable[[], None]
    ) -> GivenReading:
        """It must be here; it may be forgotten then."""
        data = self.shelf.find(sound.sha256, asyncio.get_running_loop().time()) or b""
        return GivenReading(self._decode, data, sound, on_take=on_take, on_all_asked=on_all_asked)


class GivenReading:
    """Reads one sound. Implements `Readable`.

    `on_take` is called when the first piece is about to be played, `on_all_asked` when it is time to ask for
    the next utterance.
    """

    def __init__(
        self,
        decode: Decode,
        data: bytes,
        sound: GivenSound,
        *,
        on_take: Callable[[Take], None],
        on_all_asked: Callable[[], None],
    ) -> None:
        self.first_pcm_at: float | None = None
        self.is_all_asked = False
        self.broke_off: VoiceError | None = None
        self.held_s = 0.0
        self.is_barren = False  # nothing is asked for ahead of time
        self.chunks = 0
        self.passages = [
            Passage(cue.text, cue.start_ms / 1000, (cue.end_ms - cue.start_ms) / 1000, is_whole=True)
            for cue in sound.captions
        ]
        self._decode = decode
        self._data = data
        self._sound = sound
        self._on_take = on_take
        self._on_all_asked = on_all_asked

    async def pcm(self) -> AsyncGenerator[bytes]:
        """Yields all of it. Raises VoiceError when it cannot be decoded, VoiceTruncatedError for a part."""
        self.chunks = 1
        given_s = 0.0
        async with aclosing(self._decode(self._data)) as pieces:
            async for piece in pieces:
                if self.first_pcm_at is None:
                    self.first_pcm_at = asyncio.get_running_loop().time()
                    self._on_take(Take(GIVEN, GIVEN, GIVEN))
                given_s += duration_s(len(piece))
                if not self.is_all_asked and given_s > self._sound.seconds - _AHEAD_S:
                    self.is_all_asked = True
                    self._on_all_asked()
                yield piece
        if given_s < self._sound.seconds - _MISSING_S:
            raise VoiceTruncatedError(f"the sound has {given_s:.1f} of {self._sound.seconds:.1f} s")

    def cancel(self) -> None:
        """Nothing is under way that would have to be ended."""
