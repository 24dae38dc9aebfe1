"""What went wrong, told as RFC 9457 has it: https://www.rfc-editor.org/rfc/rfc9457"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from math import ceil
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from libacli.errors import (
    CredentialsError,
    InterruptedSpeechError,
    LibaError,
    NoAgentError,
    RefusedError,
    TimedOutError,
    UnreachableError,
    UsageError,
)

logger = logging.getLogger("liba.web")

MEDIA_TYPE = "application/problem+json"

_REFUSALS = {
    "too_large": 413,
    "queue_full": 429,
    "rate_limited": 429,
    "spend_cap": 429,
    "reserved_identity": 403,
    "draining": 503,
    "voice_unavailable": 503,
    "unauthorized": 502,
    "unsupported_server": 502,
    "unsupported_method": 502,
}
"""Status by the reason of a refusal; any other: the request is at fault, 422."""

_ERRORS: tuple[tuple[type[LibaError], int, str], ...] = (
    (NoAgentError, 503, "no_agent"),
    (UnreachableError, 503, "livekit_unreachable"),
    (CredentialsError, 502, "livekit_credentials"),
    (TimedOutError, 504, "timed_out"),
    (InterruptedSpeechError, 503, "lost"),
    (UsageError, 422, "malformed"),
)


class Problem(Exception):
    """A request that is answered with an error. `reason` is the word for machines."""

    def __init__(
        self,
        status: int,
        reason: str,
        detail: str,
        *,
        hint: str = "",
        retry_in_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.hint = hint
        self.retry_in_s = retry_in_s
        self.headers = dict(headers or {})
        if retry_in_s is not None:
            self.headers["Retry-After"] = str(ceil(retry_in_s))


class ProblemDetails(BaseModel):
    """The body of every error."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:liba:problem:queue_full",
                    "title": "Too Many Requests",
                    "status": 429,
                    "detail": "the agent refused: 32 utterances are waiting already",
                    "reason": "queue_full",
                    "hint": "try again when something has been spoken, or go first: interrupt",
                }
            ]
        }
    )

    type: str = Field(description="`urn:liba:problem:` and the reason")
    title: str = Field(description="The status in words")
    status: int
    detail: str = Field(description="What is wrong, for people")
    reason: str = Field(description="What is wrong, for machines")
    hint: str | None = Field(default=None, description="The next step")
    retry_in_s: float | None = Field(default=None, description="When it may be tried again")


_DOCUMENTED: dict[int, dict[str, Any]] = {
    status: {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": ProblemDetails.model_json_schema()}},
    }
    for status, description in {
        400: "The request is not HTTP as it should be",
        401: "No key, or one that is not known",
        403: "The caller may not do this",
        404: "There is no such thing",
        413: "The body is larger than 16 KiB",
        415: "The body is not JSON",
        421: "This server does not answer under that name",
        422: "The request is not as it should be; nothing was done",
        429: "Too much: the queue is full, or a limit is reached",
        502: "LiveKit or the agent does not accept this server's own credentials",
        503: "No agent came, or LiveKit cannot be reached, or the agent is stopping",
        504: "The agent did not answer in time",
    }.items()
}


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How OpenAPI describes the problems of a route."""
    return {status: _DOCUMENTED[status] for status in statuses}


def of(error: LibaError) -> Problem:
    """The problem that `error` means for whoever sent the request."""
    if isinstance(error, RefusedError):
        status = _REFUSALS.get(error.reason, 422)
        return Problem(status, error.reason, str(error), hint=error.hint, retry_in_s=error.retry_in_s)
    for kind, status, reason in _ERRORS:
        if isinstance(error, kind):
            return Problem(status, reason, str(error), hint=error.hint)
    return Problem(502, "failed", str(error), hint=error.hint)


def problem_response(problem: Problem) -> Response:
    """`problem` as the answer to a request."""
    told: dict[str, Any] = {
        "type": f"urn:liba:problem:{problem.reason}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "reason": problem.reason,
    }
    if problem.hint:
        told["hint"] = problem.hint
    if problem.retry_in_s is not None:
        told["retry_in_s"] = round(problem.retry_in_s, 3)
    return JSONResponse(told, problem.status, problem.headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Has every error of `app` answered as a problem."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(LibaError, _on_liba_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_defect)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(error)


async def _on_liba_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, LibaError)
    return problem_response(of(error))


async def _on_invalid(request: Request, error: Exception) -> Response:
    """Says where and what; not the value, which may be a text or a key."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body")
    detail = f"{where}: {first['msg']}" if where else str(first["msg"])
    return problem_response(Problem(422, "malformed", detail, hint="see /docs"))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    reasons = {404: "not_found", 405: "method_not_allowed"}
    reason = reasons.get(error.status_code, "failed")
    detail = {404: "there is nothing at this address", 405: "this address does not take that method"}.get(
        error.status_code, str(error.detail)
    )
    return problem_response(
        Problem(error.status_code, reason, detail, hint="see /docs", headers=error.headers)
    )


async def _on_defect(request: Request, error: Exception) -> Response:
    route = getattr(request.scope.get("route"), "path", "no route")
    logger.error("%s %s failed", request.method, route, exc_info=error)
    response = problem_response(Problem(500, "defect", "something went wrong here; see the server's log"))
    response.headers.update(request.app.state.headers)  # this one passes none of the doors
    return response
