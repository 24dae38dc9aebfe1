from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from libacli.edges.avatars.ledger import Entry, Ledger
from libacli.errors import LibaError


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "conversations")
    yield ledger
    ledger.close()


def entry(ledger: Ledger, name: str = "liba-1") -> Entry:
    return Entry(name, "demo", "http://127.0.0.1:1", ledger.owner)


WRITE_AND_DIE = """
import os, sys
from pathlib import Path
from libacli.edges.avatars.ledger import Entry, Ledger
ledger = Ledger(Path(sys.argv[1]))
ledger.write(Entry("left", "demo", "http://127.0.0.1:1", ledger.owner, id="c1"))
os.kill(os.getpid(), 9)
"""


def test_fault_01_what_a_process_that_was_killed_left_behind_is_an_orphan(
    ledger: Ledger, tmp_path: Path
) -> None:
    ledger.write(entry(ledger))
    subprocess.run([sys.executable, "-c", WRITE_AND_DIE, str(tmp_path / "conversations")])
    assert [(orphan.name, orphan.id) for orphan in Ledger(tmp_path / "conversations").orphans()] == [
        ("left", "c1")
    ]


def test_what_is_new_about_an_entry_replaces_it(ledger: Ledger) -> None:
    ledger.write(entry(ledger))
    ledger.write(replace(entry(ledger), id="c1"))
    assert [found.id for found in ledger.entries()] == ["c1"]


def test_an_entry_says_whose_conversation_it_is(ledger: Ledger) -> None:
    ledger.write(replace(entry(ledger), vendor="another"))
    assert [found.vendor for found in ledger.entries()] == ["another"]


def test_an_entry_of_an_earlier_version_is_one_of_tavus(ledger: Ledger, tmp_path: Path) -> None:
    ledger.write(entry(ledger))
    (file,) = (tmp_path / "conversations").glob("*.json")
    older = json.loads(file.read_text())
    del older["vendor"]
    file.write_text(json.dumps(older | {"id": "c1"}))
    assert [(found.vendor, found.id) for found in ledger.entries()] == [("tavus", "c1")]


def test_what_stands_in_a_ledger_that_was_closed_is_an_orphan(ledger: Ledger) -> None:
    ledger.write(entry(ledger))
    assert ledger.orphans() == []
    ledger.close()
    ledger.close()
    assert ledger.orphans() == [entry(ledger)]


def test_an_entry_that_was_crossed_out_is_forgotten(ledger: Ledger) -> None:
    ledger.write(entry(ledger))
    ledger.forget(entry(ledger))
    ledger.forget(entry(ledger))
    assert ledger.entries() == []


def test_fault_01_nobody_else_may_read_what_is_noted_down(ledger: Ledger, tmp_path: Path) -> None:
    ledger.write(entry(ledger))
    (file,) = (tmp_path / "conversations").glob("*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_half_a_file_is_passed_over(ledger: Ledger, tmp_path: Path) -> None:
    ledger.write(entry(ledger))
    (tmp_path / "conversations" / "liba-0.json").write_text('{"name": "lib')
    (tmp_path / "conversations" / "liba-3.json").write_text("[]")
    assert ledger.entries() == [entry(ledger)]


def test_fault_01_a_ledger_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ledger = Ledger(tmp_path / "file" / "conversations")
    with pytest.raises(LibaError, match="cannot note down"):
        ledger.write(entry(ledger))


def test_no_ledger_has_no_orphans(tmp_path: Path) -> None:
    assert Ledger(tmp_path / "nowhere").orphans() == []


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b'{"name": "lib', id="half a file"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"[" * 100_000, id="too deep"),
        pytest.param(b"\xff\xfe\x00", id="no text"),
        pytest.param(b'{"name": 3, "room": [], "base_url": 5, "owner": 7}', id="other kinds"),
    ],
)
def test_what_cannot_be_read_is_no_entry_and_is_not_passed_over_in_silence(
    ledger: Ledger, tmp_path: Path, content: bytes
) -> None:
    ledger.write(entry(ledger))
    broken = tmp_path / "conversations" / "liba-0.json"
    broken.write_bytes(content)
    assert ledger.entries() == [entry(ledger)]
    assert ledger.unreadable() == [broken]
    assert ledger.others(entry(ledger, "liba-2")) == 1
