"""What the page works out for itself, module by module, in a browser but without a server."""

from __future__ import annotations

import json
import random
import re
import shlex
from collections.abc import AsyncIterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Route

from libacli.core.agent_status import AgentStatus
from libacli.core.board import Board
from libacli.core.board_row import BoardRow
from libacli.core.event import AgentFacts, Event, Rejection, Report
from libacli.core.latency import AT_ONCE_MS
from libacli.core.lifecycle import MOVES, State
from libacli.core.timeline import percentile
from libacli.web.models.room_state import room_state
from libacli.web.page import STATIC
from libacli.web.states import STATES
from tests import latency_cases
from tests.latency_cases import Case

pytestmark = pytest.mark.live

ADDRESS = "http://page.test"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def tab(browser: Browser) -> AsyncIterator[Page]:
    """Where the modules lie beside an empty page."""

    async def answer(route: Route) -> None:
        name = route.request.url.removeprefix(f"{ADDRESS}/")
        if name:
            await route.fulfill(path=STATIC / name, content_type="text/javascript")
        else:
            await route.fulfill(body="<!doctype html>", content_type="text/html")

    tab = await browser.new_page()
    await tab.route(f"{ADDRESS}/**", answer)
    yield tab
    await tab.close()


@pytest.fixture
async def page(tab: Page) -> Page:
    """The empty page, loaded anew, with nothing stored: a new tab takes longer than a test."""
    await tab.goto(f"{ADDRESS}/")
    await tab.evaluate("sessionStorage.clear()")
    return tab


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
    cases: list[dict[str, Any]] = [{name: perhaps() for name in names} for _ in range(500)]
    found = await run(page, "latency.js", "return given.map(m.partsOf);", cases)
    for case, parts in zip(cases, found, strict=True):
        row = BoardRow(Event(AgentFacts(), Report("u", "done", **case), t0=1.0), "done", 0.0)
        assert (parts["voice"], parts["sink"]) == (case["d01"], case["d12"])
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


@pytest.mark.parametrize("case", latency_cases.CASES, ids=lambda case: case.name)
async def test_the_page_counts_what_everybody_counts(page: Page, case: Case) -> None:
    parts = {"voice": "d01", "sink": "d12", "heard": "d2a", "latency": "latency", "played": "d23"}
    code = "return given.names.map((name) => m.summaryOf(given.lines.map(m.partsOf), name));"
    found = await run(page, "latency.js", code, {"names": list(parts), "lines": case.lines})
    for told, name in zip(found, parts.values(), strict=True):
        values = case.counted.get(name, [])
        assert told["count"] == len(values)
        assert told["p50"] == (pytest.approx(percentile(values, 50)) if values else None)
    assert await run(page, "latency.js", "return m.AT_ONCE_MS;") == AT_ONCE_MS


# Playout delay

LOOKS = """
  const delay = new m.PlayoutDelay();
  const told = {id: "a", jitter: 0, packets: 0, samples: 0, concealed: 0};
  return given.map(({jitter = 0.003, concealed = 0, packets = 50, id = "a"}) => {
    Object.assign(told, {id, jitter, packets: told.packets + packets});
    if (packets) told.samples += 48000;
    told.concealed += 48000 * concealed;
    return delay.look([{...told}]);
  });
"""
"""The delay after each look, a second apart: at sound of that jitter, share made up, and packets."""


async def delays(page: Page, *looks: dict[str, Any]) -> list[float]:
    """After the first look, which tells nothing, at those that are given."""
    found: list[float] = await run(page, "playout_delay.js", LOOKS, [{}, *looks])
    assert found[0] == 0
    return found[1:]


async def test_on_a_clean_network_nothing_is_played_later(page: Page) -> None:
    chance = random.Random(5)
    steady = [{"jitter": chance.uniform(0, 0.019), "concealed": chance.uniform(0, 0.009)} for _ in range(300)]
    assert set(await delays(page, *steady)) == {0}


async def test_a_browser_that_was_busy_for_a_moment_is_no_network(page: Page) -> None:
    made_up, late = {"concealed": 0.3}, {"jitter": 0.04}
    looks = [made_up, {}, made_up, {}, late, late, {}, late, made_up | late, {}, {}]
    assert set(await delays(page, *looks)) == {0}


