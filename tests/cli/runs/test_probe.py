"""What `liba probe` refuses before it joins, what it makes of what it got, and how it ends."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from libacli.cli.runs.probe import ProbeRun
from libacli.cli.runs.probe_measure import end_of, measured
from libacli.config import Settings
from libacli.core.audio import silence
from libacli.core.probe_result import ProbeResult
from libacli.core.threshold import Threshold
from libacli.core.utterance_record import UtteranceRecord
from libacli.edges.viewer.listener import AudioCapture
from libacli.edges.viewer.video_watcher import VideoCapture
from libacli.errors import LibaError, RefusedError, ThresholdError, WithoutAvatarError
from tests.cli.conftest import Shell

SENT_AT = 10.0
WHOLE = ProbeResult(
    "u1", "done", "avatar", heard=90.0, seen=110.0, claim=80.0, speech=1000, span=990, gap=60, lag=-5
)
RECORD = UtteranceRecord("u1", 1.0, "done", route="avatar", speech_ms=1000.0, d01=10.0, d12=1.0, d2a=70.0)


def probing(*utterances: ProbeResult, condition: str = "", require_avatar: bool = False) -> ProbeRun:
    run = ProbeRun(
        Settings(),
        room="demo",
        text=None,
        count=max(1, len(utterances)),
        thresholds=[Threshold.parse(condition)] if condition else [],
        timeout_s=None,
        require_avatar=require_avatar,
        as_json=False,
    )
    run.results.extend(utterances)
    return run


def sound(milliseconds: int) -> bytes:
    """PCM that can be heard from its first to its last sample."""
    return b"\x00\x20" * (24 * milliseconds)


def capture_of(*pcm: bytes, first_at: float) -> AudioCapture:
    """Sound that begins to arrive at `first_at`, in frames of 20 ms."""
    capture = AudioCapture()
    everything = b"".join(pcm)
    for number in range(len(everything) // 960):
        capture.add(everything[number * 960 : (number + 1) * 960], first_at + (number + 1) * 0.02)
    return capture


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--assert", "heard.p95"), 2, "is not like"),
        (("--assert", "heard.p96<1"), 2, "p96 is not one of"),
        (("--assert", "d01.p95<1"), 2, "measures are heard, claim, seen, cut, stretch, gap, lag, hole"),
        (("--assert", "heard.p95<1", "--assert", "nothing"), 2, "'nothing' is not like"),
        (("--for", "0s"), 2, "at least"),
        (("--for", "soon"), 2, "is not a duration"),
        (("-n", "0"), 2, "Invalid value"),
        (("-n", "1001"), 2, "Invalid value"),
        (("--timeout", "0"), 2, "Invalid value"),
        (("--room", " "), 2, "room"),
        (("--text", "..."), 6, "no letter or digit"),
    ],
)
def test_what_makes_no_sense_is_refused_before_joining(
    shell: Shell, arguments: tuple[str, ...], code: int, words: str
) -> None:
    ended = shell.run("probe", *arguments)
    assert ended.code == code, ended.stderr
    assert words in ended.stderr
    assert not ended.stdout


def test_missing_credentials_are_told(shell: Shell) -> None:
    ended = shell.run("probe", env={"LIVEKIT_API_SECRET": ""})
    assert ended.code == 3
    assert "LIVEKIT_API_SECRET" in ended.stderr


def test_the_help_says_what_the_avatar_costs(shell: Shell) -> None:
    assert "billed" in shell.run("probe", "--help").stdout


def test_sound_that_came_whole_is_heard() -> None:
    capture = capture_of(sound(400), silence(200), sound(400), first_at=SENT_AT + 0.09)
    heard = measured(RECORD, capture, VideoCapture(), SENT_AT)
    assert heard.heard == pytest.approx(90, abs=1)
    assert (heard.verdict, heard.cut) == ("HEARD", 0)
    assert heard.gap == pytest.approx(200)
    assert (heard.seen, heard.lag) == (None, None)
    assert heard.claim == 81.0


@pytest.mark.parametrize(
    "pcm", [(sound(600),), (sound(400), silence(200), sound(200))], ids=["no end", "less than all"]
)
def test_an_end_that_never_came_is_cut_off(pcm: tuple[bytes, ...]) -> None:
    heard = measured(RECORD, capture_of(*pcm, silence(500), first_at=SENT_AT), VideoCapture(), SENT_AT)
    assert heard.verdict == "CUT OFF"
    assert heard.cut == pytest.approx(1000 - sum(map(len, pcm)) / 48)


def test_what_this_machine_left_out_to_catch_up_is_not_cut_off() -> None:
    capture = capture_of(sound(800), silence(500), first_at=SENT_AT)
    heard = measured(RECORD, capture, VideoCapture(), SENT_AT, caught_up_s=0.15)
    assert heard.verdict == "HEARD"
    assert heard.cut == pytest.approx(50)


def test_sound_that_stalled_on_its_way_is_heard_but_stretched() -> None:
    capture = capture_of(sound(400), silence(700), sound(600), first_at=SENT_AT)
    heard = measured(RECORD, capture, VideoCapture(), SENT_AT)
    assert heard.verdict == "HEARD"
    assert heard.stretch == heard.gap == pytest.approx(700)


def test_silence_is_not_heard_whatever_the_agent_says() -> None:
    heard = measured(RECORD, capture_of(silence(1000), first_at=SENT_AT), VideoCapture(), SENT_AT)
    assert (heard.verdict, heard.heard, heard.claim) == ("NOT HEARD", None, 81.0)


def test_a_mouth_that_moves_is_seen() -> None:
    sight = VideoCapture()
    for number in range(40):
        at = SENT_AT - 0.5 + number * 0.04
        sight.motion.append((at, 3.0 if at > SENT_AT + 0.1 else 0.1))
    heard = measured(RECORD, capture_of(sound(1000), first_at=SENT_AT), sight, SENT_AT)
    assert heard.seen == pytest.approx(100, abs=41)


def event(state: str, utterance_id: str = "u1", **members: Any) -> dict[str, Any]:
    return {"id": utterance_id, "state": state, "t0": 1.0} | members


async def told(*events: dict[str, Any]) -> tuple[UtteranceRecord, bool]:
    queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    for one in events:
        queue.put_nowait(one)
    async with asyncio.timeout(1):
        return await end_of(queue, "u1")


async def test_its_end_is_waited_for_while_others_only_wait() -> None:
    others = [event("accepted", "u2"), event("expired", "u3")]
    record, was_alone = await told(event("speaking"), *others, event("done", d01=5.0))
    assert (record.outcome, record.d01, was_alone) == ("done", 5.0, True)


@pytest.mark.parametrize("state", ["speaking", "audible", "done", "interrupted", "failed"])
async def test_others_who_speak_meanwhile_are_noticed(state: str) -> None:
    assert (await told(event(state, "u2"), event("done")))[1] is False


async def test_an_event_that_makes_no_sense_ends_nothing() -> None:
    record, _ = await told(event("done", d01="soon"), {"state": "done"}, event("failed", reason="no voice"))
    assert (record.outcome, record.reason) == ("failed", "no voice")


async def test_an_utterance_that_is_not_taken_is_refused() -> None:
    with pytest.raises(RefusedError, match="the queue is full") as caught:
        await told(event("rejected", rejected="queue_full", message="the queue is full"))
    assert caught.value.reason == "queue_full"


def test_it_ends_well_when_all_was_heard_and_holds() -> None:
    probing(WHOLE, WHOLE, condition="heard.p95<900", require_avatar=True).judge()


@pytest.mark.parametrize("bad", [replace(WHOLE, span=500), replace(WHOLE, heard=None, span=0)])
def test_one_that_was_not_heard_to_the_end_is_an_error(bad: ProbeResult) -> None:
    with pytest.raises(LibaError, match="1 of 2 not heard to the end") as caught:
        probing(WHOLE, bad, condition="heard.p95<1", require_avatar=True).judge()
    assert caught.value.exit_code == 1


def test_a_condition_that_does_not_hold_is_told_by_exit_code_10() -> None:
    with pytest.raises(ThresholdError, match=r"heard\.p95<50 does not hold: it is 90") as caught:
        probing(WHOLE, condition="heard.p95<50").judge()
    assert caught.value.exit_code == 10


def test_a_condition_on_what_was_not_measured_does_not_hold() -> None:
    with pytest.raises(ThresholdError, match="nothing was measured"):
        probing(replace(WHOLE, seen=None), condition="seen.p95<900").judge()


def test_an_avatar_that_was_required_and_did_not_speak_is_told_by_exit_code_9() -> None:
    with pytest.raises(WithoutAvatarError, match="not ready") as caught:
        without = replace(WHOLE, route="track", route_reason="not ready")
        probing(WHOLE, without, require_avatar=True).judge()
    assert caught.value.exit_code == 9


def test_what_was_measured_is_summed_up_in_its_columns(capsys: pytest.CaptureFixture[str]) -> None:
    probing(WHOLE, replace(WHOLE, heard=120.0, lag=None, seen=None)).show()
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "",
        "p50                     90    80   110          10       0   60   -5",
        "p95                    120    80   110          10       0   60   -5",
        "max                    120    80   110          10       0   60   -5",
        "2 of 2 heard to the end",
    ]


def test_over_minutes_drift_and_holes_are_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [replace(WHOLE, at_s=30.0 * n, lag=5.0 * n, holes=(200.0, 20.0)) for n in range(3)]
    run = replace(probing(), for_s=90)
    run.results.extend(lines)
    run.show()
    assert capsys.readouterr().out.splitlines()[-1] == (
        "lips: 0 to 10 ms later than the sound, drift +10.0 ms a minute; "
        "holes: 3 longer than 120 ms, the longest 200 ms"
    )


def test_over_minutes_without_a_picture_and_with_too_little_said_that_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = replace(probing(), for_s=90)
    run.results.append(replace(WHOLE, lag=None))
    run.show()
    assert capsys.readouterr().out.splitlines()[-1] == (
        "lips: not seen; holes: not known, no text was heard twice"
    )


def test_over_minutes_drift_and_holes_are_part_of_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    run = replace(probing(), for_s=90, as_json=True)
    run.results.append(replace(WHOLE, holes=(200.0,)))
    run.show()
    told = json.loads(capsys.readouterr().out)
    assert told["steadiness"]["holes_ms"] == [200.0]
    assert told["utterances"][0]["hole_ms"] == 200.0


def test_nothing_measured_is_nothing_shown(capsys: pytest.CaptureFixture[str]) -> None:
    probing().show()
    assert capsys.readouterr().out == ""
