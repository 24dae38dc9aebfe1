from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.paragraphs import paragraphs


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("one\ntwo\n\nthree", ["one\ntwo", "three"]),
        ("one\n \t\ntwo\n", ["one", "two"]),
        ("Buy:\n- milk\n- eggs\nThanks.", ["Buy:", "- milk", "- eggs", "Thanks."]),
        ("* a\n* b\n• c", ["* a", "* b", "• c"]),
        ("1. a\n2. b\n3) c", ["1. a", "2. b", "3) c"]),
        ("a) x\nb) y", ["a) x", "b) y"]),
        (
            "- goes on\nin the next line\n- two\n  and here",
            ["- goes on\nin the next line", "- two\n  and here"],
        ),
        ("- We went to the town of the old family of\nAnn last week", 1),
        ("It was in\n1984. Then it rained.", 1),
        ("The answer is\n42. Nobody knew.", 1),
        ("by J.\nA. Smith", 1),
        ("7. seven\n8. eight", ["7. seven", "8. eight"]),
        ("-5 degrees\n-6 degrees", 1),
        ("", []),
        (" \n\n ", []),
    ],
)
def test_paragraphs_and_list_items_stand_apart(text: str, parts: list[str] | int) -> None:
    found = [text[start:end] for start, end in paragraphs(text)]
    assert (len(found) if isinstance(parts, int) else found) == parts


@given(st.text(alphabet="ab.1)-*• \n\t", max_size=60))
def test_all_that_is_seen_is_in_one_of_them(text: str) -> None:
    spans = paragraphs(text)
    assert "".join("".join(text[start:end] for start, end in spans).split()) == "".join(text.split())
    assert all(text[start:end] == text[start:end].strip() != "" for start, end in spans)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
