from __future__ import annotations

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from libacli.cli.screens.demo_prompt import DemoPrompt

PASTE, END_OF_PASTE = "\x1b[200~", "\x1b[201~"
ENTER, CTRL_C, CTRL_D = "\r", "\x03", "\x04"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def taken(typed: str, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What comes of those keys, and Ctrl-D."""
    monkeypatch.setenv("TERM", "xterm")
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        pipe.send_text(typed + CTRL_D)
        return [lines async for lines in DemoPrompt(lambda: "ready").texts()]


async def test_each_line_comes_with_enter(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await taken(f"One.{ENTER}  {ENTER}Two.{ENTER}", monkeypatch) == [["One."], ["Two."]]


async def test_what_is_pasted_comes_at_once_and_needs_no_enter_where_it_ends_with_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert await taken(f"{PASTE}One.\nTwo.\r\nThree.\n{END_OF_PASTE}", monkeypatch) == [
        ["One.", "Two.", "Three."]
    ]


async def test_a_paste_without_an_end_of_line_waits_for_enter_and_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert await taken(f"{PASTE}One.\nTwo{END_OF_PASTE}, too.{ENTER}", monkeypatch) == [["One.", "Two, too."]]


async def test_ctrl_c_is_told_and_drops_what_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await taken(f"never said{CTRL_C}One.{ENTER}", monkeypatch) == [[], ["One."]]
