"""Voices of livekit-agents: LiveKit Inference by its model string, and every installed `livekit-plugins-*`.

`livekit:cartesia/sonic-3:voice` is a model of LiveKit Inference, paid by the LiveKit Cloud project
(https://docs.livekit.io/agents/models/tts/); `livekit:elevenlabs` is the class `TTS` of the package
`livekit-plugins-elevenlabs`, with the keys that its own documentation names. Either takes options by the
names of its constructor.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from libacli.config import Settings
from libacli.errors import ConfigError, CredentialsError
from libacli.masking import SECRET_NAME, masked, secrets_of

if TYPE_CHECKING:
    from livekit.agents.tts import TTS

    from libacli.edges.voices.livekit_voice import LiveKitVoice, TTSKind

INFERENCE_MODEL = "cartesia/sonic-3"
"""Where LiveKit Inference is asked for without a model."""

SPEAKERS: tuple[str, ...] = ()
LANGUAGES: tuple[str, ...] = ()
"""Each model has its own; livekit-agents does not tell them."""

_GATEWAY_VARIABLE = "LIVEKIT_INFERENCE_URL"
"""Another gateway than LiveKit's own; the SDK reads it, too."""

_STAGING_URL = "https://agent-gateway.staging.livekit.cloud/v1"

_NAMES: Mapping[str, tuple[str, ...]] = {
    "model": ("model", "model_name"),
    "voice": ("voice", "voice_id", "voice_name", "speaker"),
    "speed": ("speed", "speaking_rate"),
    "instructions": ("instructions", "prompt"),
}
"""What the constructors of the plugins call it."""

_INFERENCE_SPEED: Mapping[str, str] = {
    "cartesia": "speed",
    "fishaudio": "speed",
    "inworld": "speaking_rate",
    "xai": "speed",
}
"""The extra parameter for the pace, by the provider of a model; the others have none."""


def livekit_voice(
    settings: Settings, name: str = "", options: Mapping[str, Any] | None = None
) -> LiveKitVoice:
    """The voice `livekit:{name}`: a model string of LiveKit Inference, or a plugin. Needs no loop.

    `options` go to the constructor as they are. Imports livekit-agents. Raises ConfigError when there is no
    such plugin or it does not take its options, CredentialsError when it misses a key, or when LiveKit
    Inference is asked for and LiveKit is not LiveKit Cloud.
    """
    from libacli.edges.voices.livekit_voice import LiveKitVoice

    name = name or INFERENCE_MODEL
    maker = _inference if "/" in name else _plugin
    secrets = [*secrets_of(settings, os.environ), *_keys(options or {}), *_keys(os.environ)]
    return LiveKitVoice(
        _told(maker(settings, name, dict(options or {})), name, secrets),
        provider=f"livekit:{name}",
        voice=settings.voice_name,
        speed=settings.voice_speed,
        instructions=settings.voice_instructions,
        secrets=secrets,
        first_pcm_timeout_s=settings.voice_first_pcm_timeout,
        stall_timeout_s=settings.voice_stall_timeout,
    )


def has_inference(settings: Settings) -> bool:
    """Whether LiveKit Inference can be asked for: LiveKit is LiveKit Cloud, or the gateway is named."""
    host = urlsplit(settings.livekit_url).hostname or ""
    return host.endswith(".livekit.cloud") or bool(os.environ.get(_GATEWAY_VARIABLE))


def load_plugin(name: str) -> type[TTS[Any]]:
    """The class `TTS` of a plugin. Raises ConfigError.

    A plugin can be imported in the main thread only: livekit-agents refuses to register it elsewhere. Where
    rooms are threads, this is to be called before the first of them.
    """
    package = f"livekit-plugins-{name.replace('_', '-')}"
    try:
        return importlib.import_module(f"livekit.plugins.{name}").TTS  # type: ignore[no-any-return]
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith(f"livekit.plugins.{name}"):
            raise ConfigError(f"the plugin {package} cannot be loaded: {error.name} is missing") from error
        raise ConfigError(
            f"there is no plugin {name!r} of livekit-agents", hint=f"pip install {package}"
        ) from error
    except AttributeError as error:
        raise ConfigError(
            f"{package} has no text-to-speech", hint="name another one in voice.providers"
        ) from error
    except RuntimeError as error:
        raise ConfigError(
            f"{package} cannot be loaded here: {error}", hint="set agent.isolation to process"
        ) from error


