"""The voice inside this process: hibari (English, 24 kHz) behind the same client as OpenAI's.

`EmbeddedSpeech` is a transport of httpx2 that answers `POST …/audio/speech` as OpenAI's server would, without
a socket; so the code that speaks, its bounds and its errors are the ones that a real service meets.

All synthesis runs in one thread for the whole process, whichever loop asks. hibari and onnxruntime can be
used from several at once (four threads gave the same bytes as one), but that doubles the memory and takes
both cores from the media server; one core makes a hundred seconds of speech in one second.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import json
import re
import unicodedata
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import httpx2

from libacli.core.chunks import split_chunks
from libacli.core.sentences import sentence_ends
from libacli.core.spoken import spoken
from libacli.edges.voices.embedded_sound import trimmed
from libacli.edges.voices.speech import SpeechApiVoice, open_client
from libacli.errors import ConfigError

if TYPE_CHECKING:
    import numpy
    from hibari import Hibari

MODEL = "hibari"
VOICE = "heart"
"""The one speaker whose weights are in the wheel; hibari would fetch any other from the network."""

_SLOWEST, _FASTEST = 0.5, 2.0
"""What the model was made for; a request may ask for 0.25 to 4.0, as with OpenAI, and gets the nearest."""

_GAIN = 1.6
_MOST_CHARS = 4_096
_PIECE_CHARS = 200
"""The model is at its best below this length."""

_FIRST_CLAUSE = re.compile(r"""^.{12,64}?[,;:!?…—]["'”’)]*\s+""", re.DOTALL)
_FIRST_CLAUSE_FROM_CHARS = 64

_MOST_PHONEMES = 400
"""Beyond it the model is asked in pieces."""

_MIXED_NUMBER = re.compile(r"(\d) (\d{1,2}/\d{1,2})(?!\w)")
"""2 1/2, which is two and a half."""


def embedded_voice(
    *,
    speed: float = 1.0,
    first_pcm_timeout_s: float = 10.0,
    stall_timeout_s: float = 5.0,
) -> SpeechApiVoice:
    """A `Voice` that needs no network, account or key. Speaks English only; `speed` is held to 0.5..2.0.

    Loads nothing yet: the first synthesis or `warm_up` does, in its thread (about half a second, 200 MB).
    Raises ConfigError when the extra `local` is not installed.
    """
    if not (importlib.util.find_spec("hibari") and importlib.util.find_spec("numpy")):
        raise ConfigError("the embedded voice is not installed", hint="pip install 'libacli[local]'")
    http_client = httpx2.AsyncClient(transport=EmbeddedSpeech())
    return SpeechApiVoice(
        open_client("none", "http://embedded.invalid/v1", http_client=http_client),
        model=MODEL,
        voice=VOICE,
        provider="embedded",
        speed=speed,
        first_pcm_timeout_s=first_pcm_timeout_s,
        stall_timeout_s=stall_timeout_s,
        objection=objection,
    )


def objection(text: str) -> str | None:
    """Why the embedded voice cannot say `text`: a letter of another script, or nothing that sounds."""
    if any(_is_foreign(character) for character in text):
        return "the embedded voice speaks English only"
    if not any(character.isalnum() for character in text):
        return "there is no letter or digit in it to speak"
    return None


def _is_foreign(character: str) -> bool:
    """Whether it is a letter that hibari would pass over without a sound, or read as something else."""
    if unicodedata.category(character) not in ("Lu", "Ll", "Lt", "Lo") or character in "µªº":
        return False
    return "LATIN" not in unicodedata.name(character, "")


