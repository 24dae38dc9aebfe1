from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from libacli.edges.livekit.background import in_background
from libacli.errors import InterruptedSpeechError, LibaError, NoAgentError, TimedOutError, UnreachableError
from tests.cli.runs.demo_stage import LINE_S, Stage, refused, stage


@asynccontextmanager
async def on_stage() -> AsyncIterator[Stage]:
    on = stage()
    async with in_background(on.lines.run()):
        yield on


async def test_each_line_begins_and_is_heard_in_its_turn() -> None:
    async with on_stage() as on:
        on.lines.say("One.", "Two.")
        await on.lines.finished()
    assert on.shown.told == [
        *(("speaking", '1/2 "One."'), ("heard", '1/2 "One."')),
        *(("speaking", '2/2 "Two."'), ("heard", '2/2 "Two."')),
    ]
    assert on.lines.failure is None


async def test_lines_that_come_together_are_handed_over_at_once() -> None:
    async with on_stage() as on:
        on.lines.say(*(f"Line {number}." for number in range(10)))
        await asyncio.sleep(0.1)
        assert len(on.agent.said) == 10
        assert on.lines.unfinished == 10


async def test_a_line_waits_for_an_agent_that_comes_back() -> None:
    async with on_stage() as on:
        on.agent.refusals["One."] = NoAgentError("no agent named 'liba' came into room 'demo' within 10 s")
        on.lines.say("One.", "Two.")
        await asyncio.sleep(30)
        assert on.shown.told == []
        del on.agent.refusals["One."]
        await on.lines.finished()
    assert [told for told in on.shown.told if told[0] == "heard"] == [
        ("heard", '1/2 "One."'),
        ("heard", '2/2 "Two."'),
    ]


async def test_a_line_whose_agent_does_not_come_back_is_told_after_a_minute() -> None:
    async with on_stage() as on:
        on.agent.refusals["One."] = NoAgentError("no agent named 'liba' came into room 'demo' within 10 s")
        on.lines.say("One.")
        async with asyncio.timeout(65):
            await on.lines.finished()
    assert isinstance(on.lines.failure, NoAgentError)


async def test_what_is_refused_is_told_and_the_rest_is_spoken() -> None:
    async with on_stage() as on:
        on.agent.refusals["Two."] = refused()
        on.lines.say("One.", "Two.", "😀", "Three.")
        await on.lines.finished()
    ended = [told for told in on.shown.told if told[0] != "speaking"]
    assert ended == [
        ("refused", '3/4 "😀"'),
        ("heard", '1/4 "One."'),
        ("refused", '2/4 "Two."'),
        ("heard", '4/4 "Three."'),
    ]


@pytest.mark.parametrize(
    "error",
    [
        InterruptedSpeechError("x failed: the voice is gone", state="failed"),
        InterruptedSpeechError("the agent was started anew and its queue is gone"),
        UnreachableError("cannot reach LiveKit"),
        TimedOutError("x was accepted but not done after 30 s"),
    ],
    ids=["failed", "agent gone", "LiveKit gone", "too late"],
)
async def test_a_line_that_is_lost_is_told_with_its_reason_and_the_next_one_is_spoken(
    error: LibaError,
) -> None:
    async with on_stage() as on:
        on.agent.failures["One."] = error
        on.lines.say("One.", "Two.")
        await on.lines.finished()
    assert on.shown.told[0] == ("lost", '1/2 "One."')
    assert on.shown.told[-1] == ("heard", '2/2 "Two."')
    assert on.shown.reasons == [f"{error} - its log"]
    assert on.lines.failure is error


async def test_a_stop_of_ours_ends_what_is_spoken_and_what_waits_each_with_its_words() -> None:
    async with on_stage() as on:
        on.lines.say("One.", "Two.")
        await asyncio.sleep(1.0)
        dropped, stopped = await on.lines.stop()
        await on.lines.finished()
    assert (dropped, len(stopped)) == ([], 2)
    assert on.shown.told[-2:] == [("stopped", '1/2 "One."'), ("stopped", '2/2 "Two."')]
    assert on.shown.reasons == ["after 0.9 s", "before it began"]


