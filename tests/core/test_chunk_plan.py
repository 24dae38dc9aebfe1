from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.chunk_plan import Chunk, ChunkPlan
from libacli.core.habits import COMFORTABLE_CHARS, Habits
from libacli.core.script import Pause
from libacli.core.text import is_speakable

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=400)
PROSE = st.lists(
    st.sampled_from(["word", "another", "it", "sentence.", "clause,", "end?", "2027", "—"]), max_size=150
).map(" ".join)
HABITS = st.builds(
    Habits,
    base_s=st.floats(0, 3),
    growth_s=st.sampled_from([0.0, 0.0, 0.002, 0.025, 0.07]),
    p95=st.floats(1, 3),
    lag=st.sampled_from([0.0, 0.0, 0.25]),
)

FLAT = Habits(base_s=0.3, growth_s=0.0, most_growth_s=0.0, p95=1.5, p99=2.0)
GROWS = Habits(base_s=0.3, growth_s=0.002, most_growth_s=0.002, p95=1.1, p99=1.2)
PLAINLY_GROWS = replace(GROWS, growth_s=0.025, most_growth_s=0.025)

SENTENCE = "The quick brown fox jumps over the lazy dog while it rains. "
SENTENCES = (SENTENCE * 17)[:999] + "."
UNPUNCTUATED = (SENTENCE.lower().replace(".", "") * 17)[:1000].strip()
CLAUSES = (
    "When it rains, the quick brown fox, which is no fool, runs home to its den, where it is dry and warm."
)


def chunks_of(
    script: Sequence[str | Pause], habits: Habits, *, hand_s: float = 0.0, max_chars: int = 2000
) -> list[Chunk | Pause]:
    """All of it, with so much in hand each time but the first."""
    plan = ChunkPlan(script, max_chars=max_chars, first_chars=max_chars)
    taken: list[Chunk | Pause] = []
    while not plan.is_empty:
        taken.append(plan.take(habits, hand_s=hand_s if taken else 0.0))
    return taken


def kinds_of(script: Sequence[str | Pause], habits: Habits, *, hand_s: float = 0.0) -> list[str]:
    return [one.kind for one in chunks_of(script, habits, hand_s=hand_s) if isinstance(one, Chunk)]


@given(st.lists(TEXTS | PROSE, max_size=3), HABITS, st.floats(0, 10), st.integers(20, 200))
def test_all_that_can_be_spoken_is_asked_for_once_and_in_order(
    texts: list[str], habits: Habits, hand_s: float, max_chars: int
) -> None:
    taken = chunks_of(texts, habits, hand_s=hand_s, max_chars=max_chars)
    chunks = [chunk for chunk in taken if isinstance(chunk, Chunk)]
    whole = "".join(text for text in texts if is_speakable(text))
    assert [c for c in "".join(chunk.text for chunk in chunks) if c.isalnum()] == [
        c for c in whole if c.isalnum()
    ]
    assert all(is_speakable(chunk.text) and len(chunk.text) <= max_chars for chunk in chunks)
    assert [chunk.is_first for chunk in chunks] == [True, *[False] * (len(chunks) - 1)][: len(chunks)]


@given(TEXTS | PROSE, st.floats(0, 3), st.floats(1, 3), st.floats(0, 20))
def test_a_voice_that_does_not_grow_is_never_asked_for_a_part_of_a_sentence(
    text: str, base_s: float, p95: float, hand_s: float
) -> None:
    habits = Habits(base_s=base_s, growth_s=0.0, p95=p95, p99=p95)
    assert set(kinds_of([text], habits, hand_s=hand_s)) <= {"sentence", "end"}


@pytest.mark.parametrize("text", [UNPUNCTUATED, CLAUSES, SENTENCES[:240]])
def test_a_text_of_some_length_is_asked_of_such_a_voice_as_a_whole(text: str) -> None:
    assert len(chunks_of([text], FLAT)) == 1


def test_a_long_text_is_asked_of_it_in_sentences_of_a_comfortable_length() -> None:
    chunks = [one for one in chunks_of([SENTENCES], FLAT, hand_s=2.0) if isinstance(one, Chunk)]
    assert all(200 < len(chunk.text) <= COMFORTABLE_CHARS * 1.25 for chunk in chunks)


