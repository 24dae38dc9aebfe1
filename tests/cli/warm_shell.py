"""`liba` in a process that has loaded all of it: each run is a fork with its own environment and limits.

Hundreds of runs take a minute this way, and an hour with a Python started for each.
"""

from __future__ import annotations

import gc
import json
import os
import pkgutil
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Self

AT_ONCE = 4
"""Most of what a run takes, it waits."""

LONGEST_S = 20


@dataclass(frozen=True)
class Run:
    """A command to run; `oddity` is one of `ODDITIES`, or none."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: str
    oddity: str = ""


@dataclass(frozen=True)
class Ran:
    code: int
    """Minus the signal, where one ended it."""

    stdout: str
    stderr: str


class WarmShell:
    """Starts the process, with `environment`, which is what Python itself heeds at its start."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.cli.warm_shell"],
            env={"OPENBLAS_NUM_THREADS": "1", **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait(LONGEST_S)
        self._process.stdout.close()

    def run(self, runs: Sequence[Run]) -> list[Ran]:
        """What became of each."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([asdict(run) for run in runs]) + "\n")
        self._process.stdin.flush()
        return [Ran(**told) for told in json.loads(self._process.stdout.readline())]


def _close(number: int, name: str) -> None:
    """As Python starts where the shell has closed it."""
    os.close(number)
    setattr(sys, name, None)


def _into(path: str) -> None:
    os.dup2(os.open(path, os.O_WRONLY), 1)


def _into_a_pipe_that_nobody_reads() -> None:
    there, here = os.pipe()
    os.dup2(here, 1)
    os.close(there)


def _become_nobody() -> None:
    if os.geteuid() == 0:
        os.setreuid(54321, 0)  # who may read where this Python is


def _close_all() -> None:
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        _close(number, name)


ODDITIES: dict[str, Callable[[], object]] = {
    "": lambda: None,
    "stdin closed": lambda: _close(0, "stdin"),
    "stdout closed": lambda: _close(1, "stdout"),
    "stderr closed": lambda: _close(2, "stderr"),
    "all closed": _close_all,
    "disk full": lambda: _into("/dev/full"),
    "pipe closed": _into_a_pipe_that_nobody_reads,
    "no name": _become_nobody,
    "umask 777": lambda: os.umask(0o777),
    "few files": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24)),
    "no large files": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    "signals ignored": lambda: [
        signal.signal(one, signal.SIG_IGN) for one in (signal.SIGPIPE, signal.SIGHUP)
    ],
}
"""What a process may find itself in, beside its environment."""


def _begin(run: Run, outputs: Sequence[int]) -> int:
    """The id of the process that runs it."""
    if pid := os.fork():
        return pid
    code = 70
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, output in enumerate(outputs, start=1):
            os.dup2(output, number)
        os.chdir(run.folder)
        os.environ.clear()
        os.environ.update(run.environment)
        time.tzset()
        tempfile.tempdir = None
        sys.argv = ["liba", *run.arguments]
        ODDITIES[run.oddity]()
        code = _ended()
    except BaseException:
        if sys.stderr:
            traceback.print_exc()
    finally:
        os._exit(code)


def _ended() -> int:
    """The exit code of a Python that runs `liba`, down to its last words."""
    from libacli.cli.main import main

    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    for output in (sys.stdout, sys.stderr):
        try:
            if output:
                output.flush()
        except OSError:  # as Python itself says it: https://docs.python.org/3/library/sys.html#sys.exit
            code = 120
            if sys.stderr and output is sys.stdout:
                print("Exception ignored while flushing", file=sys.stderr, flush=True)  # noqa: T201
    return code


def _run_all(runs: Sequence[Run]) -> list[Ran]:
    folder = Path(tempfile.mkdtemp())  # a TemporaryDirectory would go with the first child that ends
    try:
        return _run_in(folder, runs)
    finally:
        shutil.rmtree(folder)


def _run_in(folder: Path, runs: Sequence[Run]) -> list[Ran]:
    found: dict[int, Ran] = {}
    waiting = list(enumerate(runs))
    under_way: dict[int, tuple[int, list[Path], float]] = {}
    while waiting or under_way:
        while waiting and len(under_way) < AT_ONCE:
            number, run = waiting.pop(0)
            files = [folder / f"{number}.{name}" for name in ("out", "err")]
            outputs = [os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) for file in files]
            pid = _begin(run, outputs)
            for output in outputs:
                os.close(output)
            under_way[pid] = number, files, time.monotonic() + LONGEST_S
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid in under_way:
            number, files, _ = under_way.pop(pid)
            texts = [file.read_bytes().decode(errors="replace") for file in files]
            found[number] = Ran(os.waitstatus_to_exitcode(status), *texts)
            continue
        for late in [one for one, (*_, until) in under_way.items() if time.monotonic() > until]:
            os.kill(late, signal.SIGKILL)
        time.sleep(0.002)
    return [found[number] for number in range(len(runs))]


def _load_everything() -> None:
    for name in ("cli.commands", "cli.runs", "edges.checks", "edges.voices"):
        package = import_module(f"libacli.{name}")
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            import_module(module.name)
    for lazily in ("openai.resources.audio", "openai.resources.realtime", "httpcore2", "sqlite3"):
        import_module(lazily)
    for encoding in ("utf-16-be", "utf-16-le", "utf-16", "idna", "latin-1"):
        "".encode(encoding)  # who is nobody may not read where this Python is
    gc.freeze()  # what is here stays: a fork that counts references copies it


if __name__ == "__main__":
    _load_everything()
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with os.fdopen(os.dup(0), encoding="utf-8") as asked:
        for line in asked:
            ended = _run_all([Run(**run) for run in json.loads(line)])
            told.write(json.dumps([asdict(ran) for ran in ended]) + "\n")
            told.flush()
