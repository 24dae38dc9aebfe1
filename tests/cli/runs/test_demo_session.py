from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libacli.cli.runs.demo_session import COMMANDS, DemoSession
from libacli.cli.runs.page_link import PageLink
from libacli.edges.livekit.background import in_background
from tests.cli.runs.demo_stage import Stage, stage

CTRL_C: list[str] = []


class Typist:
    """Types one after the other, each when what was said before is under way; `...`: when it is over."""

    def __init__(self, on: Stage, *typed: list[str] | str) -> None:
        self._on = on
        self._typed = typed

    async def texts(self) -> AsyncIterator[list[str]]:
        for typed in self._typed:
            if typed == "...":
                await self._on.lines.finished()
            else:
                yield [typed] if isinstance(typed, str) else typed
                await asyncio.sleep(0.5)


async def typed(*texts: list[str] | str) -> Stage:
    """What came of it, once all has been spoken or Ctrl-C has ended it."""
    on = stage()
    session = DemoSession(on.lines, PageLink("http://127.0.0.1:1/"))
    async with in_background(on.lines.run()):
        await session.run(Typist(on, *texts))
        await on.lines.finished()
    return on


def spoken(on: Stage) -> list[str]:
    return [request.text for request in on.agent.said]


async def test_lines_are_spoken_and_two_slashes_say_one() -> None:
    assert spoken(await typed("Hello.", "//etc is a folder.")) == ["Hello.", "/etc is a folder."]


async def test_what_is_pasted_is_spoken_as_it_is_whatever_it_begins_with() -> None:
    assert spoken(await typed(["One.", "/stop", "Three."])) == ["One.", "/stop", "Three."]


async def test_voice_and_speed_are_for_the_lines_that_follow_until_they_are_taken_back() -> None:
    on = await typed("One.", "/voice nova", "/speed 1.5", "Two.", "/voice", "/speed", "Three.")
    assert [(said.voice, said.speed) for said in on.agent.said] == [(None, None), ("nova", 1.5), (None, None)]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("/speed 99", "0.25 to 4"),
        ("/speed fast", "takes a number"),
        ("/record", "wants a file"),
        ("/record /nowhere/line.wav", "cannot write"),
        ("/stpo", "did you mean /stop"),
        ("/xyzzy", "/help lists them"),
    ],
)
async def test_a_command_that_is_wrong_says_what_is_right_and_ends_nothing(
    command: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    on = await typed(command, "One.")
    assert words in capsys.readouterr().err
    assert spoken(on) == ["One."]


async def test_stop_ends_what_is_spoken_and_the_next_line_is_spoken() -> None:
    on = await typed("One.", "/stop", "Two.")
    assert on.shown.told[1] == ("stopped", '"One."')
    assert on.shown.told[-1] == ("heard", '"Two."')


async def test_stop_when_nothing_is_spoken_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    await typed("/stop")
    assert "nothing is spoken" in capsys.readouterr().err


async def test_the_first_ctrl_c_stops_what_is_spoken_and_the_next_one_ends_the_demo() -> None:
    on = stage()
    session = DemoSession(on.lines, PageLink("http://127.0.0.1:1/"))
    async with in_background(on.lines.run()):
        await session.run(Typist(on, "One.", CTRL_C, "..."))
        assert [word for word, _ in on.shown.told] == ["speaking", "stopped"]
        with pytest.raises(KeyboardInterrupt):
            await session._interrupt()


async def test_record_takes_the_next_line_alone(tmp_path: Path) -> None:
    path = tmp_path / "line.wav"
    assert (await typed("One.", f"/record {path}", "Two.", "Three.")).recorded == [path]


async def test_quit_ends_it_and_what_was_to_follow_is_not_spoken() -> None:
    assert spoken(await typed("/quit", "One.")) == []


async def test_help_tells_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    await typed("/help")
    told = capsys.readouterr().err
    assert all(command in told for command in COMMANDS)
    assert max(map(len, told.splitlines())) <= 80
