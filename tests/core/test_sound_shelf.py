from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.sound_shelf import SoundShelf
from libacli.errors import RefusedError


def test_a_sound_is_kept_for_a_while_and_longer_while_a_line_waits_with_it() -> None:
    shelf = SoundShelf(kept_s=10)
    shelf.put("a", b"12", 0)
    shelf.put("b", b"34", 0)
    shelf.hold("a", "u1")
    assert (shelf.find("a", 11), shelf.find("b", 11)) == (b"12", None)
    shelf.release("a", "u1", 20)
    assert (shelf.find("a", 29), shelf.find("a", 31)) == (b"12", None)


def test_one_that_comes_again_is_kept_once_and_longer() -> None:
    shelf = SoundShelf(kept_s=10)
    shelf.put("a", b"12", 0)
    shelf.put("a", b"12", 5)
    assert (shelf.used_bytes, shelf.find("a", 14)) == (2, b"12")


def test_the_oldest_makes_room_and_one_that_is_waited_with_never() -> None:
    shelf = SoundShelf(most_bytes=4)
    for name in "ab":
        shelf.put(name, b"12", 0)
    shelf.hold("a", "u1")
    shelf.put("c", b"34", 1)
    assert [shelf.find(name, 1) for name in "abc"] == [b"12", None, b"34"]
    with pytest.raises(RefusedError) as caught:
        shelf.put("d", b"567", 1)
    assert caught.value.reason == "sounds_full"
    assert shelf.find("d", 1) is None


def test_to_release_what_is_not_there_does_nothing() -> None:
    SoundShelf().release("a", "u1", 0)


STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "hold", "release"]), st.sampled_from("abcd"), st.integers(1, 5)),
    max_size=40,
)


@given(STEPS)
def test_it_never_holds_more_than_it_may_nor_forgets_what_a_line_waits_with(
    steps: list[tuple[str, str, int]],
) -> None:
    shelf, held = SoundShelf(most_bytes=8, kept_s=5), set[str]()
    for now, (step, name, size) in enumerate(steps):
        if step == "put":
            try:
                shelf.put(name, bytes(size), now)
            except RefusedError as error:
                assert error.reason == "sounds_full"
        elif step == "hold" and shelf.find(name, now) is not None:
            shelf.hold(name, "u")
            held.add(name)
        elif step == "release":
            shelf.release(name, "u", now)
            held.discard(name)
        assert shelf.used_bytes <= 8
        assert all(shelf.find(one, now) is not None for one in held)
