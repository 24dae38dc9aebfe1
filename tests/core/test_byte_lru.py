from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from libacli.core.byte_lru import ByteLru

MOST = 100
KEYS = st.sampled_from([b"a", b"b", b"c", b"d", b"e", b"f", b"g"])
VALUES = st.integers(0, 40).map(bytes)


@given(st.lists(st.tuples(KEYS, VALUES | st.none()), max_size=60))
def test_it_holds_what_was_wanted_last_as_far_as_there_is_room(
    steps: list[tuple[bytes, bytes | None]],
) -> None:
    """With a value it is put, without one it is wanted; beside it a list in order does the same."""
    lru, model = ByteLru(MOST), list[tuple[bytes, bytes]]()
    for key, value in steps:
        known = dict(model).get(key)
        model = [pair for pair in model if pair[0] != key]
        if value is None:
            assert lru.get(key) == known
            value = known
        else:
            lru.put(key, value)
        if value is not None and len(value) <= MOST // 4:
            model.append((key, value))
        while sum(len(value) for _, value in model) > MOST:
            model.pop(0)
        assert lru.size == sum(len(value) for _, value in model) <= MOST
        assert len(lru) == len(model)
        assert all(key in lru for key, _ in model)


def test_what_is_larger_than_a_quarter_of_the_room_is_not_kept_and_nor_is_what_it_would_replace() -> None:
    lru = ByteLru(MOST)
    lru.put(b"a", bytes(25))
    lru.put(b"a", bytes(26))
    assert (b"a" in lru, lru.size) == (False, 0)
