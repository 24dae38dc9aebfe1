from __future__ import annotations

from pathlib import Path

import pytest

from libacli.config import Settings
from libacli.edges.voices.pronunciations import pronunciations
from libacli.errors import ConfigError


def write(folder: Path, content: str | bytes) -> Path:
    file = folder / "words.toml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


@pytest.mark.parametrize(
    "content", ['gif = "jif"\nSQL = "sequel"', '[pronounce]\ngif = "jif"\nSQL = "sequel"']
)
def test_the_words_of_the_table_go_before_those_of_the_file(tmp_path: Path, content: str) -> None:
    settings = Settings(voice_pronounce_file=write(tmp_path, content), pronounce={"gif": "ghif"})
    assert pronunciations(settings).respell("GIF, SQL, sql") == "ghif, sequel, sql"


def test_without_either_nothing_is_respelled() -> None:
    assert pronunciations(Settings()).respell("GIF") == "GIF"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("gif jif", "is not valid TOML"),
        (b"\xff", "is not valid TOML"),
        ("gif = 5", "must hold a text for each word"),
        ('[words]\ngif = "jif"', "must hold a text for each word"),
        ('pronounce = "jif"', "must hold a text for each word"),
        ('gif = ""', "'gif' must have 1 to 200 characters"),
    ],
)
def test_a_file_that_is_no_table_is_an_error_of_the_settings(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        pronunciations(Settings(voice_pronounce_file=write(tmp_path, content)))
    assert 'gif = "jif"' in caught.value.hint


def test_a_file_that_is_not_there_or_that_others_may_write_to_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        pronunciations(Settings(voice_pronounce_file=tmp_path / "gone.toml"))
    file = write(tmp_path, 'gif = "jif"')
    file.chmod(0o666)
    with pytest.raises(ConfigError, match="others may write to"):
        pronunciations(Settings(voice_pronounce_file=file))
