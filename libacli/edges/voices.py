"""Which voice the settings ask for."""

from __future__ import annotations

from libacli.config import Settings
from libacli.errors import CredentialsError
from libacli.speech.ports import Voice


def make_voice(settings: Settings) -> Voice:
    """The voice of `voice.provider`; `auto` is OpenAI where there is a key for it, else the embedded one.

    Raises CredentialsError when OpenAI is asked for without a key, ConfigError when the embedded voice is
    not installed.
    """
    provider = settings.voice_provider
    has_openai = settings.openai_api_key is not None or settings.openai_base_url
    if provider == "auto":
        provider = "openai" if has_openai else "embedded"
    if provider == "embedded":
        from libacli.edges.embedded_voice import embedded_voice

        return embedded_voice()
    if not has_openai:
        raise CredentialsError(
            "OPENAI_API_KEY is not set",
            hint="set it, or use the embedded voice: pip install 'libacli[local]', LIBA_VOICE_PROVIDER=embedded",
        )
    raise NotImplementedError