async def test_jitter_alone_is_covered_by_four_times_as_much_once_it_has_lasted_for_three_seconds(
    page: Page,
) -> None:
    assert await delays(page, *[{"jitter": 0.027}] * 4) == [0, 0, 0.11, 0.11]


async def test_holes_make_it_grow_each_second_up_to_half_a_second(page: Page) -> None:
    found = await delays(page, *[{"jitter": 0.03, "concealed": 0.05}] * 8)
    assert found[:5] == [0, 0.06, 0.12, 0.18, 0.27]
    assert set(found[6:]) == {0.5}


async def test_jitter_beyond_all_measure_is_covered_up_to_half_a_second(page: Page) -> None:
    assert (await delays(page, *[{"jitter": 3.0}] * 3))[-1] == 0.5


async def test_for_loss_alone_nothing_is_waited_for_longer_than_it_takes_to_ask_again(page: Page) -> None:
    found = await delays(page, *[{"concealed": 0.03}] * 10)
    assert found[:3] == [0, 0.06, 0.12]
    assert found[-1] == 0.2


async def test_when_it_is_steady_again_it_goes_back_slowly_and_to_nothing(page: Page) -> None:
    found = await delays(page, *[{"jitter": 0.2}] * 3, *[{}] * 150)
    assert found[:2] == [0, 0]
    assert found[2] == 0.5
    assert found[2:] == sorted(found[2:], reverse=True)
    assert found[3 + 10] > 0.3
    assert found[3 + 30] < 0.25
    assert found[-1] == 0


async def test_silence_tells_nothing_and_another_track_is_counted_from_its_own_beginning(page: Page) -> None:
    silence = [{"jitter": 0.2, "concealed": 0.5, "packets": 5}] * 5
    assert set(await delays(page, *silence, {"jitter": 0.2, "concealed": 0.5, "packets": 0})) == {0}
    others = [{"id": str(number), "jitter": 0.2, "concealed": 0.5} for number in range(5)]
    assert set(await delays(page, *others)) == {0}


async def test_of_what_a_browser_tells_the_audible_part_of_sound_is_read(page: Page) -> None:
    sound = {"id": "IT1", "type": "inbound-rtp", "kind": "audio", "jitter": 0.01, "packetsReceived": 7}
    counts = {"totalSamplesReceived": 900, "concealedSamples": 90, "silentConcealedSamples": 80}
    told = [sound | counts, sound | {"kind": "video"}, {"type": "codec"}, sound | {"id": "IT2"}]
    assert await run(page, "playout_delay.js", "return m.inboundSound(given);", told) == [
        {"id": "IT1", "jitter": 0.01, "packets": 7, "samples": 900, "concealed": 10},
        {"id": "IT2", "jitter": 0.01, "packets": 7, "samples": 0, "concealed": 0},
    ]


TRACKS = """
  const [real, ticks] = [setInterval, []];
  window.setInterval = (act) => ticks.push(act);
  let [packets, changes, jitter] = [0, 0, 0];
  const report = async () => new Map([["s", {
    id: "s", type: "inbound-rtp", kind: "audio", jitter,
    packetsReceived: packets, totalSamplesReceived: 960 * packets,
  }]]);
  const track = (receiver) => ({
    receiver, getRTCStatsReport: report,
    setPlayoutDelay(seconds) { this.receiver.playoutDelayHint = seconds; },
  });
  const playout = new m.Playout(() => (changes += 1));
  const tick = async (seconds) => { packets += 50; jitter = seconds; await ticks.at(-1)(); };
  const receivers = [{jitterBufferTarget: null}, {jitterBufferTarget: null}, {}];
  const [sound, picture, late] = receivers.map(track);
  playout.add(sound);
  playout.add(picture);
  await tick(0.001); await tick(0.001);
  const clean = [sound.receiver, picture.receiver].map((one) => one.jitterBufferTarget);
  for (let look = 0; look < 4; look += 1) await tick(0.03);
  playout.add(late);
  const unsteady = [sound, picture, late].map((one) => one.receiver);
  window.setInterval = real;
  return {clean, unsteady, changes, seconds: playout.seconds, timers: ticks.length};
"""


