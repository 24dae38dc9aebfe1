"""The body of a speech server's answer, whatever it is, as liba's own PCM.

What is in liba's own format goes through untouched: nothing is loaded, copied or held back for it but the few
bytes that it takes to see that it is.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Protocol

from libacli.core.pcm_format import PLAIN, PcmFormat
from libacli.core.server_words import presentable, reason_in
from libacli.core.sound_format import BrokenSoundError, Content, SoundKind, recognise
from libacli.core.sound_label import SoundLabel
from libacli.errors import VoiceError, VoiceRefusedError

_SLICE_BYTES = 4_096
"""Of compressed sound at a time: its first part is heard while the rest is decoded."""

_COMPLAINT_BYTES = 4_096
_OTHER_FORMAT = "ask for another format: voice.extra, as in response_format = 'wav' or 'mp3'"


class SoundStream:
    """Reads `pieces`, of any length. `label` and `sample_rate` (0: not given) are for samples without header.

    `presented` makes a server's words fit to be shown. Whoever takes `pcm` closes it, and `pieces`.
    """

    def __init__(
        self,
        pieces: AsyncIterator[bytes],
        label: SoundLabel,
        *,
        sample_rate: int = 0,
        presented: Callable[[str], str] = presentable,
    ) -> None:
        self.is_rate_guessed = False
        """Whether nothing said how fast the samples are to be played; known with the first of them."""

        self._pieces = pieces
        self._label = label
        self._sample_rate = sample_rate
        self._presented = presented
        self._begin = b""

    async def pcm(self) -> AsyncGenerator[bytes]:
        """24 kHz mono s16le, in pieces that are not empty.

        Raises VoiceRefusedError for what is no sound, VoiceTruncatedError when less came than was announced,
        VoiceError for sound that is broken.
        """
        content = await self._content()
        if content.kind is None:
            raise await self._refusal(content)
        source = self._label.pcm_format(self._sample_rate)
        self.is_rate_guessed = content.kind == "pcm" and not (self._sample_rate or self._label.rate)
        decoder = _decoder(content.kind, source)
        piece = self._begin[content.start :]
        try:
            while piece:
                if not decoder:
                    yield piece
                else:
                    for part in _parts(piece, _SLICE_BYTES if decoder.is_slow else len(piece)):
                        if sound := await _decoded(decoder, part):
                            yield sound
                piece = await anext(self._pieces, b"")
            if decoder and (sound := await _decoded(decoder, b"")):
                yield sound
        except BrokenSoundError as error:
            raise VoiceError(f"the speech service sent {error}", hint=_OTHER_FORMAT) from error
        finally:
            if decoder:
                decoder.close()

    async def _content(self) -> Content:
        """What it is; what was read for that is kept."""
        async for piece in self._pieces:
            self._begin = self._begin + piece if self._begin else piece
            if content := recognise(self._begin, self._label):
                return content
        return recognise(self._begin, self._label, is_all=True) or Content("pcm")

    async def _refusal(self, content: Content) -> VoiceRefusedError:
        """Why it is not played, with what the server says itself, if it does."""
        reason = ""
        if content.words in ("JSON", "text"):
            while len(self._begin) < _COMPLAINT_BYTES and (piece := await anext(self._pieces, b"")):
                self._begin += piece
            reason = self._presented(reason_in(self._begin[:_COMPLAINT_BYTES].decode(errors="replace")))
        told = f": {reason}" if reason else ""
        return VoiceRefusedError(
            f"the speech service answered with {content.words} instead of sound{told}",
            hint="check OPENAI_BASE_URL and the setting voice.model",
        )


class _Decoder(Protocol):
    @property
    def is_slow(self) -> bool:
        """Whether it takes a thread's time."""

    def push(self, piece: bytes) -> bytes: ...

    def finish(self) -> bytes: ...

    def close(self) -> None: ...


def _decoder(kind: SoundKind, source: PcmFormat) -> _Decoder | None:
    """What makes PCM of it, samples being in `source`; None for what is liba's own PCM."""
    if kind == "pcm" and source == PLAIN:
        return None
    if kind == "wav":
        from libacli.edges.voices.wav_decoder import WavDecoder

        return WavDecoder()
    from libacli.edges.voices.decoder import FlacDecoder, PcmDecoder, StreamDecoder

    if kind == "pcm":
        return PcmDecoder(source)
    return FlacDecoder() if kind == "flac" else StreamDecoder(kind)


def _parts(piece: bytes, size: int) -> Iterator[bytes]:
    return (piece[start : start + size] for start in range(0, len(piece), size))


async def _decoded(decoder: _Decoder, piece: bytes) -> bytes:
    """What comes of the next `piece`; of the end, when that is empty."""
    call = functools.partial(decoder.push, piece) if piece else decoder.finish
    return await asyncio.to_thread(call) if decoder.is_slow else call()
