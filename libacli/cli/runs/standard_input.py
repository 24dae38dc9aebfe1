"""What comes on standard input, sentence by sentence."""

from __future__ import annotations

import asyncio
import locale
import os
import select
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

from libacli.core.encoding_guess import USUAL, python_name
from libacli.core.markdown import MarkdownChoice
from libacli.core.script import without_pauses
from libacli.core.sentence_stream import LONGEST_CHARS, SentenceStream
from libacli.core.sentences import LINE_LULL_S, SENTENCE_LULL_S
from libacli.core.text import clean, is_speakable
from libacli.core.text_decoder import TextDecoder, is_binary
from libacli.errors import UsageError

_PIPED = ((SENTENCE_LULL_S, SENTENCE_LULL_S), (LINE_LULL_S - SENTENCE_LULL_S, LINE_LULL_S))
_TYPED = ((0.0, LINE_LULL_S),)
"""Seconds to wait for more, and what that means: at a terminal Enter says that a line is complete."""


async def sentences(
    max_chars: int, markdown: MarkdownChoice, *, tell: Callable[[str], None], encoding: str = ""
) -> AsyncIterator[str]:
    """Sentences of standard input, each as soon as it is complete, or likely to be as nothing else comes.

    Without an `encoding` it is UTF-8, or a guess, of which `tell` is told once.
    """
    decoder = TextDecoder(encoding, preferred=python_name(locale.getencoding()))
    is_told = False
    stream = SentenceStream(max_chars=min(max_chars, LONGEST_CHARS), markdown=markdown)
    async for piece in _pieces(stream, decoder):
        if decoder.guessed and not is_told:
            is_told = True
            tell(_guess_words(decoder.guessed))
        if is_speakable(without_pauses(clean(piece))):
            yield piece


async def _pieces(stream: SentenceStream, decoder: TextDecoder) -> AsyncIterator[str]:
    lulls = _TYPED if os.isatty(0) else _PIPED
    data = b"..."
    while data:
        coming = standard_input()
        for wait_s, lull_s in lulls:
            if not (await asyncio.wait([coming], timeout=wait_s))[0]:
                for piece in (*stream.push(decoder.lull()), *stream.lull(lull_s)):
                    yield piece
        data = await coming
        text = decoder.push(data) if data else decoder.flush()
        if is_binary(text):
            raise UsageError("standard input is no text", hint="a sound is heard with: liba say --audio -")
        for piece in stream.push(text):
            yield piece
    for piece in stream.flush():
        yield piece


def _guess_words(encoding: str) -> str:
    name = "Latin-1" if encoding == USUAL else encoding.replace("_", "-")
    return (
        f"standard input is not UTF-8: what is not is read as {name}, by a guess"
        " - if it is something else: liba say --encoding NAME"
    )


def standard_input() -> asyncio.Future[bytes]:
    """The next bytes of it, none at its end; its thread is a daemon, so that Ctrl-C need not wait for it."""
    loop = asyncio.get_running_loop()
    taken: asyncio.Future[bytes] = loop.create_future()

    def give(data: bytes) -> None:
        if not taken.done():
            taken.set_result(data)

    def read() -> None:
        data = b""
        with suppress(OSError):  # closed from the start, or a terminal that is gone: its end too
            data = _read()
        with suppress(RuntimeError):  # nobody waits any more, the loop is closed
            loop.call_soon_threadsafe(give, data)

    threading.Thread(target=read, daemon=True).start()
    return taken


def _read() -> bytes:
    while True:
        try:
            return os.read(0, 65536)
        except BlockingIOError:  # somebody who has it, too, wants it to be so
            select.select([0], [], [])
