"""Servers with OpenAI's speech API as people really run them, each with the manners of the real one.

Each is made from what the server's own source or its maker's documents say; nothing of it is taken from liba.
They listen on 127.0.0.1, and say a tone of 440 Hz for 60 ms a character.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping
from types import TracebackType
from typing import Any, ClassVar, Self

from aiohttp import web

from tests.sounds import LIST, s16, wav

S_PER_CHARACTER = 0.06
KEY = "key-of-the-peer-0123456789"

Answer = web.StreamResponse
Json = dict[str, Any]


class Peer:
    """One server: `async with Kokoro() as peer`. `settings` are what its user sets, by field of Settings."""

    title: ClassVar[str]
    """As people call it, and the README does."""

    path: ClassVar[str] = "/v1/audio/speech"
    settings: ClassVar[Mapping[str, Any]] = {}

    def __init__(self) -> None:
        self.requests: list[Json] = []
        """Bodies of the requests so far."""

        self.address = ""
        self._runner: web.AppRunner | None = None

    async def speak(self, request: web.Request, asked: Json) -> Answer:
        """The answer to one request."""
        raise NotImplementedError

    @property
    def base_url(self) -> str:
        return self.address + self.path.removesuffix("/audio/speech")

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post(self.path, self._answer)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.address = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> Answer:
        asked: Json = await request.json()
        self.requests.append(asked)
        return await self.speak(request, asked)


def has_key(request: web.Request) -> bool:
    return request.headers.get("Authorization") == f"Bearer {KEY}"


def seconds_of(asked: Json) -> float:
    return S_PER_CHARACTER * len(asked["input"]) / float(asked.get("speed") or 1.0)


async def streamed(request: web.Request, data: bytes, content_type: str, **headers: str) -> Answer:
    """As FastAPI's StreamingResponse: in chunks, each when it is there."""
    response = web.StreamResponse(headers={"Content-Type": content_type, **headers})
    response.enable_chunked_encoding()
    await response.prepare(request)
    for start in range(0, len(data), 4_801):
        await response.write(data[start : start + 4_801])
    await response.write_eof()
    return response


def detail(status: int, what: Any) -> web.Response:
    """An error as FastAPI makes it of an HTTPException, or of a body that does not fit."""
    return web.json_response({"detail": what}, status=status)


def missing(*fields: str, asked: Json) -> web.Response:
    """https://docs.pydantic.dev/latest/errors/errors/: FastAPI sends `input` back, all of it."""
    errors = [
        {"type": "missing", "loc": ["body", field], "msg": "Field required", "input": asked}
        for field in fields
    ]
    return detail(422, errors)


class AzureOpenAI(Peer):
    """A deployment at Azure's older kind of address.

    https://learn.microsoft.com/azure/ai-foundry/openai/reference:
    `POST {endpoint}/openai/deployments/{deployment-id}/audio/speech?api-version=…`, header `api-key`. Errors
    and rate limit as in https://github.com/langgenius/dify/issues/3491,
    https://github.com/icereed/paperless-gpt/issues/814.
    """

    title = "Azure OpenAI"
    path = "/openai/deployments/{deployment}/audio/speech"
    settings: ClassVar = {
        "openai_api_key": KEY,
        "openai_query": "api-version=2025-03-01-preview",
        "voice_model": "tts",
        "voice_name": "alloy",
    }

    def __init__(self, *, requests: int = 1_000, within_s: float = 60.0) -> None:
        super().__init__()
        self.refusals = 0
        """How many requests were too many."""

        self._allowed = requests
        self._within_s = within_s
        self._taken: list[float] = []

    @property
    def base_url(self) -> str:
        return f"{self.address}/openai/deployments/tts"

    def forget_requests(self) -> None:
        """Those that were taken so far do not count any more."""
        self._taken.clear()

    async def speak(self, request: web.Request, asked: Json) -> Answer:
        if "api-version" not in request.query:
            return self._error(404, "404", "Resource not found")
        if request.headers.get("api-key") != KEY:
            return self._error(
                401,
                "401",
                "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a "
                "valid key for an active subscription and use a correct regional API endpoint for your "
                "resource.",
            )
        if request.match_info["deployment"] != "tts":
            return self._error(
                404,
                "DeploymentNotFound",
                "The API deployment for this resource does not exist. If you created the deployment within "
                "the last 5 minutes, please wait a moment and try again.",
            )
        now = asyncio.get_running_loop().time()
        self._taken = [at for at in self._taken if now - at < self._within_s]
        if len(self._taken) >= self._allowed:
            self.refusals += 1
            return self._limited(math.ceil(self._taken[0] + self._within_s - now))
        self._taken.append(now)
        return await streamed(request, s16(24_000, seconds=seconds_of(asked)), "application/octet-stream")

    def _limited(self, wait: int) -> web.Response:
        response = self._error(
            429,
            "429",
            "Requests to the Audio_Speech Operation under Azure OpenAI API version 2025-03-01-preview have "
            "exceeded call rate limit of your current OpenAI S0 pricing tier. "
            f"Please retry after {wait} seconds.",
        )
        response.headers.update({"Retry-After": str(wait), "retry-after-ms": str(wait * 1000)})
        return response

    def _error(self, status: int, code: str, message: str) -> web.Response:
        return web.json_response({"error": {"code": code, "message": message}}, status=status)


