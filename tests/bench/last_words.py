"""Whether the last word of each line is heard whole through an avatar: `python -m tests.bench.last_words`.

The embedded voice says lines that end in all kinds of sounds, through the local avatar and through the one of
livekit-agents (`AvatarRunner`), to a real subscriber. Speech recognition writes down what was heard, and the
same of the voice's own sound: a word that is right there has to be right in what was heard. A recogniser errs
now and then: where it does, the last sound itself is looked for in what was heard, and is missing (`cut`) or
there (`misheard`).
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import numpy
from numpy.typing import NDArray

from libacli.config import LiveKitCredentials
from libacli.core.audio import AUDIBLE_PEAK, SAMPLE_RATE
from libacli.edges.livekit.tokens import listener_token
from libacli.edges.viewer.listener import Listener, listening
from libacli.edges.voices.embedded import embedded_voice
from tests.bench.local_stack import local_server
from tests.edges.voices.test_recognition import by_the_voice
from tests.faulty_avatar import REPORTS
from tests.hearing import words_in
from tests.live.test_avatar import on_air

_AVATARS = {"local": REPORTS["on time"], "livekit-agents": REPORTS["livekit-agents"]}

_LAST_S, _SEARCHED_S = 0.15, 0.5
_ALIKE = 0.8
"""Correlation of waves that are one: Opus keeps them; a jitter buffer that stretches there does not."""

_STEP = round(0.01 * SAMPLE_RATE)
_ENDING_STEPS, _LATE_STEPS = 40, 2
_ENDS_ALIKE = 0.93
"""Correlation of loudness over the last 0.4 s: 0.95 and more where all of it is there, 0.89 and less where
40 ms of "wave" or "leaf" are cut off. Their ends are noise: Opus keeps its loudness, and not the wave."""

_BEGINNINGS = (
    "We talked about the",
    "She is looking for the",
    "He came back with the",
    "They wrote about the",
)
_WORDS = """
cat map book truck bed bag club gift desk milk church bridge fish garage bath bus rose leaf wave cheese
house horse fence box ship street night light field world bird farm moon sun train rain song king ring film
wall bell ball table apple bottle window yellow shadow tea tree sea shoe cow boy day sky law city money coffee
water river summer letter dinner paper doctor garden kitchen chicken button lemon winter picture
"""


def lines(count: int) -> list[tuple[str, str]]:
    """That many texts, the same in each run, and the last word of each."""
    every = [(f"{beginning} {word}.", word) for beginning in _BEGINNINGS for word in _WORDS.split()]
    return random.Random(1).sample(every, count)


@asynccontextmanager
async def _listening(credentials: LiveKitCredentials, room: str) -> AsyncIterator[Listener]:
    token = listener_token(credentials, room=room, identity=f"liba-bench-{uuid.uuid4().hex[:6]}")
    async with listening(credentials.ws_url, token) as listener:
        yield listener


async def _heard(credentials: LiveKitCredentials, avatar: str, texts: Sequence[str]) -> list[bytes]:
    """What a subscriber hears of each text."""
    room, voice = f"bench-{uuid.uuid4().hex[:8]}", embedded_voice()

    def listen() -> AbstractAsyncContextManager[Listener]:
        return _listening(credentials, room)

    sounds = []
    with tempfile.TemporaryDirectory() as folder:
        async with on_air(credentials, room, listen, Path(folder), _AVATARS[avatar], voice=voice) as on:
            await on.avatar()
            for text in texts:
                take = on.listener.start_capture()
                event = await on.say(text)
                assert (event["state"], event["route"]) == ("done", "tavus"), event
                sounds.append(bytes(take.pcm))
                _progress(f"{avatar}: {len(sounds)} of {len(texts)} lines heard")
    await voice.aclose()
    return sounds


def has_last_sound(own: bytes, heard: bytes) -> bool:
    """Whether what was heard ends as the voice's own sound does: in waves, or in how loud it is."""
    return _has_last_wave(own, heard) or _ends_alike(_loudness(own), _loudness(heard))


