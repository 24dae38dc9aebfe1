"""What went wrong, told as RFC 9457 has it: https://www.rfc-editor.org/rfc/rfc9457"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from math import ceil
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from libacli.complaint_log import ComplaintLog
from libacli.core.reasons import refusal_reason
from libacli.errors import (
    CredentialsError,
    InterruptedSpeechError,
    LibaError,
    NoAgentError,
    OverQuotaError,
    RefusedError,
    StoreError,
    TimedOutError,
    UnreachableError,
    UsageError,
)
from libacli.masking import masked

logger = logging.getLogger("liba.web")

MEDIA_TYPE = "application/problem+json"

_ERRORS: tuple[tuple[type[LibaError], int, str], ...] = (
    (NoAgentError, 503, "no_agent"),
    (UnreachableError, 503, "livekit_unreachable"),
    (CredentialsError, 502, "livekit_credentials"),
    (InterruptedSpeechError, 503, "lost"),
    (UsageError, 422, "malformed"),
)

_STORE_RETRY_S = 2.0
"""It is looked for every second."""


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
        utterance_id: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.hint = hint
        self.retry_in_s = retry_in_s
        self.utterance_id = utterance_id
        self.headers = dict(headers or {})
        if retry_in_s is not None:
            self.headers["Retry-After"] = str(ceil(retry_in_s))


class ProblemDetails(BaseModel):
    """The body of every error."""

    type: str = Field(description="`urn:liba:problem:` and the reason")
    title: str = Field(description="The status in words")
    status: int
    detail: str = Field(description="What is wrong, for people")
    reason: str = Field(description="What is wrong, for machines")
    hint: str | None = Field(default=None, description="The next step")
    retry_in_s: float | None = Field(default=None, description="When it may be tried again")
    id: str | None = Field(
        default=None, description="Of an utterance that may have been accepted: say it again with this id"
    )


_DOCUMENTED: dict[int, tuple[str, str, str]] = {
    401: ("No key, or one that is not known", "unauthorized", "a key is needed"),
    403: ("The caller may not do this", "watch_only", "this session may watch, not speak"),
    404: ("There is no such thing", "unknown_utterance", "the agent knows of no utterance with this id"),
    409: (
        "The line does not wait any more",
        "being_spoken",
        "the agent refused: it does not wait any more: it is being spoken",
    ),
    413: ("The body is larger than 64 KiB", "too_large", "the body may have 65536 bytes"),
    415: ("The body is not JSON", "unsupported_media_type", "the body must be JSON, and the request say so"),
    422: (
        "The request is not as it should be; nothing was done",
        "nothing_to_say",
        "there is no letter or digit in the text",
    ),
    429: (
        "Too much: the queue is full, or a limit is reached",
        "queue_full",
        "the agent refused: 32 utterances are waiting already",
    ),
    502: (
        "LiveKit or the agent does not accept this server's own credentials",
        "livekit_credentials",
        "LiveKit refused the API key",
    ),
    503: (
        "No agent came, LiveKit cannot be reached, the agent is stopping, or sessions cannot be looked up",
        "no_agent",
        "no agent named 'liba' came into room 'demo' within 10 s",
    ),
    504: ("The agent did not answer in time", "timed_out", "the agent did not answer within 10 s"),
}
"""What a status means, and a reason and detail for example."""


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How OpenAPI describes the problems of a route."""
    schema = ProblemDetails.model_json_schema()
    described: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        description, reason, detail = _DOCUMENTED[status]
        shown = {"schema": schema, "example": _details(Problem(status, reason, detail))}
        described[status] = {"description": description, "content": {MEDIA_TYPE: shown}}
    return described


def problem_of(error: LibaError) -> Problem:
    """The problem that `error` means for whoever sent the request."""
    if isinstance(error, RefusedError):
        status = refusal_reason(error.reason).status
        return Problem(status, error.reason, str(error), hint=error.hint, retry_in_s=error.retry_in_s)
    if isinstance(error, TimedOutError):
        return Problem(504, "timed_out", str(error), hint=error.hint, utterance_id=error.utterance_id)
    if isinstance(error, StoreError):  # what it is that they share is nothing for strangers
        detail = "sessions and links cannot be looked up now; keys work"
        hint = "ask again in a moment"
        return Problem(503, "store_unreachable", detail, hint=hint, retry_in_s=_STORE_RETRY_S)
    for kind, status, reason in _ERRORS:
        if isinstance(error, kind):
            retry_in_s = error.retry_in_s if isinstance(error, OverQuotaError) else None
            return Problem(status, reason, str(error), hint=error.hint, retry_in_s=retry_in_s)
    return Problem(502, "failed", str(error), hint=error.hint)


def problem_response(problem: Problem, secrets: Sequence[str] = ()) -> Response:
    """`problem` as the answer to a request: without `secrets`, and without what looks like one."""
    headers = {"Cache-Control": "no-store"} | problem.headers
    return JSONResponse(_details(problem, secrets), problem.status, headers, MEDIA_TYPE)


def _details(problem: Problem, secrets: Sequence[str] = ()) -> dict[str, Any]:
    told: dict[str, Any] = {
        "type": f"urn:liba:problem:{problem.reason}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": masked(problem.detail, secrets),
        "reason": problem.reason,
    }
    if problem.hint:
        told["hint"] = masked(problem.hint, secrets)
    if problem.retry_in_s is not None:
        told["retry_in_s"] = round(problem.retry_in_s, 3)
    if problem.utterance_id:
        told["id"] = problem.utterance_id
    return told


def add_problem_handlers(
    app: FastAPI, security_headers: Mapping[str, str], *, secrets: Sequence[str] = ()
) -> None:
    """Has every error of `app` answered as a problem, in which none of `secrets` stands.

    Of a defect the answer passes no middleware: it gets `security_headers` here.
    """

    log = ComplaintLog(logger)

    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return problem_response(error, secrets)

    async def on_liba_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, LibaError)
        return problem_response(problem_of(error), secrets)

    async def on_defect(request: Request, error: Exception) -> Response:
        response = _defect_response(request, error, log)
        response.headers.update(security_headers)
        return response

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(LibaError, on_liba_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, on_defect)


async def _on_invalid(request: Request, error: Exception) -> Response:
    """Says where and what; not the value, which may be a text or a key."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        detail = f"the body is not valid JSON: {first['ctx']['error']}"
    else:
        where = ".".join(str(part) for part in first["loc"] if part != "body") or "the body"
        detail = f"{where}: {first['msg']}"
    return problem_response(Problem(422, "malformed", detail, hint="see /docs"))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 400:  # a body that is not even UTF-8
        return problem_response(Problem(422, "malformed", str(error.detail), hint="see /docs"))
    reasons = {404: "not_found", 405: "method_not_allowed"}
    reason = reasons.get(error.status_code, "failed")
    detail = {404: "there is nothing at this address", 405: "this address does not take that method"}.get(
        error.status_code, str(error.detail)
    )
    return problem_response(
        Problem(error.status_code, reason, detail, hint="see /docs", headers=error.headers)
    )


def _defect_response(request: Request, error: Exception, log: ComplaintLog) -> Response:
    route = getattr(request.scope.get("route"), "path_format", "no route")
    caller = request.client.host if request.client else ""
    log.tell(caller, f"{request.method} {route}", "failed", level=logging.ERROR, cause=error)
    return problem_response(Problem(500, "defect", "something went wrong here; see the server's log"))