@pytest.mark.parametrize("text", [SENTENCES, UNPUNCTUATED])
@pytest.mark.parametrize("habits", [Habits(), GROWS])
def test_a_voice_that_may_grow_begins_about_as_soon_as_with_one_clause(text: str, habits: Habits) -> None:
    first, *_ = chunks_of([text], habits)
    assert isinstance(first, Chunk)
    assert 20 <= len(first.text) <= 90


def test_a_cut_falls_behind_a_clause_where_that_is_soon_enough() -> None:
    first, *_ = chunks_of([CLAUSES], PLAINLY_GROWS)
    assert isinstance(first, Chunk)
    assert (first.text, first.kind) == ("When it rains, the quick brown fox,", "clause")


def test_a_clause_is_cut_only_where_it_would_be_waited_for_too_long() -> None:
    clause = "the total that we owe you is one hundred and twenty three euros and forty cents by now"
    assert kinds_of([clause], GROWS) == ["end"]
    assert kinds_of([clause], PLAINLY_GROWS)[0] == "word"


def test_the_more_is_in_hand_the_more_is_asked_for() -> None:
    def asked(hand_s: float) -> int:
        plan = ChunkPlan([UNPUNCTUATED], max_chars=2000, first_chars=20)
        plan.take(PLAINLY_GROWS)
        chunk = plan.take(PLAINLY_GROWS, hand_s=hand_s)
        assert isinstance(chunk, Chunk)
        return len(chunk.text)

    assert asked(1.5) < asked(3.0) < asked(8.0)


def test_of_a_voice_that_may_grow_sentences_are_asked_for_one_by_one_until_more_is_in_hand() -> None:
    def asked(hand_s: float) -> str:
        plan = ChunkPlan([SENTENCES], max_chars=2000, first_chars=2000)
        plan.take(Habits())
        chunk = plan.take(Habits(), hand_s=hand_s)
        assert isinstance(chunk, Chunk)
        assert chunk.kind == "sentence"
        return chunk.text

    assert len(asked(2.0)) < 60 < len(asked(4.0)) < len(asked(8.0))


def test_of_few_requests_each_is_for_as_much_as_possible() -> None:
    plan = ChunkPlan([SENTENCES], max_chars=2000, first_chars=2000)
    chunk = plan.take(PLAINLY_GROWS, is_limited=True)
    assert isinstance(chunk, Chunk)
    assert (chunk.text, plan.is_empty) == (SENTENCES, True)


def test_a_chunk_that_came_to_nothing_is_made_larger() -> None:
    plan = ChunkPlan([SENTENCES], max_chars=2000, first_chars=2000)
    plan.take(GROWS)
    second = plan.take(GROWS, hand_s=1.0)
    assert isinstance(second, Chunk)
    larger = plan.enlarge(second)
    assert larger.text.startswith(second.text)
    assert (larger.kind, larger.is_first, plan.is_empty) == ("end", False, True)


def test_a_chunk_at_the_end_or_before_a_pause_cannot_be_made_larger() -> None:
    plan = ChunkPlan(["Hello.", Pause(1), "World."], max_chars=2000, first_chars=2000)
    for _ in range(2):
        chunk = plan.take(GROWS)
        assert isinstance(chunk, Chunk)
        assert plan.enlarge(chunk) is chunk
        if not plan.is_empty:
            plan.take(GROWS)


def test_pauses_keep_their_place() -> None:
    script: list[str | Pause] = ["Hello there.", Pause(0.5), " ... ", "Again.", Pause(2)]
    taken = chunks_of(script, FLAT)
    assert [one.text if isinstance(one, Chunk) else one for one in taken] == [
        "Hello there.",
        Pause(0.5),
        "Again.",
        Pause(2),
    ]


def test_two_texts_side_by_side_are_two_sentences() -> None:
    assert kinds_of(["One line", "and another one"], FLAT) == ["sentence", "end"]


def test_what_the_user_allows_is_never_exceeded() -> None:
    plan = ChunkPlan([UNPUNCTUATED], max_chars=80, first_chars=30)
    lengths = []
    while not plan.is_empty:
        chunk = plan.take(FLAT, is_limited=True)
        assert isinstance(chunk, Chunk)
        lengths.append(len(chunk.text))
    assert lengths[0] <= 30
    assert max(lengths) <= 80
