"""Every route does what its description in OpenAPI says, whatever it is sent."""

from __future__ import annotations

from itertools import count
from typing import Any

import schemathesis
from hypothesis import HealthCheck
from hypothesis import settings as bounds
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    positive_data_acceptance,
    unsupported_method,
)
from starlette.types import ASGIApp, Receive, Scope, Send

from libacli.config import Settings
from libacli.web.app import make_app
from libacli.web.keys import new_key
from tests.web.conftest import ADDRESS
from tests.web.fake_gateway import FakeGateway

EXAMPLES = bounds().max_examples // 5
"""At random; what the schema itself gives rise to, each bound and each wrong type, comes besides."""

SOUNDS = ["application/ogg", "audio/flac", "audio/mp4", "audio/mpeg", "audio/ogg", "audio/wav"]
schemathesis.serializer.alias(SOUNDS, "application/octet-stream")
KEY, ENTRY = new_key("tests")


class FromEverywhere:
    """Each request comes from an address of its own: wrong keys are wrong, and never too many."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._hosts = count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "client": (f"host{next(self._hosts)}", 50000)}, receive, send)


def _described() -> BaseSchema:
    gateway = FakeGateway()
    gateway.is_ideal = True
    app = make_app(Settings(serve_rate_per_minute=0, serve_keys=(ENTRY,)), gateway, address=ADDRESS)
    key = SchemathesisConfig.from_dict({"auth": {"openapi": {"HTTPBearer": {"bearer": KEY}}}})
    described = schemathesis.openapi.from_dict(app.openapi(), config=key)
    described.app = FromEverywhere(app)
    return described


# Events go on without end, and captions follow them; they have tests of their own.
@_described().exclude(path_regex=r"^/api/events$|/captions\.(vtt|srt)$").parametrize()
@bounds(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_it_answers_as_it_is_described(case: schemathesis.Case[Any]) -> None:
    # What can be spoken, and which names are reserved, no schema can say: that it is refused is well.
    excluded: list[schemathesis.CheckFunction] = [positive_data_acceptance]
    if case.path in (
        "/token",
        "/api/session",
    ):  # two routes: who is refused is told one method
        excluded.append(allow_header_conformance)
    # Names may hold slashes: GET looks into the room that is called so.
    if "/queue/" in case.path or case.path.endswith("/next"):
        excluded += [unsupported_method, allow_header_conformance]
    if case.path == "/api/say/audio":  # GET asks what became of the line whose id is `audio`
        excluded += [unsupported_method, allow_header_conformance]
    case.call_and_validate(base_url=ADDRESS, excluded_checks=excluded)
