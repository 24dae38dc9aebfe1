"""The two seams of the speech path: where sound comes from and where it goes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from libacli.core.route import RouteName

T3Source = Literal["reported", "observed", "estimated"]


@dataclass(frozen=True)
class Style:
    """How an utterance should sound; what is None is left to the voice's own settings."""

    voice: str | None = None
    """Name of the speaker, as the speech service knows it."""

    speed: float | None = None
    """Pace, 1.0 is normal; 0.25 to 4.0."""

    instructions: str | None = None
    """Free words on tone and manner, for voices that follow them."""


@dataclass(frozen=True)
class Route:
    """The way an utterance took."""

    name: RouteName
    reason: str = ""
    """Why it is the track; empty otherwise."""

    target: str = ""
    """Identity of the avatar, or name of the track."""


@dataclass(frozen=True)
class Playback:
    """How the playing of an utterance ended."""

    source: T3Source
    """`reported` by the avatar, `observed` because the track drained, `estimated` because a bound passed."""

    replayed: bool = False
    """It was lost on the way and repeated from its beginning on the other sink."""

    route: Route | None = None
    """The way it took in the end, where that is not the one `start` told."""


class Shelf(Protocol):
    """Keeps what one voice says in one manner. Two of the same compare equal."""

    @property
    def most_bytes(self) -> int:
        """How long a sound may be that is kept."""

    def keep(self, text: str, pcm: bytes) -> None:
        """Keeps the sound of the whole of `text` for the next time, if it can. Returns at once."""


@dataclass
class Take:
    """What is noted of one request to a voice while it is answered: who speaks, and how that came about."""

    provider: str = ""
    model: str = ""
    voice: str = ""
    reason: str = ""
    """Why it is not the voice that was asked first; empty when it is."""

    is_cached: bool = False
    """It was said before, and kept."""

    is_hedged: bool = False
    """A second request for it was the quicker one."""

    is_reworded: bool = False
    """The voice said it in other words, as far as its own transcript tells."""

    is_held: bool = False
    """The voice waits until it may ask: a second request would be no sooner."""

    shelf: Shelf | None = None
    """Where a text that was said in this way may be kept, as a whole; None: nowhere."""

    def by(self, voice: Voice, style: Style) -> None:
        """Notes that `voice` speaks, as whom `style` asks for or as who it is by itself."""
        self.provider, self.model, self.voice = voice.provider, voice.model, style.voice or voice.name


class Voice(Protocol):
    """Turns text into PCM (24 kHz mono s16le)."""

    @property
    def provider(self) -> str:
        """Whose voice it is, as in the setting `voice.providers`."""

    @property
    def model(self) -> str:
        """Name of the speech model, for records."""

    @property
    def name(self) -> str:
        """Who speaks when `Style` names nobody."""

    def objection(self, text: str) -> str | None:
        """Why this voice cannot say `text`, in one clause ("this voice speaks English only"), or None.

        Quick, and without effect: it is asked before the text is queued. Raises RefusedError, with a reason,
        where the text is not to blame: nothing can be said for now.
        """

    def synthesize(self, text: str, style: Style, take: Take | None = None) -> AsyncGenerator[bytes]:
        """Yields PCM as it comes, in pieces of any length that are not empty; an odd byte may split a sample.

        Whoever speaks is noted in `take` before the first piece is yielded.

        Closing the iterator early ends the request. Raises VoiceRefusedError when asking again would not
        help, VoiceBusyError, before the first piece, when asking later would, VoiceStalledError when a
        bound passed, VoiceTruncatedError when the stream ended before its end, VoiceError for the rest. It
        never ends normally without having yielded sound.
        """

    async def warm_up(self) -> None:
        """Makes the first `synthesize` as quick as the rest. Raises what `synthesize` raises."""

    async def aclose(self) -> None:
        """Releases connections. Safe to call twice."""


class Sink(Protocol):
    """Where PCM goes: one utterance at a time, `start` → `write`… → `finish`, or `clear` at any point."""

    async def start(self, on_audible: Callable[[], None]) -> Route:
        """Opens the way for one utterance and says which it is; `write` may follow at once.

        Raises SinkError when there is none.

        `on_audible` is called at most once, at the moment the first sound that is not silence plays.
        """

    async def write(self, frames: bytes) -> None:
        """Hands over whole 20 ms frames (`FRAME_BYTES`), few; returns when taken, which is the backpressure.

        Raises SinkError when it cannot be delivered.
        """

    async def finish(self) -> Playback:
        """Marks the end of the utterance and waits, within a bound, until it has been played.

        Raises SinkError when it was not. Whoever gives it up, or gets that error, calls `clear`.
        """

    async def clear(self) -> None:
        """Stops what is playing and forgets what is queued, at once, within `Bounds.clear_s`. Raises nothing.

        Safe to call at any time: while another call waits, which then ends soon, and while one was cancelled.
        """

    async def aclose(self) -> None:
        """Releases the way out. Safe to call twice."""


class GatedSink(Sink, Protocol):
    """A sink that is not always there: an avatar that has to be created, joins late, and may leave."""

    async def gate(self) -> str:
        """Waits, within a bound, while it may still become ready; then why it is not, or ""."""
