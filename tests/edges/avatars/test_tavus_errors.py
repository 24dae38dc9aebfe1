from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from libacli.edges.avatars.tavus_errors import TOP_UP_S, refusal

GENERIC = "There was an error creating the conversation, please reach out to support@tavus.io"
NO_CREDIT = "The user is out of conversational credits."


def told(**members: Any) -> str:
    return json.dumps(members)


@pytest.mark.parametrize(
    "body",
    [
        told(error=GENERIC),
        told(message="Something went wrong"),
        told(detail=[{"loc": ["body", "properties"], "msg": "field required"}]),
        "",
        "<html>Bad Request</html>",
        told(error="The palette of the surface is wrong"),
        told(message="The face is still training, try again later"),
        told(error="The replica is not in a completed state"),
    ],
)
def test_f10_a_400_that_names_none_of_our_settings_may_pass(body: str) -> None:
    error = refusal(400, body)
    assert (error.reason, error.is_permanent, error.is_unsure) == ("400", False, False)


@pytest.mark.parametrize("status", [400, 404, 422])
@pytest.mark.parametrize(
    "body",
    [
        told(error="Invalid face_id"),
        told(message="Unknown pal pb87e71797da"),
        told(error="Invalid replica_uuid"),
        told(error="Persona does not exist"),
        told(error="Invalid API key"),
        told(detail=[{"loc": ["body", "pal_id"], "msg": "not found"}]),
        told(errors={"face_id": ["Not a valid face"]}),
    ],
)
def test_f10_what_names_face_pal_or_key_is_for_good(status: int, body: str) -> None:
    assert refusal(status, body).is_permanent


@pytest.mark.parametrize(("status", "is_permanent"), [(401, True), (403, True), (404, False), (418, False)])
def test_f10_a_refused_key_is_for_good_and_a_path_nobody_knows_is_not(
    status: int, is_permanent: bool
) -> None:
    assert refusal(status, told(message="Forbidden")).is_permanent is is_permanent


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (402, told(message=NO_CREDIT)),
        (402, ""),
        (400, told(message=NO_CREDIT)),
        (400, told(error="You have used all your conversation minutes")),
        (403, told(error="Monthly minutes quota exceeded")),
        (429, told(message="You have no credits remaining")),
    ],
)
def test_f10_an_account_without_credit_is_asked_again_after_ten_to_fifteen_minutes(
    status: int, body: str
) -> None:
    error = refusal(status, body)
    assert (error.is_permanent, error.retry_in_s, error.hint) == (
        False,
        TOP_UP_S,
        "the Tavus account is out of credits",
    )
    assert 600 <= TOP_UP_S <= 900


@pytest.mark.parametrize("member", ["error", "message", "detail"])
def test_f10_the_services_own_words_are_shown(member: str) -> None:
    assert str(refusal(400, told(**{member: GENERIC}))) == f"the avatar service answered: 400 ({GENERIC})"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (told(error={"message": "nested"}), "nested"),
        (told(detail=[{"loc": ["body", "x"], "msg": "one"}, {"msg": "two"}]), "body.x: one; two"),
        (told(error="", message="the second"), "the second"),
        (told(other="unknown member"), ""),
        ("plain words", "plain words"),
        ("<html>a page</html>", ""),
        ("[" * 100_000, "[" * 199 + "…"),
        (told(error="two\nlines\x1b[31m"), "two lines[31m"),
        (told(error=5), ""),
        (
            told(message={"properties": {"left_timeout": ["Unknown field."]}}),
            "properties: left_timeout: Unknown field.",
        ),
        (told(errors=[{"code": "E1", "detail": "no such face"}]), "no such face"),
        (told(errors={"face_id": ["Not a face"], "name": "Too long"}), "face_id: Not a face; name: Too long"),
    ],
)
def test_f10_words_are_found_where_services_put_them_and_fit_in_a_line(body: str, said: str) -> None:
    assert str(refusal(500, body)).removeprefix("the avatar service answered: 500") == (
        f" ({said})" if said else ""
    )


def test_f10_words_are_bounded() -> None:
    assert len(str(refusal(400, told(error="x" * 10_000)))) < 250


def test_f10_no_key_and_no_token_is_in_the_words() -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
    body = told(
        error=f"key tavus-key-canary-1 and {token} in wss://u:secret-login@host, x-api-key: other-canary"
    )
    shown = str(refusal(400, body, secrets=["tavus-key-canary-1", token]))
    for secret in ("canary", "eyJ", "secret-login"):
        assert secret not in shown


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), (" 30 ", 30.0), ("", None), ("soon", None), ("-5", 0.0), ("1.5", 1.5), ("nan", None)],
)
def test_f10_a_service_that_says_when_to_ask_again_is_asked_then(
    status: int, header: str, seconds: float | None
) -> None:
    assert refusal(status, "", retry_after=header).retry_in_s == seconds


def test_f10_that_may_be_a_date() -> None:
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert refusal(429, "", retry_after=in_a_minute).retry_in_s == pytest.approx(60, abs=2)
    assert refusal(429, "", retry_after="Wed, 21 Oct 2015 07:28:00 GMT").retry_in_s == 0


def test_a_full_account_passes_and_its_reason_is_the_word_for_it() -> None:
    error = refusal(400, told(message="User has reached maximum concurrent conversations"))
    assert (error.reason, error.is_permanent) == ("400 too many conversations", False)


@pytest.mark.parametrize("status", [400, 403, 409, 429])
def test_an_account_is_full_by_whatever_status_it_says_so(status: int) -> None:
    error = refusal(status, told(message="Maximum concurrency reached"))
    assert (error.reason, error.is_permanent) == (f"{status} too many conversations", False)
    assert "reap" in error.hint


def test_a_key_whose_plan_is_too_small_is_not_blamed() -> None:
    assert "plan" in refusal(403, told(message="Your plan does not include LiveKit. Upgrade.")).hint
    assert "TAVUS_API_KEY" in refusal(403, told(message="Forbidden")).hint


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 422, 429, 500, 503])
def test_every_refusal_tells_what_to_do(status: int) -> None:
    assert refusal(status, "").hint
