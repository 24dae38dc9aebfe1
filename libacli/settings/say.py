"""Settings `say.*`: who may have what said, and how much of it."""

from typing import Literal

from pydantic import Field, SecretStr

from libacli.settings.group import Group


class SaySettings(Group):
    """What the agent takes."""

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
