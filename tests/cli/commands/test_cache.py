"""`liba cache`, with a real speech server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from libacli.edges.voices.cache_files import usage
from tests.cli.conftest import Shell
from tests.speech_server import Script, SpeechServer

LINES = "Good morning, everybody.\n\nPlease wait a moment.\n"


@contextmanager
def serving(script: Script | None = None) -> Iterator[SpeechServer]:
    """A speech server beside the command, which has a loop of its own."""
    server, is_up, loop = SpeechServer(script), threading.Event(), asyncio.new_event_loop()
    is_over = asyncio.Event()

    async def serve() -> None:
        async with server:
            is_up.set()
            await is_over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
    thread.start()
    is_up.wait(20)
    yield server
    loop.call_soon_threadsafe(is_over.set)
    thread.join()
    loop.close()


@pytest.fixture
def speech() -> Iterator[SpeechServer]:
    with serving() as server:
        yield server


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "liba" / "voice"


@pytest.fixture
def shell(bare_shell: Shell, speech: SpeechServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """One whose voice is the speech server, whose cache is its own, and with a file of lines."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    bare_shell.env |= {"OPENAI_BASE_URL": speech.base_url, "LIBA_VOICE_CACHE_MB": "10"}
    (tmp_path / "lines.txt").write_text(LINES)
    return bare_shell


def test_lines_are_made_once_and_then_passed_over(shell: Shell, speech: SpeechServer) -> None:
    ended = shell.run("cache", "warm", "lines.txt")
    assert (ended.code, ended.stderr) == (0, "")
    assert ended.stdout == "made 2 lines, 45 characters, 2.7 s of sound; 0 were there\n"
    assert [asked["input"] for asked in speech.requests] == [line for line in LINES.splitlines() if line]
    assert shell.run("cache", "warm", "lines.txt").stdout == "made 0 lines; 2 were there\n"
    assert speech.calls == 2


def test_each_voice_and_manner_has_a_sound_of_its_own(shell: Shell, speech: SpeechServer) -> None:
    manner = ("--voice", "nova", "--speed", "1.5", "--instructions", "softly")
    assert shell.run("cache", "warm", "lines.txt", *manner).code == 0
    assert (speech.requests[0]["voice"], speech.requests[0]["speed"]) == ("nova", 1.5)
    assert speech.requests[0]["instructions"] == "softly"
    assert shell.run("cache", "warm", "lines.txt", "--json").json["made"] == 2
    assert shell.run("cache", "warm", "lines.txt", *manner, "--json").json == {
        "made": 0,
        "there": 2,
        "chars": 0,
        "sound_s": 0.0,
    }


def test_a_long_line_is_kept_as_a_whole(shell: Shell, speech: SpeechServer, cache: Path) -> None:
    long = "This is a sentence of some length, and it is not alone here. " * 8
    (shell.folder / "lines.txt").write_text(long)
    assert shell.run("cache", "warm", "lines.txt", "--json").json["made"] == 1
    assert speech.calls > 1
    assert usage(cache).sounds == 1


def test_lines_come_from_standard_input_too(shell: Shell, speech: SpeechServer) -> None:
    ended = shell.spawn("cache", "warm", "-", "--json", input="Grüß Gott.\r\nYes.".encode())
    assert (ended.code, ended.json["made"]) == (0, 2)
    assert [asked["input"] for asked in speech.requests] == ["Grüß Gott.", "Yes."]


def test_ctrl_c_keeps_what_is_done_and_tells_it(bare_shell: Shell, shell: Shell, cache: Path) -> None:
    with serving(Script(first_byte_s=0.3)) as slow:
        lines = "\n".join(f"Line {number}." for number in range(100))
        (shell.folder / "lines.txt").write_text(lines)
        env = {"OPENAI_BASE_URL": slow.base_url, "XDG_CACHE_HOME": str(shell.folder / "cache")}
        ended = shell.spawn(
            "cache", "warm", "lines.txt", "--json", env=env, interrupt_when=lambda: slow.calls > 3
        )
    assert ended.code == 130
    assert ended.json["made"] == usage(cache).sounds >= 3


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("Fine.\n\n🎉\n", "line 3: there is no letter or digit in the text"),
        ("Fine.\n" + "x" * 5000, "line 2: the text has 5000 characters, 4000 are allowed"),
    ],
)
def test_a_line_that_cannot_be_said_is_named_before_anything_is_made(
    shell: Shell, speech: SpeechServer, lines: str, told: str
) -> None:
    (shell.folder / "lines.txt").write_text(lines)
    ended = shell.run("cache", "warm", "lines.txt")
    assert (ended.code, ended.stdout) == (6, "")
    assert told in ended.stderr
    assert speech.calls == 0


