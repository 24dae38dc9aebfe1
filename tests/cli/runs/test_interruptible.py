from __future__ import annotations

import signal
import subprocess
import sys

import pytest

COMMAND = """
import asyncio, signal
from libacli.cli.runs.interruptible import run_interruptible

async def command():
    has_come = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, has_come.set)
    try:
        print("began", flush=True)
        await has_come.wait()
        print("went on", flush=True)
    finally:
        print("ended", flush=True)

try:
    run_interruptible(command())
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
"""Goes on when a line comes on its standard input."""

IGNORING = f"import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n{COMMAND}"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_lets_a_command_end_what_it_has_begun(number: signal.Signals) -> None:
    assert told_by(COMMAND, number, goes_on=False) == ["began", "ended", "interrupted"]


def test_a_terminal_that_closes_ends_nothing_that_was_started_to_outlive_it() -> None:
    assert told_by(IGNORING, signal.SIGHUP, goes_on=True) == ["began", "went on", "ended"]
    assert told_by(IGNORING, signal.SIGTERM, goes_on=False) == ["began", "ended", "interrupted"]


def told_by(command: str, number: signal.Signals, *, goes_on: bool) -> list[str]:
    """What it prints that gets this signal when it has begun; if it then `goes_on`, it gets a line."""
    with subprocess.Popen(
        [sys.executable, "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout
        first = process.stdout.readline()
        process.send_signal(number)
        if not goes_on:
            process.wait(30)
        rest, _ = process.communicate("\n" if goes_on else None, timeout=30)
    return [first.strip(), *rest.split("\n")[:-1]]
