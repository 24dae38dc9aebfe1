from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.edges.avatars.conversation_names import (
    ConversationName,
    is_ours,
    project_of,
    short_name,
    short_name_of_room,
)


@given(st.text(min_size=1, max_size=300), st.text(max_size=300), st.text(), st.integers(1, 999_999))
def test_f13_a_name_tells_project_agent_and_room_whatever_they_are_called(
    room: str, identity: str, api_key: str, number: int
) -> None:
    name = ConversationName(
        project_of(api_key), short_name(identity), "0123abcd", number, short_name_of_room(room)
    )
    assert ConversationName.read(str(name)) == name
    assert is_ours(str(name))


@given(st.text(max_size=300))
def test_a_name_is_good_for_a_file(room: str) -> None:
    name = str(ConversationName("0123ab", "Ab12", "0123abcd", 1, short_name_of_room(room)))
    assert len(name) < 120
    assert name.isascii()
    assert "/" not in name


@pytest.mark.parametrize("name", ["", "liba-0123abcd-1", "liba-doctor-0123abcd", "Improve Sales Technique"])
def test_another_name_tells_nothing(name: str) -> None:
    assert ConversationName.read(name) is None


def test_what_an_earlier_version_has_begun_is_ours_too() -> None:
    assert is_ours("liba-0123abcd-1")
    assert not is_ours("A Meeting with liba-")


def test_the_key_of_a_project_is_not_told() -> None:
    assert "canary" not in project_of("canary")
