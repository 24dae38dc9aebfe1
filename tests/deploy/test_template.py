from __future__ import annotations

import pytest

from libacli.deploy.template import filled


def test_a_place_is_filled_where_it_stands() -> None:
    assert filled("a: $a\nb: ${b}M\n", {"a": 1, "b": 2}) == "a: 1\nb: 2M\n"


def test_a_line_that_is_one_place_takes_several_lines_indented_as_it_is() -> None:
    assert filled("x:\n  $rows\ny\n", {"rows": "- a\n- b"}) == "x:\n  - a\n  - b\ny\n"


def test_a_line_for_which_there_is_nothing_goes() -> None:
    assert filled("x:\n  $rows\ny\n", {"rows": ""}) == "x:\ny\n"


def test_what_is_filled_in_is_filled_no_more() -> None:
    assert filled("  $rows\nname: $name\n", {"rows": "$name", "name": "$rows"}) == "  $name\nname: $rows\n"


def test_two_dollars_are_one() -> None:
    assert filled("PATH=/opt:$$PATH\n", {}) == "PATH=/opt:$PATH\n"


def test_a_place_that_nothing_was_given_for_is_a_defect() -> None:
    with pytest.raises(KeyError):
        filled("$unknown\n", {})
