"""A voice that says from memory what it has said before, and who puts into that memory."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from libacli.core.audio import BYTES_PER_SAMPLE
from libacli.errors import RefusedError
from libacli.speech.ports import Shelf, Style, Take, Voice
from libacli.speech.sound_store import SoundStore

_PLAIN = Style()


@runtime_checkable
class Rememberer(Protocol):
    """What a voice has besides that may say a text from memory."""

    def remembers(self, text: str, style: Style) -> bool:
        """Whether the whole of `text` is there: then it is best asked for in one piece. Quick."""


def is_remembered(voice: Voice, text: str, style: Style) -> bool:
    """Whether `voice` would say the whole of `text` from memory."""
    return isinstance(voice, Rememberer) and voice.remembers(text, style)


class CachedVoice:
    """Says from `stores`, the first first, what they hold; all else is asked of `voice`. Implements `Voice`.

    It keeps nothing of what passes through: a text may be but a part of a line. Whoever reads the line puts
    its sound, when it is whole, on the shelf that the `Take` names; see `Keeping`.

    `own` is the manner of `voice` where a style names none, and `variety` whatever else makes its sound:
    with another one nothing is found that was kept with this one.
    """

    def __init__(
        self, voice: Voice, stores: Sequence[SoundStore], *, own: Style = _PLAIN, variety: str = ""
    ) -> None:
        self.provider = voice.provider
        self.model = voice.model
        self.name = voice.name
        self._voice = voice
        self._stores = stores
        self._own = own
        self._variety = variety

    def objection(self, text: str) -> str | None:
        """See `Voice.objection`. A voice that cannot be asked for now says what it remembers all the same."""
        try:
            return self._voice.objection(text)
        except RefusedError:
            if self.remembers(text, _PLAIN):
                return None
            raise

    def remembers(self, text: str, style: Style) -> bool:
        name = self._name_of(text, style)
        return any(store.holds(name) for store in self._stores)

    async def synthesize(
        self, text: str, style: Style, take: Take | None = None
    ) -> AsyncGenerator[bytes, None]:
        """See `Voice.synthesize`. Raises VoiceTruncatedError for a sound that was damaged in its store."""
        take = take or Take()
        take.shelf = _Shelf(self, style)
        try:
            async with aclosing(self._pieces(text, style, take)) as pieces:
                async for piece in pieces:
                    yield piece
        except BaseException:
            take.shelf = None  # what is not whole is not to be kept
            raise

    def keep(self, text: str, style: Style, pcm: bytes) -> None:
        """Keeps the sound of `text`, in this manner, wherever it is not kept yet."""
        name = self._name_of(text, style)
        for store in self._stores:
            if not store.holds(name):
                store.put(name, pcm)

    @property
    def most_bytes(self) -> int:
        """How long a sound may be that is kept."""
        return max((store.most_bytes for store in self._stores), default=0)

    async def warm_up(self) -> None:
        await self._voice.warm_up()

    async def aclose(self) -> None:
        await self._voice.aclose()
        for store in self._stores:
            await store.aclose()

    async def _pieces(self, text: str, style: Style, take: Take) -> AsyncGenerator[bytes, None]:
        is_there = False
        async with aclosing(self._from_memory(text, style)) as pieces:
            async for piece in pieces:
                if not is_there:
                    take.by(self, style)
                    is_there = take.is_cached = True
                yield piece
        if is_there:
            return
        async with aclosing(self._voice.synthesize(text, style, take)) as pieces:
            async for piece in pieces:
                yield piece

    async def _from_memory(self, text: str, style: Style) -> AsyncGenerator[bytes, None]:
        name = self._name_of(text, style)
        for store in self._stores:
            is_there = False
            async with aclosing(store.pieces(name)) as pieces:
                async for piece in pieces:
                    is_there = True
                    yield piece
            if is_there:
                return

    def _name_of(self, text: str, style: Style) -> bytes:
        """All that the sound depends on."""
        own = self._own
        told = (
            self.provider,
            self.model,
            style.voice or self.name,
            float(own.speed or 1.0) if style.speed is None else float(style.speed),
            (own.instructions or "") if style.instructions is None else style.instructions,
            self._variety,
            text,
        )
        return json.dumps(told).encode()


@dataclass(frozen=True)
class _Shelf:
    """Implements `Shelf`."""

    voice: CachedVoice
    style: Style

    @property
    def most_bytes(self) -> int:
        return self.voice.most_bytes

    def keep(self, text: str, pcm: bytes) -> None:
        self.voice.keep(text, self.style, pcm)


class Keeping:
    """Collects the sound of `text` as it is heard, request by request, and has it kept at its end.

    Kept is what came whole, from one voice in one manner, and in the words of the text.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._takes: list[Take] = []
        self._pieces: list[bytes] = []
        self._bytes = 0

    def add(self, piece: bytes, take: Take) -> None:
        """One more piece; `take` is that of the request which it came from."""
        if not self._takes or self._takes[-1] is not take:
            self._takes.append(take)
        self._bytes += len(piece)
        if self._shelf():
            self._pieces.append(piece)
        else:
            self._pieces.clear()

    def end(self) -> None:
        """All of it has come."""
        shelf = self._shelf()
        is_in_its_words = not any(take.is_reworded for take in self._takes)
        if shelf and is_in_its_words and self._bytes % BYTES_PER_SAMPLE == 0:
            shelf.keep(self._text, b"".join(self._pieces))

    def _shelf(self) -> Shelf | None:
        """Where it is to be kept; None, and that for good, when it cannot be."""
        shelf = self._takes[0].shelf if self._takes else None
        is_one = shelf is not None and all(take.shelf == shelf for take in self._takes)
        return shelf if shelf and is_one and self._bytes <= shelf.most_bytes else None
