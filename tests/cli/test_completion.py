"""Completion in real shells, by what `liba --install-completion` has put into an empty home folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs import program
from tests.test_architecture import PROBE

ASKED = {
    "bash": """
        source ~/.bashrc
        COMP_WORDS=(liba dep) COMP_CWORD=1
        _liba_completion liba
        echo "${COMPREPLY[@]}"
    """,
    # What is loaded with the first Tab completes from the second on; _arguments would draw the choice.
    "zsh": """
        source ~/.zshrc
        _arguments() { print -r -- "$@" }
        words=(liba dep) CURRENT=2
        $_comps[liba]
        $_comps[liba]
    """,
    "fish": "complete -C 'liba dep'",
}
"""How each shell is asked what may follow `liba dep`."""


@pytest.mark.parametrize("shell", ASKED)
def test_a_shell_completes_what_liba_has_installed_for_it(shell: str, tmp_path: Path) -> None:
    found = program(shell)
    environment = {
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "TERM": "dumb",
    }
    # Not the last thing that it does: it would become liba, which looks for the shell above it.
    for script in ("liba --install-completion || exit; true", ASKED[shell]):
        ended = subprocess.run(
            [found, "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        assert ended.returncode == 0, ended.stderr
    assert "deploy" in ended.stdout.replace("\\", "")
    assert "doctor" not in ended.stdout


def test_completion_loads_nothing_heavy(tmp_path: Path) -> None:
    environment = os.environ | {
        "_LIBA_COMPLETE": "complete_bash",
        "COMP_WORDS": "liba say --wa",
        "COMP_CWORD": "2",
        "XDG_CONFIG_HOME": str(tmp_path),
    }
    ended = subprocess.run(
        [sys.executable, "-c", PROBE], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert ended.stdout.split() == ["--wait"]
    assert ended.stderr == "loaded []"
