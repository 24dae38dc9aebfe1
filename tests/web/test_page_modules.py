"""What the page works out for itself, module by module, in a browser but without a server."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Route

from libacli.core.board_row import BoardRow
from libacli.core.timeline import percentile
from libacli.core.utterance_record import UtteranceRecord
from libacli.web.page import STATIC

ADDRESS = "http://page.test"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """An empty page beside which the modules lie."""

    async def answer(route: Route) -> None:
        name = route.request.url.removeprefix(f"{ADDRESS}/")
        if name:
            await route.fulfill(path=STATIC / name, content_type="text/javascript")
        else:
            await route.fulfill(body="<!doctype html>", content_type="text/html")

    page = await browser.new_page()
    await page.route(f"{ADDRESS}/**", answer)
    await page.goto(f"{ADDRESS}/")
    yield page
    await page.close()


async def run(page: Page, module: str, code: str, given: object = None) -> Any:
    """What `code` returns, the body of a function of `m`, the module, and `given`."""
    script = f"async (given) => {{ const m = await import('/{module}'); {code} }}"
    return await page.evaluate(script, given)


# Latency


async def test_the_page_and_the_watcher_divide_the_time_of_a_line_in_the_same_way(page: Page) -> None:
    chance = random.Random(7)

    def perhaps() -> float | None:
        return chance.choice([None, 0.0, round(chance.uniform(0, 5000), 2)])

    names = ("waited", "d01", "d12", "d2a", "d23", "total")
    cases = [{name: perhaps() for name in names} for _ in range(500)]
    found = await run(page, "latency.js", "return given.map(m.partsOf);", cases)
    for case, parts in zip(cases, found, strict=True):
        row = BoardRow(UtteranceRecord(id="u", t0=1.0, outcome="done", **case), "done", 0.0)  # type: ignore[arg-type]
        assert parts["voice"] == pytest.approx(row.voice_ms)
        assert parts["sink"] == pytest.approx(row.sink_ms)
        assert parts["latency"] == pytest.approx(row.latency_ms)
        assert (parts["heard"], parts["played"], parts["total"]) == (case["d2a"], case["d23"], case["total"])


async def test_the_page_and_the_watcher_have_the_same_percentiles(page: Page) -> None:
    chance = random.Random(11)
    cases = [
        (
            [chance.uniform(0, 1000) for _ in range(chance.randrange(1, 60))],
            chance.choice([0, 1, 50, 95, 100]),
        )
        for _ in range(200)
    ]
    code = "return given.map(([values, percent]) => m.percentile(values, percent));"
    assert await run(page, "latency.js", code, cases) == [percentile(*case) for case in cases]
    assert await run(page, "latency.js", "return m.percentile([], 50);") is None


# The room


def told(id: str, state: str, **members: object) -> dict[str, object]:
    return {"id": id, "state": state, "agent": "liba", "epoch": "e1"} | members


def status(*waiting: str, speaking: str = "", epoch: str = "e1") -> dict[str, object]:
    now = {"id": speaking, "state": "audible"} if speaking else None
    lines = [{"id": id, "state": "accepted"} for id in waiting]
    agent = {"name": "liba", "model": "m", "epoch": epoch}
    return {"agent": agent, "avatar": "ready", "queue": len(lines), "speaking": now, "waiting": lines}


async def scene(page: Page, *happened: dict[str, object]) -> dict[str, Any]:
    """What the scene shows after all that, statuses and events."""
    code = """
      const scene = new m.Scene();
      for (const one of given) "waiting" in one ? scene.takeStatus(one) : scene.takeEvent(one);
      const states = Object.fromEntries(["a", "b", "c"].map((id) => [id, scene.find(id)?.state]));
      return {speaking: scene.speaking?.id, waiting: scene.waiting.map((one) => one.id), states,
              isDoubtful: scene.isDoubtful, epoch: scene.agent?.epoch, avatar: scene.avatar};
    """
    return dict(await run(page, "scene.js", code, list(happened)))


async def test_a_line_waits_then_speaks_then_is_over(page: Page) -> None:
    steps = [told("a", "accepted", queue=1), told("b", "accepted", queue=2), told("a", "speaking", queue=1)]
    found = await scene(page, status(), *steps)
    assert (found["speaking"], found["waiting"], found["isDoubtful"]) == ("a", ["b"], False)
    found = await scene(page, status(), *steps, told("a", "audible"), told("a", "done"))
    assert (found["speaking"], found["states"]["a"]) == (None, "done")


@pytest.mark.parametrize("late", ["accepted", "speaking", "audible"])
async def test_what_is_over_is_not_begun_again_by_news_that_come_late(page: Page, late: str) -> None:
    found = await scene(page, status(), told("a", "done"), told("a", late))
    assert found["states"]["a"] == "done"
    assert found["waiting"] == []


async def test_the_order_is_the_one_that_the_agent_tells(page: Page) -> None:
    found = await scene(page, status(), told("a", "accepted"), told("b", "accepted"), status("c", "b", "a"))
    assert found["waiting"] == ["c", "b", "a"]


async def test_a_line_that_the_agent_does_not_know_any_more_is_lost(page: Page) -> None:
    found = await scene(page, status(), told("a", "accepted"), told("b", "speaking"), status(speaking="b"))
    assert found["states"] == {"a": "lost", "b": "audible", "c": None}


async def test_with_a_new_agent_the_lines_of_the_old_one_are_lost(page: Page) -> None:
    found = await scene(page, status("a", speaking="b"), told("c", "accepted", epoch="e2", queue=1))
    assert found["states"] == {"a": "lost", "b": "lost", "c": "accepted"}
    assert (found["epoch"], found["speaking"], found["waiting"]) == ("e2", None, ["c"])


async def test_an_end_that_was_lost_is_corrected_by_the_agents_own_report(page: Page) -> None:
    found = await scene(page, status("a"), status(), told("a", "done"))
    assert found["states"]["a"] == "done"


async def test_another_count_than_ours_is_a_reason_to_look(page: Page) -> None:
    assert (await scene(page, status(), told("a", "accepted", queue=3)))["isDoubtful"]


async def test_a_refusal_is_no_line(page: Page) -> None:
    found = await scene(page, status(), told("a", "rejected", rejected="queue_full", avatar="left"))
    assert (found["states"]["a"], found["waiting"], found["avatar"]) == (None, [], "left")


async def test_only_the_newest_lines_are_kept(page: Page) -> None:
    code = """
      const scene = new m.Scene();
      for (let n = 0; n < 1000; n += 1) {
        scene.takeEvent({id: `u${n}`, state: "speaking"});
        scene.learnText(`u${n}`, "text");
      }
      return [scene.begun.length, scene.text("u0"), scene.text("u999")];
    """
    assert await run(page, "scene.js", code) == [200, "", "text"]


# The stream of events

FOLLOW = """
  const {Problem} = await import("/api.js");
  const pieces = given.pieces.map((piece) => new Uint8Array(piece));
  const opened = [];
  const events = [];
  const leaving = new AbortController();
  const open = async (lastId) => {
    opened.push(lastId);
    if (given.problem && opened.length === 2) throw new Problem(given.problem, "x", "no");
    if (opened.length === 3) leaving.abort();
    const start = (to) => { pieces.forEach((piece) => to.enqueue(piece)); to.close(); };
    return new Response(new ReadableStream({start}));
  };
  const onEvent = (kind, data) => events.push([kind, data]);
  const problem = await m.follow(open, {onEvent, onDown: () => {}, signal: leaving.signal});
  return {opened, events, problem: problem?.status};
