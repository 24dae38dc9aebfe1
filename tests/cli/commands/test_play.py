from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Shell

SHOW = """voice = "nova"

[[cue]]
label = "Opening"
text = "abcde fghij"

[[cue]]
pause = "2s"

[[cue]]
text = "Bye."
step = true
"""


def written(folder: Path, source: str, name: str = "show.toml") -> str:
    file = folder / name
    file.write_text(source)
    return str(file)


def test_a_check_tells_number_start_length_label_and_voice_of_each_cue(
    bare_shell: Shell, tmp_path: Path
) -> None:
    file = written(tmp_path, SHOW)
    told = bare_shell.run("play", file, "--check", "--json")
    assert told.code == 0
    first = told.json["cues"][0]
    assert (first["number"], first["label"], first["at_s"], first["takes_s"]) == (1, "Opening", 0.0, 0.7)
    assert [cue["voice"] for cue in told.json["cues"]] == ["nova", None, "nova"]
    assert [cue["at_s"] for cue in told.json["cues"]] == [0.0, 0.7, 2.7]
    assert told.json["problems"] == []
    shown = bare_shell.run("play", file, "--check", "--from", "3")
    assert (shown.code, len(shown.stdout.splitlines()), "step" in shown.stdout) == (0, 2, True)


@pytest.mark.parametrize("flags", [(), ("--check",)], ids=["play", "check"])
def test_all_problems_are_told_with_their_lines_and_nothing_is_said(
    bare_shell: Shell, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    (tmp_path / "there.wav").touch()
    source = '{"text": "a", "vioce": "x"}\n{"audio": "gone.wav"}\n{"audio": "there.wav"}\n{"text": ""}\n'
    file = written(tmp_path, source, "show.jsonl")
    ended = bare_shell.run("play", file, *flags)
    told = ended.stderr.splitlines()[-5:]
    assert ended.code == 2
    assert [line.removeprefix(f"{file}:") for line in told[:4]] == [
        "1: unknown key vioce: did you mean voice?",
        f"2: cannot read {tmp_path / 'gone.wav'}: No such file or directory",
        f"3: {tmp_path / 'there.wav'} is not a sound that can be read",
        "4: there is no letter or digit in the text",
    ]
    assert told[4].startswith(f"liba: {file}: 4 problems")


def test_where_only_texts_cannot_be_said_it_ends_as_refused(bare_shell: Shell, tmp_path: Path) -> None:
    file = written(tmp_path, '{"text": "..."}\n{"text": "Hi."}\n', "show.jsonl")
    assert bare_shell.run("play", file, "--check").code == 6


def test_a_label_that_is_not_there_is_told_with_the_nearest_one(bare_shell: Shell, tmp_path: Path) -> None:
    file = written(tmp_path, SHOW)
    ended = bare_shell.run("play", file, "--from", "openin", "--check")
    assert ended.code == 2
    assert f"{file}: --from: there is no label 'openin': did you mean Opening?" in ended.stderr