async def test_a_stop_of_somebody_else_is_told_as_such_and_the_next_line_is_spoken() -> None:
    async with on_stage() as on:
        on.lines.say("One.")
        await asyncio.sleep(1.0)
        await on.agent.stop()
        await on.lines.finished()
        on.lines.say("Two.")
        await on.lines.finished()
    assert "by somebody else" in on.shown.reasons[0]
    assert on.shown.told[-1] == ("heard", '"Two."')


async def test_lines_that_the_agent_has_no_room_for_wait_and_a_stop_drops_them() -> None:
    async with on_stage() as on:
        on.agent.refusals["Two."] = refused("queue_full")
        on.lines.say("One.", "Two.", "Three.", "Four.")
        await asyncio.sleep(0.5)
        dropped, _ = await on.lines.stop()
        assert [line.title for line in dropped] == ['2/4 "Two."', '3/4 "Three."', '4/4 "Four."']
        on.agent.refusals.clear()
        await on.lines.finished()
        await asyncio.sleep(30)
        assert [request.text for request in on.agent.said] == ["One."], "a stop is for all that waits"
        on.lines.say("Five.")
        await on.lines.finished()
    assert on.shown.told[-1] == ("heard", '"Five."')


async def test_what_nobody_heard_is_told_though_the_agent_calls_it_done() -> None:
    async with on_stage() as on:
        on.agent.is_mute = True
        on.lines.say("One.")
        await on.lines.finished()
    assert on.shown.told[-1] == ("lost", '"One."')
    assert "our listener heard nothing" in on.shown.reasons[0]


async def test_a_server_that_cannot_tell_what_became_of_a_line_is_told_as_such() -> None:
    async with on_stage() as on:
        on.agent.is_old = True
        on.lines.say("One.")
        await on.lines.finished()
    assert "use livekit-server 1.9.2 or newer" in on.shown.reasons[0]


async def test_the_first_line_alone_is_recorded() -> None:
    async with on_stage() as on:
        on.lines.say("One.", "Two.", record=Path("one.wav"))
        await on.lines.finished()
    assert on.recorded == [Path("one.wav")]


async def test_what_was_heard_until_then_is_kept_of_a_line_that_is_ended_early() -> None:
    async with on_stage() as on:
        on.lines.say("One.", record=Path("one.wav"))
        await asyncio.sleep(0.5)
        assert on.recorded == []
    assert on.recorded == [Path("one.wav")]


async def test_what_is_recorded_is_handed_over_alone_once_the_recorder_runs() -> None:
    async with on_stage() as on:
        on.lines.say("One.")
        on.lines.say("Two.", record=Path("two.mp4"))
        on.lines.say("Three.")
        await asyncio.sleep(0.5)
        assert [request.text for request in on.agent.said] == ["One."]
        await asyncio.sleep(LINE_S + 0.5)
        assert [request.text for request in on.agent.said] == ["One.", "Two."]
        await on.lines.finished()
    assert [word for word, _ in on.shown.told] == ["speaking", "heard"] * 3
    assert on.recorded == [Path("two.mp4")]


async def test_what_waits_to_be_recorded_is_dropped_by_a_stop() -> None:
    async with on_stage() as on:
        on.lines.say("One.")
        on.lines.say("Two.", record=Path("two.mp4"))
        await asyncio.sleep(0.5)
        dropped, _ = await on.lines.stop()
        assert [line.title for line in dropped] == ['"Two."']
        await on.lines.finished()
        on.lines.say("Three.")
        await on.lines.finished()
    assert [request.text for request in on.agent.said] == ["One.", "Three."]
    assert on.recorded == []


async def test_a_line_begins_when_it_is_heard_and_not_before() -> None:
    async with on_stage() as on:
        on.lines.say("One.", "Two.")
        await on.lines.finished()
    assert on.shown.times[0] == pytest.approx(0.1)
    assert on.shown.times[2] == pytest.approx(LINE_S + 0.1)
