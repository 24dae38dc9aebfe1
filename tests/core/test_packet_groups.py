from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from libacli.core.packet_groups import PacketGroups

Packet = tuple[int, int, int]
"""Its number, that of its group, and its size."""

LIMIT = 100

steps = st.lists(
    st.tuples(st.sampled_from(["key", "more", "more", "more", "take", "anew"]), st.integers(1, 60)),
    max_size=80,
)


def groups() -> PacketGroups[Packet]:
    return PacketGroups(LIMIT, lambda packet: packet[2])


@given(steps)
def test_it_never_grows_and_what_follows_a_gap_begins_a_group(taken: list[tuple[str, int]]) -> None:
    waiting, group = groups(), 0
    before: Packet | None = None
    firsts: set[int] = set()
    for number, (kind, size) in enumerate(taken):
        if kind in ("key", "more"):
            if kind == "key":
                group += 1
                firsts.add(number)
            waiting.put((number, group, size), is_key=kind == "key")
        elif kind == "anew":
            waiting.begin_anew()
            before = None
        elif packet := waiting.take():
            assert before is None or packet[0] > before[0]
            if before is None or packet[1] != before[1]:
                assert packet[0] in firsts
            before = packet
        assert 0 <= waiting.bytes <= LIMIT
        assert (waiting.bytes == 0) == (len(waiting) == 0)


def test_all_of_it_comes_in_order_where_it_fits() -> None:
    waiting = groups()
    packets = [(number, number // 3, 10) for number in range(9)]
    for packet in packets:
        waiting.put(packet, is_key=packet[0] % 3 == 0)
    assert [waiting.take() for _ in range(10)] == [*packets, None]
    assert waiting.dropped == 0


def test_what_does_not_fit_costs_the_oldest_group_as_a_whole() -> None:
    waiting = groups()
    for number in range(12):
        waiting.put((number, number // 3, 10), is_key=number % 3 == 0)
    assert waiting.take() == (3, 1, 10)
    assert waiting.dropped == 1


def test_what_comes_before_the_first_key_picture_is_of_no_use() -> None:
    waiting = groups()
    waiting.put((0, 0, 10), is_key=False)
    assert waiting.take() is None


def test_a_group_that_is_larger_than_all_that_may_wait_is_left_out_to_its_end() -> None:
    waiting = groups()
    for number in range(20):
        waiting.put((number, 0, 10), is_key=number == 0)
    assert len(waiting) == 0
    waiting.put((20, 1, 10), is_key=True)
    assert waiting.take() == (20, 1, 10)
