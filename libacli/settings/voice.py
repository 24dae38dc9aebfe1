"""Settings `voice.*`, `pronounce` and `speech.*`: who speaks, how, and in which pieces."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from libacli.config_values import JsonObject, Seconds, Table, Tables, Words
from libacli.settings.group import Group


class VoiceSettings(Group):
    """From a text to its sound."""

    voice_providers: Words = Field(
        default=("auto",),
        min_length=1,
        description="Whose voice speaks; the next one does where one cannot: auto, speech, realtime, "
        "livekit:MODEL, livekit:PLUGIN, embedded",
    )
    voice_model: str = Field(default="", description="Model of the first of them; empty: the usual one")
    voice_name: str = Field(default="", description="Speaker of that model; empty: the usual one")
    voice_options: Tables = Field(
        default=None,
        description="Options of plugins: a table for each, such as 'livekit:elevenlabs'; or JSON",
    )
    voice_speed: float = Field(default=1.0, ge=0.25, le=4.0, description="Pace, 1 is normal: 0.25 to 4")
    voice_instructions: str = Field(default="", max_length=1000, description="Tone and manner, in free words")
    voice_language: Literal["auto", "en", "en-gb", "de", "fr", "es", "it"] = Field(
        default="auto", description="Language of the embedded voice; auto: that of each text"
    )
    voice_sample_rate: int = Field(
        default=0,
        ge=0,
        le=384_000,
        description="Samples a second, if they come without a header; 0: as the answer says, else 24000",
    )
    voice_extra: JsonObject = Field(
        default={}, description="Fields for the body of each request, as the server knows them; null: without"
    )
    voice_first_pcm_timeout: Seconds = Field(
        default=10.0, description="Seconds until the first sound must have come"
    )
    voice_load_timeout: Seconds = Field(
        default=60.0, description="The same for the first word after the start: the server may load its model"
    )
    voice_stall_timeout: Seconds = Field(
        default=5.0, description="Seconds that a voice may fall silent in between"
    )
    voice_patience: float = Field(
        default=30.0,
        ge=0,
        le=3600,
        description="Seconds that a text waits for a voice that asks to be asked later (Retry-After)",
    )
    voice_hedge: bool | None = Field(
        default=None,
        description="Ask a late voice a second time, for one request in twenty at most; empty: in the cloud",
    )
    voice_cache_memory_mb: int = Field(
        default=16,
        ge=0,
        le=1024,
        description="Megabytes of what was said that each room remembers, to say it again at once; 0: none",
    )
    voice_cache_mb: int = Field(
        default=0,
        ge=0,
        le=100_000,
        description="The same on disk, for all agents of this user: the sound, and no text; 0: none",
    )

    voice_pronounce_file: Path | None = Field(
        default=None, description="TOML file with more words for the table [pronounce], which goes before it"
    )

    pronounce: Table = Field(
        default={},
        description="Words, and how the voice is to read them; one with capitals counts only as it stands",
        examples=[{"gif": "jif"}],
    )

    speech_max_chunk_chars: int = Field(
        default=2000,
        ge=20,
        le=4096,
        description="Most characters that the voice is given at a time; it is given less where that pays",
    )
    speech_first_chunk_chars: int = Field(
        default=2000, ge=10, le=4096, description="The same for the first piece of an utterance"
    )
    speech_max_hold: float = Field(
        default=3.0,
        ge=0,
        le=60,
        description="Most seconds that a slow voice is held back to be heard without a break; 0: never",
    )
    speech_silence_tail_ms: int = Field(
        default=120,
        ge=0,
        le=2000,
        description="Silence after each utterance; without it avatars swallow the last syllable",
    )
    speech_sink_timeout: Seconds = Field(
        default=5.0, description="Seconds until track or avatar must take a frame"
    )
    speech_captions: bool = Field(default=True, description="Send the text as captions (lk.transcription)")