def test_a_voice_that_fails_ends_it_with_what_is_done(shell: Shell, speech: SpeechServer) -> None:
    speech.play(Script(), Script(status=401))
    ended = shell.run("cache", "warm", "lines.txt")
    assert (ended.code, ended.stdout) == (1, "made 1 line, 24 characters, 1.4 s of sound; 0 were there\n")
    assert "(401)" in ended.stderr
    assert shell.run("cache", "warm", "lines.txt", "--json").json["there"] == 1


def test_nothing_is_made_that_would_not_be_kept(shell: Shell, speech: SpeechServer) -> None:
    ended = shell.run("cache", "warm", "lines.txt", env={"LIBA_VOICE_CACHE_MB": "0"})
    assert (ended.code, ended.stdout, speech.calls) == (3, "", 0)
    assert ended.stderr.startswith("liba: voice.cache_mb is 0: nothing is kept on disk - set it")


def test_a_cache_that_is_too_small_is_told(shell: Shell) -> None:
    (shell.folder / "lines.txt").write_text("\n".join(f"{n}: {'one more word ' * 4}" for n in range(10)))
    ended = shell.run("cache", "warm", "lines.txt", env={"LIBA_VOICE_CACHE_MB": "1"})
    assert ended.code == 3
    assert "voice.cache_mb is too small: of 10 lines" in ended.stderr
    (shell.folder / "lines.txt").write_text("one more word " * 20)
    ended = shell.run("cache", "warm", "lines.txt", env={"LIBA_VOICE_CACHE_MB": "1"})
    assert (ended.code, "line 1 is not kept: it is longer than a quarter" in ended.stderr) == (1, True)


def test_a_place_that_cannot_be_used_is_told(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    ended = shell.run("cache", "warm", "lines.txt")
    assert ended.code == 3
    assert ended.stderr.startswith(f"liba: cannot use {tmp_path / 'cache' / 'liba' / 'voice'}: ")


@pytest.mark.parametrize("wrong", ["nothing.txt", "binary"])
def test_a_file_that_cannot_be_read_is_told(shell: Shell, wrong: str) -> None:
    (shell.folder / "binary").write_bytes(b"\xff\xfe\x00")
    ended = shell.run("cache", "warm", wrong)
    assert (ended.code, f"cannot read {wrong}" in ended.stderr) == (2, True)


def test_what_is_kept_is_shown_and_cleared(shell: Shell, cache: Path) -> None:
    assert shell.run("cache", "show", "--json").json["sounds"] == 0
    assert not cache.exists()
    shell.run("cache", "warm", "lines.txt")
    assert shell.run("cache", "show").stdout.splitlines() == [
        f"folder  {cache}",
        "sounds  2",
        "size    0.1 of 10 MB",
    ]
    assert shell.run("cache", "show", "--json").json == {
        "folder": str(cache),
        "sounds": 2,
        "bytes": usage(cache).bytes,
        "most_bytes": 10_000_000,
    }
    assert shell.run("cache", "clear").stdout == "cleared 2 lines, 0.1 MB\n"
    assert shell.run("cache", "clear", "--json").json == {"cleared": 0, "bytes": 0}
    assert shell.run("cache", "warm", "lines.txt", "--json").json["made"] == 2


def test_where_nothing_is_kept_that_is_told(shell: Shell) -> None:
    ended = shell.run("cache", "show", env={"LIBA_VOICE_CACHE_MB": "0"})
    assert (ended.code, ended.stdout.splitlines()[1]) == (0, "sounds  0")
    assert ended.stderr == "voice.cache_mb is 0: nothing is kept on disk, and nothing said from there\n"
