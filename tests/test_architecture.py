from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.twirp_server import API_SECRET

ROOT = Path(__file__).parent.parent
MODULE_LINES = 300
FUNCTION_LINES = 40
CANARY_TEXT = "The canary sings at midnight."

HEAVY = {
    "livekit.agents",
    "livekit.rtc",
    "openai",
    "fastapi",
    "numpy",
    "aiohttp",
    "av",
    "hibari",
    "rich",
    "markdown_it",
    "sentencex",
    "sqlite3",
    "websockets",
}
"""What takes long to load, or is large, and has no business in a command that runs for a moment."""

PROBE = f"""
import atexit, json, sys
heavy = {sorted(HEAVY)!r}
def loaded():
    return json.dumps([name for name in heavy if name in sys.modules])
atexit.register(lambda: sys.stderr.write("loaded " + loaded()))
from libacli.cli.main import main
sys.argv[0] = "liba"
main()
"""


def test_the_arrows_between_the_folders_point_down() -> None:
    linter = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert linter.returncode == 0, linter.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("--help", 0),
        ("--version", 0),
        ("say --help", 0),
        ("agent run --help", 0),
        ("token", 0),
        ("token --can-say --json", 0),
        ("config show", 0),
        ("config path", 0),
        ("cache show", 0),
        ("deploy dockerfile", 0),
        ("deploy k8s", 0),
        ("say", 2),
        ("nonsense", 2),
        (f"say {CANARY_TEXT.replace(' ', '_')}", 4),
        (f"say {CANARY_TEXT.replace(' ', '_')} --wait done --json", 4),
    ],
)
def test_a_command_of_a_moment_loads_nothing_heavy_and_tells_no_secret(
    arguments: str, code: int, tmp_path: Path
) -> None:
    env = os.environ | {
        "LIVEKIT_URL": "ws://127.0.0.1:1",
        "LIVEKIT_API_KEY": "key",
        "LIVEKIT_API_SECRET": API_SECRET,
        "XDG_CONFIG_HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path),
    }
    command = [sys.executable, "-c", PROBE, *arguments.split()]
    ended = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    said, _, loaded = ended.stderr.rpartition("loaded ")
    assert ended.returncode == code, ended.stderr
    assert json.loads(loaded) == []
    assert "canary" not in ended.stdout + said


def test_the_probe_sees_what_is_loaded() -> None:
    code = PROBE.replace("main()\n", "import numpy\n")
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stderr == 'loaded ["numpy"]'


def test_no_error_is_asked_whether_it_is_true() -> None:
    """Every exception is, also one without a word: `error or "no answer"` tells nothing."""
    assert list(_errors_taken_for_words()) == []


def _errors_taken_for_words() -> Iterator[str]:
    for file in sorted((ROOT / "libacli").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.ExceptHandler) and node.name):
                continue
            for inner in (found for found in ast.walk(node) if isinstance(found, ast.BoolOp)):
                if isinstance(inner.values[0], ast.Name) and inner.values[0].id == node.name:
                    yield f"{file.relative_to(ROOT)}:{inner.lineno}"


def test_what_has_grown_long_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Length is a smell, not an offence: this test only tells."""
    with capsys.disabled():
        for line in _long_ones():
            sys.stdout.write(f"\n  long: {line}")


def _long_ones() -> Iterator[str]:
    for file in sorted((ROOT / "libacli").rglob("*.py")):
        source = file.read_text(encoding="utf-8")
        name = file.relative_to(ROOT)
        if (lines := source.count("\n")) > MODULE_LINES:
            yield f"{name} has {lines} lines"
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    yield f"{name}:{node.lineno} {node.name} has {lines} lines"
