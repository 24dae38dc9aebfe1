"""What a command reads of a text file that it is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from libacli.cli.runs.text_file import text_of
from libacli.errors import UsageError


def test_a_file_without_an_end_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "show.md"
    with file.open("wb") as sparse:
        sparse.truncate(33 << 20)
    with pytest.raises(UsageError, match="it has more than 32 million characters"):
        text_of(file)