async def test_sound_and_picture_are_played_later_by_the_same_also_a_track_that_comes_then(
    page: Page,
) -> None:
    assert await run(page, "playout.js", TRACKS) == {
        "clean": [None, None],
        "unsteady": [{"jitterBufferTarget": 120}, {"jitterBufferTarget": 120}, {"playoutDelayHint": 0.12}],
        "changes": 1,
        "seconds": 0.12,
        "timers": 1,
    }


async def test_who_leaves_the_room_while_it_is_looked_at_has_no_delay_from_it(page: Page) -> None:
    code = """
      const [real, ticks] = [setInterval, []];
      window.setInterval = (act) => ticks.push(act);
      let answer;
      const playout = new m.Playout(() => { throw new Error("changed"); });
      playout.add({receiver: {}, getRTCStatsReport: () => new Promise((resolve) => (answer = resolve))});
      const looking = ticks[0]();
      playout.clear();
      answer(new Map());
      await looking;
      window.setInterval = real;
      return playout.seconds;
    """
    assert await run(page, "playout.js", code) == 0


# Captions


async def test_a_line_that_was_not_spoken_to_its_end_says_what_became_of_it(page: Page) -> None:
    states = {"a": "done", "b": "interrupted", "c": "failed", "d": "expired", "e": "lost", "f": "audible"}
    code = """
      document.body.innerHTML = '<div id="captions"></div>';
      const captions = new m.Captions({onAgain: null});
      for (const id of Object.keys(given)) captions.put(id, `Line ${id}.`);
      captions.render({speaking: {id: "f"}, find: (id) => ({state: given[id]})}, true);
      return [...document.querySelectorAll("#captions p")].map((line) => line.dataset.end);
    """
    ends = await run(page, "captions.js", code, states)
    assert ends == ["", "…stopped", "…not spoken", "…not spoken", "…lost: the agent went away", ""]


async def test_a_line_that_was_not_spoken_to_its_end_can_be_said_again_by_who_may_speak(page: Page) -> None:
    code = """
      document.body.innerHTML = '<div id="captions"></div>';
      const [asked, states] = [[], {a: "done", b: "lost"}];
      const captions = new m.Captions({onAgain: given ? (id) => asked.push(id) : null});
      for (const id of Object.keys(states)) captions.put(id, `Line ${id}.`);
      for (let times = 0; times < 2; times += 1) captions.render({find: (id) => ({state: states[id]})}, true);
      for (const button of document.querySelectorAll("button")) {
        button.click();
        button.click();
      }
      captions.put("b", "Line b, at length.");
      return [asked, [...document.querySelectorAll("#captions p")].map((line) => line.textContent)];
    """
    assert await run(page, "captions.js", code, True) == [
        ["b"],
        ["Line a.", "Line b, at length.Say it again"],
    ]
    assert await run(page, "captions.js", code, False) == [[], ["Line a.", "Line b, at length."]]


# The same as code


@pytest.mark.parametrize("needs_key", [False, True])
async def test_what_the_page_asks_is_shown_as_programs_that_ask_the_same(page: Page, needs_key: bool) -> None:
    body = {"text": 'It\'s "so": $HOME `id` \\ 你好\n😀', "room": "demo", "speed": 1.25}
    url = "http://127.0.0.1:8080/api/say"
    code = "return [m.asCurl(...given), m.asPython(...given)];"
    curl, python = await run(page, "code.js", code, [url, body, needs_key])
    words = shlex.split(curl.replace("\\\n", " "))
    assert (words[:2], json.loads(words[-1])) == (["curl", url], body)
    assert ("Authorization: Bearer $LIBA_KEY" in words) == needs_key
    asked: dict[str, Any] = {}

    def post(url: str, **options: Any) -> Any:
        asked.update(options, url=url)
        return SimpleNamespace(raise_for_status=lambda: SimpleNamespace(json=dict))

    scope = {"httpx": SimpleNamespace(post=post), "os": SimpleNamespace(environ={"LIBA_KEY": "k"})}
    exec(re.sub(r"^import .*$", "", python, flags=re.MULTILINE), scope)
    assert (asked["url"], asked["json"]) == (url, body)
    assert asked.get("headers") == ({"Authorization": "Bearer k"} if needs_key else None)


