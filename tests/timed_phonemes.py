"""Speech of which it is known when each sound of it is made: the truth that a mouth is held against.

hibari's net decides how many frames of 25 ms each phoneme lasts, and keeps that to itself. ONNX files are
protocol buffers, and appended fields are merged with what is there
(https://protobuf.dev/programming-guides/encoding/#last-one-wins), so a few bytes more make it an output.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy
from numpy.typing import NDArray

from libacli.core.mouth import Viseme

FRAME_S = 0.025
_DURATIONS = b"/Cast_32_output_0"
"""Name of that value in the net of hibari-tts 0.2."""

_BY_VISEME: Mapping[Viseme, str] = {
    "PP": "pbm",
    "FF": "fv",
    "TH": "θð",
    "DD": "tdɾT",
    "kk": "kɡŋhx",
    "CH": "ʃʒʧʤ",
    "SS": "sz",
    "nn": "nl",
    "RR": "ɹɜɚr",
    "aa": "ɑaæʌɐɒ",
    "E": "ɛəeᵊ",
    "ih": "ɪijᵻɨ",
    "oh": "ɔo",
    "ou": "uʊw",
}
_DIPHTHONGS: Mapping[str, tuple[Viseme, Viseme]] = {
    "A": ("E", "ih"),
    "I": ("aa", "ih"),
    "O": ("oh", "ou"),
    "W": ("aa", "ou"),
    "Y": ("oh", "ih"),
    "Q": ("E", "ou"),
}
_SOUNDS: Mapping[str, tuple[Viseme, ...]] = {
    phoneme: (viseme,) for viseme, phonemes in _BY_VISEME.items() for phoneme in phonemes
} | dict(_DIPHTHONGS)
_RESTS = "^$.,!?;:—…"
"""Begin and end of a sentence, and marks that are pauses."""


@dataclass(frozen=True)
class Sound:
    """One viseme of what is said, in seconds from its begin."""

    viseme: Viseme
    start: float
    end: float


def say(text: str, *, speed: float = 1.0) -> tuple[NDArray[numpy.float32], list[Sound]]:
    """A sentence at 24 kHz, -1 .. 1, and what sounds in it, in order, without a gap."""
    from hibari import dsp

    model, session = _model()
    phonemes = [phoneme for phoneme in model.g2p(text) if phoneme in model.vocab]
    ids = numpy.asarray([model.ids("".join(phonemes))], numpy.int64)
    *parts, frames = session.run(None, {"ids": ids, "speed": numpy.asarray([speed], numpy.float32)})
    wave = dsp.synth(*(part[0] for part in parts), numpy.random.default_rng(0))
    ends = numpy.cumsum(frames.reshape(-1)) * FRAME_S
    return wave.astype(numpy.float32), _sounds(["^", *phonemes, "$"], [0.0, *ends.tolist()])


def _sounds(phonemes: list[str], edges: list[float]) -> list[Sound]:
    """A mark that is no sound (stress, space) is shared by its neighbours; diphthongs have equal halves."""
    found: list[tuple[tuple[Viseme, ...], float, float]] = []
    pending: float | None = None
    for phoneme, (start, end) in zip(phonemes, pairwise(edges), strict=True):
        visemes = ("sil",) if phoneme in _RESTS else _SOUNDS.get(phoneme)
        if visemes is None:
            pending = start if pending is None else pending
            continue
        begin = start if pending is None else (pending + start) / 2
        if found:
            found[-1] = (*found[-1][:2], begin)
        found.append((visemes, begin, end))
        pending = None
    sounds = []
    for visemes, start, end in found:
        step = (end - start) / len(visemes)
        for viseme in visemes:
            sounds.append(Sound(viseme, start, start + step))
            start += step
    return sounds


@cache
def _model() -> tuple[Any, Any]:
    import onnxruntime  # type: ignore[import-untyped]
    from hibari import Hibari

    model = Hibari(threads=1)
    with open(model.model_path, "rb") as file:
        net = file.read()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    output = _field(7, _field(12, _field(1, _DURATIONS)))  # ModelProto.graph, GraphProto.output, its name
    return model, onnxruntime.InferenceSession(net + output, options, providers=["CPUExecutionProvider"])


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a protocol buffer."""
    return bytes([number << 3 | 2, len(content)]) + content
