"""The log as JSON: what a line holds, and when it is one."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from datetime import datetime
from typing import Any

import pytest

from libacli.cli.log import JsonFormatter
from libacli.log_context import AboutFilter, about
from tests.canaries import KEYS, secrets_in
from tests.speech.test_speaker import on_stage

POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}


def line(
    message: str, *arguments: object, error: BaseException | None = None, **extra: Any
) -> dict[str, Any]:
    exc_info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("liba.agent", logging.WARNING, __file__, 1, message, arguments, exc_info)
    vars(record).update(extra)
    AboutFilter().filter(record)
    written = JsonFormatter(list(KEYS.values())).format(record)
    assert "\n" not in written
    return dict(json.loads(written))


def test_a_line_has_its_time_with_a_zone_its_level_logger_and_message() -> None:
    told = line("ROUTE=%s | Reason=%s", "fallback", "not ready")
    assert datetime.fromisoformat(told.pop("time")).tzinfo
    assert told == {
        "level": "warning",
        "logger": "liba.agent",
        "message": "ROUTE=fallback | Reason=not ready",
    }


def test_what_it_is_about_is_told_where_it_is_known() -> None:
    with about(room="demo"), about(uid="u1"):
        told = line("here")
        assert line("here", room="hall")["room"] == "hall"
    assert (told["room"], told["uid"]) == ("demo", "u1")
    assert line("there").keys() & {"room", "uid"} == set()


def test_an_exception_is_text_and_what_came_from_a_room_process_is_told_once() -> None:
    try:
        raise ValueError("broken")
    except ValueError as error:
        told = line("failed", error=error)
    assert told["message"] == "failed"
    assert told["exception"].startswith("Traceback") and told["exception"].endswith("ValueError: broken")
    told = line("failed\nTraceback: there", exc_text="Traceback: there")
    assert (told["message"], told["exception"]) == ("failed", "Traceback: there")


def test_no_secret_is_in_it_however_it_came_there_and_nothing_drives_a_terminal() -> None:
    everything = " ".join(KEYS.values())
    assert secrets_in(everything)
    try:
        raise ValueError(everything)
    except ValueError as error:
        assert not secrets_in(json.dumps(line("keys %s", everything, error=error, room=everything)))
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "a\x1b[2J\u2028b\ud800", (), None)
    assert JsonFormatter([]).format(record).isprintable()


async def test_what_is_logged_while_a_line_is_spoken_has_its_id(caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.addFilter(AboutFilter())
    caplog.set_level(logging.INFO, "liba")
    with about(room="demo"):
        async with on_stage() as stage:
            for uid in ("first", "second"):
                stage.say("Hello there.", uid)
            await stage.spoken("second")
    routes = [vars(record) for record in caplog.records if record.getMessage().startswith("ROUTE=")]
    assert [(record["room"], record["uid"]) for record in routes] == [("demo", "first"), ("demo", "second")]


@pytest.mark.live
@pytest.mark.parametrize(
    ("environment", "is_json"),
    [
        ({}, False),
        (POD, True),
        (POD | {"LIBA_LOG_FORMAT": "text"}, False),
        ({"LIBA_LOG_FORMAT": "json"}, True),
        (POD | {"LIBA_LOG_FORMAT": "auto"}, True),
    ],
)
def test_all_that_a_worker_tells_is_json_where_wanted(environment: dict[str, str], is_json: bool) -> None:
    nobody = {"LIVEKIT_URL": "ws://127.0.0.1:9", "LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "s" * 40}
    ended = subprocess.run(
        [sys.executable, "-m", "libacli", "agent", "run"],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)} | nobody | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 4
    lines = ended.stderr.splitlines()
    assert len(lines) >= 2
    if not is_json:
        assert not any(line.startswith("{") for line in lines)
        assert lines[-1].startswith("liba: ")
        return
    told = [json.loads(line) for line in lines]
    assert told[0]["message"] == "starting the worker 'liba'; Ctrl-C ends it"
    assert told[-1]["level"] == "error" and "127.0.0.1:9" in told[-1]["message"]