# The room


RULES = {state: rules.model_dump() for state, rules in STATES.items()}


def told(id: str, state: str, **members: object) -> dict[str, object]:
    agent = {"agent": "liba", "model": "m", "avatar": "ready", "queue": 0, "epoch": "e1", "t0": 1.0}
    return {"id": id, "state": state} | agent | members


def status(*waiting: str, speaking: str = "", epoch: str = "e1", left_out: int = 0) -> dict[str, object]:
    now = {"id": speaking, "state": "audible"} if speaking else None
    lines = [{"id": id, "state": "accepted"} for id in waiting]
    agent = {"name": "liba", "model": "m", "epoch": epoch}
    told = {"agent": agent, "avatar": "ready", "speaking": now, "waiting": lines}
    return told | {"queue": len(lines) + left_out, "waiting_left_out": left_out}


NO_AGENT: dict[str, object] = {"agent": None, "avatar": None, "queue": 0, "speaking": None, "waiting": []}


async def board(page: Page, *happened: dict[str, object]) -> dict[str, Any]:
    """What the board shows after all that, statuses and events."""
    code = """
      const board = new m.Board(given.rules);
      for (const told of given.happened) "waiting" in told ? board.answer(told) : board.event(told);
      const states = Object.fromEntries(["a", "b", "c"].map((id) => [id, board.find(id)?.state]));
      return {speaking: board.speaking?.id, waiting: board.waiting.map((row) => row.id), states,
              isDoubtful: board.isDoubtful, epoch: board.agent?.epoch, avatar: board.avatar,
              leftOut: board.waitingLeftOut};
    """
    return dict(await run(page, "board.js", code, {"rules": RULES, "happened": list(happened)}))


async def test_a_line_waits_then_speaks_then_is_over(page: Page) -> None:
    steps = [told("a", "accepted", queue=1), told("b", "accepted", queue=2), told("a", "speaking", queue=1)]
    found = await board(page, status(), *steps)
    assert (found["speaking"], found["waiting"], found["isDoubtful"]) == ("a", ["b"], False)
    found = await board(page, status(), *steps, told("a", "audible"), told("a", "done"))
    assert (found["speaking"], found["states"]["a"]) == (None, "done")


@pytest.mark.parametrize("late", ["accepted", "speaking", "audible"])
async def test_what_is_over_is_not_begun_again_by_news_that_come_late(page: Page, late: str) -> None:
    found = await board(page, status(), told("a", "done"), told("a", late))
    assert found["states"]["a"] == "done"
    assert found["waiting"] == []


async def test_the_order_is_the_one_that_the_agent_tells(page: Page) -> None:
    found = await board(page, status(), told("a", "accepted"), told("b", "accepted"), status("c", "b", "a"))
    assert found["waiting"] == ["c", "b", "a"]


async def test_a_line_that_the_agent_does_not_know_any_more_is_lost(page: Page) -> None:
    found = await board(page, status(), told("a", "accepted"), told("b", "speaking"), status(speaking="b"))
    assert found["states"] == {"a": "lost", "b": "audible", "c": None}


async def test_with_a_new_agent_the_lines_of_the_old_one_are_lost(page: Page) -> None:
    found = await board(page, status("a", speaking="b"), told("c", "accepted", epoch="e2", queue=1))
    assert found["states"] == {"a": "lost", "b": "lost", "c": "accepted"}
    assert (found["epoch"], found["speaking"], found["waiting"]) == ("e2", None, ["c"])


async def test_an_end_that_was_lost_is_corrected_by_the_agents_own_report(page: Page) -> None:
    found = await board(page, status("a"), status(), told("a", "done"))
    assert found["states"]["a"] == "done"


async def test_another_count_than_ours_is_a_reason_to_look(page: Page) -> None:
    assert (await board(page, status(), told("a", "accepted", queue=3)))["isDoubtful"]


async def test_a_refusal_is_no_line(page: Page) -> None:
    found = await board(page, status(), told("a", "rejected", rejected="queue_full", avatar="left"))
    assert (found["states"]["a"], found["waiting"], found["avatar"]) == (None, [], "left")


