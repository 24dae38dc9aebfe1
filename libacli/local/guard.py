"""A child process that ends when we end, however we end.

Run as a script, this file is the guard: it starts the command and holds a pipe whose other end is ours. The
kernel closes that pipe when we are gone, killed included, and the guard then ends the command and all that
the command started. It knows the standard library only, so `python -I -S` starts it in about 20 ms.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

CANNOT_RUN = 126
NOT_FOUND = 127

_PR_SET_PDEATHSIG = 1
_GUARD_MARGIN_S = 2.0


class GuardedProcess:
    """A running command with its guard between it and us.

    The command has a process group of its own: neither Ctrl-C nor a closed terminal reaches it. It ends by
    `terminate`, by SIGTERM to `pid`, or with us: SIGTERM to the command, then, when it is gone or `grace_s`
    seconds have passed, SIGKILL to all of its group.
    """

    def __init__(self, guard: subprocess.Popen[bytes], grace_s: float) -> None:
        self._guard = guard
        self._grace_s = grace_s

    @classmethod
    def start(
        cls,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdout: IO[bytes] | int = subprocess.DEVNULL,
        grace_s: float = 5.0,
    ) -> GuardedProcess:
        """Starts `command`; `stdout` takes both its outputs, `env` is the whole of its environment.

        Without `env` it has what any program may have of ours, which is no key: `environment_of("program")`.
        A command that cannot be started shows as exit code 127 (not found) or 126, its reason in `stdout`.
        """
        if env is None:
            from libacli.child_environment import environment_of  # the guard itself finds no libacli

            env = environment_of("program")
        guard = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(grace_s), *map(str, command)],
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            bufsize=0,
            start_new_session=True,
        )
        return cls(guard, grace_s)

    @property
    def pid(self) -> int:
        """Process id of the guard; the command is its child."""
        return self._guard.pid

    def poll(self) -> int | None:
        """Exit code of the command, None while it runs; 128 + n when signal n ended it, as in a shell."""
        return _exit_code(self._guard.poll())

    def wait(self, timeout: float | None = None) -> int | None:
        """Waits up to `timeout` seconds for the end; the exit code, or None when it still runs."""
        try:
            return _exit_code(self._guard.wait(timeout))
        except subprocess.TimeoutExpired:
            return None

    def terminate(self) -> int:
        """Ends the command, politely and then firmly; the exit code. Safe to call twice."""
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        code = self.wait(self._grace_s + _GUARD_MARGIN_S)
        if code is None:
            self._guard.kill()
            code = self.wait()
        assert code is not None
        return code

    def __enter__(self) -> GuardedProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.terminate()


def _exit_code(returncode: int | None) -> int | None:
    return 128 - returncode if returncode is not None and returncode < 0 else returncode


def _end_with_parent() -> Callable[[], None] | None:
    """What the command does before it starts so that it ends even if the guard is killed; Linux only."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    prctl = ctypes.CDLL(None).prctl

    def ask_the_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)

    return ask_the_kernel


def _guard(grace_s: float, command: Sequence[str]) -> int:
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, lambda _number, _frame: None)
    try:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, process_group=0, preexec_fn=_end_with_parent()
        )
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return NOT_FOUND if isinstance(error, FileNotFoundError) else CANNOT_RUN
    asked_to_end = False
    while child.poll() is None and not asked_to_end:
        ready, _, _ = select.select([sys.stdin, woken], [], [])
        asked_to_end = sys.stdin in ready or (woken in ready and signal.SIGTERM in os.read(woken, 64))
    child.terminate()
    with suppress(subprocess.TimeoutExpired):
        child.wait(grace_s)
    with suppress(ProcessLookupError, PermissionError):  # macOS: "not permitted" when only zombies are left
        os.killpg(child.pid, signal.SIGKILL)
    code = _exit_code(child.wait())
    assert code is not None
    return code


if __name__ == "__main__":
    sys.exit(_guard(float(sys.argv[1]), sys.argv[2:]))