def _has_last_wave(own: bytes, heard: bytes) -> bool:
    """Whether the last 0.15 s of the voice's own sound are in what was heard, as waves, up to its end."""
    wanted = _trimmed(own)[-round(_LAST_S * SAMPLE_RATE) :]
    there = _trimmed(heard)[-round(_SEARCHED_S * SAMPLE_RATE) :]
    if len(there) < len(wanted):
        return False
    windows = numpy.lib.stride_tricks.sliding_window_view(there, len(wanted))
    loudness = numpy.sqrt((windows**2).sum(axis=1) * (wanted**2).sum())
    return bool((windows @ wanted / numpy.maximum(loudness, 1e-9)).max() >= _ALIKE)


def _loudness(pcm: bytes) -> NDArray[numpy.float64]:
    """Of each 10 ms, the last ones up to the last sample that can be heard, as a logarithm."""
    values = _trimmed(pcm)
    steps = values[len(values) % _STEP :].reshape(-1, _STEP)
    loudness: NDArray[numpy.float64] = numpy.log(numpy.sqrt((steps**2).mean(axis=1)) + 10)
    return loudness


def _ends_alike(own: NDArray[numpy.float64], heard: NDArray[numpy.float64]) -> bool:
    if min(len(own), len(heard) - _LATE_STEPS) < _ENDING_STEPS:
        return False
    ends = [heard[len(heard) - late - _ENDING_STEPS : len(heard) - late] for late in range(_LATE_STEPS + 1)]
    return max(float(numpy.corrcoef(own[-_ENDING_STEPS:], end)[0, 1]) for end in ends) >= _ENDS_ALIKE


def _trimmed(pcm: bytes) -> NDArray[numpy.float64]:
    """Up to the last sample that can be heard."""
    values = numpy.frombuffer(pcm, "<i2").astype(float)
    audible = numpy.flatnonzero(numpy.abs(values) >= AUDIBLE_PEAK)
    return values[: audible[-1] + 1] if len(audible) else values[:0]


def _right(sounds: Sequence[bytes], words: Sequence[str]) -> list[bool]:
    return [words_in(sound)[-1:] == [word] for sound, word in zip(sounds, words, strict=True)]


def _progress(message: str) -> None:
    print(f"\r{message:60}", end="", file=sys.stderr, flush=True)


def main(count: int) -> bool:
    """Prints how many last words were right; whether none was lost on its way."""
    texts, words = zip(*lines(count), strict=True)
    with tempfile.TemporaryDirectory() as folder, local_server(Path(folder)) as stack:
        heard = {avatar: asyncio.run(_heard(stack.credentials, avatar, texts)) for avatar in _AVATARS}
    spoken = by_the_voice(list(texts))
    own = _right(spoken, words)
    print(f"\n{'of the voice itself':24}{sum(own)} of {count} last words are recognised")
    lost_any = False
    for avatar, sounds in heard.items():
        right = _right(sounds, words)
        whole = [has_last_sound(own_sound, sound) for own_sound, sound in zip(spoken, sounds, strict=True)]
        missed = [word for word, before, after in zip(words, own, right, strict=True) if before and not after]
        cut = [
            word
            for word, before, after, is_whole in zip(words, own, right, whole, strict=True)
            if before and not after and not is_whole
        ]
        print(
            f"{'heard of ' + avatar:24}{sum(right)} of {count}; not recognised though the voice itself is: "
            f"{len(missed)} {' '.join(missed)}; of these cut: {len(cut)} {' '.join(cut)}"
        )
        print(f"{'':24}ends as the voice itself does: {sum(whole)} of {count}")
        lost_any |= bool(cut)
    return not lost_any


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=200)
    sys.exit(0 if main(parser.parse_args().lines) else 1)
