from __future__ import annotations

import logging

import httpx2
import pytest
from fastapi import FastAPI

from libacli.errors import (
    CredentialsError,
    InstallError,
    LibaError,
    NoAgentError,
    OverQuotaError,
    RefusedError,
    TimedOutError,
    UnreachableError,
    UsageError,
)
from libacli.web.problems import Problem, problem_of
from tests.web.conftest import connected
from tests.web.fake_gateway import FakeGateway


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (NoAgentError("x"), 503, "no_agent"),
        (UnreachableError("x"), 503, "livekit_unreachable"),
        (CredentialsError("x"), 502, "livekit_credentials"),
        (TimedOutError("x"), 504, "timed_out"),
        (UsageError("x"), 422, "malformed"),
        (InstallError("x"), 502, "failed"),
        *(
            (RefusedError(reason, "x"), status, reason)
            for reason, status in {
                "malformed": 422,
                "nothing_to_say": 422,
                "text_too_long": 422,
                "unsupported_text": 422,
                "duplicate_of_the_future": 422,
                "too_large": 413,
                "queue_full": 429,
                "rate_limited": 429,
                "spend_cap": 429,
                "reserved_identity": 403,
                "draining": 503,
                "voice_unavailable": 503,
                "unauthorized": 502,
                "unsupported_server": 502,
            }.items()
        ),
    ],
)
def test_each_error_has_its_status(error: LibaError, status: int, reason: str) -> None:
    problem = problem_of(error)
    assert (problem.status, problem.reason, problem.detail) == (status, reason, "x")


def test_a_quota_that_is_used_up_says_when_to_come_back() -> None:
    problem = problem_of(OverQuotaError("x", retry_in_s=7.2))
    assert (problem.status, problem.reason) == (503, "livekit_unreachable")
    assert problem.headers["Retry-After"] == "8"


async def test_a_say_that_took_too_long_names_the_id_to_say_it_again_with(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    gateway.failures["say"] = TimedOutError("no answer", hint="say it again", utterance_id="u1")
    answer = await client.post("/api/say", json={"text": "Hello."})
    assert (answer.status_code, answer.json()["id"]) == (504, "u1")


async def test_an_error_says_what_is_wrong_for_people_and_machines_and_what_to_do(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    gateway.failures["stop"] = NoAgentError("nobody is there", hint="start one")
    answer = await client.post("/api/stop")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:liba:problem:no_agent",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "nobody is there",
        "reason": "no_agent",
        "hint": "start one",
    }


def test_whoever_may_come_again_is_told_in_whole_seconds_too() -> None:
    assert Problem(429, "rate_limited", "x", retry_in_s=0.2).headers == {"Retry-After": "1"}
    assert Problem(429, "rate_limited", "x").headers == {}


async def test_an_address_that_is_not_there_is_a_problem(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/api/nothing")
    assert (answer.status_code, answer.json()["reason"]) == (404, "not_found")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_method_that_is_not_there_is_a_problem_that_names_the_others(
    client: httpx2.AsyncClient,
) -> None:
    answer = await client.put("/api/say", json={})
    assert (answer.status_code, answer.json()["reason"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b"7", b'{"text": NaN}', b"\xff", b"", b"null"])
async def test_a_body_that_is_not_what_it_should_be_is_a_problem(
    client: httpx2.AsyncClient, body: bytes
) -> None:
    answer = await client.post("/api/say", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["reason"]) == (422, "malformed")


async def test_a_member_whose_name_is_half_a_character_is_a_problem(client: httpx2.AsyncClient) -> None:
    answer = await client.post(
        "/api/say",
        content=rb'{"text": "a", "\ud800": 1}',
        headers={"content-type": "application/json"},
    )
    assert (answer.status_code, answer.json()["reason"]) == (422, "malformed")


async def test_what_was_sent_is_not_told_again(client: httpx2.AsyncClient) -> None:
    for members in ({"text": ["canary"]}, {"text": "a", "voice": "canary" * 20}, {"text": "canary" * 1000}):
        answer = await client.post("/api/say", json=members)
        assert answer.status_code == 422
        assert "canary" not in answer.text


async def test_a_defect_says_nothing_of_the_inside_and_is_logged_with_its_trace(
    app: FastAPI, gateway: FakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.failures["status"] = ZeroDivisionError("canary")
    async with connected(app, raises=False) as client:
        answer = await client.get("/api/rooms/hidden")
    assert (answer.status_code, answer.json()["reason"]) == (500, "defect")
    assert "canary" not in answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    [record] = [record for record in caplog.records if record.name == "liba.web"]
    assert record.levelno == logging.ERROR
    assert record.exc_info
    assert "hidden" not in record.getMessage()


async def test_a_defect_that_comes_again_and_again_is_told_once_for_each_caller_and_minute(
    app: FastAPI, gateway: FakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    for caller in ("192.0.2.1", "192.0.2.2"):
        async with connected(app, client=caller, raises=False) as client:
            for _ in range(50):
                gateway.failures["status"] = ZeroDivisionError("canary")
                assert (await client.get("/api/rooms/hidden")).status_code == 500
    told = [record.getMessage() for record in caplog.records if record.name == "liba.web"]
    assert told == [f"GET /api/rooms/{{room}} from 192.0.2.{number} failed" for number in (1, 2)]
