"""Which voice the settings ask for."""

from __future__ import annotations

from libacli.config import Settings
from libacli.errors import CredentialsError
from libacli.speech.breaker import BreakerVoice
from libacli.speech.ports import Voice


def make_voice(settings: Settings) -> Voice:
    """The voice of `voice.provider`; `auto` is OpenAI where there is a key or address for it, else embedded.

    Raises CredentialsError when OpenAI is asked for without a key, ConfigError when the embedded voice is
    not installed. Needs no event loop. A service that fails time and again is left alone for a while.
    """
    has_openai = bool(settings.openai_api_key or settings.openai_base_url)
    provider = settings.voice_provider
    if provider == "embedded" or (provider == "auto" and not has_openai):
        from libacli.edges.embedded_voice import embedded_voice

        return embedded_voice(
            speed=settings.voice_speed,
            first_pcm_timeout_s=settings.voice_first_pcm_timeout,
            stall_timeout_s=settings.voice_stall_timeout,
        )
    if not has_openai:
        raise CredentialsError(
            "OPENAI_API_KEY is not set", hint="set it, or speak without it: LIBA_VOICE_PROVIDER=embedded"
        )
    from libacli.edges.openai_voice import OpenAIVoice, open_client

    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else ""
    service = OpenAIVoice(
        open_client(key, settings.openai_base_url),
        model=settings.voice_model,
        voice=settings.voice_name,
        speed=settings.voice_speed,
        instructions=settings.voice_instructions,
        first_pcm_timeout_s=settings.voice_first_pcm_timeout,
        stall_timeout_s=settings.voice_stall_timeout,
    )
    return BreakerVoice(service)
