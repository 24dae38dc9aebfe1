from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.journal import Ended, Entry, Line, decode_entry, encode_entry
from libacli.core.journal_place import Place, Scope
from libacli.core.lifecycle import OUTCOMES
from libacli.core.messages import SayRequest

requests = st.builds(
    SayRequest,
    text=st.sampled_from(["Hello.", "Grüß Gott, 你好", "One. [pause 500ms] Two.", "x" * 4000]),
    id=st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=64),
    voice=st.none() | st.just("heart"),
    speed=st.none() | st.floats(0.25, 4.0),
    instructions=st.none() | st.just("Softly."),
    emotion=st.none() | st.just("happiness"),
    interrupt=st.booleans(),
    priority=st.integers(-100, 100),
    ttl_ms=st.none() | st.integers(1, 86_400_000),
)


@given(request=requests, account=st.text(max_size=20), owners=st.booleans())
def test_an_entry_comes_back_as_it_was(request: SayRequest, account: str, owners: bool) -> None:
    entry = Entry(request, 1_800_000_000.5, account, owners)
    assert decode_entry(encode_entry(entry)) == entry


@pytest.mark.parametrize(
    "damaged",
    [b"", b"[]", b"null", b"\xff", b'{"at": 1}', encode_entry(Entry(SayRequest(""), 0.0))],
)
def test_what_is_no_entry_is_told_as_such(damaged: bytes) -> None:
    with pytest.raises(ValueError):
        decode_entry(damaged)


def test_members_that_a_newer_liba_has_are_passed_over() -> None:
    entry = Entry(SayRequest("Hello.", id="a"), 1.0)
    members = json.loads(encode_entry(entry))
    newer = members | {"more": 1, "say": members["say"] | {"more": 1}}
    assert decode_entry(json.dumps(newer).encode()) == entry


@given(
    line=st.builds(Line, st.text(), st.integers(), st.text(), st.integers(0, 3)),
    ended=st.builds(Ended, st.text(), st.sampled_from(sorted(OUTCOMES)), st.text(), st.floats(0, 1e10)),
)
def test_lines_and_ends_come_back_as_they_were(line: Line, ended: Ended) -> None:
    assert Line.read(json.loads(json.dumps(line.encode()))) == line
    assert Ended.read(json.loads(json.dumps(ended.encode()))) == ended


@pytest.mark.parametrize("members", [None, [], {}, {"id": "a", "number": "1", "sealed": "", "begun": 0}])
def test_what_is_no_line_is_told_as_such(members: object) -> None:
    with pytest.raises(ValueError, match="no line"):
        Line.read(members)


@pytest.mark.parametrize("state", ["accepted", "speaking", "rejected", "nonsense", [], None])
def test_what_has_not_ended_is_no_end(state: object) -> None:
    with pytest.raises(ValueError, match="no end"):
        Ended.read({"id": "a", "state": state, "reason": "", "ended_at": 1.0})


def test_a_seal_holds_for_one_line_of_one_queue() -> None:
    line, place = Line("a", 1, ""), Place(Scope("key", "liba"), "demo").name
    others = [
        Line("b", 1, "").bound_to(place),
        Line("a", 2, "").bound_to(place),
        line.bound_to(Place(Scope("key", "liba"), "another").name),
        line.bound_to(Place(Scope("key", "another"), "demo").name),
        line.bound_to(Place(Scope("another", "liba"), "demo").name),
    ]
    assert line.bound_to(place) not in others
    assert Line("a", 1, "sealed", begun=2).bound_to(place) == line.bound_to(place)


def test_names_that_are_joined_alike_are_different_places() -> None:
    assert Scope("ab", "c").digest != Scope("a", "bc").digest
    assert Place(Scope("a", "b"), "c").digest != Place(Scope("a", "b"), "d").digest
