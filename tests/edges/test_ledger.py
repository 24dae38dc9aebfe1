from __future__ import annotations

import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from libacli.edges.ledger import Entry, Ledger
from libacli.errors import LibaError


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "conversations")


@pytest.fixture
def gone() -> int:
    """Id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def entry(pid: int, name: str = "liba-1") -> Entry:
    return Entry(name, "demo", "http://127.0.0.1:1", pid)


def test_what_a_process_that_is_gone_left_behind_is_an_orphan(ledger: Ledger, gone: int) -> None:
    ledger.write(entry(gone))
    ledger.write(entry(os.getpid(), "liba-2"))
    assert ledger.orphans() == [entry(gone)]


def test_what_is_new_about_an_entry_replaces_it(ledger: Ledger, gone: int) -> None:
    ledger.write(entry(gone))
    ledger.write(replace(entry(gone), id="c1"))
    assert [orphan.id for orphan in ledger.orphans()] == ["c1"]


def test_an_entry_that_was_crossed_out_is_forgotten(ledger: Ledger, gone: int) -> None:
    ledger.write(entry(gone))
    ledger.forget(entry(gone))
    ledger.forget(entry(gone))
    assert ledger.orphans() == []


def test_nobody_else_may_read_it(ledger: Ledger, tmp_path: Path) -> None:
    ledger.write(entry(1))
    (file,) = (tmp_path / "conversations").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_half_a_file_is_passed_over(ledger: Ledger, tmp_path: Path, gone: int) -> None:
    ledger.write(entry(gone))
    (tmp_path / "conversations" / "liba-0.json").write_text('{"name": "lib')
    (tmp_path / "conversations" / "liba-3.json").write_text("[]")
    assert ledger.orphans() == [entry(gone)]


def test_a_ledger_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LibaError, match="cannot note down"):
        Ledger(tmp_path / "file" / "conversations").write(entry(1))


def test_no_ledger_has_no_orphans(tmp_path: Path) -> None:
    assert Ledger(tmp_path / "nowhere").orphans() == []
