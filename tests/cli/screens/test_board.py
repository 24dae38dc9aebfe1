from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from libacli.cli.output import plain_console
from libacli.cli.screens.board import draw, plain_line
from libacli.cli.screens.board_layout import layout
from libacli.cli.screens.board_table import STATE_LOOKS, View
from libacli.core.board import Board
from libacli.core.board_row import Budgets
from libacli.core.lifecycle import RANKS
from libacli.core.utterance_record import UtteranceRecord
from tests.core.test_board import any_message, done, event, tell

BUDGETS = Budgets(900, 50, 500)
NOW = 20.0


@pytest.fixture
def board() -> Board:
    board = Board()
    tell(board, done("970238724b12", route="tavus", voice="alloy", chars=61), 1.0)
    tell(board, done("fa11bac00001", route="fallback", route_reason="402", d01=1000.0, d2a=40.0), 1.0)
    tell(board, event("failed", "bad000000001", reason="the voice broke off"), 1.0)
    tell(board, event("audible", "11fe00000001", route="tavus", waited=0.1, d01=20.0, d12=0.1, d2a=60.0), 18)
    tell(board, event("accepted", "0a1700000001", queue=1), 19.0)
    board.caption("11fe00000001", "A secret line")
    return board


def shown(board: Board, width: int, height: int | None = 24, **more: Any) -> list[str]:
    console = plain_console(width=width + 20)
    with console.capture() as captured:
        console.print(draw(board, View(width, height, BUDGETS, **more), NOW))
    return captured.get().splitlines()


def row_of(lines: list[str], word: str) -> str:
    """The first line below the head that has `word` in it."""
    return next(line for line in lines[8:] if word in line)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 200, 400])
@pytest.mark.parametrize("height", [4, 12, 13, 24, 60])
def test_nothing_is_wider_or_higher_than_the_screen(board: Board, width: int, height: int) -> None:
    lines = shown(board, width, height, with_text=True, keys="q quits")
    assert max(cell_len(line) for line in lines) <= width
    assert len(lines) == height


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_head_tells_the_agent_and_the_percentiles(board: Board, width: int) -> None:
    title, facts, _, names, d01, d12, latency, *_ = shown(board, width, keys="q quits")
    assert title.startswith("liba metrics  room demo")
    assert title.endswith("► live  q quits")
    assert facts.startswith("agent liba e1   avatar ready   queue 1   utterances 3")
    assert names.split()[:5] == ["ms", "p50", "p95", "p99", "budget"]
    assert d01.split()[:5] == ["d01", "15.0", "1000", "1000", "900"]
    assert d12.split()[:5] == ["d12", "0.5", "0.5", "0.5", "50"]
    assert latency.split()[:5] == ["latency", "85.5", "1040", "1040", "1450"]
    assert d01.rstrip().endswith("▁█")


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (60, "time status route latency bar playing"),
        (80, "time status route note latency bar playing"),
        (120, "time status route note queued d01 d12 d2a latency bar playing"),
        (140, "time id status route note queued d01 d12 d2a latency bar playing chars"),
        (200, "time id status route note queued d01 d12 d2a latency bar playing played chars voice"),
    ],
)
def test_columns_go_in_a_sensible_order_when_it_gets_narrow(width: int, columns: str) -> None:
    assert " ".join(layout(width)) == columns


def test_rooms_and_texts_have_columns_only_when_they_are_wanted() -> None:
    assert "room" in layout(80, with_rooms=True)
    assert "text" in layout(80, with_text=True)
    assert not {"room", "text"} & layout(400).keys()


@given(st.integers(1, 500), st.booleans(), st.booleans())
def test_a_wider_screen_never_shows_less(width: int, with_rooms: bool, with_text: bool) -> None:
    narrow = layout(width, with_rooms=with_rooms, with_text=with_text)
    gap = 1 if width < 150 else 2
    assert sum(narrow.values()) + gap * (len(narrow) - 1) <= max(width, 0)
    if width not in (148, 149):  # beyond it the gaps are wider
        assert narrow.keys() <= layout(width + 1, with_rooms=with_rooms, with_text=with_text).keys()


def test_every_row_says_in_words_what_became_of_it(board: Board) -> None:
    lines = shown(board, 120)
    assert "✓ done" in row_of(lines, "fallback")
    assert "402" in row_of(lines, "fallback")
    assert "the voice bro…" in row_of(lines, "✗ failed")
    assert row_of(lines, "· accepted").split()[-2:] == ["waits", "1.0s"]
    assert row_of(lines, "► audible").split()[-1] == "2.0s"


def test_where_notes_have_no_column_the_bar_gives_the_reason(board: Board) -> None:
    assert "the voice b…" in row_of(shown(board, 60), "✗ failed")


def test_a_line_whose_sound_was_held_back_says_so() -> None:
    board = Board()
    tell(board, done(hold=612.4, route="tavus"), 1.0)
    assert "held 612 ms" in row_of(shown(board, 200), "✓ done")


def test_a_bar_shows_in_proportion_where_the_time_goes() -> None:
    board = Board()
    tell(board, done(waited=0.0, d01=400.0, d12=200.0, d2a=400.0, route="tavus"), 1.0)
    bar = row_of(shown(board, 200), "✓ done")
    assert bar.count("▓") * 2 == bar.count("█") == bar.count("▒")
    assert bar.count("▓") >= 7


def test_one_that_took_far_longer_is_cut_and_leaves_the_others_their_room() -> None:
    board = Board()
    for number in range(5):
        tell(board, done(f"u{number}", waited=0.0), 1.0)
    tell(board, done("cold", waited=0.0, d01=5000.0), 1.0)
    lines = shown(board, 120)
    assert "█»" in row_of(lines, "5070")
    assert row_of(lines, "85.5").count("▒") >= 4