async def test_only_the_newest_lines_are_kept(page: Page) -> None:
    code = """
      const board = new m.Board(given.rules);
      for (let n = 0; n < 1000; n += 1) {
        board.event({...given.told, id: `u${n}`});
        board.caption(`u${n}`, "text");
      }
      return [board.begun.length, board.text("u0"), board.text("u999")];
    """
    given = {"rules": RULES, "told": told("", "speaking")}
    assert await run(page, "board.js", code, given) == [200, "", "text"]


async def test_a_line_that_is_said_again_at_the_next_agent_is_another_line(page: Page) -> None:
    gone = [status("a"), NO_AGENT]
    assert (await board(page, *gone))["states"]["a"] == "lost"
    again = [told("a", "accepted", epoch="e2", queue=1), told("a", "speaking", epoch="e2")]
    found = await board(page, *gone, again[0])
    assert (found["states"]["a"], found["waiting"]) == ("accepted", ["a"])
    found = await board(page, *gone, *again)
    assert (found["states"]["a"], found["speaking"]) == ("speaking", "a")


async def test_what_an_answer_has_no_room_for_waits_all_the_same(page: Page) -> None:
    known = [told(id, "accepted", queue=number) for number, id in enumerate("abc", 1)]
    found = await board(page, *known, status("a", left_out=2))
    assert found["states"] == {"a": "accepted", "b": "accepted", "c": "accepted"}
    assert (found["waiting"], found["leftOut"], found["isDoubtful"]) == (["a"], 2, False)
    found = await board(page, *known, status("a", left_out=2), told("a", "speaking", queue=2))
    assert (found["waiting"], found["leftOut"], found["isDoubtful"]) == ([], 2, True)  # who is next is asked


async def test_a_line_on_standby_is_behind_all_that_wait_for_their_turn(page: Page) -> None:
    lines = [told("a", "accepted", standby=True), told("b", "accepted", queue=2)]
    assert (await board(page, status(), *lines))["waiting"] == ["b", "a"]
    assert (await board(page, status(), *lines, status("a", "b")))["waiting"] == ["a", "b"]


# The same rules on both sides

AGENTS = {name: AgentFacts("demo", name, "m", "ready") for name in ("liba", "other")}
Happened = Event | Rejection | AgentStatus | None


def fact(agent: str = "liba", epoch: str = "e1", queue: int = 0, paused: bool = False) -> AgentFacts:
    return replace(AGENTS[agent], epoch=epoch, queue=queue, paused=paused)


def event(id: str, state: State, *, standby: bool = False, **facts: Any) -> Event:
    return Event(fact(**facts), Report(id, state, standby=standby), t0=1.0)


def answer(
    speaking: str, *waiting: str, standby: tuple[str, ...] = (), left_out: int = 0, **facts: Any
) -> AgentStatus:
    reports = tuple(Report(id, "accepted", standby=id in standby) for id in waiting)
    now = Report(speaking, "audible") if speaking else None
    queue = len(waiting) + left_out
    return AgentStatus(fact(queue=queue, **facts), now, reports, waiting_left_out=left_out)


CASES: dict[str, list[Happened]] = {
    "the whole life": [event("a", state) for state in ("accepted", "speaking", "audible", "done")],
    "late news": [event("a", state) for state in ("speaking", "accepted", "done", "audible", "failed")],
    "an end after it was lost": [event("a", "audible"), None, event("a", "done")],
    "heard after it was lost": [event("a", "speaking"), None, event("a", "speaking"), event("a", "audible")],
    "said again at the next agent": [
        event("a", "accepted"),
        None,
        event("a", "accepted", epoch="e2"),
        event("a", "speaking", epoch="e2"),
    ],
    "a restart that nobody saw": [event("a", "audible"), event("b", "accepted", epoch="e2")],
    "a restart seen by its status": [event("a", "audible"), answer("", epoch="e2")],
    "two agents": [event("a", "audible"), event("b", "audible", agent="other", epoch="e9"), answer("a")],
    "the status of one of two": [event("a", "audible"), answer("", "b", agent="other", epoch="e9")],
    "not named any more": [event("a", "accepted"), event("b", "audible"), answer("b")],
    "no room to be named": [event("a", "accepted"), event("b", "audible"), answer("", left_out=1)],
    "a go-ahead": [event("a", "accepted", standby=True), event("b", "audible"), answer("b", "a")],
    "a go-ahead at once": [answer("", "a", standby=("a",)), event("a", "speaking")],
    "a refusal": [event("a", "accepted"), Rejection(fact(), "queue_full", id="a")],
    "more than is kept": [event(f"u{n}", "done" if n % 3 else "speaking") for n in range(250)],
}


