from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from libacli import __version__
from libacli.config import Settings
from libacli.web import page
from libacli.web.states import STATES
from tests.web.conftest import connected
from tests.web.fake_gateway import FakeGateway

SETTINGS: dict[str, Any] = {
    "livekit_url": "ws://127.0.0.1:7880",
    "livekit_api_key": "canary-key",
    "livekit_api_secret": "canary-secret",
    "say_room": "lobby",
    "metrics_budget_d01": 901,
}


@pytest.fixture
def settings() -> Settings:
    return Settings(**SETTINGS)


async def test_the_page_is_told_what_it_needs_and_no_secret(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/api/page")
    assert answer.status_code == 200
    assert answer.json() == {
        "room": "lobby",
        "agent": "liba",
        "needs_key": False,
        "max_text_chars": Settings().say_max_text_chars,
        "voices": ["hibari"],
        "usual_voice": "hibari",
        "usual_speed": 1.0,
        "budgets": {"d01": 901, "d12": 50, "d2a": 500},
        "states": {state: rules.model_dump() for state, rules in STATES.items()},
        "version": __version__,
        "video": page.CLIENT.is_file(),
    }
    assert "canary" not in answer.text


@pytest.mark.parametrize(
    ("path", "media_type"),
    [("/", "text/html"), ("/static/a.js", "text/javascript"), ("/static/vendor/b.mjs", "text/javascript")],
)
async def test_files_have_the_type_that_browsers_insist_on_and_are_asked_for_anew_each_time(
    tmp_path: Path, path: str, media_type: str
) -> None:
    (tmp_path / "vendor").mkdir()
    for name in ("index.html", "a.js", "vendor/b.mjs"):
        (tmp_path / name).touch()
    app = FastAPI()
    page.add_files(app, files=tmp_path)
    async with connected(app) as client:
        answer = await client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(media_type)
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/static/docs.js", "/", "/?view=stage"])
@pytest.mark.parametrize("form", ["{}", "W/{}", '"another", {}'])
async def test_what_a_browser_has_already_is_not_sent_again(
    client: httpx2.AsyncClient, path: str, form: str
) -> None:
    tag = (await client.get(path)).headers["etag"]
    for method in ("GET", "HEAD"):
        answer = await client.request(method, path, headers={"If-None-Match": form.format(tag)})
        assert (answer.status_code, answer.content) == (304, b"")
        assert (answer.headers["etag"], answer.headers["cache-control"]) == (tag, "no-cache")


async def test_the_page_and_the_picture_alone_are_not_taken_for_each_other(
    client: httpx2.AsyncClient,
) -> None:
    tag = (await client.get("/")).headers["etag"]
    assert (await client.get("/?view=stage", headers={"If-None-Match": tag})).status_code == 200


@pytest.mark.parametrize(
    ("query", "title"),
    [("view=stage", "liba stage"), ("view=page", "liba"), ("view=../x", "liba"), ("", "liba")],
)
async def test_the_picture_alone_is_a_page_of_its_own(
    client: httpx2.AsyncClient, query: str, title: str
) -> None:
    assert f"<title>{title}</title>" in (await client.get(f"/?{query}")).text


@pytest.mark.parametrize(
    "path", ["/static/", "/static/none.js", "/static/../app.py", "/static/%2e%2e/app.py", "/static/vendor"]
)
async def test_nothing_but_the_files_of_the_page_is_served(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.text)["reason"] == "not_found"


async def test_no_room_is_asked_for_any_of_it(client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    for path in ("/api/page", "/static/docs.js", "/docs", "/openapi.json", "/healthz"):
        assert (await client.get(path)).status_code == 200
    assert not gateway.calls
