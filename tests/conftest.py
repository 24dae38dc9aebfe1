from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from xdist import is_xdist_controller

from tests import blocking_calls
from tests.leaked_connections import connections, left_open
from tests.leaked_tasks import leaked
from tests.leftover_processes import Leftovers, end_those_of, mark_this_run
from tests.side_by_side import CRASHED, LIVE, SPARE, SPARE_NICENESS, WORKERS, SideBySide, longest_first
from tests.virtual_time import BACKEND

if TYPE_CHECKING:
    from playwright.async_api import Browser
    from xdist.workermanage import WorkerController

# A shell starts what it runs in the background with SIGINT ignored, and children inherit that: Ctrl-C would
# reach nothing that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# The same of a terminal that closes, with `nohup`: it still ends no tests.
if "PYTEST_XDIST_WORKER" in os.environ or signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)

mark_this_run()

# What tests start keeps back what it writes, as with most people: containers and CI often have this set.
os.environ.pop("PYTHONUNBUFFERED", None)

# How long an example takes says more of what else the machine does than of the code. A run that fails is to
# tell of the change that is in it: the examples are the same each time. To look for others, as long as one
# likes: HYPOTHESIS_PROFILE=search pytest -m "not live". It is also for pairs that stand for others, in
# tests/cli/test_odd_environments.py.
settings.register_profile("same", deadline=None, derandomize=True, database=None)
settings.register_profile("search", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


def pytest_configure(config: pytest.Config) -> None:
    if getattr(config, "workerinput", {}).get("workerid") == SPARE:
        os.nice(SPARE_NICENESS)


@pytest.hookimpl(tryfirst=True)  # before a fixture starts a process, which would be as nice
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.nodeid.startswith(LIVE) and os.getpriority(os.PRIO_PROCESS, 0):
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, 0)


def pytest_xdist_auto_num_workers() -> int:
    return WORKERS


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SideBySide:
    return SideBySide(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items[:] = longest_first(items)


def pytest_handlecrashitem(crashitem: str, report: Any, sched: SideBySide) -> None:
    if sched.crashes[crashitem] == 1:
        report.outcome = CRASHED


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    return (CRASHED, "C", "CRASHED") if report.outcome == CRASHED else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.stats.get(CRASHED, []):
        terminalreporter.write_line(f"CRASHED {report.longrepr}; it was run once more")


def pytest_testnodedown(node: WorkerController, error: object | None) -> None:
    if error:
        end_those_of(node.gateway.id)


@pytest.hookimpl(trylast=True)  # when the processes that ran the tests have ended
def pytest_sessionfinish(session: pytest.Session) -> None:
    if is_xdist_controller(session):
        try:
            Leftovers().end_and_complain(but_kept=False)
        except AssertionError as error:
            session.config.get_terminal_writer().line(f"\n{error}", red=True)
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]] | str:
    """Unit tests own their time; modules that talk to real sockets override this with "asyncio"."""
    return BACKEND


@pytest.fixture(scope="session")
def leftovers() -> Leftovers:
    """What this run has started; fixtures that outlive a module tell it what stays."""
    return Leftovers()


@pytest.fixture(scope="session", autouse=True)
def no_process_is_left_behind_by_the_run(leftovers: Leftovers) -> Iterator[None]:
    yield
    leftovers.end_and_complain(but_kept=False)


@pytest.fixture(scope="module", autouse=True)
def no_process_is_left_behind_by_a_module(
    no_process_is_left_behind_by_the_run: None, leftovers: Leftovers
) -> Iterator[None]:
    yield
    leftovers.end_and_complain(but_kept=True)


@pytest.fixture(scope="session", autouse=True)
def nothing_blocks_the_loop() -> Iterator[None]:
    forbidden = blocking_calls.forbid()
    yield
    forbidden.deactivate()


@pytest.fixture(autouse=True)
def nothing_is_leaked(request: pytest.FixtureRequest) -> None:
    """For async tests; set up before a test's other fixtures, and so ended after them."""
    if "anyio_backend" in request.fixturenames:
        request.getfixturevalue("_nothing_is_leaked")


@pytest.fixture
async def _nothing_is_leaked() -> AsyncIterator[None]:
    tasks_before, connections_before = asyncio.all_tasks(), connections()
    yield
    if tasks := await leaked(tasks_before):
        pytest.fail("tasks that the test has left behind:\n" + "\n".join(map(repr, tasks)))
    if left := await left_open(connections_before):
        pytest.fail("connections that the test has left open:\n" + "\n".join(map(repr, left)))


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    """For a module whose `anyio_backend` is "asyncio" and lasts as long."""
    from tests.browser import chromium  # most tests need no browser

    async with chromium() as browser:
        yield browser
