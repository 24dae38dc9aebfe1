from __future__ import annotations

import asyncio
import logging

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import Message

from libacli.config import Settings
from libacli.web.app import make_app
from libacli.web.keys import new_key
from libacli.web.services import WebApp
from tests.web.conftest import connected
from tests.web.fake_gateway import FakeGateway

SECRET = "xyzzy-canary"
Samples = dict[tuple[str, ...], float]


def samples(app: WebApp, name: str, *labels: str) -> Samples:
    """What was counted, by the values of `labels`."""
    collected = (sample for metric in app.services.metrics.registry.collect() for sample in metric.samples)
    return {
        tuple(sample.labels[label] for label in labels): sample.value
        for sample in collected
        if sample.name == name
    }


def requests(app: WebApp) -> Samples:
    return samples(app, "liba_http_requests_total", "method", "route", "status")


async def test_requests_are_counted_by_route_method_and_status(
    app: WebApp, client: httpx2.AsyncClient
) -> None:
    await client.get("/api/rooms/lobby")
    await client.get("/api/rooms/demo")
    await client.post("/api/say", json={"text": "Hello."})
    await client.post("/api/say", json={"text": ""})
    await client.delete("/api/say")
    assert requests(app) == {
        ("GET", "/api/rooms/{room}", "200"): 2,
        ("POST", "/api/say", "202"): 1,
        ("POST", "/api/say", "422"): 1,
        ("other", "/api/say", "405"): 1,
    }
    assert samples(app, "liba_http_request_duration_seconds_count", "route") == {
        ("/api/rooms/{room}",): 2,
        ("/api/say",): 3,
    }


async def test_what_somebody_types_makes_no_metric_of_its_own(
    app: WebApp, client: httpx2.AsyncClient
) -> None:
    for number in range(5):
        await client.get(f"/{SECRET}{number}")
        await client.get(f"/static/{SECRET}{number}")
        await client.request(f"X{number}", f"/{SECRET}")
        await client.get("/api/page", headers={"Host": f"{SECRET}{number}"})
    assert requests(app) == {
        ("GET", "other", "404"): 10,
        ("other", "other", "404"): 5,
        ("GET", "other", "421"): 5,
    }
    assert SECRET not in (await client.get("/metrics")).text


async def test_a_defect_is_counted_as_one(app: WebApp, gateway: FakeGateway) -> None:
    gateway.failures["stop"] = AssertionError("a defect")
    async with connected(app, raises=False) as client:
        assert (await client.post("/api/stop")).status_code == 500
    assert requests(app) == {("POST", "/api/stop", "500"): 1}


async def test_a_client_that_leaves_before_its_body_is_there_is_no_defect(app: WebApp) -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError("nobody is there")

    headers = [(b"host", b"localhost")]
    scope = {"type": "http", "method": "POST", "path": "/api/say", "headers": headers, "query_string": b""}
    await app(scope, receive, send)
    assert requests(app) == {("POST", "other", "499"): 1}


async def test_how_long_an_answer_takes_is_measured_to_its_end(
    app: WebApp, client: httpx2.AsyncClient
) -> None:
    await client.get("/healthz")
    assert 0 < samples(app, "liba_http_request_duration_seconds_sum", "route")["/healthz",] < 5


async def test_an_open_stream_of_events_is_counted_as_long_as_it_is_open(
    app: WebApp, client: httpx2.AsyncClient
) -> None:
    async with asyncio.TaskGroup() as group:
        stream = group.create_task(client.get("/api/events"))
        await asyncio.sleep(1)
        assert samples(app, "liba_http_streams") == {(): 1}
        app.services.feeds.end()
        assert (await stream).status_code == 200
    assert samples(app, "liba_http_streams") == {(): 0}
    assert requests(app) == {("GET", "/api/events", "200"): 1}


async def test_prometheus_reads_what_it_is_told(client: httpx2.AsyncClient) -> None:
    await client.get("/healthz")
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    told = {metric.name: metric.type for metric in text_string_to_metric_families(answer.text)}
    assert told["liba_http_requests"] == "counter"
    assert told["liba_http_request_duration_seconds"] == "histogram"
    assert told["liba_http_streams"] == "gauge"
    assert told["liba_build_info"] == "gauge"
    assert told["process_resident_memory_bytes"] == "gauge"


async def test_a_log_line_tells_route_and_status_at_debug_and_no_secret(
    gateway: FakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    key, entry = new_key("laptop")
    app = make_app(Settings(serve_keys=(entry,)), gateway)
    with caplog.at_level(logging.DEBUG):
        async with connected(app) as client:
            headers = {"Authorization": f"Bearer {key}"}
            await client.post("/api/say", json={"text": SECRET}, headers=headers)
            await client.post("/api/say", json={"text": SECRET}, headers={"Authorization": SECRET})
            await client.post("/api/session", json={"code": SECRET})
            await client.get(f"/api/rooms/{SECRET}", headers=headers)
    lines = [record.getMessage() for record in caplog.records if record.name == "liba.web"]
    assert lines[0].startswith("POST /api/say 202 in ")
    assert any(line.startswith("GET /api/rooms/{room} 200 in ") for line in lines)
    assert {record.levelname for record in caplog.records if record.name == "liba.web"} == {"DEBUG"}
    told = "\n".join(one.getMessage() for one in caplog.records if not one.name.startswith("httpx"))
    assert SECRET not in told
    assert key not in told