"""
SENT = (
    'retry: 1\n\nid: f-1\nevent: caption\ndata: {"text":"für dich ✓"}\n\n: ping\n\nid: f-2\ndata: {"n":2}\n\n'
)
READ = [["caption", {"text": "für dich ✓"}], ["message", {"n": 2}]]


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize("end_of_line", ["\n", "\r\n"])
async def test_events_are_read_in_whatever_pieces_they_come_and_resumed(
    page: Page, size: int, end_of_line: str
) -> None:
    sent = SENT.replace("\n", end_of_line).encode()
    pieces = [list(sent[at : at + size]) for at in range(0, len(sent), size)]
    found = await run(page, "stream.js", FOLLOW, {"pieces": pieces})
    assert found["opened"] == ["", "f-2", "f-2"]
    assert found["events"][:4] == READ * 2


@pytest.mark.parametrize("status", [401, 403, 404, 422])
async def test_an_answer_that_will_not_change_ends_the_following(page: Page, status: int) -> None:
    found = await run(page, "stream.js", FOLLOW, {"pieces": [list(SENT.encode())], "problem": status})
    assert (found["problem"], len(found["opened"])) == (status, 2)


@pytest.mark.parametrize("status", [0, 429, 503])
async def test_an_answer_that_may_change_is_asked_for_again(page: Page, status: int) -> None:
    found = await run(page, "stream.js", FOLLOW, {"pieces": [list(SENT.encode())], "problem": status})
    assert (found["problem"], found["opened"]) == (None, ["", "f-2", "f-2"])


# Words and addresses


async def test_milliseconds_are_told_as_short_as_they_can_be_read(page: Page) -> None:
    wanted = {0: "0.0 ms", 9.94: "9.9 ms", 10: "10 ms", 999.4: "999 ms", 1000: "1.0 s", 12345: "12 s"}
    assert await run(page, "words.js", "return given.map(m.ms);", list(wanted)) == list(wanted.values())
    assert await run(page, "words.js", "return [m.ms(null), m.ms(undefined)];") == ["–", "–"]


@pytest.mark.parametrize(
    ("one", "ahead", "words"),
    [
        ({"state": "accepted"}, 0, "Queued, it is next"),
        ({"state": "accepted"}, 1, "Queued, 1 line before it"),
        ({"state": "speaking"}, 0, "Its turn"),
        ({"state": "audible"}, 0, "Heard after 87 ms"),
        ({"state": "done"}, 0, "Done. Heard after 87 ms"),
        ({"state": "failed", "reason": "the voice is away"}, 0, "It could not be spoken: the voice is away"),
        ({"state": "lost"}, 0, "Lost: its agent is gone"),
    ],
)
async def test_what_became_of_our_own_line_is_told(
    page: Page, one: dict[str, str], ahead: int, words: str
) -> None:
    given = [one, {"latency": 87.2}, ahead]
    assert await run(page, "words.js", "return m.noteWords(...given);", given) == words


@pytest.mark.parametrize(
    ("livekit", "page_at", "words"),
    [
        ("ws://127.0.0.1:7880", "http://127.0.0.1:8080", ""),
        ("ws://localhost:7880", "http://[::1]:8080", ""),
        ("wss://live.example.org", "https://liba.example.org", ""),
        ("ws://127.0.0.1:7880", "https://localhost:8080", ""),
        ("ws://192.168.1.5:7880", "http://192.168.1.5:8080", ""),
        ("ws://127.0.0.1:7880", "http://192.168.1.5:8080", "only the machine of the server can reach"),
        ("ws://live.example.org", "https://liba.example.org", "may open wss:// addresses only"),
    ],
)
async def test_a_livekit_that_this_browser_cannot_reach_is_told_beforehand(
    page: Page, livekit: str, page_at: str, words: str
) -> None:
    code = "return m.reachTrouble(given[0], new URL(given[1]));"
    found = await run(page, "media.js", code, [livekit, page_at])
    assert words in found if words else found == ""


@pytest.mark.parametrize(
    ("address", "kept", "found"),
    [
        ("#room=lobby&code=c0de", "#room=lobby", {"room": "lobby", "code": "c0de"}),
        ("#code=c0de", "", {"room": "", "code": "c0de"}),
        ("#room=a%26b%20c", "#room=a%26b%20c", {"room": "a&b c", "code": ""}),
        ("", "", {"room": "", "code": ""}),
    ],
)
async def test_a_code_is_taken_from_the_address_and_does_not_stay_there(
    page: Page, address: str, kept: str, found: dict[str, str]
) -> None:
    await page.evaluate("(hash) => { location.hash = hash; }", address)
    assert await run(page, "access.js", "return m.readAddress();") == found
    assert await page.evaluate("location.hash") == kept


@pytest.mark.parametrize(
    "stored", ["", "{", "null", json.dumps({"bearer": "lss_x", "room": "r", "canSay": False})]
)
async def test_what_was_kept_of_who_we_are_is_read_or_forgotten(page: Page, stored: str) -> None:
    code = "if (given) sessionStorage.setItem('liba.access', given); return m.kept();"
    found = await run(page, "access.js", code, stored)
    nobody = {"bearer": "", "room": "", "canSay": True}
    assert found == (json.loads(stored) if stored.startswith('{"') else nobody)