class EmbeddedSpeech(httpx2.AsyncBaseTransport):
    """Answers speech requests with what hibari says, streamed piece by piece."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method != "POST" or not request.url.path.endswith("/audio/speech"):
            return _error(404, "the embedded voice answers POST /v1/audio/speech only", param=None)
        asked: dict[str, Any] = json.loads(await request.aread())
        if refusal := _refusal(asked):
            return refusal
        speech = _Speech(str(asked["input"]), float(asked.get("speed") or 1.0))
        return httpx2.Response(200, headers={"Content-Type": "audio/pcm"}, stream=speech)


def _refusal(asked: dict[str, Any]) -> httpx2.Response | None:
    if asked.get("voice") != VOICE:
        return _error(400, f"the embedded voice has one speaker, {VOICE!r}", param="voice")
    if asked.get("response_format") != "pcm":
        return _error(400, "the embedded voice gives pcm only", param="response_format")
    if not 0.25 <= float(asked.get("speed") or 1.0) <= 4.0:
        return _error(400, "speed must be from 0.25 to 4.0", param="speed")
    if not 0 < len(str(asked.get("input", ""))) <= _MOST_CHARS:
        return _error(400, f"the input must have 1 to {_MOST_CHARS} characters", param="input")
    return None


def _error(status: int, message: str, *, param: str | None) -> httpx2.Response:
    """An error in OpenAI's format (https://platform.openai.com/docs/guides/error-codes)."""
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    return httpx2.Response(status, json={"error": error})


class _Speech(httpx2.AsyncByteStream):
    """The body of an answer. Nothing is synthesised before it is read; closed, it ends with its piece."""

    def __init__(self, text: str, speed: float) -> None:
        self._pieces = _pieces(text, min(max(speed, _SLOWEST), _FASTEST))

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        loop = asyncio.get_running_loop()
        try:
            while piece := await loop.run_in_executor(_thread(), next, self._pieces, b""):
                yield piece
        except Exception as error:  # of hibari, whose rules meet words that they were not made for
            raise httpx2.ReadError("the embedded voice cannot say it") from error


@functools.cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedded-voice")


@functools.cache
def _model() -> Hibari:
    """The model, loaded with its dictionaries and the net for unknown words; about half a second."""
    try:
        from hibari import Hibari

        from libacli.edges.voices.embedded_dictionaries import DICTIONARIES
    except ImportError as error:
        raise ConfigError(
            "the embedded voice cannot be loaded", hint="pip install 'libacli[local]'"
        ) from error
    model = Hibari(voice=VOICE, threads=1, g2p=DICTIONARIES)
    model("Hello, qwyzzt.")
    return model


def _pieces(text: str, speed: float) -> Iterator[bytes]:
    """PCM of `text`, as soon as each part of it is ready; the first part is short."""
    model = _model()
    for part in _parts(_readable(text)):
        for start, end in pairwise((0, *sentence_ends(part), len(part))):
            sentence = part[start:end]
            if pcm := trimmed(_wave(model, sentence, speed), sentence, gain=_GAIN):
                yield pcm


def _readable(text: str) -> str:
    """`text` as hibari reads it: it drops the minus sign, and fails at digits of other scripts and at İ."""
    text = _MIXED_NUMBER.sub(r"\1 and \2", spoken(text).replace("−", " minus ").replace("İ", "I"))
    return "".join(str(unicodedata.digit(char)) if _is_odd_digit(char) else char for char in text)


def _is_odd_digit(character: str) -> bool:
    return not character.isascii() and character.isdigit() and character not in "²³"


def _wave(model: Hibari, sentence: str, speed: float) -> numpy.typing.NDArray[numpy.float32]:
    """What `model` says, not cut further by its own rules, where it can take so much at once."""
    phonemes = model.g2p(sentence)
    is_short = len(phonemes) <= _MOST_PHONEMES
    wave: numpy.typing.NDArray[numpy.float32] = (
        model.from_phonemes(phonemes, speed=speed, seed=0)
        if is_short
        else model(sentence, speed=speed, seed=0)
    )
    return wave


def _parts(text: str) -> Iterator[str]:
    """Cuts a long `text` at the end of its first clause, if that is near, then into what the model takes."""
    if len(text) > _FIRST_CLAUSE_FROM_CHARS and (first := _FIRST_CLAUSE.match(text)):
        yield first.group()
        text = text[first.end() :]
    yield from split_chunks(text, max_chars=_PIECE_CHARS, first_chars=_PIECE_CHARS)
