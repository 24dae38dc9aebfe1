"""`libacli.Client`, against a server of its own on loopback, and what the README says of it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import math
import re
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import libacli
from libacli import Client
from libacli.config import Settings
from libacli.core.event import AgentFacts, Event, Report
from libacli.core.jws import claims_of
from libacli.core.messages import SayRequest
from libacli.core.protocol import (
    CANCEL_METHOD,
    MOVE_METHOD,
    NEXT_METHOD,
    PAUSE_METHOD,
    RESUME_METHOD,
    SAY_METHOD,
)
from libacli.errors import (
    ConfigError,
    InterruptedSpeechError,
    NoAgentError,
    RefusedError,
    TimedOutError,
    UsageError,
)
from tests.twirp_server import API_KEY, API_SECRET, EPOCH, TwirpServer, reply

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def server() -> Iterator[TwirpServer]:
    with TwirpServer() as server:
        yield server


@pytest.fixture
def settings(server: TwirpServer) -> Settings:
    return Settings.model_validate(
        {"livekit_url": server.url, "livekit_api_key": API_KEY, "livekit_api_secret": API_SECRET}
    )


@pytest.fixture
async def liba(settings: Settings) -> AsyncIterator[Client]:
    async with Client(settings=settings) as liba:
        yield liba


def sent(server: TwirpServer, method: str) -> list[dict[str, Any]]:
    calls = [asked for asked in server.asked("PerformRpc") if asked.body["method"] == method]
    return [{name: value for name, value in asked.rpc.items() if name != "auth"} for asked in calls]


async def test_what_is_said_is_acknowledged(liba: Client, server: TwirpServer) -> None:
    said = await liba.say("Hello.", id="u1")
    assert (said.id, said.level, said.epoch) == ("u1", "accepted", EPOCH)
    assert sent(server, SAY_METHOD) == [{"text": "Hello.", "id": "u1"}]


async def test_all_that_may_be_asked_for_reaches_the_agent(liba: Client, server: TwirpServer) -> None:
    await liba.say(
        "**Hello.**",
        room="news",
        id="u1",
        voice="nova",
        speed=1.5,
        instructions="calm",
        emotion="anger",
        ttl_s=2.5,
        interrupt=True,
        priority=-3,
        markdown="on",
    )
    assert sent(server, SAY_METHOD) == [
        {"text": "Hello.", "id": "u1", "voice": "nova", "speed": 1.5, "instructions": "calm"}
        | {"emotion": "anger", "ttl_ms": 2500, "interrupt": True, "priority": -3}
    ]
    assert {asked.body["room"] for asked in server.requests} == {"news"}


MISTAKES: dict[str, dict[str, Any]] = {
    "a level that there is not": {"wait": "loud"},
    "a choice of Markdown that there is not": {"markdown": "maybe"},
    "no time": {"timeout_s": 0},
    "less than no time": {"timeout_s": -1.0},
    "a time that is no number": {"timeout_s": math.nan},
    "a life without end": {"ttl_s": math.inf},
    "a life that is no number": {"ttl_s": math.nan},
    "a life that is over": {"ttl_s": -1.0},
    "a room without a name": {"room": ""},
    "what is no text": {"text": None},
    "bytes": {"text": b"Hello."},
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
async def test_a_mistake_of_the_caller_is_told_before_anything_is_sent(
    liba: Client, server: TwirpServer, mistake: dict[str, Any]
) -> None:
    with pytest.raises((UsageError, RefusedError)):
        await liba.say(**{"text": "Hello."} | mistake)
    assert server.requests == []


@pytest.mark.parametrize("timeout_s", [math.nan, -1.0, 0])
async def test_nothing_is_waited_for_within_a_time_that_is_none(
    liba: Client, server: TwirpServer, timeout_s: float
) -> None:
    said = await liba.say("Hello.")
    calls = len(server.requests)
    for waiting in (liba.wait(said, timeout_s=timeout_s), liba.reach(timeout_s=timeout_s)):
        with pytest.raises(UsageError, match="timeout_s must be more than 0"):
            await waiting
    assert len(server.requests) == calls


async def test_an_id_that_is_none_is_told_as_such(liba: Client) -> None:
    with pytest.raises(RefusedError, match="`id` must be 1 to 64 printable characters"):
        await liba.status("")


@pytest.mark.parametrize("valid_for_s", [0, -5, 10**12])
async def test_a_token_is_valid_for_a_second_to_a_day(liba: Client, valid_for_s: int) -> None:
    with pytest.raises(UsageError, match="a token is valid for 1 to 86400 s"):
        liba.token(valid_for_s=valid_for_s)


async def test_a_room_without_a_name_is_not_followed(liba: Client) -> None:
    with pytest.raises(UsageError, match="room must be 1 to 128"):
        await anext(liba.events(room=""))


async def test_a_client_that_is_open_is_not_opened_again(liba: Client) -> None:
    with pytest.raises(RuntimeError, match="open already"):
        await liba.__aenter__()


async def test_who_waits_for_the_end_is_told_the_way_it_took(liba: Client) -> None:
    said = await liba.say("Hello.", wait="done")
    assert said.level == "done"
    assert said.report and said.report["route"] == "fallback"


async def test_a_request_of_ones_own_is_said_as_it_is(liba: Client, server: TwirpServer) -> None:
    said = await liba.say(SayRequest("Hello.", id="u1", priority=2))
    assert (await liba.wait(said, "done", timeout_s=5)).level == "done"
    assert sent(server, SAY_METHOD) == [{"text": "Hello.", "id": "u1", "priority": 2}]


async def test_what_takes_longer_than_it_may_is_told_with_its_id(liba: Client, server: TwirpServer) -> None:
    server.speech_s = 60
    with pytest.raises(TimedOutError) as caught:
        await liba.say("Hello.", wait="done", timeout_s=0.5, id="u1")
    assert caught.value.utterance_id == "u1"


async def test_what_ends_before_its_end_is_an_error(liba: Client, server: TwirpServer) -> None:
    server.status = {"state": "interrupted", "reason": "stopped"}
    with pytest.raises(InterruptedSpeechError, match="interrupted: stopped"):
        await liba.say("Hello.", wait="done")


async def test_who_is_cancelled_waits_no_longer_and_stops_nothing(liba: Client, server: TwirpServer) -> None:
    server.speech_s = 60
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await liba.say("Hello.", wait="done", id="u1")
    assert server.queued == ["u1"]
    assert sent(server, "liba.stop") == []


@pytest.mark.parametrize("text", ["", "...", "x" * 100_000], ids=["empty", "dots", "long"])
async def test_what_cannot_be_said_is_refused_before_anybody_is_asked(
    liba: Client, server: TwirpServer, text: str
) -> None:
    with pytest.raises(RefusedError):
        await liba.say(text)
    assert server.requests == []


async def test_an_agent_is_sent_for_and_whoever_waits_is_told(liba: Client, server: TwirpServer) -> None:
    server.participants = []
    with pytest.raises(NoAgentError, match=r"within 0\.3 s"):
        await liba.reach(timeout_s=0.3)
    assert len(server.asked("CreateDispatch")) == 1


async def test_the_queue_can_be_looked_at_and_changed(liba: Client, server: TwirpServer) -> None:
    assert (await liba.queue()).facts.agent == "liba"
    await liba.say("Hello.", id="u1")
    report = await liba.status("u1")
    assert report and (report.state, report.route) == ("done", "track")
    server.status = {"state": "unknown"}
    assert await liba.status("u2") is None
    assert await liba.stop() == ["u1"]
    moved = {"epoch": EPOCH, "id": "u1", "state": "accepted", "position": 1, "priority": 3}
    server.play("PerformRpc", reply(**moved), reply(epoch=EPOCH, id="u1", state="interrupted"))
    line = await liba.move("u1", before="u2")
    assert (line.id, line.position, line.priority) == ("u1", 1, 3)
    assert (await liba.cancel("u1")).report["state"] == "interrupted"
    assert sent(server, MOVE_METHOD) == [{"id": "u1", "before": "u2"}]
    assert sent(server, CANCEL_METHOD) == [{"id": "u1"}]


async def test_the_queue_is_paused_and_resumed(liba: Client, server: TwirpServer) -> None:
    answers = [reply(paused=is_paused, changed=True, queue=2) for is_paused in (True, False)]
    server.play("PerformRpc", *answers)
    assert (await liba.pause()).is_paused
    assert not (await liba.resume()).is_paused
    assert (sent(server, PAUSE_METHOD), sent(server, RESUME_METHOD)) == ([{}], [{}])


async def test_a_line_that_is_held_gets_its_go_ahead(liba: Client, server: TwirpServer) -> None:
    server.play("PerformRpc", reply(id="u1", released=True, epoch=EPOCH))
    released = await liba.next()
    assert (released.id, released.is_news) == ("u1", True)
    assert sent(server, NEXT_METHOD) == [{}]


async def test_a_line_is_moved_to_one_place(liba: Client, server: TwirpServer) -> None:
    with pytest.raises(RefusedError):
        await liba.move("u1")
    with pytest.raises(RefusedError):
        await liba.move("u1", to="first", before="u2")
    assert server.requests == []


async def test_where_no_agent_is_a_question_says_what_brings_one(liba: Client, server: TwirpServer) -> None:
    server.participants = []
    for question in (liba.queue(), liba.stop(), liba.status("u1")):
        with pytest.raises(NoAgentError) as caught:
            await question
        assert "`liba say` brings one there" in caught.value.hint


async def test_a_room_that_is_no_name_is_refused(liba: Client, server: TwirpServer) -> None:
    with pytest.raises(UsageError):
        await liba.say("Hello.", room=" ")
    assert server.requests == []


async def test_a_token_lets_somebody_in_who_may_do_what_was_asked_for(liba: Client) -> None:
    watching, speaking = liba.token(room="demo"), liba.token(room="demo", identity="ann", can_say=True)
    assert claims_of(watching.token)["video"]["canPublishData"] is False
    assert claims_of(speaking.token)["video"]["canPublishData"] is True
    assert claims_of(speaking.token)["sub"] == "ann"
    with pytest.raises(RefusedError):
        liba.token(room="demo", identity="agent-x")


async def test_settings_are_read_where_the_command_reads_them_and_parameters_go_first(
    server: TwirpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in (server.env | {"LIBA_SAY_ROOM": "news", "XDG_CONFIG_HOME": str(tmp_path)}).items():
        monkeypatch.setenv(name, value)
    async with Client() as liba:
        await liba.say("Hello.")
    async with Client(room="demo", agent_name="liba") as liba:
        await liba.say("Hello.")
    assert [asked.body["room"] for asked in server.asked("PerformRpc")] == ["news", "demo"]
    monkeypatch.delenv("LIVEKIT_API_SECRET")
    async with Client(url=server.url, api_key=API_KEY, api_secret=API_SECRET) as liba:
        await liba.say("Hello.")
    own = tmp_path / "own.toml"
    own.write_text(f'[livekit]\napi_secret = "{API_SECRET}"\n[say]\nroom = "own"\n', encoding="utf-8")
    monkeypatch.delenv("LIBA_SAY_ROOM")
    async with Client(config_file=str(own)) as liba:
        assert liba.settings.say_room == "own"
    with pytest.raises(ConfigError):
        await Client().__aenter__()


async def test_no_credential_is_in_what_a_client_shows_of_itself(server: TwirpServer) -> None:
    client = Client(url=server.url, api_key=API_KEY, api_secret=API_SECRET)
    shown = repr(client)
    async with client as liba:
        shown += repr(liba) + repr(liba.token(room="demo"))
        shown += repr(vars(liba).values())
    assert API_SECRET not in shown
    assert server.url in shown
    assert "hunter2x" not in repr(Client(url="ws://user:hunter2x@example.org"))


async def test_who_does_not_enter_it_is_told_how() -> None:
    with pytest.raises(RuntimeError, match="async with Client"):
        await Client().say("Hello.")


async def test_its_events_are_what_becomes_of_utterances() -> None:
    liba = _Told(settings=Settings())
    assert [event.report.id async for event in liba.events(room="demo")] == ["u1", "u2"]


class _Told(Client):
    """One whose room has told something already."""

    async def updates(self, *, room: str | None = None, captions: bool = False) -> AsyncGenerator[Any]:
        for update in (EVENT, "another update", Event(FACTS, Report("u2", "done"), 1.0)):
            yield update


FACTS = AgentFacts("demo", "liba", "hibari", "ready", epoch="e1")
EVENT = Event(FACTS, Report("u1", "done", route="avatar"), t0=1.0)


def test_the_package_has_what_it_says_and_nothing_else() -> None:
    assert libacli.Client is Client
    with pytest.raises(AttributeError, match="no attribute 'Klient'"):
        _ = libacli.Klient


def test_who_imports_the_package_loads_next_to_nothing() -> None:
    code = "import sys, libacli; print('libacli.client' in sys.modules, 'pydantic' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "False False\n"


def examples() -> list[str]:
    """The examples below "From Python" in the README."""
    chapter = README.partition("## From Python")[2].partition("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", chapter, re.DOTALL)


def test_the_example_in_the_readme_speaks(server: TwirpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(examples()[0], {"__name__": "example"})
    assert printed.getvalue().startswith("done {")
    assert [line["text"] for line in sent(server, SAY_METHOD)] == ["Hello there.", "Not now."]
    assert len(sent(server, "liba.stop")) == 1


async def test_the_example_in_the_readme_follows_a_room() -> None:
    names: dict[str, Any] = {"Client": Client}
    exec(examples()[1], names)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        await names["watch"](_Told(settings=Settings()))
    assert printed.getvalue() == "u1 done avatar\n"
