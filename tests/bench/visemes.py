"""Trains and judges the net that hears visemes: `python -m tests.bench.visemes [--train]`.

Without `--train`: at how many of all m, b, p of thirty sentences the lips meet (within 60 ms), at how many
other sounds they do, and how openness goes with the sound in the first thirty Harvard sentences: of the
embedded voice, and of voices of `flite` where it is installed (`kal16` was never heard in training).

With `--train` (about 6 minutes) `libacli/local/visemes.npz` is made anew, from random sentences of hibari and
of three voices of flite (`apt-get install flite`), each a second time faster or slower, with noise and
another tone. Where one sound ends and the next begins is corrected twice by what the net itself hears.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from statistics import fmean

import numpy
from hibari.g2p import G2P
from numpy.typing import NDArray

from libacli.core.audio import FRAME_MS, SAMPLE_RATE, duration_s
from libacli.core.mouth import Viseme
from libacli.local.viseme_model import HOP, VISEME_NAMES, WEIGHTS, Floats, features, hear, softmax
from tests.lip_closure import (
    ORDINARY,
    SENTENCES,
    Closures,
    openness_and_loudness,
    pcm_of,
    pictured,
    shapes_of,
)
from tests.timed_phonemes import Sound, say

Spoken = tuple[Floats, list[Sound]]
Layers = list[Floats]
"""Weights and bias in turn."""

ENOUGH_CLOSED, ENOUGH_CORRELATION = 0.90, 0.80
TRAINING_VOICES = ("slt", "rms", "awb")
UNHEARD_VOICE = "kal16"

_HIDDEN = (96, 64)
_BATCH = 512
_SLACK = 9
"""Hops by which an edge of a sound may be moved."""

_ARPABET: Mapping[str, tuple[Viseme, ...]] = {
    name: (viseme,)
    for viseme, names in {
        "PP": "p b m",
        "FF": "f v",
        "TH": "th dh",
        "DD": "t d dx",
        "kk": "k g ng hh",
        "CH": "sh zh ch jh",
        "SS": "s z",
        "nn": "n l en el",
        "RR": "r er axr",
        "aa": "aa ae ah",
        "E": "eh ax",
        "ih": "ih iy y",
        "oh": "ao",
        "ou": "uh uw w",
    }.items()
    for name in names.split()
} | {"ey": ("E", "ih"), "ay": ("aa", "ih"), "ow": ("oh", "ou"), "aw": ("aa", "ou"), "oy": ("oh", "ih")}  # type: ignore[assignment]

_COMMON = """
    " the of and a to in is you that it he was for on are as with his they at be this have from or
    one had by but what all were we when your can said there use an each which she do how their if
    will up other about out many then them these so some her would make like him into time has look
    two more write go see number no way could people my than first water been call who its now find
    long down day did get come made may part over me bring pump bump map mum baby maybe problem
    remember
