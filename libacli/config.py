"""Settings: what they are, what they are called, which of them are secret.

A field `section_key` is `key` in table `[section]` of a TOML file, and an environment variable:
`LIVEKIT_*`, `OPENAI_*` and `TAVUS_*` by their own names, everything else as `LIBA_SECTION_KEY`. A field of
one word is a table of its own, with any keys; as a variable it is JSON.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from libacli.config_trust import Needs, class_of
from libacli.config_values import Headers, JsonObject, Key, LogLevel, Query, Tables
from libacli.errors import ConfigError, CredentialsError

_MARKS = {Needs.NOTHING: "", Needs.OWN_SECRETS: " *", Needs.TRUST: " **"}
_LEAVING_S = 10
"""What an agent needs to end its avatar."""

_VENDOR_SECTIONS = ("livekit", "openai", "tavus")

Seconds = Annotated[float, Field(gt=0, le=3600)]


def _split(value: Any) -> Any:
    """A list as an environment variable has it: with commas."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _parsed(value: Any) -> Any:
    """A table as an environment variable has it: JSON."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


Words = Annotated[tuple[str, ...], BeforeValidator(_split)]
Table = Annotated[dict[str, str], BeforeValidator(_parsed)]


class Settings(BaseSettings):
    """Every setting of liba. Made by `config_sources.load`; a frozen value from then on."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    livekit_url: str = Field(
        default="", repr=False, description="Address of the LiveKit server: ws:// or wss://"
    )
    livekit_public_url: str = Field(
        default="",
        repr=False,
        description="The same server for browsers and the avatar service, if they reach it elsewhere",
    )
    livekit_api_key: str = Field(default="", description="API key of the LiveKit project")
    livekit_api_secret: SecretStr | None = Field(default=None, description="Its secret")
    livekit_previous_api_key: str = Field(
        default="", description="While keys are changed: requests signed with this one are accepted too"
    )
    livekit_previous_api_secret: SecretStr | None = Field(default=None, description="Its secret")

    livekit_e2ee_key: SecretStr | None = Field(
        default=None,
        description="Key of rooms that are encrypted end to end: any text, the same for all in the room",
    )

    openai_api_key: Key = Field(default=None, description="Key for OpenAI speech")
    openai_base_url: str = Field(
        default="", repr=False, description="Another server with the same speech API; empty: OpenAI's own"
    )
    openai_headers: Headers = Field(
        default=None,
        description="Headers of each request: NAME=VALUE, or a table; also named OPENAI_CUSTOM_HEADERS",
    )
    openai_query: Query = Field(
        default=None, description="Parameters in the address of each request: api-version=..., or a table"
    )
    openai_org_id: str = Field(default="", description="Organization that pays, if the key has several")
    openai_project_id: str = Field(default="", description="Project that pays, if the key has several")

    tavus_api_key: Key = Field(default=None, description="Key for the avatar service")
    tavus_face_id: str = Field(
        default="",
        description="The avatar's face, if not Tavus's own (the local one has two, hana and theo); "
        "older name: replica_id, TAVUS_REPLICA_ID",
    )
    tavus_pal_id: str = Field(
        default="", description="The avatar's behaviour; older name: persona_id, TAVUS_PERSONA_ID"
    )
    tavus_base_url: str = Field(
        default="https://tavusapi.com", repr=False, description="Address of the avatar service"
    )

    avatar_ready_timeout: Seconds = Field(
        default=5.0, description="Seconds that speech waits for an avatar that is joining"
    )
    avatar_join_timeout: Seconds = Field(
        default=45.0, description="Seconds until an avatar that was asked for must be in the room"
    )
    avatar_audible_timeout: Seconds = Field(
        default=5.0,
        description="Seconds from sound sent to sound heard; an avatar that takes longer is stalled",
    )
    avatar_idle_timeout: Seconds = Field(
        default=120.0, description="Seconds without a viewer after which the avatar is ended"
    )
    avatar_begin: Literal["viewer", "line"] = Field(
        default="viewer", description="What brings the avatar: somebody who watches, or the first line then"
    )
    avatar_silent_timeout: float = Field(
        default=3600.0,
        ge=0,
        description="Seconds without a line after which it rests until the next one; 0: it never rests",
    )
    avatar_max_duration: int = Field(
        default=3600,
        ge=120,
        le=3600,
        description="Seconds after which the service ends a conversation; renewed before",
    )
    avatar_renew_before: Seconds = Field(
        default=60.0, description="Seconds before that end from which on a new conversation takes over"
    )
    avatar_overlap: bool = Field(
        default=False,
        description="Renew without a gap, if the account and the avatar can do with two at a time",
    )
    avatar_can_subscribe: bool = Field(
        default=False,
        description="Whether the avatar service may hear and see everybody in the room; it needs neither",
    )
    avatar_check_public: bool = Field(
        default=True,
        description="Ask for no avatar while LiveKit's address is a private one, seen from here",
    )
    avatar_max_minutes_per_day: float = Field(
        default=240.0,
        ge=0,
        le=1_000_000,
        description="Minutes of avatar a day (UTC) for all agents here, or that share redis.url; 0: no cap",
    )
    avatar_max_minutes_per_room: float = Field(
        default=0.0,
        ge=0,
        le=1_000_000,
        description="Of these, minutes a day that one room may have; 0: all that are left",
    )
    avatar_max_conversations: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="Conversations of the account that run at a time, seen from here; 0: no cap of ours",
    )

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

    say_room: str = Field(default="demo", description="Room of commands that are given none")
    say_accept: Literal["signed", "attribute", "anyone"] = Field(
        default="signed",
        description="Who may make it speak: what the API secret signed; also liba.say=true; or anyone",
    )
    say_max_text_chars: int = Field(default=4000, ge=1, le=4000, description="Longest text of one utterance")
    say_max_sound: int = Field(
        default=600, ge=1, le=1800, description="Seconds that a given sound (`liba say --audio`) may last"
    )
    say_queue_limit: int = Field(
        default=32, ge=1, le=1000, description="Utterances that may wait; more are refused"
    )
    say_ttl: float = Field(
        default=600.0,
        ge=0,
        le=86_400,
        description="Seconds that an utterance may wait, if its sender does not say; 0: as long as it takes",
    )
    say_rate_per_minute: float = Field(
        default=120.0,
        ge=0,
        le=1_000_000,
        description="Utterances a minute from one sender, beyond a queue full; 0: no limit",
    )
    say_max_chars_per_hour: int = Field(
        default=100_000,
        ge=0,
        description="Characters an hour, by API key, of all agents here, or that share redis.url; 0: no cap",
    )
    say_journal: Literal["off", "file", "redis"] = Field(
        default="off",
        description="Where what waits is written down, encrypted, for the agent that follows a dead one",
    )
    say_journal_key: SecretStr | None = Field(
        default=None,
        description="Any text that its key is made of, or several with commas: the first one encrypts; "
        "empty: the API secret",
    )

    agent_name: str = Field(
        default="liba", min_length=1, max_length=64, description="Name the agent is dispatched by"
    )
    agent_max_rooms: int = Field(
        default=8, ge=1, le=1000, description="Rooms that one worker takes at a time"
    )
    agent_isolation: Literal["process", "thread"] = Field(
        default="process", description="A process per room, or a thread, which needs far less memory"
    )
    agent_health_host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to bind the health check to; under Kubernetes 0.0.0.0, unless it is set",
    )
    agent_health_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="Port of the health check; 0: any free one; under Kubernetes 8081, unless it is set",
    )

    metrics_store: bool = Field(
        default=True, description="Keep one record of each utterance, without its text, in a local file"
    )
    metrics_keep_days: int = Field(
        default=30, ge=1, le=3650, description="Days after which records are forgotten"
    )
    metrics_keep_mb: int = Field(
        default=64, ge=1, le=10_000, description="Most megabytes of records; the oldest go first"
    )
    metrics_prometheus_port: int = Field(
        default=0, ge=0, le=65535, description="Port where the agent tells Prometheus; 0: it does not"
    )
    metrics_prometheus_host: str = Field(
        default="127.0.0.1", min_length=1, description="Address to bind that port to; anybody there may read"
    )
    metrics_room_names: bool = Field(
        default=False, description="Traces for OpenTelemetry name the room, which may tell who is in it"
    )
    metrics_budget_d01: float = Field(
        default=900.0,
        gt=0,
        description="Milliseconds from a line's turn to T1 that are fine; twice is not",
    )
    metrics_budget_d12: float = Field(
        default=50.0, gt=0, description="The same for T1 to T2: from the voice to the sink"
    )
    metrics_budget_d2a: float = Field(
        default=500.0, gt=0, description="The same for T2 to TA: from the sink until it can be heard"
    )

    prices_currency: str = Field(
        default="USD",
        pattern="^[A-Z]{3}$",
        description="What prices are in; no vendor's price is built in: see `liba metrics summary --cost`",
    )
    prices_voices: Table = Field(
        default={},
        description="By model, model/voice or provider: AMOUNT per 1M chars, per 1000 chars or per minute",
    )
    prices_avatar: str = Field(
        default="", max_length=64, description="Of avatar time: 0.37 per minute; empty: nobody knows"
    )

    serve_host: str = Field(
        default="127.0.0.1", min_length=1, description="Address to bind; another one than loopback needs keys"
    )
    serve_port: int = Field(default=8080, ge=0, le=65535, description="Port of the web page and the HTTP API")
    serve_keys: Words = Field(
        default=(), repr=False, description="API keys, hashed: what `liba serve --new-key NAME` prints"
    )
    serve_origins: Words = Field(
        default=(), description="Other websites whose pages may call the HTTP API: https://example.org"
    )
    serve_embed: Words = Field(
        default=(),
        description="Websites that may show the page in a frame: https://example.org, https://*.example.org",
    )
    serve_public_url: str = Field(
        default="", description="Address that others reach the page at, if it is not the one that is bound"
    )
    serve_trusted_proxies: Words = Field(
        default=(),
        description="Proxies that are believed who calls: 10.0.0.0/16; empty: with public_url this machine",
    )
    serve_keep_alive: int = Field(
        default=75,
        ge=1,
        le=3600,
        description="Seconds a connection is kept for a next request; more than a proxy in front keeps it",
    )
    serve_rate_per_minute: int = Field(
        default=600,
        ge=0,
        le=1_000_000,
        description="Requests a minute of one key or session, and of who has none by address; 0: no limit",
    )
    serve_token_ttl: int = Field(
        default=600, ge=10, le=3600, description="Longest life of a token that a session asks for, in seconds"
    )
    serve_owner_key: SecretStr | None = Field(
        default=None, description="One of the keys itself, not its hash: `liba sessions` asks with it"
    )
    serve_mcp: bool = Field(
        default=False,
        description="Let models speak, at /mcp: for who may call the HTTP API; needs libacli[mcp]",
    )
    serve_tls_cert: Path | None = Field(default=None, description="Certificate chain (PEM), to speak HTTPS")
    serve_tls_key: Path | None = Field(default=None, description="Its private key (PEM)")

    record_url: SecretStr | None = Field(
        default=None,
        description="Where `liba record` without a file sends to: rtmp://, rtmps:// or srt://, with its key",
    )

    redis_url: SecretStr | None = Field(
        default=None,
        description="Redis that several machines share: redis://, rediss://, unix://; without, each is alone",
    )
    redis_prefix: str = Field(
        default="liba", min_length=1, max_length=64, description="What the names of all keys there begin with"
    )

    server_binary: Path | None = Field(
        default=None, description="A livekit-server to use instead of finding one"
    )

    log_level: LogLevel = Field(
        default="info", description="How much the agent tells; debug includes the spoken text"
    )
    log_format: Literal["auto", "text", "json"] = Field(
        default="auto", description="Lines to read, or JSON objects; auto: JSON under Kubernetes alone"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """`config_sources.load` brings the values of all sources, with a note of where each came from."""
        return (init_settings,)

    @property
    def has_avatar(self) -> bool:
        """Whether an avatar is configured: who names no face has the service's own."""
        return bool(self.tavus_api_key)

    @property
    def departure_timeout_s(self) -> int:
        """How long a room of ours is to stay open when the last person has left; 0: as its server has it.

        As long as its avatar: with the room the agent goes, and a reload of the page would cost a new one.
        """
        return math.ceil(self.avatar_idle_timeout) + _LEAVING_S if self.has_avatar else 0

    def livekit(self) -> LiveKitCredentials:
        """URL, key and secret of LiveKit. Raises CredentialsError that names what is missing, ConfigError."""
        secret = self.livekit_api_secret.get_secret_value() if self.livekit_api_secret else ""
        given = {
            "LIVEKIT_URL": self.livekit_url,
            "LIVEKIT_API_KEY": self.livekit_api_key,
            "LIVEKIT_API_SECRET": secret,
        }
        missing = [name for name, value in given.items() if not value]
        if missing:
            raise CredentialsError(
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set",
                hint="set them in the environment or in liba.toml (`liba config init`), name a project of "
                "`lk` with --project, or run `liba up`, which needs none",
            )
        credentials = LiveKitCredentials(
            self.livekit_url,
            self.livekit_api_key,
            SecretStr(secret),
            self.livekit_public_url,
            self.livekit_e2ee_key,
        )
        for name, url in (("LIVEKIT_URL", self.livekit_url), ("LIVEKIT_PUBLIC_URL", self.livekit_public_url)):
            if url and not url.startswith(("ws://", "wss://", "http://", "https://")):
                raise ConfigError(
                    f"{name} must begin with ws:// or wss://, it is {url!r}",
                    hint="copy it from your LiveKit project's settings",
                )
        return credentials

    def livekit_previous(self) -> LiveKitCredentials | None:
        """The key that is being replaced, if one is named. Raises ConfigError for half of one."""
        key, secret = self.livekit_previous_api_key, self.livekit_previous_api_secret
        if not key and not secret:
            return None
        if not key or not secret:
            raise ConfigError(
                "of livekit.previous_api_key and livekit.previous_api_secret only one is set",
                hint="set both while keys are changed, and none afterwards",
            )
        return LiveKitCredentials(self.livekit_url, key, secret)


@dataclass(frozen=True)
class LiveKitCredentials:
    """What every call to LiveKit needs. Raises ConfigError for a URL that holds a login.

    Viewers are given the URL, and errors quote it.
    """

    url: str
    """ws://, wss://, http:// or https:// address of the server, and no name or password."""

    api_key: str
    api_secret: SecretStr
    public_url: str = ""
    """Where browsers and services elsewhere reach the same server; empty: there as well."""
    e2ee_key: SecretStr | None = None
    """What sound and picture are encrypted with from end to end; None: they are not."""

    def __post_init__(self) -> None:
        for name, url in (("LIVEKIT_URL", self.url), ("LIVEKIT_PUBLIC_URL", self.public_url)):
            if "@" in url:
                raise ConfigError(
                    f"{name} holds a user name or password, and every viewer is given that address",
                    hint="leave out all up to the @; LiveKit knows LIVEKIT_API_KEY and LIVEKIT_API_SECRET",
                )

    @property
    def outside(self) -> LiveKitCredentials:
        """The same server as others reach it: browsers, and the avatar's service."""
        return replace(self, url=self.public_url, public_url="") if self.public_url else self

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine: no proxy, and no avatar in the cloud, can reach it."""
        return is_loopback(self.url)

    @property
    def http_url(self) -> str:
        """The address for calls over HTTP."""
        return (
            self.url.replace("ws", "http", 1).rstrip("/")
            if self.url.startswith("ws")
            else self.url.rstrip("/")
        )

    @property
    def ws_url(self) -> str:
        """The address for media and workers."""
        return self.http_url.replace("http", "ws", 1)


def is_loopback(url: str) -> bool:
    """Whether the host of `url` is this machine."""
    import ipaddress
    from urllib.parse import urlsplit

    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or host.endswith(".localhost") or ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, or no address at all
        return False


def variable_name(field: str) -> str:
    """Name of the environment variable that sets `field`."""
    return field.upper() if field.startswith(_VENDOR_SECTIONS) else f"LIBA_{field.upper()}"


def toml_name(field: str) -> str:
    """How `field` is written in words and TOML: `say.queue_limit`."""
    return field.replace("_", ".", 1)


def example() -> str:
    """The text of `config.example.toml`: every setting, described, commented out."""
    lines = [
        "# Settings of liba. Copy to ./liba.toml, or let `liba config init` write it.",
        "# Flags and environment variables (in brackets) go before what stands here.",
        "# What is marked * can do harm. In a folder's liba.toml or .env it needs: liba config trust",
        "# unless all keys and secrets in use stand in that same file.",
        "# What is marked ** needs it in any case.",
    ]
    section = ""
    for field, info in Settings.model_fields.items():
        name, _, key = toml_name(field).partition(".")
        if name != section:
            section = name
            lines += ["", f"[{section}]"]
        default = "" if info.default is None else info.default
        mark = _MARKS[class_of(field).needs]
        lines += [f"# {info.description} [{variable_name(field)}]{mark}"]
        if key:
            lines += [f"# {key} = {json.dumps(default)}"]
        for own_keys in info.examples or ():
            lines += [f"# {own_key}={json.dumps(value)}" for own_key, value in own_keys.items()]
    return "\n".join(lines) + "\n"


def is_secret(field: str) -> bool:
    return "SecretStr" in str(Settings.model_fields[field].annotation)
