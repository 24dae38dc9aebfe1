"""GET /: the page, its files, and what it has to know."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from libacli import __version__
from libacli.config import Settings
from libacli.web.dependencies import ServicesDependency
from libacli.web.models.page_info import LatencyBudgets, PageInfo
from libacli.web.problems import responses
from libacli.web.rate_limits import client_address
from libacli.web.states import STATES

STATIC = Path(__file__).parent / "static"
VENDOR = STATIC / "vendor"
CLIENT = VENDOR / "livekit-client.esm.mjs"

_REVALIDATED = {"Cache-Control": "no-cache"}
"""A browser may keep it, and asks each time whether it is still the newest."""

router = APIRouter(tags=["page"])


class _PageFiles(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_REVALIDATED)
        return response


@router.get("/api/page", summary="What the page has to know", responses=responses(429))
async def page_info(request: Request, services: ServicesDependency) -> PageInfo:
    """Told to everybody: nothing in it is a secret."""
    await services.rate_limits.count_address_request(client_address(request))
    settings = services.settings
    return PageInfo(
        room=settings.say_room,
        agent=settings.agent_name,
        needs_key=services.authenticator.needs_key,
        max_text_chars=settings.say_max_text_chars,
        voices=list(services.voices),
        usual_voice=services.usual_voice,
        usual_speed=settings.voice_speed,
        budgets=_budgets(settings),
        states=STATES,
        version=__version__,
        video=CLIENT.is_file(),
    )


def _budgets(settings: Settings) -> LatencyBudgets:
    return LatencyBudgets(
        d01=settings.metrics_budget_d01, d12=settings.metrics_budget_d12, d2a=settings.metrics_budget_d2a
    )


def add_files(app: FastAPI, *, files: Path = STATIC) -> None:
    """Adds the page and its `files`."""
    mimetypes.add_type("text/javascript", ".mjs")  # some systems do not know it, and no browser runs it then

    kept = _PageFiles(directory=files)

    @app.get("/", include_in_schema=False)
    async def index_page(request: Request, view: str = "") -> Response:
        name = "stage_view.html" if view == "stage" else "index.html"
        return await kept.get_response(name, request.scope)

    app.mount("/static", kept)
