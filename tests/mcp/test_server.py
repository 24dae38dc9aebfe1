"""The tools, as a model's client sees them: the SDK's own, in the test's loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp_types import CallToolResult, TextContent

from libacli.core.acknowledgement import Acknowledgement
from libacli.core.agent_status import AgentStatus
from libacli.core.delivery import Delivery
from libacli.core.event import AgentFacts, Report
from libacli.core.lifecycle import has_reached
from libacli.core.reasons import refusal
from libacli.core.usage import Usage
from libacli.errors import InterruptedSpeechError, LibaError, NoAgentError, RefusedError, TimedOutError
from libacli.mcp.arguments import SayArguments
from libacli.mcp.server import make_server
from libacli.mcp.tools import TOOLS

SECRET = "canary-secret-canary-secret"
FACTS = AgentFacts("demo", "liba", "hibari", "ready", queue=1, epoch="e1")


@dataclass
class FakeSpeech:
    """A room in which all that is said goes through `states`, one each time that somebody waits."""

    said: list[tuple[str, SayArguments]] = field(default_factory=list)
    failure: Exception | None = None
    """What every method raises."""

    states: list[str] = field(default_factory=lambda: ["audible", "done"])
    """What becomes of it; with the last one gone a wait takes for ever."""

    stopped: list[tuple[str, str]] = field(default_factory=list)
    bounds: list[tuple[float, float]] = field(default_factory=list)
    waiting: int = 0

    def room(self, wanted: str | None) -> str:
        return wanted or "demo"

    async def say(self, room: str, asked: SayArguments) -> Delivery:
        self._fail()
        self.said.append((room, asked))
        return Delivery("u1", "accepted", Acknowledgement("u1", 2, epoch="e1"))

    async def wait(
        self, room: str, said: Delivery, level: str, *, timeout_s: float, grows_to_s: float
    ) -> Delivery:
        self.bounds.append((timeout_s, grows_to_s))
        self.waiting += 1
        try:
            async with asyncio.timeout(timeout_s):
                if not self.states:
                    await asyncio.Event().wait()
        except TimeoutError as error:
            raise TimedOutError("it takes long", utterance_id=said.id) from error
        finally:
            self.waiting -= 1
        state = self.states.pop(0)
        if state == "interrupted":
            raise InterruptedSpeechError("u1 was interrupted: stopped", state=state)
        reached = Delivery(said.id, state, said.acknowledgement, {"state": state, "route": "tavus"})
        assert has_reached(reached.level, level)
        return reached

    async def report(self, room: str, utterance_id: str) -> Mapping[str, Any] | None:
        self._fail()
        if utterance_id != "u1":
            return None
        return {"state": "speaking", "route": "fallback", "route_reason": "402", "speech_ms": 1234.5}

    async def stop(self, room: str, utterance_id: str) -> list[str]:
        self._fail()
        self.stopped.append((room, utterance_id))
        return ["u1"]

    async def queue(self, room: str) -> AgentStatus | None:
        self._fail()
        speaking, waiting = Report("u1", "speaking", route="track", chars=5), (Report("u2", "accepted"),)
        caps = (Usage("speech", 1, 2, "characters", 3),)
        return AgentStatus(FACTS, speaking, waiting, caps) if room == "demo" else None

    def voices(self) -> tuple[str, ...]:
        return "nova", "alloy"

    def _fail(self) -> None:
        if self.failure:
            raise self.failure


@pytest.fixture
def speech() -> FakeSpeech:
    return FakeSpeech()


@pytest.fixture
async def client(speech: FakeSpeech) -> AsyncIterator[Client]:
    async with Client(make_server(lambda context: speech, secrets=[SECRET])) as client:
        yield client


def told(answer: CallToolResult) -> str:
    (content,) = answer.content
    assert isinstance(content, TextContent)
    return content.text


async def test_each_tool_says_what_it_is_for_and_what_each_argument_means(client: Client) -> None:
    tools = (await client.list_tools()).tools
    assert [tool.name for tool in tools] == ["say", "stop", "queue", "status", "voices"]
    for tool in tools:
        assert tool.title and tool.description and tool.output_schema
        for name, described in tool.input_schema["properties"].items():
            assert described.get("description"), f"{name} of {tool.name}"


async def test_what_only_reads_says_so_and_what_may_end_something_does(client: Client) -> None:
    hints = {tool.name: tool.annotations for tool in (await client.list_tools()).tools}
    assert {name for name, hint in hints.items() if hint and hint.read_only_hint} == {
        "queue",
        "status",
        "voices",
    }
    assert {name for name, hint in hints.items() if hint and hint.destructive_hint} == {"say", "stop"}


async def test_a_text_is_handed_over_with_all_that_was_asked_for(client: Client, speech: FakeSpeech) -> None:
    asked = {
        **{"text": "Hello.", "room": "news", "voice": "nova", "speed": 1.5, "emotion": "anger"},
        **{"interrupt": True, "priority": 5, "instructions": "whisper"},
    }
    answer = await client.call_tool("say", asked)
    assert not answer.is_error
    assert answer.structured_content == {"id": "u1", "room": "news", "state": "accepted", "position": 2}
    ((room, said),) = speech.said
    assert room == "news"
    assert said.model_dump(exclude_defaults=True) == asked


async def test_null_is_what_a_model_has_left_out(client: Client, speech: FakeSpeech) -> None:
    nothing = dict.fromkeys(("room", "wait", "timeout_s", "voice", "speed", "interrupt", "priority"))
    answer = await client.call_tool("say", {"text": "Hello."} | nothing)
    assert not answer.is_error
    assert not (await client.call_tool("stop", {"room": None, "id": None})).is_error
    ((_, said),) = speech.said
    assert said.model_dump(exclude_defaults=True) == {"text": "Hello."}


async def test_who_waits_is_told_how_far_it_is(client: Client, speech: FakeSpeech) -> None:
    steps: list[tuple[float, float | None, str | None]] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        steps.append((progress, total, message))

    answer = await client.call_tool("say", {"text": "Hello.", "wait": "done"}, progress_callback=on_progress)
    assert answer.structured_content["state"] == "done"
    assert answer.structured_content["route"] == "tavus"
    assert steps == [(1, 3, "accepted, 2 before it"), (2, 3, "audible"), (3, 3, "done")]


async def test_what_is_over_at_once_is_waited_for_once(client: Client, speech: FakeSpeech) -> None:
    speech.states = ["done"]
    answer = await client.call_tool("say", {"text": "Hello.", "wait": "done"})
    assert answer.structured_content["state"] == "done"
    assert len(speech.bounds) == 1


async def test_a_wait_fits_the_text_and_grows_with_what_is_before_it(
    client: Client, speech: FakeSpeech
) -> None:
    await client.call_tool("say", {"text": "Hello." * 10, "wait": "audible"})
    assert speech.bounds == [(40 + 60 * 0.2, 600.0)]


async def test_when_the_time_is_over_the_answer_is_how_far_it_has_come(
    client: Client, speech: FakeSpeech
) -> None:
    speech.states = ["audible"]
    answer = await client.call_tool("say", {"text": "Hello.", "wait": "done", "timeout_s": 3})
    assert not answer.is_error
    known = answer.structured_content
    assert (known["state"], known["position"], known["speech_s"]) == ("speaking", 2, 1.23)


async def test_what_ends_before_its_end_is_an_error_of_the_tool(client: Client, speech: FakeSpeech) -> None:
    speech.states = ["interrupted"]
    answer = await client.call_tool("say", {"text": "Hello.", "wait": "done"})
    assert (answer.is_error, told(answer)) == (True, "u1 was interrupted: stopped")


async def test_a_request_that_is_cancelled_waits_no_longer_and_stops_nothing(
    client: Client, speech: FakeSpeech
) -> None:
    speech.states = []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await client.call_tool("say", {"text": "Hello.", "wait": "done"})
    await client.call_tool("voices", {})  # the cancellation has come before it
    assert (speech.waiting, speech.stopped, len(speech.said)) == (0, [], 1)


async def test_all_is_stopped_or_one_alone(client: Client, speech: FakeSpeech) -> None:
    assert (await client.call_tool("stop", {})).structured_content == {"room": "demo", "stopped": ["u1"]}
    await client.call_tool("stop", {"id": "u1", "room": "news"})
    assert speech.stopped == [("demo", ""), ("news", "u1")]


async def test_the_queue_is_shown_without_words(client: Client) -> None:
    assert (await client.call_tool("queue", {})).structured_content == {
        "room": "demo",
        "has_agent": True,
        "avatar": "ready",
        "paused": False,
        "speaking": {"id": "u1", "state": "speaking", "characters": 5, "route": "fallback"},
        "waiting": [{"id": "u2", "state": "accepted", "characters": 0}],
        "waiting_left_out": 0,
        "caps": [{"name": "speech", "used": 1, "limit": 2, "unit": "characters"}],
    }
    nobody = (await client.call_tool("queue", {"room": "news"})).structured_content
    assert nobody["has_agent"] is False


async def test_what_became_of_one_is_told_and_of_an_unknown_one_that_it_is_unknown(client: Client) -> None:
    known = (await client.call_tool("status", {"id": "u1"})).structured_content
    assert (known["state"], known["route"], known["route_reason"]) == ("speaking", "fallback", "402")
    unknown = await client.call_tool("status", {"id": "u2"})
    assert unknown.is_error
    assert told(unknown) == "no utterance has the id u2 - it is known until ten minutes after its end"


async def test_speakers_are_listed(client: Client) -> None:
    assert (await client.call_tool("voices", {})).structured_content == {"voices": ["nova", "alloy"]}


@pytest.mark.parametrize(
    ("tool", "arguments", "mistake"),
    [
        ("say", {}, "text: Field required"),
        ("say", {"text": "a", "speed": 9}, "speed: Input should be less than or equal to 4"),
        ("say", {"text": "a", "emotion": "joy"}, "emotion: Input should be 'neutral', "),
        ("say", {"text": "a", "words": 1}, "words: Extra inputs are not permitted"),
        ("say", {"text": "a", "wait": "x"}, "wait: Input should be 'accepted', 'audible' or 'done'"),
        ("status", {}, "id: Field required"),
        ("stop", {"id": ""}, "id: String should have at least 1 character"),
        ("voices", {"room": "demo"}, "room: Extra inputs are not permitted"),
    ],
    ids=["no text", "speed", "emotion", "unknown", "wait", "no id", "empty id", "of none"],
)
async def test_a_mistake_is_told_in_one_line_and_nothing_is_done(
    client: Client, speech: FakeSpeech, tool: str, arguments: dict[str, Any], mistake: str
) -> None:
    answer = await client.call_tool(tool, arguments)
    assert answer.is_error
    assert told(answer).startswith(mistake)
    assert "\n" not in told(answer)
    assert (speech.said, speech.stopped) == ([], [])


@pytest.mark.parametrize(
    ("failure", "line"),
    [
        (
            NoAgentError("nobody is there", hint="start one:\nliba agent run"),
            "nobody is there - start one: liba agent run",
        ),
        (RefusedError("spend_cap", "too much", retry_in_s=6.2), "too much (again in 7 s)"),
        (refusal("queue_full", "32 wait already"), "32 wait already"),
        (LibaError(f"it said {SECRET}"), "it said [secret]"),
    ],
    ids=["hint", "later", "full", "secret"],
)
async def test_an_error_of_ours_is_one_line_with_the_next_step_and_no_secret(
    client: Client, speech: FakeSpeech, failure: LibaError, line: str
) -> None:
    speech.failure = failure
    answers = [await client.call_tool("say", {"text": "a"}), await client.call_tool("stop", {})]
    assert [(answer.is_error, told(answer).startswith(line)) for answer in answers] == [(True, True)] * 2
    assert all(SECRET not in told(answer) for answer in answers)


async def test_a_defect_is_told_in_the_log_and_the_model_hears_no_word_of_it(
    client: Client, speech: FakeSpeech, caplog: pytest.LogCaptureFixture
) -> None:
    speech.failure = ZeroDivisionError("Traceback of a defect")
    answer = await client.call_tool("say", {"text": "The canary sings."})
    assert (answer.is_error, told(answer)) == (True, "something went wrong here; see the log of liba")
    assert "Traceback of a defect" in caplog.text
    assert not any(
        "canary" in record.getMessage() for record in caplog.records if record.levelname != "DEBUG"
    )


async def test_a_tool_that_there_is_not_is_an_error_of_the_protocol(client: Client) -> None:
    with pytest.raises(MCPError, match="there are say, stop, queue, status, voices"):
        await client.call_tool("sing", {})


def test_every_tool_describes_itself_once() -> None:
    assert len({tool.name for tool in TOOLS}) == len({tool.description for tool in TOOLS}) == len(TOOLS)