def some_history(chance: random.Random) -> list[Happened]:
    def step() -> Happened:
        facts: dict[str, Any] = {
            "agent": chance.choice(["liba", "liba", "other"]),
            "epoch": chance.choice(["e1", "e1", "e2"]),
            "paused": chance.choice([True, False]),
        }
        ids = chance.sample("abcd", 4)
        kind = chance.randrange(12)
        if kind == 0:
            return None
        if kind == 1:
            return Rejection(fact(**facts), "queue_full", id=ids[0])
        if kind < 4:
            speaking = chance.choice(["", ids[0]])
            waiting = ids[1 : chance.randrange(1, 4)]
            standby = tuple(id for id in waiting if chance.random() < 0.3)
            return answer(speaking, *waiting, standby=standby, left_out=chance.choice([0, 0, 2]), **facts)
        state = chance.choice(sorted(set(MOVES) - {"rejected"}))
        return event(ids[0], state, standby=state == "accepted" and chance.random() < 0.3, **facts)

    return [step() for _ in range(chance.randrange(1, 25))]


def of_the_watcher(happened: list[Happened]) -> dict[str, Any]:
    board = Board(room="demo", keep=200)
    for told in happened:
        if told is None:
            board.no_agent(0.0)
        elif isinstance(told, AgentStatus):
            board.answer(told, 0.0)
        else:
            board.event(told, 0.0)
    rows = [row for row in board.rows if row.state != "rejected"]
    return {
        "rows": [
            [row.event.facts.epoch, row.report.id, row.state, row.is_over, row.report.standby] for row in rows
        ],
        "agent": [board.facts.agent, board.facts.epoch, board.facts.avatar] if board.has_agent else None,
        "isPaused": bool(board.has_agent and board.facts.paused),
    }


async def test_the_page_and_the_watcher_make_the_same_of_what_happens(page: Page) -> None:
    chance = random.Random(17)
    histories = [*CASES.values(), *(some_history(chance) for _ in range(500))]
    code = """
      return given.histories.map((history) => {
        const board = new m.Board(given.rules);
        for (const [method, told] of history) board[method](told);
        const rows = board.rows.map((row) => [row.epoch, row.id, row.state, row.isOver, row.standby]);
        const {agent, avatar} = board;
        return {rows, agent: agent ? [agent.name, agent.epoch, avatar] : null, isPaused: board.isPaused};
      });
    """
    told = [
        [
            ("event", one.encode())
            if isinstance(one, Event | Rejection)
            else ("answer", room_state("demo", one).model_dump())
            for one in history
        ]
        for history in histories
    ]
    code = f"given = JSON.parse(given); {code}"  # Playwright's own way takes seconds for so much
    found = await run(page, "board.js", code, json.dumps({"rules": RULES, "histories": told}))
    names = [*CASES, *(f"history {number}" for number in range(500))]
    for name, history, seen in zip(names, histories, found, strict=True):
        assert (name, seen) == (name, of_the_watcher(history))


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
  const problem = await m.followEvents(open, {onEvent, onDown: () => {}, signal: leaving.signal});
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
    found = await run(page, "event_stream.js", FOLLOW, {"pieces": pieces})
    assert found["opened"] == ["", "f-2", "f-2"]
    assert found["events"][:4] == READ * 2


@pytest.mark.parametrize("status", [401, 403, 404, 422])
async def test_an_answer_that_will_not_change_ends_the_following(page: Page, status: int) -> None:
    found = await run(page, "event_stream.js", FOLLOW, {"pieces": [list(SENT.encode())], "problem": status})
    assert (found["problem"], len(found["opened"])) == (status, 2)


