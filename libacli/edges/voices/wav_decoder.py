"""WAV as liba's own PCM: only the header is taken off where nothing else is to be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libacli.core.pcm_format import PLAIN
from libacli.core.wav import WavReader
from libacli.errors import VoiceTruncatedError

if TYPE_CHECKING:
    from libacli.edges.voices.decoder import PcmDecoder

_BEARABLE_S = 0.1
"""What a header may promise more than comes, or less: some round up, some have something behind."""


class WavDecoder:
    """For one WAV file, or one after the other. `push` and `finish` raise BrokenSoundError."""

    is_slow = False

    def __init__(self) -> None:
        self._reader = WavReader()
        self._samples: PcmDecoder | None = None

    def push(self, piece: bytes) -> bytes:
        """The PCM that is complete with `piece`."""
        return self._pcm(self._reader.push(piece))

    def finish(self) -> bytes:
        """The rest of the PCM. Raises VoiceTruncatedError when the header promised more, or less."""
        rest = self._pcm(self._reader.finish())
        missing_s, unannounced_s = map(
            self._seconds, (self._reader.missing_bytes, self._reader.unannounced_bytes)
        )
        if missing_s > _BEARABLE_S:
            raise VoiceTruncatedError(
                f"the sound ended {missing_s:.2f} s before the end that its header names"
            )
        if unannounced_s > _BEARABLE_S:
            raise VoiceTruncatedError(
                f"{unannounced_s:.2f} s of data came behind the end that the sound's header names"
            )
        return rest + (self._samples.finish() if self._samples else b"")

    def close(self) -> None:
        """Nothing is held."""

    def _seconds(self, count: int) -> float:
        source = self._reader.format
        return count / source.bytes_per_second if source else 0.0

    def _pcm(self, data: bytes) -> bytes:
        source = self._reader.format
        if not data or source in (None, PLAIN):
            return data
        if not self._samples:
            from libacli.edges.voices.decoder import PcmDecoder

            self._samples = PcmDecoder(source)
        return self._samples.push(data)