"""


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--train", action="store_true", help="make the net anew first")
    if parser.parse_args().train:
        train()
    print("voice      m, b, p   closed   others closed   openness and sound")
    closed, correlation = _judged("hibari", say)
    if shutil.which("flite"):
        for name in (*TRAINING_VOICES, UNHEARD_VOICE):
            _judged(name, partial(_flite, name))
    for milliseconds in (200, 20):
        print(f"a second of sound, in pieces of {milliseconds} ms, costs {_cost_ms(milliseconds):.1f} ms")
    is_enough = closed >= ENOUGH_CLOSED and correlation >= ENOUGH_CORRELATION
    print(f"goals (hibari: {ENOUGH_CLOSED:.0%} closed, {ENOUGH_CORRELATION} with the sound): ", end="")
    print("pass" if is_enough else "FAIL")
    sys.exit(0 if is_enough else 1)


def _judged(name: str, speak: Callable[[str], Spoken]) -> tuple[float, float]:
    closures = Closures()
    for samples, sounds in map(speak, SENTENCES):
        times, mouths = pictured(shapes_of(pcm_of(samples)))
        closures.count(sounds, times, [mouth.openness for mouth in mouths])
    ordinary = [pcm_of(samples) for samples, _ in map(speak, ORDINARY)]
    correlation = fmean(openness_and_loudness(pcm, shapes_of(pcm)) for pcm in ordinary)
    print(
        f"{name:<11}{closures.asked:>7}{closures.share:>9.1%}{closures.wrong_share:>16.1%}{correlation:>21.2f}",
        flush=True,
    )
    return closures.share, correlation


def _cost_ms(piece_ms: int) -> float:
    """Processor time."""
    pcm = pcm_of(numpy.concatenate([say(text)[0] for text in ORDINARY]))
    began = time.process_time()
    shapes_of(pcm, batch_frames=piece_ms // FRAME_MS)
    return (time.process_time() - began) * 1000 / duration_s(len(pcm))


def train() -> None:
    """Writes `WEIGHTS`."""
    chance = numpy.random.default_rng(0)
    corpus = list(_corpus())
    layers = _fitted(*_examples(corpus, chance), chance, epochs=3)
    for epochs in (4, 9):
        corpus = [(samples, _corrected(layers, samples, sounds)) for samples, sounds in corpus]
        altered = [_altered(samples, sounds, chance) for samples, sounds in corpus]
        layers = _fitted(*_examples(corpus + altered, chance), chance, epochs=epochs)
    numpy.savez_compressed(WEIGHTS, *(layer.astype(numpy.float16) for layer in layers))


def _corpus() -> Iterator[Spoken]:
    rate = random.Random(1)
    for text in _texts(700, seed=1):
        yield say(text, speed=rate.uniform(0.8, 1.3))
    for seed, name in enumerate(TRAINING_VOICES, start=10):
        for text in _texts(250, seed=seed):
            yield _flite(name, text)


def _texts(count: int, *, seed: int) -> Iterator[str]:
    """Sentences without a sense: common words, and those of hibari's dictionary."""
    chance = random.Random(seed)
    known = [word for word in G2P(british=False).lexicon.golds.d if word.isalpha() and word.islower()]
    common = _COMMON.split()
    rare = [word for word in known if 2 <= len(word) <= 10]
    for _ in range(count):
        count = chance.randint(4, 12)
        words = [chance.choice(common if chance.random() < 0.55 else rare) for _ in range(count)]
        if chance.random() < 0.4:
            words[len(words) // 2] += ","
        yield " ".join(words).capitalize() + chance.choice("..?!")


def _flite(name: str, text: str) -> Spoken:
    """A sentence of one of flite's voices, and what sounds in it: `-psdur` prints each sound and its end."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        command = ["flite", "-voice", name, "-t", text, "-o", file.name, "-psdur"]
        printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
        with wave.open(file.name) as sound:
            rate = sound.getframerate()
            samples = numpy.frombuffer(sound.readframes(sound.getnframes()), "<i2") / 32768
    sounds, start = list[Sound](), 0.0
    for phoneme, end in (token.rsplit(":", 1) for token in printed.split()):
        visemes = _ARPABET.get(phoneme, ("sil",))
        step = (float(end) - start) / len(visemes)
        for viseme in visemes:
            sounds.append(Sound(viseme, start, start + step))
            start += step
        start = float(end)
    return _resampled(samples.astype(numpy.float32), SAMPLE_RATE / rate), sounds


def _resampled(samples: Floats, factor: float) -> Floats:
    """`factor` times as many samples; what lies above the lower rate's half is not there, or cut off."""
    count = int(len(samples) * factor)
    spectrum = numpy.fft.rfft(samples)
    fitted = numpy.zeros(count // 2 + 1, complex)
    both = min(len(spectrum), len(fitted))
    fitted[:both] = spectrum[:both]
    return (numpy.fft.irfft(fitted, count) * factor).astype(numpy.float32)


def _altered(samples: Floats, sounds: list[Sound], chance: numpy.random.Generator) -> Spoken:
    """As another speaker, slower or faster, in a room with some noise."""
    factor = chance.uniform(0.83, 1.22)
    moved = _resampled(samples, factor)
    tilt = chance.uniform(-0.3, 0.3) * numpy.concatenate([[0.0], moved[:-1]])
    noise = chance.normal(0, 10 ** chance.uniform(-4.5, -2.6), len(moved)) * numpy.abs(moved).max() * 2
    altered = [Sound(sound.viseme, sound.start * factor, sound.end * factor) for sound in sounds]
    return (moved + tilt + noise).astype(numpy.float32), altered


def _normal(samples: Floats, peak: float = 0.5) -> Floats:
    return samples * (peak / max(1e-3, float(numpy.abs(samples).max())))


def _examples(
    corpus: Sequence[Spoken], chance: numpy.random.Generator
) -> tuple[NDArray[numpy.float16], NDArray[numpy.intp]]:
    """What the net is given, and the number of the viseme that is right."""
    given, right = [], []
    for samples, sounds in corpus:
        heard = hear(_normal(samples, chance.uniform(0.2, 0.9)))
        given.append(features(heard).astype(numpy.float16))
        right.append(_numbers(sounds, len(heard.bands)))
    return numpy.concatenate(given), numpy.concatenate(right)


def _numbers(sounds: Sequence[Sound], hops: int) -> NDArray[numpy.intp]:
    numbers = numpy.zeros(hops, numpy.intp)
    at = numpy.arange(hops) * HOP / SAMPLE_RATE
    for sound in sounds:
        numbers[(at >= sound.start) & (at < sound.end)] = VISEME_NAMES.index(sound.viseme)
    return numbers


def _forward(layers: Layers, given: Floats) -> list[Floats]:
    """What each layer gives; the last are logits."""
    values = [given]
    for place in range(0, len(layers), 2):
        raw = values[-1] @ layers[place] + layers[place + 1]
        values.append(raw if place == len(layers) - 2 else numpy.maximum(raw, 0))
    return values


def _fitted(
    given: NDArray[numpy.float16],
    right: NDArray[numpy.intp],
    chance: numpy.random.Generator,
    *,
    epochs: int,
) -> Layers:
    """A net fitted by Adam (Kingma, Ba 2015) to cross-entropy."""
    sizes = (given.shape[1], *_HIDDEN, len(VISEME_NAMES))
    layers: Layers = []
    for before, after in pairwise(sizes):
        weights = chance.normal(0, (2 / before) ** 0.5, (before, after))
        layers += [weights.astype(numpy.float32), numpy.zeros(after, numpy.float32)]
    means, squares = ([numpy.zeros_like(layer) for layer in layers] for _ in range(2))
    steps = epochs * (len(given) // _BATCH)
    step = 0
    for epoch in range(epochs):
        places, loss = chance.permutation(len(given)), 0.0
        for start in range(0, len(given) - _BATCH, _BATCH):
            chosen = places[start : start + _BATCH]
            step += 1
            slopes, cost = _slopes(layers, given[chosen].astype(numpy.float32), right[chosen])
            loss += cost
            rate = 2e-3 * (1 - 0.95 * step / steps)
            for layer, slope, mean, square in zip(layers, slopes, means, squares, strict=True):
                mean += 0.1 * (slope - mean)
                square += 0.001 * (slope**2 - square)
                layer -= rate * (mean / (1 - 0.9**step)) / (numpy.sqrt(square / (1 - 0.999**step)) + 1e-7)
        print(f"epoch {epoch + 1} of {epochs}: loss {loss / (len(given) // _BATCH):.3f}", flush=True)
    return layers


def _slopes(layers: Layers, given: Floats, right: NDArray[numpy.intp]) -> tuple[Layers, float]:
    values = _forward(layers, given)
    error = softmax(values[-1])
    rows = numpy.arange(len(right))
    cost = -float(numpy.log(error[rows, right] + 1e-9).mean())
    error[rows, right] -= 1
    error /= len(right)
    slopes: Layers = []
    for place in range(len(layers) - 2, -1, -2):
        before = values[place // 2]
        slopes = [before.T @ error, error.sum(axis=0), *slopes]
        error = (error @ layers[place].T) * (before > 0)
    return slopes, cost


def _corrected(layers: Layers, samples: Floats, sounds: list[Sound]) -> list[Sound]:
    """Moves the edges of sounds, by at most `_SLACK` hops, to where the net hears them: Viterbi's path."""
    likely = numpy.log(softmax(_forward(layers, features(hear(_normal(samples))))[-1]) + 1e-4)
    totals = numpy.vstack([numpy.zeros(len(VISEME_NAMES)), likely.cumsum(axis=0)])
    edges = [round(sound.start * SAMPLE_RATE / HOP) for sound in sounds]
    edges.append(min(len(likely), round(sounds[-1].end * SAMPLE_RATE / HOP)))
    paths: dict[int, tuple[float, tuple[int, ...]]] = {edges[0]: (0.0, (edges[0],))}
    for place, sound in enumerate(sounds):
        number, is_last = VISEME_NAMES.index(sound.viseme), place == len(sounds) - 1
        slack = 0 if is_last else _SLACK
        ends = range(edges[place + 1] - slack, min(len(likely), edges[place + 1] + slack) + 1)
        longer: dict[int, tuple[float, tuple[int, ...]]] = {}
        for end in ends:
            choices = [
                (score + totals[end, number] - totals[start, number], (*path, end))
                for start, (score, path) in paths.items()
                if end - start >= 2
            ]
            if choices:
                longer[end] = max(choices)
        if not longer:
            return sounds  # too short to be moved
        paths = longer
    _, path = max(paths.values())
    at = [edge * HOP / SAMPLE_RATE for edge in path]
    return [Sound(sound.viseme, *edge) for sound, edge in zip(sounds, pairwise(at), strict=True)]


if __name__ == "__main__":
    main()