@pytest.mark.parametrize("status", [0, 429, 503])
async def test_an_answer_that_may_change_is_asked_for_again(page: Page, status: int) -> None:
    found = await run(page, "event_stream.js", FOLLOW, {"pieces": [list(SENT.encode())], "problem": status})
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
        (
            {"state": "done", "resumed": True},
            0,
            "Done. Heard after 87 ms. It was cut off, and said again from its beginning",
        ),
    ],
)
async def test_what_became_of_our_own_line_is_told(
    page: Page, one: dict[str, Any], ahead: int, words: str
) -> None:
    given = [one, {"latency": 87.2}, ahead]
    assert await run(page, "words.js", "return m.noteWords(...given);", given) == words


async def test_a_row_has_a_word_for_its_state_where_it_is_not_just_done_and_for_being_said_again(
    page: Page,
) -> None:
    told = [Report("u1", "done", resumed=True), Report("u1", "failed", resumed=True)]
    told += [Report("u1", "failed"), Report("u1", "done")]
    rows = [Event(AgentFacts(agent="liba", epoch="e"), report, t0=1.0).encode() for report in told]
    words = await run(page, "words.js", "return given.map(m.rowWords);", rows)
    assert words == ["resumed", "failed, resumed", "failed", ""]


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


JOINING = """
  let [asked, bearer] = [0, "lss_a"];
  const answers = given.map((seconds, at) => ({url: "ws://l", token: `t${at}`, valid_for_s: seconds}));
  const join = () => new m.JoinToken(async () => answers[asked++], () => bearer);
  let token = join();
  const next = async () => (await token.get()).token;
"""
"""Somebody who asks for tokens that are valid for the `given` seconds, one after the other."""


async def test_one_token_is_used_as_long_as_it_is_valid_also_when_the_page_is_loaded_anew(page: Page) -> None:
    code = (
        JOINING
        + "const told = [await next(), await next()]; token = join(); return [...told, await next(), asked];"
    )
    assert await run(page, "join_token.js", code, [600, 600]) == ["t0", "t0", "t0", 1]


async def test_a_token_that_ends_or_lets_in_no_more_or_is_anothers_is_not_used_again(page: Page) -> None:
    code = (
        JOINING
        + """
      const told = [await next(), await next()];
      token.forget();
      told.push(await next());
      bearer = "lss_b";
      return [...told, await next(), await next()];
    """
    )
    assert await run(page, "join_token.js", code, [20, 600, 600, 600]) == ["t0", "t1", "t2", "t3", "t3"]


@pytest.mark.parametrize("stored", ["{", "null", "5", '"x"', "[]"])
async def test_what_was_kept_of_a_token_and_is_none_is_passed_over(page: Page, stored: str) -> None:
    await page.evaluate("(stored) => sessionStorage.setItem('liba.join', stored)", stored)
    assert await run(page, "join_token.js", JOINING + "return await next();", [600]) == "t0"


FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36"

JOINED = """
  const media = new m.Media({
    joinToken: {get: async () => ({url: given.url, token: "t", key: ""}), forget: () => {}},
    video: document.createElement("video"), sounds: document.createElement("div"),
    onChange: () => {}, onTracks: () => {},
  });
  class Room extends EventTarget {
    on(name, act) { this.addEventListener(name, act); return this; }
    once(name, act) { return this.on(name, act); }
    removeAllListeners() {}
    async connect() {
      if (given.isAnswered) this.dispatchEvent(new Event("signalConnected"));
      throw new Error("could not establish pc connection");
    }
  }
  const events = new Proxy({}, {get: (_, name) => name[0].toLowerCase() + name.slice(1)});
  Object.defineProperty(navigator, "userAgent", {get: () => given.browser, configurable: true});
  const {signal} = new AbortController();
  return await media._stay({Room, RoomEvent: events}, signal).catch((error) => error.message);
"""
"""Why a browser whose LiveKit answers, or not, gets no sound and picture."""


@pytest.mark.parametrize("host", ["127.0.0.1:7880", "localhost:7880", "[::1]:7880"])
async def test_firefox_loopback_is_told_with_the_setting_that_turns_it_on(page: Page, host: str) -> None:
    told = await run(page, "media.js", "return m.mediaTrouble(...given);", [f"ws://{host}", FIREFOX])
    assert told.startswith(f"LiveKit at {host} answers, but sound and picture do not get through: Firefox")
    assert "media.peerconnection.ice.loopback" in told


