"""The words that the settings respell for the voice, out of their table and the file that they name."""

from __future__ import annotations

import tomllib
from pathlib import Path

from libacli.config import Settings
from libacli.config_files import read_file
from libacli.core.pronunciation import Pronunciations
from libacli.errors import ConfigError

_HINT = 'a line for each word, as in: gif = "jif"'


def pronunciations(settings: Settings) -> Pronunciations:
    """`[pronounce]` together with `voice.pronounce_file`; of a word in both that in the table counts.

    Raises ConfigError for a file that cannot be read or that others may write to, and for what is no table.
    """
    file = settings.voice_pronounce_file
    try:
        return Pronunciations((_words_in(file) if file else {}) | settings.pronounce)
    except ValueError as error:
        raise ConfigError(f"the table of pronunciations: {error}", hint=_HINT) from error


def _words_in(file: Path) -> dict[str, str]:
    try:
        table = tomllib.loads(read_file(file, is_named=True, hint=_HINT).decode())
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file} is not valid TOML: {error}", hint=_HINT) from error
    words = table.get("pronounce", table)
    if not isinstance(words, dict) or not all(isinstance(spelling, str) for spelling in words.values()):
        raise ConfigError(f"{file} must hold a text for each word", hint=_HINT)
    return words
