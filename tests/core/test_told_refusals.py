from __future__ import annotations

from libacli.core.told_refusals import ToldRefusals


def test_a_refusal_that_passes_is_told_once_for_each_request() -> None:
    told = ToldRefusals()
    assert [told.is_news("ann", "a", "queue_full") for _ in range(3)] == [True, False, False]
    assert told.is_news("ann", "b", "queue_full")
    assert told.is_news("ben", "a", "queue_full")


def test_another_reason_is_news() -> None:
    told = ToldRefusals()
    reasons = ["queue_full", "rate_limited", "queue_full", "spend_cap", "rate_limited"]
    assert [told.is_news("ann", "a", reason) for reason in reasons] == [True, True, False, True, False]


def test_a_refusal_that_does_not_pass_and_one_without_an_id_are_told_each_time() -> None:
    told = ToldRefusals()
    assert all(told.is_news("ann", "a", "unauthorized") for _ in range(3))
    assert all(told.is_news("ann", "a", "a_word_of_the_future") for _ in range(3))
    assert all(told.is_news("ann", "", "queue_full") for _ in range(3))


def test_a_request_that_was_taken_begins_anew() -> None:
    told = ToldRefusals()
    assert told.is_news("ann", "a", "queue_full")
    told.forget("ann", "a")
    assert told.is_news("ann", "a", "queue_full")


def test_only_so_many_requests_are_remembered_those_that_were_tried_last() -> None:
    told = ToldRefusals(kept=2)
    for utterance_id in ("a", "b", "a", "c"):
        told.is_news("ann", utterance_id, "queue_full")
    assert [told.is_news("ann", utterance_id, "queue_full") for utterance_id in ("a", "c")] == [False, False]
    assert told.is_news("ann", "b", "queue_full")
