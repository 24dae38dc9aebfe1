from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from libacli.web import models, page
from libacli.web.docs import docs_page
from libacli.web.models.fields import Body
from libacli.web.models.page_info import LatencyBudgets
from libacli.web.models.room_state import AgentState
from libacli.web.problems import ProblemDetails
from libacli.web.states import StateRules

METHODS = {"get", "post", "delete"}
PARTS = (AgentState, LatencyBudgets, StateRules, Body)
WHOLE = [
    model
    for file in pkgutil.iter_modules(models.__path__, f"{models.__name__}.")
    for model in vars(importlib.import_module(file.name)).values()
    if isinstance(model, type) and issubclass(model, BaseModel) and model.__module__ == file.name
    if model not in PARTS
]


async def test_the_docs_load_nothing_but_what_this_server_has(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert not re.search("(src|href)=[\"']?(http|//)", answer.text)


def test_with_its_files_the_viewer_is_shown_and_every_file_of_it_is_there(tmp_path: Path) -> None:
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        (tmp_path / name).touch()
    shown = docs_page(tmp_path)
    files = re.findall('(?:src|href)="static/([^"]+)"', shown)
    assert sorted(files) == ["docs.js", "favicon.svg", "vendor/swagger-ui-bundle.js", "vendor/swagger-ui.css"]
    assert (page.STATIC / "docs.js").is_file()
    assert "<script>" not in shown  # our own policy would refuse it


def test_without_them_it_says_so_and_where_the_document_is(tmp_path: Path) -> None:
    (tmp_path / "swagger-ui.css").touch()
    shown = docs_page(tmp_path)
    assert "<script" not in shown
    assert 'href="openapi.json"' in shown


async def test_the_document_is_one_and_public(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.json()["openapi"].startswith("3.1")
    assert {"/api/say", "/api/token", "/api/events", "/metrics"} <= answer.json()["paths"].keys()


def test_every_route_is_described_in_words_with_its_problems_and_an_example(app: FastAPI) -> None:
    document = app.openapi()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert method in METHODS
            assert operation["summary"] and operation["description"], path
            if path not in ("/healthz", "/api/page"):
                problems = [answer for status, answer in operation["responses"].items() if status >= "4"]
                assert problems, path
                for answer in problems:
                    ProblemDetails.model_validate(answer["content"]["application/problem+json"]["example"])


def test_the_older_addresses_are_marked_as_such(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    deprecated = {
        path for path, item in paths.items() for operation in item.values() if operation.get("deprecated")
    }
    assert deprecated == {"/say", "/token"}


@pytest.mark.parametrize("model", WHOLE)
def test_every_body_has_an_example_that_is_one(model: type[BaseModel]) -> None:
    examples = model.model_json_schema()["examples"]
    assert examples
    for example in examples:
        model.model_validate(example)
