from __future__ import annotations

import pytest

from libacli.edges.avatars.patience import Patience
from libacli.errors import AvatarError

UNANSWERED = AvatarError("no answer", is_permanent=False, is_unsure=True)


def refused(status: int = 429, *, retry_in_s: float | None = None) -> AvatarError:
    return AvatarError(str(status), status=status, is_permanent=False, retry_in_s=retry_in_s)


def test_what_costs_nothing_is_tried_again_later_and_later() -> None:
    patience = Patience()
    assert [patience.refused(refused()) for _ in range(8)] == [2, 4, 8, 16, 32, 60, 60, 60]


def test_f10_a_service_that_says_when_is_not_asked_before() -> None:
    patience = Patience()
    assert patience.refused(refused(retry_in_s=90)) == 90
    assert patience.refused(refused(retry_in_s=0)) == 4


def test_what_is_for_good_is_for_good() -> None:
    assert Patience().refused(AvatarError("401", status=401, is_permanent=True)) is None


def test_f11_three_in_a_row_that_did_nothing_are_enough() -> None:
    patience = Patience()
    assert [patience.in_vain() for _ in range(3)] == [2, 4, None]


def test_f11_one_that_did_its_part_makes_up_for_those_before() -> None:
    patience = Patience()
    patience.in_vain()
    patience.in_vain()
    assert patience.served() == 2
    assert [patience.in_vain() for _ in range(3)] == [2, 4, None]


def test_f13_requests_that_get_no_answer_may_each_have_begun_one_and_are_few() -> None:
    patience = Patience()
    pauses = [patience.refused(UNANSWERED) for _ in range(4)]
    assert pauses[:2] == [2, 4]
    assert all(pause is not None and pause >= 600 for pause in pauses[2:])


@pytest.mark.parametrize("error", [refused(500), refused(400)])
def test_answers_are_no_lack_of_answers(error: AvatarError) -> None:
    patience = Patience()
    assert [patience.refused(error) for _ in range(4)] == [2, 4, 8, 16]
