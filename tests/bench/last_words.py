"""Whether the last word of each line is heard whole through an avatar: `python -m tests.bench.last_words`.

The embedded voice says lines that end in all kinds of sounds, through the local avatar and through the one of
livekit-agents (`AvatarRunner`), to a real subscriber. Speech recognition writes down what was heard, and the
same of the voice's own sound: a word that is right there has to be right in what was heard.
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

from libacli.config import LiveKitCredentials
from libacli.edges.livekit.tokens import listener_token
from libacli.edges.viewer.listener import Listener, listening
from libacli.edges.voices.embedded import embedded_voice
from tests.bench.local_stack import local_server
from tests.edges.voices.test_recognition import by_the_voice
from tests.faulty_avatar import REPORTS
from tests.hearing import words_in
from tests.live.test_avatar import on_air

_AVATARS = {"local": REPORTS["on time"], "livekit-agents": REPORTS["livekit-agents"]}

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


def _right(sounds: Sequence[bytes], words: Sequence[str]) -> list[bool]:
    return [words_in(sound)[-1:] == [word] for sound, word in zip(sounds, words, strict=True)]


def _progress(message: str) -> None:
    print(f"\r{message:60}", end="", file=sys.stderr, flush=True)


def main(count: int) -> bool:
    """Prints how many last words were right; whether none was lost on its way."""
    texts, words = zip(*lines(count), strict=True)
    with tempfile.TemporaryDirectory() as folder, local_server(Path(folder)) as stack:
        heard = {avatar: asyncio.run(_heard(stack.credentials, avatar, texts)) for avatar in _AVATARS}
    own = _right(by_the_voice(list(texts)), words)
    print(f"\n{'of the voice itself':24}{sum(own)} of {count} last words are recognised")
    lost_any = False
    for avatar, sounds in heard.items():
        right = _right(sounds, words)
        lost = [word for word, before, after in zip(words, own, right, strict=True) if before and not after]
        print(f"{'heard of ' + avatar:24}{sum(right)} of {count}; lost: {len(lost)} {' '.join(lost)}")
        lost_any |= bool(lost)
    return not lost_any


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=200)
    sys.exit(0 if main(parser.parse_args().lines) else 1)
