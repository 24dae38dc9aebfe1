"""GET /: the page, its files, and what it has to know."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from libacli import __version__
from libacli.web.auth import address_of
from libacli.web.models import Budgets, Page
from libacli.web.problems import responses

STATIC = Path(__file__).parent / "static"
VENDOR = STATIC / "vendor"
CLIENT = VENDOR / "livekit-client.esm.mjs"

_FRESH = {"Cache-Control": "no-cache"}
"""A browser may keep it, and asks each time whether it is still the newest."""

router = APIRouter(tags=["page"])


class _Files(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_FRESH)
        return response


@router.get("/", include_in_schema=False)
async def index(request: Request) -> FileResponse:
    return FileResponse(request.app.state.files / "index.html", headers=_FRESH)


@router.get("/api/page", summary="What the page has to know", responses=responses(429))
async def page(request: Request) -> Page:
    """Told to everybody: nothing in it is a secret."""
    state = request.app.state
    await state.callers.visit(address_of(request))
    settings = state.settings
    return Page(
        room=settings.say_room,
        agent=settings.agent_name,
        needs_key=state.callers.needs_key,
        max_text_chars=settings.say_max_text_chars,
        voices=list(state.voices),
        budgets=Budgets(
            d01=settings.metrics_budget_d01, d12=settings.metrics_budget_d12, d2a=settings.metrics_budget_d2a
        ),
        version=__version__,
        video=CLIENT.is_file(),
    )


def install(app: FastAPI, *, files: Path = STATIC) -> None:
    """Adds the page and its `files`."""
    mimetypes.add_type("text/javascript", ".mjs")  # some systems do not know it, and no browser runs it then
    app.state.files = files
    app.include_router(router)
    app.mount("/static", _Files(directory=files))
