from __future__ import annotations

import json

import pytest

from libacli import __version__
from libacli.cli.output import InstallProgress, Output, printable
from libacli.errors import LibaError
from tests.cli.conftest import Shell
from tests.twirp_server import TwirpServer, reply

HOSTILE = "a\x1b[2J\x07\x9b31m\u202eb\ud800"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Grüße, 世界 🎉", "Grüße, 世界 🎉"),
        ("one\ntwo\tthree", "one\ntwo\tthree"),
        (HOSTILE, r"a\x1b[2J\x07\x9b31m\u202eb\ud800"),
        ("a\rb", r"a\rb"),
        ("\u2028", r"\u2028"),
    ],
)
def test_control_characters_are_made_visible(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_results_go_out_and_the_rest_to_the_side(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.result("a result")
    output.status("some status")
    output.error(LibaError("went wrong", hint="do this"))
    assert capsys.readouterr() == ("a result\n", "some status\nliba: went wrong - do this\n")


def test_quiet_keeps_the_status_to_itself(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.quiet = True
    output.result("a result")
    output.status("some status")
    output.error(LibaError("went wrong"))
    assert capsys.readouterr() == ("a result\n", "liba: went wrong\n")


def test_an_error_is_one_line_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    Output().error(LibaError(f"first\nsecond\r\n{HOSTILE}"))
    assert capsys.readouterr().err == "liba: first second a\\x1b[2J\\x07\\x9b31m\\u202eb\\ud800\n"


@pytest.mark.parametrize("method", ["json", "ndjson"])
def test_json_is_readable_and_drives_no_terminal(method: str, capsys: pytest.CaptureFixture[str]) -> None:
    value = {"text": f"Grüße\n{HOSTILE}", "none": None, "tag": "\U000e0001"}
    getattr(Output(), method)(value)
    shown = capsys.readouterr().out
    assert json.loads(shown) == value
    assert "Grüße" in shown
    assert shown.replace("\n", "").isprintable()
    assert shown.count("\n") == (1 if method == "ndjson" else 5)


def test_progress_is_plain_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    progress = InstallProgress(Output())
    progress.step("Fetching it")
    progress.fraction(1, 2)
    progress.step("Done")
    assert capsys.readouterr() == ("", "Fetching it\nDone\n")


def test_the_version_is_a_result(bare_shell: Shell) -> None:
    ended = bare_shell.run("--version")
    assert (ended.code, ended.stdout) == (0, f"liba {__version__}\n")


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("-h",), ("say", "-h"), ("token", "-h"), ("agent", "run", "-h"), ("demo", "-h")],
)
def test_help_is_plain_text_with_nothing_left_out(bare_shell: Shell, arguments: tuple[str, ...]) -> None:
    ended = bare_shell.run(*arguments)
    assert ended.code == 0
    assert ended.stdout.replace("\n", "").isprintable()
    assert "\u2500" not in ended.stdout


def test_help_shows_what_stands_in_square_brackets(bare_shell: Shell) -> None:
    shown = " ".join(bare_shell.run("say", "--help").stdout.split())
    assert "[setting: say.room]" in shown
    assert "[env: LIVEKIT_URL]" in shown


def test_what_the_agent_says_does_not_drive_the_terminal(shell: Shell, server: TwirpServer) -> None:
    server.play("PerformRpc", reply(epoch="e", rejected="odd", message="no\x1b[2J\nway"))
    ended = shell.run("say", "Hello.")
    assert (ended.code, ended.stderr) == (6, "liba: the agent refused: no\\x1b[2J way\n")


def test_verbose_shows_where_an_error_came_from_and_ends_with_the_same_code(shell: Shell) -> None:
    arguments = ("token", "--identity", "agent-x")
    brief, verbose = shell.run(*arguments), shell.run("--verbose", *arguments)
    assert brief.code == verbose.code == 6
    assert "Traceback" not in brief.stderr
    assert verbose.stderr.startswith("Traceback")
    assert verbose.stderr.endswith(brief.stderr)


def test_verbose_and_quiet_hold_for_one_run_only(shell: Shell) -> None:
    shell.run("--verbose", "--quiet", "token")
    assert "Traceback" not in shell.run("token", "--identity", "agent-x").stderr
