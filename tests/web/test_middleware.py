from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterable

import httpx2
import pytest
from fastapi import FastAPI
from starlette.types import Message

from libacli.config import Settings
from libacli.errors import ConfigError
from libacli.web.app import make_app
from libacli.web.keys import new_key
from libacli.web.middleware import MAX_BODY_BYTES
from tests.web.conftest import ADDRESS, connected
from tests.web.fake_gateway import FakeGateway

KEY, ENTRY = new_key("laptop")
BY_KEY = {"Authorization": f"Bearer {KEY}"}
FRIEND = "https://friend.example.org"
PUBLIC = "https://speak.example.org"
SAY = {"text": "Hello."}


@pytest.fixture
async def public(gateway: FakeGateway) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a server for others, behind a proxy that speaks TLS, with one friendly website."""
    settings = Settings(
        serve_keys=(ENTRY,), serve_origins=(f"{FRIEND}/",), livekit_url="wss://lk.example.org"
    )
    app = make_app(settings, gateway, address=PUBLIC, host_is_loopback=False)
    async with connected(app, base_url="http://speak.example.org") as client:
        yield client


def policy(answer: httpx2.Response) -> dict[str, str]:
    directives = answer.headers["content-security-policy"].split("; ")
    return dict(directive.split(" ", 1) for directive in directives)


async def send(app: FastAPI, messages: Iterable[Message]) -> tuple[int, dict[str, str]]:
    """Status and body of the answer to a say that comes in `messages`; 0: there was no answer."""
    incoming, answered = iter(messages), list[Message]()

    async def receive() -> Message:
        if message := next(incoming, None):
            return message
        await asyncio.Event().wait()
        raise AssertionError

    async def keep(message: Message) -> None:
        answered.append(message)

    headers = [(b"host", b"127.0.0.1:8080"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/api/say", "headers": headers, "query_string": b""}
    await app(scope, receive, keep)
    if not answered:
        return 0, {}
    return answered[0]["status"], json.loads(b"".join(one.get("body", b"") for one in answered[1:]))


def part(body: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:9", "liba.localhost:8080", "127.0.0.1", "127.0.0.1:8080", "[::1]:8080"]
)
async def test_without_keys_it_answers_by_the_names_of_this_machine(
    client: httpx2.AsyncClient, host: str
) -> None:
    assert (await client.get("/api/page", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example.org",
        "localhost.evil.org",
        "127.0.0.1.evil.org:8080",
        "192.0.2.1",
        "[::2]",
        "[::1",
        "[]",
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/token", "/api/say", "/healthz", "/static/app.css", "/nothing"])
async def test_without_keys_it_answers_by_no_other_name(
    client: httpx2.AsyncClient, gateway: FakeGateway, path: str, host: str
) -> None:
    for method in ("GET", "POST"):
        answer = await client.request(method, path, headers={"Host": host})
        assert (answer.status_code, answer.json()["reason"]) == (421, "wrong_host")
    assert gateway.calls == []


async def test_with_keys_it_answers_by_any_name(public: httpx2.AsyncClient) -> None:
    assert (await public.post("/api/token", headers=BY_KEY | {"Host": "anything"})).status_code == 200


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "https://evil.example.org",
        "http://127.0.0.1:9999",
        "http://127.0.0.1",
        "http://localhost:8080",
        "http://127.0.0.1:8080.evil.org",
        "http://127.0.0.1:8080@evil.org",
        "file://",
        "chrome-extension://127.0.0.1:8080",
        "http://[",
        "nonsense",
    ],
)
async def test_no_page_of_another_website_does_anything_here(
    client: httpx2.AsyncClient, gateway: FakeGateway, origin: str
) -> None:
    for path in ("/api/say", "/say", "/api/token", "/api/stop", "/api/session"):
        answer = await client.post(path, json=SAY, headers={"Origin": origin})
        assert (answer.status_code, answer.json()["reason"]) == (403, "foreign_origin")
        assert "access-control-allow-origin" not in answer.headers
    assert gateway.calls == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": ADDRESS},
        {"Origin": ADDRESS.upper()},
        {"Origin": "http://localhost:3000", "Host": "localhost:3000"},
        {"Origin": "https://localhost:3000", "Host": "localhost:3000"},
    ],
)
async def test_the_own_page_and_programs_may(client: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    assert (await client.post("/api/say", json=SAY, headers=headers)).status_code == 202


async def test_the_page_at_its_public_address_may_whatever_the_proxy_calls_this_server(
    public: httpx2.AsyncClient,
) -> None:
    headers = BY_KEY | {"Origin": PUBLIC, "Host": "127.0.0.1:8080"}
    assert (await public.post("/api/token", headers=headers)).status_code == 200


@pytest.mark.parametrize("path", ["/api/events", "/token", "/api/rooms/demo", "/static/app.css"])
async def test_no_page_of_another_website_starts_anything_by_loading_it(
    client: httpx2.AsyncClient, gateway: FakeGateway, path: str
) -> None:
    for site in ("cross-site", "same-site"):
        for kind in ("empty", "image", "iframe", "script"):
            headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": kind, "Sec-Fetch-Mode": "no-cors"}
            assert (await client.get(path, headers=headers)).json()["reason"] == "foreign_origin"
    assert gateway.calls == []


@pytest.mark.parametrize("path", ["/api/events", "/api/rooms/demo"])
async def test_a_browser_that_says_no_more_than_the_origin_is_believed_too(
    client: httpx2.AsyncClient, gateway: FakeGateway, path: str
) -> None:
    answer = await client.get(path, headers={"Origin": "http://127.0.0.1:8888"})
    assert answer.json()["reason"] == "foreign_origin"
    assert gateway.calls == []


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_link_on_another_website_leads_here(client: httpx2.AsyncClient, site: str) -> None:
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}
    assert (await client.get("/api/page", headers=headers)).status_code == 200


@pytest.mark.parametrize("site", ["same-origin", "none"])
async def test_the_page_itself_and_whoever_types_the_address_load_what_they_want(
    client: httpx2.AsyncClient, site: str
) -> None:
    for kind in ("empty", "image", "script"):
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": kind}
        assert (await client.get("/api/page", headers=headers)).status_code == 200


async def test_a_website_that_is_listed_may_call_and_read(public: httpx2.AsyncClient) -> None:
    asked = {"Origin": FRIEND, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "empty"}
    for answer in (
        await public.post("/api/say", json=SAY, headers=asked | BY_KEY),
        await public.get("/token", headers=asked | BY_KEY),
    ):
        assert answer.is_success
        assert answer.headers["access-control-allow-origin"] == FRIEND
        assert "access-control-allow-credentials" not in answer.headers


async def test_a_website_that_is_listed_reads_why_it_was_refused(public: httpx2.AsyncClient) -> None:
    for body, status in ((b"{}", 401), (b"x" * (MAX_BODY_BYTES + 1), 413)):
        answer = await public.post(
            "/api/say", content=body, headers={"Origin": FRIEND, "Content-Type": "application/json"}
        )
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == FRIEND


async def test_a_browser_is_told_what_a_listed_website_may_send(public: httpx2.AsyncClient) -> None:
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,traceparent,tracestate",
    }
    answer = await public.options("/api/say", headers=asked | {"Origin": FRIEND})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, FRIEND)
    refused = await public.options("/api/say", headers=asked | {"Origin": "https://evil.example.org"})
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers


async def test_without_a_list_no_browser_is_told_that_it_may(client: httpx2.AsyncClient) -> None:
    asked = {"Origin": FRIEND, "Access-Control-Request-Method": "POST"}
    for answer in (
        await client.options("/api/say", headers=asked),
        await client.get("/api/page", headers=asked),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "origin", ["*", "null", "friend.example.org", "https://", "https://*.example.org", "ws://a"]
)
def test_a_list_of_websites_that_is_none_stops_the_server(gateway: FakeGateway, origin: str) -> None:
    with pytest.raises(ConfigError, match="not the address of a website"):
        make_app(Settings(serve_origins=(FRIEND, origin)), gateway)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "json"]
)
async def test_a_body_that_does_not_say_that_it_is_json_is_refused(
    client: httpx2.AsyncClient, gateway: FakeGateway, kind: str
) -> None:
    answer = await client.post("/api/say", content=json.dumps(SAY).encode(), headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["reason"]) == (415, "unsupported_media_type")
    assert gateway.calls == []


@pytest.mark.parametrize("coding", ["gzip", "BR", "deflate, gzip"])
async def test_a_body_that_is_compressed_is_refused_as_what_it_is(
    client: httpx2.AsyncClient, gateway: FakeGateway, coding: str
) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    answer = await client.post("/api/say", content=gzip.compress(json.dumps(SAY).encode()), headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (415, "unsupported_media_type")
    assert "without the header Content-Encoding" in answer.json()["hint"]
    assert gateway.calls == []


async def test_a_body_that_says_that_it_is_as_it_is_is_read(client: httpx2.AsyncClient) -> None:
    assert (
        await client.post("/api/say", json=SAY, headers={"Content-Encoding": "identity"})
    ).status_code == 202


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/docs", "/nothing"])
async def test_who_asks_for_the_head_alone_gets_that_of_what_others_get(
    client: httpx2.AsyncClient, path: str
) -> None:
    whole, head = await client.get(path), await client.head(path)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    assert head.headers["content-length"] == whole.headers["content-length"]


async def test_who_asks_for_the_head_of_a_stream_or_of_a_room_begins_nothing(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    answers = [await client.head(path) for path in ("/api/events?room=demo", "/api/rooms/demo")]
    assert [answer.status_code for answer in answers] == [405, 405]
    assert gateway.calls == []


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON", "application/json; charset=utf-8"])
async def test_a_body_that_says_that_it_is_json_is_read(client: httpx2.AsyncClient, kind: str) -> None:
    answer = await client.post("/api/say", content=json.dumps(SAY).encode(), headers={"Content-Type": kind})
    assert answer.status_code == 202


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None]
)
async def test_what_programs_send_unless_they_are_told_otherwise_is_answered_with_what_to_send(
    client: httpx2.AsyncClient, kind: str | None
) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = await client.post("/api/say", content=b"text=Hello.", headers=headers)
    assert "Content-Type: application/json" in answer.json()["hint"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("charset", ["", "; charset=UTF-8", "; charset=utf-16", '; charset="iso-8859-1"'])
async def test_escaped_json_and_json_of_any_unicode_is_read_whatever_charset_is_named(
    client: httpx2.AsyncClient, gateway: FakeGateway, encoding: str, charset: str
) -> None:
    body = json.dumps({"text": "Grüße, 字 😀"}, ensure_ascii=False).encode(encoding)
    headers = {"Content-Type": f"application/json{charset}"}
    answer = await client.post("/api/say", content=body, headers=headers)
    assert answer.status_code == 202
    assert gateway.agents["demo"].requests[0].text == "Grüße, 字 😀"


@pytest.mark.parametrize("is_ascii", [True, False])
@pytest.mark.parametrize("letter", ["A", "я", "字", "𝐀"])
async def test_escaped_json_of_4000_characters_is_taken(
    client: httpx2.AsyncClient, gateway: FakeGateway, letter: str, is_ascii: bool
) -> None:
    body = json.dumps({"text": 4000 * letter, "instructions": 1000 * letter}, ensure_ascii=is_ascii)
    headers = {"Content-Type": "application/json"}
    assert (await client.post("/api/say", content=body.encode(), headers=headers)).status_code == 202
    assert gateway.agents["demo"].requests[0].text == 4000 * letter
    refused = await client.post("/api/say", json={"text": 4001 * letter})
    assert (refused.status_code, refused.json()["reason"]) == (422, "text_too_long")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"text": "Hello.",}', "a comma before the end"),
        (b'{"text": "a", "text": "b"}', 'a key stands twice: "text"'),
        (b'{"text": "a", "speed": NaN}', "NaN is not JSON"),
        (b"{'text': 'Hello.'}", "not valid JSON: Expecting property name enclosed in double quotes"),
        (b'{"text": "Hello."', "not valid JSON"),
        (b'{"text": "Hello."}{"text": "Hello."}', "not valid JSON: Extra data"),
        (b"text=Hello.", "not valid JSON"),
        ('{"text": "Grüße"}'.encode("latin-1"), "not UTF-8: byte 13"),
        (b"[" * 60_000, "not valid JSON"),
    ],
)
async def test_json_with_a_slip_is_answered_with_what_is_wrong(
    client: httpx2.AsyncClient, gateway: FakeGateway, body: bytes, words: str
) -> None:
    answer = await client.post("/api/say", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["reason"]) == (422, "malformed")
    assert words in answer.json()["detail"]
    assert gateway.calls == []


async def test_an_empty_body_needs_no_type(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/api/token")).status_code == 200


async def test_a_body_of_64_kib_is_taken_and_one_byte_more_is_not(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    headers = {"Content-Type": "application/json"}
    body = json.dumps(SAY).encode().ljust(MAX_BODY_BYTES)
    assert (await client.post("/api/say", content=body, headers=headers)).status_code == 202
    gateway.calls.clear()
    answer = await client.post("/api/say", content=body + b" ", headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (413, "too_large")
    assert gateway.calls == []


async def test_a_body_without_a_length_is_read_no_further_than_it_may_go(app: FastAPI) -> None:
    read = 0

    def endless() -> Iterable[Message]:
        nonlocal read
        while True:
            read += 1000
            yield part(b" " * 1000, more=True)

    status, problem = await send(app, endless())
    assert (status, problem["reason"]) == (413, "too_large")
    assert read <= MAX_BODY_BYTES + 1000


async def test_a_body_in_pieces_is_put_together(app: FastAPI, gateway: FakeGateway) -> None:
    body = json.dumps(SAY).encode()
    pieces = [part(body[at : at + 1], more=True) for at in range(len(body))]
    assert (await send(app, [*pieces, part(b"", more=False)]))[0] == 202
    assert gateway.agents["demo"].requests[0].text == "Hello."


async def test_a_body_that_does_not_come_is_waited_for_ten_seconds(
    app: FastAPI, gateway: FakeGateway
) -> None:
    started = asyncio.get_running_loop().time()
    status, problem = await send(app, [part(b"{", more=True)])
    assert (status, problem["reason"]) == (408, "too_slow")
    assert asyncio.get_running_loop().time() - started == pytest.approx(10)
    assert gateway.calls == []


async def test_half_a_body_of_a_client_that_left_does_nothing(app: FastAPI, gateway: FakeGateway) -> None:
    assert await send(app, [part(b'{"text": "Hel', more=True), {"type": "http.disconnect"}]) == (0, {})
    assert gateway.calls == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/page", 200),
        ("GET", "/", 200),
        ("GET", "/docs", 200),
        ("GET", "/nothing", 404),
        ("DELETE", "/api/say", 405),
        ("POST", "/api/say", 422),
        ("GET", "/readyz", 500),
    ],
)
async def test_every_answer_tells_a_browser_what_not_to_do(
    app: FastAPI, gateway: FakeGateway, method: str, path: str, status: int
) -> None:
    gateway.failures["check"] = AssertionError("a defect")
    async with connected(app, raises=False) as client:
        answer = await client.request(method, path)
    assert answer.status_code == status
    kept = {
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "permissions-policy": "camera=(), microphone=(), geolocation=()",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "x-frame-options": "DENY",
    }
    assert {name: answer.headers.get(name) for name in kept} == kept
    assert policy(answer)["default-src"] == "'none'"
    assert answer.headers["cache-control"] in ("no-store", "no-cache")
    assert "strict-transport-security" not in answer.headers


async def test_what_middleware_refuses_carries_these_headers_too(client: httpx2.AsyncClient) -> None:
    for headers in ({"Host": "evil.example.org"}, {"Origin": "null"}):
        answer = await client.post("/api/say", json=SAY, headers=headers)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


async def test_the_policy_lets_the_page_reach_nothing_but_this_server_and_livekit(
    public: httpx2.AsyncClient,
) -> None:
    assert policy(await public.get("/")) == {
        "default-src": "'none'",
        "script-src": "'self'",
        "worker-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self' wss://lk.example.org https://lk.example.org",
        "media-src": "'self' blob:",
        "manifest-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


@pytest.mark.parametrize(
    ("url", "sources"),
    [
        ("", "'self'"),
        ("ws://127.0.0.1:7880", "'self' ws://127.0.0.1:7880 http://127.0.0.1:7880"),
        ("https://LK.example.org/", "'self' wss://lk.example.org https://lk.example.org"),
        (
            "wss://mine.livekit.cloud",
            "'self' wss://mine.livekit.cloud https://mine.livekit.cloud "
            "wss://*.livekit.cloud https://*.livekit.cloud",
        ),
    ],
)
async def test_the_policy_names_the_livekit_server_by_its_origins(
    gateway: FakeGateway, url: str, sources: str
) -> None:
    async with connected(make_app(Settings(livekit_url=url), gateway)) as client:
        assert policy(await client.get("/"))["connect-src"] == sources


async def test_inside_outside_url_the_policy_names_livekit_as_browsers_reach_it(gateway: FakeGateway) -> None:
    settings = Settings(livekit_url="ws://livekit:7880", livekit_public_url="wss://lk.example.org")
    async with connected(make_app(settings, gateway)) as client:
        sources = policy(await client.get("/"))["connect-src"]
    assert sources == "'self' wss://lk.example.org https://lk.example.org"


async def test_only_the_viewer_of_the_api_may_write_styles(client: httpx2.AsyncClient) -> None:
    page, docs = policy(await client.get("/")), policy(await client.get("/docs"))
    assert docs == page | {"style-src": "'self' 'unsafe-inline'"}


async def test_what_is_served_by_tls_is_asked_for_by_tls_alone(public: httpx2.AsyncClient) -> None:
    assert (await public.get("/healthz")).headers["strict-transport-security"] == "max-age=31536000"


EMBEDDERS = ("https://Example.org", "https://*.example.net", "http://localhost:3000")


async def test_websites_that_may_embed_it_are_named_and_the_older_header_that_can_name_none_is_gone(
    gateway: FakeGateway,
) -> None:
    async with connected(make_app(Settings(serve_embed=EMBEDDERS), gateway)) as client:
        for path in ("/", "/?view=stage", "/nothing", "/docs"):
            answer = await client.get(path)
            assert policy(answer)["frame-ancestors"] == " ".join(EMBEDDERS).lower()
            assert "x-frame-options" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    [
        *(
            "*",
            "'self'",
            "example.org",
            "https:",
            "https://",
            "https://*",
            "https://*.org",
            "http://*.example.org",
        ),
        *(
            "https://example.org/",
            "https://example.org/page",
            "https://a b",
            "https://a; script-src *",
            "file:///x",
        ),
        *("https://a\r\nX: y", "https://example.org:port", "https://user@example.org", "ws://example.org"),
    ],
)
async def test_what_is_no_origin_of_a_website_may_not_be_listed_to_embed_it(
    gateway: FakeGateway, origin: str
) -> None:
    with pytest.raises(ConfigError, match=r"serve\.embed") as caught:
        make_app(Settings(serve_embed=("https://example.org", origin)), gateway)
    assert "https://example.org" in caught.value.hint


@pytest.mark.parametrize(("embed", "status"), [((), 403), (("https://example.org",), 200)])
async def test_a_frame_is_answered_where_some_website_may_embed_it_and_changes_nothing(
    gateway: FakeGateway, embed: tuple[str, ...], status: int
) -> None:
    frame = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "iframe", "Sec-Fetch-Mode": "navigate"}
    async with connected(make_app(Settings(serve_embed=embed), gateway)) as client:
        assert (await client.get("/?view=stage", headers=frame)).status_code == status
        assert (await client.post("/api/say", json=SAY, headers=frame)).status_code == 403
    assert not gateway.agents
