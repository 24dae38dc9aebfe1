from __future__ import annotations

from libacli.cli.screens.cells import columns


def test_cells_stand_below_each_other_and_drive_no_terminal() -> None:
    rows = [
        ("CUE", "LABEL", "WHAT"),
        ("1", "\u958b\u5834", "text"),
        ("2", "[/x]\n\x1b[2J", "text  step"),
        ("10", "", ""),
    ]
    assert list(columns(rows)) == [
        "CUE  LABEL         WHAT",
        "1    \u958b\u5834          text",
        "2    [/x] \\x1b[2J  text  step",
        "10",
    ]