async def test_wsl_udp_that_is_not_passed_on_is_told_with_what_to_set(page: Page) -> None:
    told = await run(page, "media.js", "return m.mediaTrouble(...given);", ["ws://127.0.0.1:7880", CHROME])
    assert "networkingMode=mirrored" in told


async def test_media_that_a_firewall_keeps_away_are_told_apart_from_a_server_that_does_not_answer(
    page: Page,
) -> None:
    for browser in (CHROME, FIREFOX):
        given = {"url": "wss://lk.example.org", "isAnswered": True, "browser": browser}
        assert "a firewall may block" in await run(page, "media.js", JOINED, given)
        told = await run(page, "media.js", JOINED, given | {"isAnswered": False})
        assert told == "LiveKit at lk.example.org is not reached"


async def test_events_that_are_held_back_on_the_way_are_told_and_asked_for_again(page: Page) -> None:
    code = """
      const [told, leaving, real] = [[], new AbortController(), setTimeout];
      window.setTimeout = (act, ms, ...rest) => real(act, ms / 1000, ...rest);
      const open = (_, signal) => new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError"))));
      const onDown = (problem) => {
        told.push([problem.reason, problem.words]);
        if (told[1]) leaving.abort();
      };
      await m.followEvents(open, {onEvent: () => {}, onDown, signal: leaving.signal});
      window.setTimeout = real;
      return told;
    """
    held = ["held", "No events come through. Something between here and the server holds them back."]
    assert await run(page, "event_stream.js", code) == [held, held]


@pytest.mark.parametrize(
    "stored",
    ["", "{", "null", json.dumps({"bearer": "lss_x", "room": "r", "canSay": False, "canControl": False})],
)
async def test_what_was_kept_of_who_we_are_is_read_or_forgotten(page: Page, stored: str) -> None:
    code = "if (given) sessionStorage.setItem('liba.access', given); return m.loadAccess();"
    found = await run(page, "access.js", code, stored)
    nobody = {"bearer": "", "room": "", "canSay": True, "canControl": True}
    assert found == (json.loads(stored) if stored.startswith('{"') else nobody)


async def test_where_the_browser_stores_nothing_it_is_told_and_nothing_breaks(page: Page) -> None:
    code = """
      const blocked = () => { throw new DOMException("Access is denied", "SecurityError"); };
      Object.defineProperty(window, "sessionStorage", {get: blocked});
      const isStored = m.storeAccess({bearer: "lss_x", room: "r", canSay: false});
      m.forgetAccess();
      return [isStored, m.loadAccess()];
    """
    assert await run(page, "access.js", code) == [
        False,
        {"bearer": "", "room": "", "canSay": True, "canControl": True},
    ]


# The stage


@pytest.mark.parametrize(
    ("asked", "background", "wrong"),
    [
        ("", "transparent", 0),
        ("background=transparent", "transparent", 0),
        ("background=black", "black", 0),
        ("background=%2300B140", "#00b140", 0),
        ("background=00b140", "#00b140", 0),
        ("background=%230f0", "#0f0", 0),
        ("background=%2300b14", "transparent", 1),
        ("background=url(https://evil.example/x)", "transparent", 1),
        ("background=red;opacity:0", "transparent", 1),
        ("fit=stretch&captions=yes", "transparent", 2),
    ],
)
async def test_a_stage_takes_from_its_address_what_means_something(
    page: Page, asked: str, background: str, wrong: int
) -> None:
    found = await run(page, "stage_options.js", "return m.stageOptions(given);", f"?view=stage&{asked}")
    assert (found["background"], len(found["wrong"])) == (background, wrong)
    assert (found["fit"], found["hasCaptions"]) == ("contain", False)


async def test_a_stage_fills_its_frame_and_has_captions_where_that_is_asked_for(page: Page) -> None:
    found = await run(page, "stage_options.js", "return m.stageOptions('?fit=cover&captions=1');")
    assert found == {"background": "transparent", "fit": "cover", "hasCaptions": True, "wrong": []}