def test_the_budget_is_marked_where_it_is_on_the_scale() -> None:
    board = Board()
    tell(board, done("slow", waited=0.0, d01=2500.0), 1.0)
    tell(board, done("fast", waited=0.0, d01=100.0), 1.0)
    lines = shown(board, 120)
    assert "┊" in row_of(lines, " 170")
    assert lines[-1].endswith("┊ budget 1450 ms")
    board = Board()
    tell(board, done(), 1.0)
    assert shown(board, 120)[-1].endswith("(budget 1450 ms is beyond)")


@pytest.mark.parametrize(("d01", "style"), [(900.0, "green"), (1800.0, "yellow"), (1800.1, "red")])
def test_colours_follow_the_budget(d01: float, style: str) -> None:
    board = Board()
    tell(board, done(waited=0.0, d01=d01), 1.0)
    view = View(120, 24, BUDGETS)
    row = next(line for line in draw(board, view, NOW).renderables if "✓ done" in str(line))
    styles = {str(span.style) for span in row.spans if "█" in row.plain[span.start : span.end]}  # type: ignore[union-attr]
    assert styles == {style}


def test_text_is_shown_only_when_it_is_asked_for(board: Board) -> None:
    assert "secret" not in "\n".join(shown(board, 200))
    assert "A secret line" in row_of(shown(board, 200, with_text=True), "► audible")


def test_an_empty_board_says_so_and_what_to_do() -> None:
    board = Board(room="demo")
    board.no_agent(7.0)
    text = "\n".join(shown(board, 80))
    assert "no agent yet: liba agent run" in text
    assert "nothing was said yet" in text


def test_an_agent_that_is_gone_is_told_with_since_when_and_the_numbers_are_those_of_before(
    board: Board,
) -> None:
    board.no_agent(8.0)
    assert "agent gone 12 s ago" in shown(board, 120)[1]
    numbers = [line for line in draw(board, View(120, 24, BUDGETS), NOW).renderables if "p50" in str(line)]
    assert ["dim" in {str(span.style) for span in line.spans} for line in numbers] == [True]  # type: ignore[union-attr]


def test_a_lost_connection_and_a_restart_are_told(board: Board) -> None:
    board.connection("reconnecting…")
    tell(board, event("accepted", "u9", epoch="e2"), 19.0)
    board.ignore()
    title, facts = shown(board, 120)[:2]
    assert "reconnecting…" in title
    assert "restarted 1×   ignored 1" in facts


def test_a_terminal_without_unicode_gets_ascii(board: Board) -> None:
    lines = shown(board, 200, ascii_only=True)
    assert "\n".join(lines).isascii()
    assert [len(line) for line in lines] == [len(line) for line in shown(board, 200)]


def test_only_as_many_rows_as_fit_and_the_newest_of_them() -> None:
    board = Board()
    for number in range(50):
        tell(board, done(f"u{number}", route="tavus"), 1.0)
    lines = shown(board, 200, 20)
    assert [line.split()[1] for line in lines if "✓ done" in line] == [f"u{49 - n}" for n in range(10)]


def test_without_a_height_all_rows_are_shown() -> None:
    board = Board(keep=30)
    for number in range(50):
        tell(board, done(f"u{number}"), 1.0)
    assert sum("✓ done" in line for line in shown(board, 80, None)) == 30


def test_what_came_from_outside_does_not_drive_the_terminal() -> None:
    board = Board()
    evil = "\x1b[2J\x07\n\u202e"
    tell(
        board,
        done(evil, route=evil, route_reason=evil, voice=evil, room=evil, agent=evil, avatar=evil, epoch=evil),
        1.0,
    )
    board.caption(evil, evil)
    lines = shown(board, 300, with_text=True, with_rooms=True) + shown(board, 300)
    assert all(line.isprintable() for line in lines)
    assert plain_line(board.rows[0]).isprintable()


@given(st.lists(any_message, max_size=8), st.integers(10, 220), st.integers(3, 40))
@settings(max_examples=60, deadline=None)
def test_whatever_a_board_was_told_it_can_be_drawn(
    messages: list[dict[str, Any]], width: int, height: int
) -> None:
    board = Board()
    for members in messages:
        tell(board, members | {"room": "demo"}, 1.0)
    lines = shown(board, width, height, with_text=True)
    assert max((cell_len(line) for line in lines), default=0) <= width


def test_an_utterance_that_ended_is_one_aligned_line() -> None:
    board = Board()
    first = board.add(
        UtteranceRecord(
            "970238724b12", 1.0, "done", route="avatar", t3_source="reported",
            d01=14.7, d12=0.1, d2a=71.2, d23=4058.5, total=4073.3,
        )
    )  # fmt: skip
    second = board.add(UtteranceRecord("u2", 1e14, "failed", reason="no\nvoice"))
    lines = [plain_line(first), plain_line(second)]
    assert " ".join(lines[0].split()[1:]) == (
        "970238724b12 done tavus d01=14.7 d12=0.1 d2a=71.2 d23=4058.5 total=4073.3 reported"
    )
    assert lines[1].endswith("no voice")
    assert lines[0].index("total=") == lines[1].index("total=")


def test_each_state_that_a_watcher_knows_has_its_own_look() -> None:
    assert set(STATE_LOOKS) == set(RANKS)
    assert {word for _, word, _ in STATE_LOOKS.values()} == set(RANKS)