class LocalAI(Peer):
    """Always a WAV file of the model's own rate, complete, whatever was asked for.

    https://github.com/mudler/LocalAI core/http/endpoints/localai/tts.go: the file that the backend wrote is
    sent as a download. Errors: fiber's, as in https://github.com/mudler/LocalAI/issues/1549.
    """

    title = "LocalAI"
    settings: ClassVar = {"voice_model": "voice-en-us-amy-low", "voice_name": "amy"}

    async def speak(self, request: web.Request, asked: Json) -> Answer:
        if asked.get("model") != "voice-en-us-amy-low":
            why = f"rpc error: code = Unknown desc = stat /models/{asked.get('model')}: no such file"
            error = {"code": 500, "message": f"could not load model: {why}", "type": ""}
            return web.json_response({"error": error}, status=500)
        file = wav(s16(16_000, seconds=seconds_of(asked)), 16_000)
        disposition = 'attachment; filename="piper.wav"'
        return web.Response(
            body=file, headers={"Content-Type": "audio/wave", "Content-Disposition": disposition}
        )


class SpeachesWithPiper(Peer):
    """Samples of the model's own rate, without a word of it; another rate on demand.

    https://github.com/speaches-ai/speaches src/speaches/routers/speech.py, src/speaches/audio.py,
    src/speaches/executors/piper.py (16 kHz for `x_low`, 22.05 kHz for the rest), routers/utils.py.
    """

    title = "speaches with Piper"
    model = "speaches-ai/piper-en_US-amy-low"
    settings: ClassVar = {"voice_model": model, "voice_name": "amy", "voice_sample_rate": 22_050}

    async def speak(self, request: web.Request, asked: Json) -> Answer:
        if lacking := [name for name in ("model", "input", "voice") if name not in asked]:
            return missing(*lacking, asked=asked)
        if asked["model"] != self.model:
            told = f"Model '{asked['model']}' is not installed locally."
            return detail(404, f"{told} You can download the model using `POST /v1/models`")
        rate = asked.get("sample_rate") or 22_050
        if not 8_000 <= rate <= 48_000:
            told = "Input should be less than or equal to 48000"
            error = {"type": "less_than_equal", "loc": ["body", "sample_rate"], "msg": told, "input": rate}
            return detail(422, [error])
        return await streamed(request, s16(rate, seconds=seconds_of(asked)), "audio/pcm")


class SpeachesResampled(SpeachesWithPiper):
    """The same, asked for 24 kHz."""

    settings: ClassVar = {
        "voice_model": SpeachesWithPiper.model,
        "voice_name": "amy",
        "voice_extra": {"sample_rate": 24_000},
    }


