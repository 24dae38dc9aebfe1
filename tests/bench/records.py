"""What many records cost to read: `python -m tests.bench.records`.

Commands take turns in one run, on a store of 10 000 records, and each is compared with `liba --help`: what it
adds is its own work. Memory is the most that a command needed, with 1 000 and with 10 000 records.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from libacli.core.timeline import percentile
from libacli.core.utterance_record import UtteranceRecord
from libacli.edges.metrics.store import MetricsStore
from tests.bench.local_stack import clean_env

_LIBA = """
import atexit, sys
from pathlib import Path
def tell():
    peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
    print("peak", peak, file=sys.stderr)  # KiB; what the kernel tells of a child counts its parent, too
atexit.register(tell)
from libacli.cli.main import main
sys.argv[0] = "liba"
main()
"""
_MANY, _FEW = 10_000, 1_000
_MOST_MS = 1000.0
_MOST_MEMORY = 1.2
"""Times the memory with ten times fewer records."""


@dataclass(frozen=True)
class Command:
    name: str
    arguments: Sequence[str]


HELP = Command("--help", ("--help",))
COMMANDS = (
    Command("metrics watch --once", ("metrics", "watch", "--once")),
    Command("metrics summary", ("metrics", "summary")),
    Command("metrics export", ("metrics", "export", "--format", "ndjson")),
)


@dataclass(frozen=True)
class Cost:
    took_ms: float
    peak_kib: int


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-n", type=int, default=11, help="runs of each command")
    runs = parser.parse_args().n
    with tempfile.TemporaryDirectory() as folder:
        few, many = (_filled(Path(folder) / str(count), count) for count in (_FEW, _MANY))
        costs = {command: _costs(command, many, runs) for command in (HELP, *COMMANDS)}
        least = {command: _costs(command, few, 3) for command in COMMANDS}
    sys.exit(0 if _report(costs, least) else 1)


def _filled(folder: Path, count: int) -> dict[str, str]:
    """The environment of commands that read a new store with so many records."""

    async def fill() -> None:
        store = MetricsStore(folder / "liba" / "metrics.db", keep_days=30, keep_mb=64)
        running = asyncio.get_running_loop().create_task(store.run())
        begun = datetime.now(UTC).timestamp() - count
        for number in range(count):
            store.add(
                UtteranceRecord(
                    id=f"{number:012x}",
                    t0=begun + number,
                    outcome="done",
                    room="demo",
                    agent="liba",
                    epoch="e1",
                    route="avatar" if number % 10 else "track",
                    voice="alloy",
                    model="gpt-4o-mini-tts",
                    chars=60,
                    chunks=2,
                    frames=200,
                    speech_ms=3800.0,
                    t3_source="reported",
                    waited=0.1,
                    d01=300.0 + number % 97,
                    d12=0.1,
                    d2a=70.0 + number % 13,
                    d23=4000.0,
                    total=4300.0 + number % 97,
                )
            )
            if number % 500 == 499:
                await store.flush()
        await store.flush()
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(fill())
    return clean_env(folder) | {"TERM": "dumb"}


def _costs(command: Command, env: dict[str, str], runs: int) -> Cost:
    """Of the median run; the first one, which finds cold caches, is left out."""
    found = sorted((_run(command, env) for _ in range(runs + 1)), key=lambda cost: cost.took_ms)
    return Cost(percentile([cost.took_ms for cost in found], 50), max(cost.peak_kib for cost in found))


def _run(command: Command, env: dict[str, str]) -> Cost:
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _LIBA, *command.arguments],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"liba {command.name} ended with {done.returncode}: {done.stderr}")
    return Cost((time.perf_counter() - started) * 1000, int(done.stderr.split()[-1]))


def _report(costs: dict[Command, Cost], least: dict[Command, Cost]) -> bool:
    basis = costs[HELP]
    print(f"{HELP.name:22} {basis.took_ms:7.0f} ms {basis.peak_kib / 1024:6.1f} MiB")
    is_kept = True
    for command in COMMANDS:
        cost, memory = costs[command], costs[command].peak_kib / least[command].peak_kib
        more_ms = cost.took_ms - basis.took_ms
        holds = more_ms < _MOST_MS and memory < _MOST_MEMORY
        is_kept &= holds
        print(
            f"{command.name:22} {cost.took_ms:7.0f} ms {cost.peak_kib / 1024:6.1f} MiB: {more_ms:+5.0f} ms "
            f"(limit {_MOST_MS:.0f}), {memory:.2f} x the memory of {_FEW} records (limit {_MOST_MEMORY}): "
            f"{'pass' if holds else 'FAIL'}"
        )
    return is_kept


if __name__ == "__main__":
    main()