def _inference(settings: Settings, name: str, options: dict[str, Any]) -> TTSKind:
    from libacli.edges.voices.livekit_voice import TTSKind

    if not (has_inference(settings) or options.get("base_url")):
        raise CredentialsError(
            "LiveKit Inference belongs to LiveKit Cloud, and LIVEKIT_URL is another server",
            hint=f"leave out the voice livekit:{name}",
        )
    credentials = settings.livekit()
    if ".staging.livekit.cloud" in settings.livekit_url and not os.environ.get(_GATEWAY_VARIABLE):
        options.setdefault("base_url", _STAGING_URL)
    options.setdefault("api_key", credentials.api_key)
    options.setdefault("api_secret", credentials.api_secret.get_secret_value())
    if settings.voice_model and "/" in settings.voice_model:
        name = settings.voice_model
    pace = _INFERENCE_SPEED.get(name.partition("/")[0])

    def make(*, speed: float | None = None, instructions: str | None = None, **given: Any) -> TTS[Any]:
        from livekit.agents import inference

        arguments = options | given
        if speed is not None and pace:
            arguments["extra_kwargs"] = {pace: speed} | options.get("extra_kwargs", {})
        return inference.TTS(name, **arguments)

    return TTSKind(make, takes_session=True, speaker=name.partition(":")[2])


def _plugin(settings: Settings, name: str, options: dict[str, Any]) -> TTSKind:
    from libacli.edges.voices.livekit_voice import TTSKind

    if not name.replace("_", "").isalnum() or not name.isascii():
        raise ConfigError(f"{name!r} is no name of a plugin", hint="as in livekit:elevenlabs")
    kind = load_plugin(name)
    if name == "openai":
        _add_openai(settings, options)
    if settings.voice_model:
        options = _renamed(kind, {"model": settings.voice_model}) | options

    def make(**given: Any) -> TTS[Any]:
        return kind(**(options | _renamed(kind, given)))

    return TTSKind(make, takes_session="http_session" in _parameters(kind), speaker=_speaker(kind, options))


def _add_openai(settings: Settings, options: dict[str, Any]) -> None:
    """What the plugin would read in the environment alone; these may stand in a file, too."""
    if settings.openai_api_key:
        options.setdefault("api_key", settings.openai_api_key.get_secret_value())
    if settings.openai_base_url:
        options.setdefault("base_url", settings.openai_base_url)


def _renamed(kind: type[TTS[Any]], given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` by the names that the constructor has for it; what it does not take is left out."""
    renamed = {}
    for name, value in given.items():
        for own in _NAMES.get(name, (name,)):
            if own in _parameters(kind):
                renamed[own] = value
                break
    return renamed


@functools.cache
def _parameters(kind: type[TTS[Any]]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(kind).parameters


def _speaker(kind: type[TTS[Any]], options: Mapping[str, Any]) -> str:
    """Who speaks by itself, as far as the constructor tells."""
    for name in _NAMES["voice"]:
        if name in _parameters(kind):
            speaker = options.get(name, _parameters(kind)[name].default)
            return speaker if isinstance(speaker, str) else ""
    return ""


def _keys(named: Mapping[str, Any]) -> Iterator[str]:
    """What is secret by its name: each plugin has keys of its own, in its options or in the environment."""
    for name, value in named.items():
        if isinstance(value, str) and SECRET_NAME.search(name):
            yield value


def _told(kind: TTSKind, name: str, secrets: Sequence[str]) -> TTSKind:
    """`kind`, with what its constructor complains of turned into our errors."""

    def made(**given: Any) -> TTS[Any]:
        try:
            return kind.make(**given)
        except Exception as error:  # each plugin has its own
            complaint = masked(str(error), secrets)[:200]
            is_key = any(word in complaint.lower() for word in ("key", "credential", "token"))
            raise (CredentialsError if is_key else ConfigError)(
                f"the voice livekit:{name} cannot be made: {complaint}",
                hint="see the plugin's documentation, and the setting voice.options",
            ) from error

    return replace(kind, make=made)