class OpenedaiSpeech(Peer):
    """Piper for `tts-1`, at the rate that its label tells.

    https://github.com/matatonic/openedai-speech speech.py, openedai.py.
    """

    title = "openedai-speech"
    settings: ClassVar = {"voice_model": "tts-1", "voice_name": "alloy"}

    async def speak(self, request: web.Request, asked: Json) -> Answer:
        if asked.get("model") not in ("tts-1", "tts-1-hd"):
            # media_type is not set for another model and pcm: Python's UnboundLocalError
            return web.json_response({"message": "InternalServerError", "code": 500}, status=500)
        voice = asked.get("voice", "alloy")
        if voice not in ("alloy", "echo", "fable", "onyx", "nova", "shimmer"):
            message = f"Error loading voice: {voice}, KeyError: '{voice}'"
            body = {"message": message, "code": 400, "type": "BadRequestError", "param": "voice"}
            return web.json_response(body, status=400)
        rate = 22_050 if asked["model"] == "tts-1" else 24_000
        return await streamed(request, s16(rate, seconds=seconds_of(asked)), f"audio/pcm;rate={rate}")


class OpenRouter(Peer):
    """https://openrouter.ai/docs/guides/overview/multimodal/tts, https://openrouter.ai/docs/api/errors."""

    title = "OpenRouter"
    path = "/api/v1/audio/speech"
    settings: ClassVar = {
        "openai_api_key": KEY,
        "openai_headers": "HTTP-Referer=https://example.org,X-Title=liba",
        "voice_model": "openai/gpt-4o-mini-tts-2025-12-15",
        "voice_name": "alloy",
    }

    async def speak(self, request: web.Request, asked: Json) -> Answer:
        if not has_key(request):
            return self._error(401, "No auth credentials found")
        if asked.get("model") == "broke/model":
            return self._error(
                402, "Insufficient credits. Add more using https://openrouter.ai/settings/credits"
            )
        if "/" not in str(asked.get("model")):
            return self._error(400, f"{asked.get('model')} is not a valid model ID")
        if asked.get("response_format", "pcm") != "pcm":
            return self._error(400, "unsupported response_format")
        kind = "audio/pcm;rate=24000;channels=1"
        return await streamed(
            request, s16(24_000, seconds=seconds_of(asked)), kind, **{"X-Generation-Id": "gen-tts-1-abc"}
        )

    def _error(self, code: int, message: str) -> web.Response:
        return web.json_response({"error": {"message": message, "code": code}}, status=code)


class KokoroFastAPI(Peer):
    """https://github.com/remsky/Kokoro-FastAPI api/src/routers/openai_compatible.py."""

    title = "Kokoro-FastAPI"
    settings: ClassVar = {"voice_model": "kokoro", "voice_name": "af_heart"}

    _models = ("tts-1", "tts-1-hd", "kokoro", "gpt-4o-mini-tts")
    _voices: ClassVar = {
        "alloy": "am_adam",
        "ash": "af_nicole",
        "coral": "bf_emma",
        "echo": "af_bella",
        "fable": "af_sarah",
        "onyx": "bm_george",
        "nova": "bf_isabella",
        "sage": "am_michael",
        "shimmer": "af_sky",
    }

    async def speak(self, request: web.Request, asked: Json) -> Answer:
        if asked.get("model") not in self._models:
            return self._error(400, "invalid_model", f"Unsupported model: {asked.get('model')}")
        voice = self._voices.get(asked["voice"], asked["voice"])
        available = sorted({*self._voices.values(), "af_heart"})
        if voice not in available:
            told = f"Voice '{voice}' not found. Available voices: {', '.join(available)}"
            return self._error(400, "validation_error", told)
        if not asked["input"]:
            return self._error(400, "validation_error", "Input text cannot be empty")
        kind = {"wav": "audio/wav"}.get(asked.get("response_format", ""), "audio/pcm")
        sound = s16(24_000, seconds=seconds_of(asked))
        if kind == "audio/wav":
            sound = wav(sound, 24_000, before=LIST, told_bytes=0xFFFFFFFF)
        headers = {"Content-Disposition": "attachment; filename=speech.pcm", "X-Accel-Buffering": "no"}
        return await streamed(request, sound, kind, **headers)

    def _error(self, status: int, error: str, message: str) -> web.Response:
        return detail(status, {"error": error, "message": message, "type": "invalid_request_error"})


