"""What `--help` shows, and what is said of a command line that is wrong."""

from __future__ import annotations

import re

import pytest

from tests.cli.conftest import Shell
from tests.test_docs import COMMANDS

GROUPS = sorted({path[0] for path in COMMANDS if len(path) > 1})


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_fits_80_columns_begins_with_examples_and_names_values(
    bare_shell: Shell, path: tuple[str, ...]
) -> None:
    shown = bare_shell.run(*path, "--help").stdout
    about = shown.partition("Options:")[0]
    assert max(map(len, shown.splitlines())) <= 80
    assert re.search(rf"^ +.*\bliba {' '.join(path)}\b", about.partition("\n")[2], re.M), "no example"
    assert not re.search(r"<(str|float|int|path|list)", shown.partition("Options:")[2])


@pytest.mark.parametrize("path", [(), *((name,) for name in GROUPS)], ids=" ".join)
def test_no_summary_of_a_command_is_cut(bare_shell: Shell, path: tuple[str, ...]) -> None:
    shown = bare_shell.run(*path, "--help").stdout
    listed = shown.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert listed
    for line in listed:
        assert re.match(r"  [a-z0-9-]+ +\S.*[^.]\.$", line), line


@pytest.mark.parametrize(
    "text",
    ["-5 degrees", "-5", "- milk", "-quick", "-1/2 cup", "-v is so", "--help me", "--quiet please", "-- so"],
)
@pytest.mark.parametrize("command", [("say",), ("voices", "try"), ("demo", "--once")], ids=" ".join)
def test_dash_text_is_answered_with_the_dashes_that_it_wants(
    bare_shell: Shell, command: tuple[str, ...], text: str
) -> None:
    ended = bare_shell.run(*command, text)
    assert ended.code == 2
    assert "a text that begins with a minus stands last, behind --: -- '-5" in " ".join(ended.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("say", "Hello", "world"), "world is too much; put a text of several words in quotes"),
        (("say", "--", "-5 degrees", "--id", "x"), "--id x is too much; options stand before --"),
        (("say", "Hi.", "--tiemout", "5"), "No such option: --tiemout (Possible options: "),
        (("stop", "now"), "now is too much"),
        (("stop", "--id", ""), "--id is empty - leave it out to stop all"),
        (("say", "Hi.", "--speed", "9"), "'--speed': it must be 0.25 to 4"),
        (("say", "Hi.", "--timeout", "0"), "'--timeout': it must be at least 0.1"),
        (("say", "Hi.", "--priority", "high"), "'--priority': it must be -100 to 100"),
        (("say", "Hi.", "--wait", "foo"), "'--wait': 'foo' is not one of 'accepted', 'audible', 'done'."),
        (("sya",), "Did you mean 'say'?"),
    ],
    ids=" ".join,
)
def test_a_slip_is_answered_with_what_would_be_right(
    bare_shell: Shell, arguments: tuple[str, ...], words: str
) -> None:
    ended = bare_shell.run(*arguments)
    assert ended.code == 2
    assert words in " ".join(ended.stderr.split())
    assert "Input should" not in ended.stderr
    assert "Value error" not in ended.stderr
