from __future__ import annotations

import struct

import pytest

from libacli.cli.screens.demo_lines import DemoScreen, title
from libacli.cli.screens.demo_result import DemoResult, show
from libacli.core.event import Report
from libacli.edges.viewer.listener import AudioCapture
from libacli.edges.viewer.video_watcher import VideoCapture
from libacli.errors import RefusedError

LONG = 59_999.0


def result(**report: object) -> DemoResult:
    sound = AudioCapture()
    for number in range(100):
        sound.add(struct.pack("<480h", *[9000] * 480), 1.0 + number * 0.02)
    members = {"id": "u1", "state": "done", "route": "tavus", "t3_source": "reported", **report}
    return DemoResult(Report.read(members), sound, VideoCapture(99, 1280, 720), 12_345.6, "local avatar")


def shown(capsys: pytest.CaptureFixture[str], **report: object) -> str:
    show(result(**report))
    return capsys.readouterr().out


def test_a_result_of_the_longest_times_fits_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    told = shown(capsys, waited=LONG, d01=9999.0, d12=99.0, d2a=999.0, d23=LONG, total=3 * LONG)
    assert max(map(len, told.splitlines())) <= 80


def test_where_the_time_went_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    told = shown(capsys, waited=0.2, d01=61.2, d12=4.0, d2a=75.3, d23=4088.0, total=4153.2)
    assert "TIMES  voice 61, sink 4, audible 75, played 4088, total 4153 ms" in told
    assert "first sound 12346 ms after it was sent" in told


def test_a_line_that_waited_is_not_late(capsys: pytest.CaptureFixture[str]) -> None:
    told = shown(capsys, waited=6217.0, d01=0.0, d12=14.0, d2a=75.0, d23=1000.0, total=7231.0)
    assert "TIMES  waited 6217, voice 0, sink 14, audible 75, played 1000 ms" in told
    assert "first sound" not in told


def test_a_voice_that_was_quicker_than_the_line_before_took_no_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = shown(capsys, waited=1000.0, d01=0.0, d12=10.0)
    assert "TIMES  waited 1000, voice 0, sink 10 ms" in told


def test_a_fallback_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert "ROUTE  fallback (left), end observed" in shown(
        capsys, route="fallback", route_reason="left", t3_source="observed"
    )


def test_a_mouth_is_seen_to_move_however_long_it_was_still_before() -> None:
    spoken = result()
    for number in range(300):
        at = 0.05 * number - 12.0  # from long before the sound, which is heard from 1 to 3 s, until then
        spoken.picture.motion.append((at, 3.0 if at > 1.0 else 0.1))
    assert spoken.mouth_moved
    spoken.picture.motion.clear()
    assert not spoken.mouth_moved


@pytest.mark.parametrize("text", ["Hello.", "word " * 100, "one\nline\x1b[31m", "漢" * 300])
def test_the_title_of_a_line_has_room_beside_it(text: str) -> None:
    name = title(text, "100/100")
    assert "\n" not in name
    assert "\x1b" not in name
    assert len(name) <= 55


def test_what_became_of_a_line_stands_with_its_text_or_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    error = RefusedError("queue_full", "the queue is full", hint="wait")
    DemoScreen(as_json=False).failed('"Hello."', error)
    assert capsys.readouterr().out == 'REFUSED  "Hello."\n  the queue is full - wait\n'
    DemoScreen(as_json=True).stopped('"Hello."', after_s=3.14, by_us=True)
    assert (
        capsys.readouterr().out == '{"line": "\\"Hello.\\"", "state": "stopped", "reason": "after 3.1 s"}\n'
    )
