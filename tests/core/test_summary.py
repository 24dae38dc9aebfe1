from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from libacli.core.lifecycle import OUTCOMES
from libacli.core.summary import KEYS, summarise
from libacli.core.timeline import DURATIONS, percentile
from libacli.core.utterance_record import UtteranceRecord

DAY_S = 86_400

records = st.builds(
    UtteranceRecord,
    id=st.text(min_size=1, max_size=3),
    t0=st.floats(0, 10 * DAY_S),
    outcome=st.sampled_from(sorted(OUTCOMES)),
    route=st.sampled_from([None, "avatar", "track"]),
    voice=st.sampled_from(["", "ann", "bob"]),
    replayed=st.booleans(),
    cached=st.booleans(),
    chars=st.integers(0, 100),
    d01=st.none() | st.floats(0, 1e6),
    total=st.none() | st.floats(0, 1e6),
)


@given(st.lists(records, max_size=40), st.lists(st.sampled_from(sorted(KEYS)), unique=True, max_size=3))
def test_groups_are_a_partition_of_the_whole(all_of_them: list[UtteranceRecord], by: list[str]) -> None:
    whole, groups = summarise(iter(all_of_them), by)
    assert whole.count == len(all_of_them)
    assert whole.outcomes == Counter(record.outcome for record in all_of_them)
    if by:
        assert sum(group.count for group in groups) == whole.count
        assert sum(group.chars for group in groups) == whole.chars
        assert [group.key for group in groups] == sorted({group.key for group in groups})
    else:
        assert groups == []


@given(st.lists(records, max_size=40))
def test_the_numbers_are_nearest_rank_percentiles_of_what_has_them(
    all_of_them: list[UtteranceRecord],
) -> None:
    whole, _ = summarise(all_of_them)
    told = whole.statistics()
    for name in DURATIONS:
        values = [value for record in all_of_them if (value := getattr(record, name)) is not None]
        if not values:
            assert name not in told
            continue
        assert told[name]["count"] == len(values)
        assert told[name]["p95"] == round(percentile(values, 95), 2)
        assert told[name]["max"] == round(max(values), 2)


def test_a_day_is_one_of_utc() -> None:
    late = UtteranceRecord(id="a", t0=DAY_S - 1, outcome="done")
    early = UtteranceRecord(id="b", t0=DAY_S, outcome="done")
    _, groups = summarise([early, late], ["day"])
    assert [group.key for group in groups] == [("1970-01-01",), ("1970-01-02",)]