class KokoroInWav(KokoroFastAPI):
    """The same, asked for WAV, which it streams without knowing its length."""

    settings: ClassVar = {
        "voice_model": "kokoro",
        "voice_name": "af_heart",
        "voice_extra": {"response_format": "wav"},
    }


class AssemblyAI(Peer):
    """Maps OpenAI's voices, not its models: https://www.assemblyai.com/docs/tts/openai-compatibility.md."""

    title = "AssemblyAI"
    path = "/v1/openai/audio/speech"
    settings: ClassVar = {"openai_api_key": KEY, "voice_model": "assemblyai-tts-1", "voice_name": "alloy"}

    async def speak(self, request: web.Request, asked: Json) -> Answer:
        if not has_key(request):
            return self._error(401, "invalid_api_key", "Invalid API key")
        if not str(asked.get("model")).removeprefix("assemblyai/").startswith("assemblyai-tts-"):
            return self._error(400, "model_not_found", f"The model '{asked.get('model')}' does not exist.")
        return await streamed(request, s16(24_000, seconds=seconds_of(asked)), "audio/pcm")

    def _error(self, status: int, code: str, message: str) -> web.Response:
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
        return web.json_response({"error": error}, status=status)


class MislabellingProxy(Peer):
    """LiteLLM before https://github.com/BerriAI/litellm/pull/38798: all that comes is called `audio/mpeg`."""

    title = "LiteLLM"
    settings: ClassVar = {"voice_model": "tts", "voice_name": "alloy"}

    async def speak(self, request: web.Request, asked: Json) -> Answer:
        return await streamed(request, s16(24_000, seconds=seconds_of(asked)), "audio/mpeg")


class OneAtATime(KokoroFastAPI):
    """Works on one request after the other, and goes on with what nobody waits for any more.

    https://github.com/remsky/Kokoro-FastAPI/issues/25, https://github.com/remsky/Kokoro-FastAPI/issues/36.
    """

    def __init__(self, *, work_s: float) -> None:
        super().__init__()
        self.most_waiting = 0
        """The most requests that were in the house at one time, the one that is worked on included."""

        self._work_s = work_s
        self._waiting = 0
        self._worker = asyncio.Lock()
        self._works: set[asyncio.Task[None]] = set()

    async def speak(self, request: web.Request, asked: Json) -> Answer:
        work = asyncio.get_running_loop().create_task(self._work())
        self._works.add(work)
        work.add_done_callback(self._works.discard)
        await asyncio.shield(work)
        return await super().speak(request, asked)

    async def _work(self) -> None:
        self._waiting += 1
        self.most_waiting = max(self.most_waiting, self._waiting)
        async with self._worker:
            await asyncio.sleep(self._work_s)
        self._waiting -= 1


class ColdModel(KokoroFastAPI):
    """Loads its model with the first request, as speaches and LocalAI do; given up, it may begin anew."""

    def __init__(self, *, load_s: float, begins_anew: bool = False) -> None:
        super().__init__()
        self._load_s = load_s
        self._begins_anew = begins_anew
        self._loaded_at: float | None = None

    async def speak(self, request: web.Request, asked: Json) -> Answer:
        now = asyncio.get_running_loop().time
        if self._loaded_at is None:
            self._loaded_at = now() + self._load_s
        try:
            await asyncio.sleep(max(0.0, self._loaded_at - now()))
        except asyncio.CancelledError:
            if self._begins_anew:
                self._loaded_at = None
            raise
        return await super().speak(request, asked)


PEERS: tuple[type[Peer], ...] = (
    AzureOpenAI,
    LocalAI,
    SpeachesWithPiper,
    SpeachesResampled,
    OpenedaiSpeech,
    OpenRouter,
    KokoroFastAPI,
    KokoroInWav,
    AssemblyAI,
    MislabellingProxy,
)


def quoting(text: str) -> str:
    """How servers repeat a text in an error: as it is, in JSON, in JSON in JSON."""
    return f"cannot say {text!r} / {json.dumps(text)} / {json.dumps(json.dumps({'input': text}))}"
