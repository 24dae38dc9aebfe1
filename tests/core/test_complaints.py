from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from libacli.core.complaints import Complaints


def test_each_kind_of_each_sender_is_told_once_a_minute_with_what_was_not_told() -> None:
    complaints = Complaints()
    told = [complaints.due("ann", "packet", now) for now in (0.0, 1.0, 59.0, 60.0, 61.0, 130.0)]
    assert told == [1, 0, 0, 3, 0, 2]
    assert complaints.due("ann", "call", 131.0) == 1
    assert complaints.due("ben", "packet", 131.0) == 1


@given(
    st.lists(st.tuples(st.floats(0, 20), st.integers(0, 400), st.sampled_from("ab")), max_size=300),
    st.sampled_from([2, 10, 20, 30]),
)
def test_no_minute_has_more_of_them_than_the_limit_whoever_they_are_about(
    complained: list[tuple[float, int, str]], per_minute: int
) -> None:
    complaints, told = Complaints(per_minute), list[float]()
    for now, (_, sender, kind) in zip(accumulate(gap for gap, _, _ in complained), complained, strict=True):
        if complaints.due(str(sender), kind, now):
            told.append(now)
    for first in told:
        assert sum(first <= at < first + 59.99 for at in told) <= per_minute


def test_who_comes_under_many_names_is_remembered_in_bounded_number() -> None:
    complaints = Complaints()
    for number in range(10_000):
        complaints.due(f"sender-{number}", "packet", 0.0)
    assert len(complaints._known) == 256
