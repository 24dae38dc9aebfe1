"""The ledger of conversations of several machines: in one folder, through Redis, and through the fake."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from libacli.edges.avatars.ending import end_orphans
from libacli.edges.avatars.fakes import FAKE_VENDOR, FakeAvatarService
from libacli.edges.avatars.ledger import Entry, Ledger
from libacli.edges.avatars.reaping import end_lapsed, nobody
from libacli.edges.avatars.shared_ledger import ConversationStore, SharedLedger
from libacli.edges.redis.connection import make_redis_for_threads
from libacli.edges.redis.conversations import RedisConversations
from libacli.edges.redis.fakes import FakeConversations, FakeShared
from libacli.edges.redis.watch import RETRY_S, RedisWatch
from libacli.errors import StoreError
from tests.avatar_contracts import invitation
from tests.money_contracts import NOW, LedgerContract, Ledgers
from tests.redis_server import RedisServer

LEASE_S = 0.4
"""Short, as it is the clock of Redis that it goes by."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # real sockets and files


class TestOneMachine(LedgerContract):
    @pytest.fixture
    def ledgers(self, tmp_path: Path) -> Iterator[Ledgers]:
        with ExitStack() as closing:
            one, two, three = (Ledger(tmp_path / "conversations") for _ in range(3))
            for ledger in (one, two, three):
                closing.callback(ledger.close)
            yield Ledgers(one, two, three)


class Machines:
    """Ledgers of several machines that share one place."""

    def __init__(self, folder: Path, make_store: Callable[[], ConversationStore], closing: ExitStack) -> None:
        self._folder = folder
        self._make_store = make_store
        self._closing = closing

    def ledger(self, machine: str) -> SharedLedger:
        ledger = SharedLedger(Ledger(self._folder / machine), self._make_store(), machine)
        self._closing.callback(ledger.close)
        return ledger


def ledgers_of(machines: Machines, names: str, *, asked_at: float) -> Ledgers:
    one, two, three = (machines.ledger(name) for name in names)
    return Ledgers(one, two, three, asked_at=asked_at)


class TestFakeFleet(LedgerContract):
    @pytest.fixture
    def ledgers(self, tmp_path: Path) -> Iterator[Ledgers]:
        shared = FakeShared(lambda: NOW)
        with ExitStack() as closing:
            machines = Machines(tmp_path, lambda: FakeConversations(shared), closing)
            yield ledgers_of(machines, "abc", asked_at=NOW)


class InRedis:
    """What stands in a Redis, under keys that no other test has."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.scope = f"liba:{{{uuid.uuid4().hex}}}"
        self.watch_now = 0.0

    def store(self, *, lease_s: float = 60.0) -> RedisConversations:
        watch = RedisWatch(clock=lambda: self.watch_now)
        redis = make_redis_for_threads(self.server.url)
        return RedisConversations(redis, watch, self.scope, lease_s=lease_s)


def asked_now() -> float:
    """When Redis says that it is."""
    return time.time()  # noqa: TID251 - what is asked for is told from another machine's clock


class TestRedisFleet(LedgerContract):
    @pytest.fixture
    def ledgers(self, server: RedisServer, tmp_path: Path) -> Iterator[Ledgers]:
        with ExitStack() as closing:
            machines = Machines(tmp_path, InRedis(server).store, closing)
            yield ledgers_of(machines, "abc", asked_at=asked_now())


class TestRedisFleetOnOneMachine(LedgerContract):
    @pytest.fixture
    def ledgers(self, server: RedisServer, tmp_path: Path) -> Iterator[Ledgers]:
        with ExitStack() as closing:
            machines = Machines(tmp_path, InRedis(server).store, closing)
            yield ledgers_of(machines, "aaa", asked_at=asked_now())


@pytest.fixture
def place(own_server: RedisServer) -> InRedis:
    """In a Redis that may be killed."""
    return InRedis(own_server)


@pytest.fixture
def machines(place: InRedis, tmp_path: Path) -> Iterator[Machines]:
    with ExitStack() as closing:
        yield Machines(tmp_path, lambda: place.store(lease_s=LEASE_S), closing)


def entry(ledger: SharedLedger, name: str = "liba-1", *, id: str = "") -> Entry:
    vendor = FAKE_VENDOR.name
    return Entry(name, "demo", "http://127.0.0.1:1", ledger.owner, id, vendor, asked_at=asked_now())


def test_who_shows_no_life_for_a_lease_is_gone_and_who_does_is_not(machines: Machines) -> None:
    living, gone, other = (machines.ledger(name) for name in "abc")
    living.enter(entry(living, "liba-living"))
    gone.enter(entry(gone, "liba-gone"))
    for _ in range(6):
        time.sleep(LEASE_S / 4)
        living.show()
    assert [found.name for found in other.lapsed()] == ["liba-gone"]


def test_who_comes_back_before_it_is_looked_for_is_not_ended_by_who_had_found_it(
    machines: Machines,
) -> None:
    slow, other = machines.ledger("a"), machines.ledger("b")
    slow.enter(entry(slow))
    time.sleep(LEASE_S * 1.5)
    (found,) = other.lapsed()
    slow.show()
    assert not other.claim(found)


def test_what_others_have_ended_is_not_ended_again_when_its_machine_is_back(
    machines: Machines, tmp_path: Path
) -> None:
    crashed, other = machines.ledger("a"), machines.ledger("b")
    crashed.enter(entry(crashed))
    crashed.close()
    (found,) = other.lapsed()
    assert other.claim(found)
    other.forget(found)
    back = machines.ledger("a")
    (orphan,) = back.orphans()
    assert not back.claim(orphan)
    assert back.entries() == []


def test_what_was_ended_in_its_place_takes_no_place_when_it_shows_life_again(machines: Machines) -> None:
    slow, other = machines.ledger("a"), machines.ledger("b")
    slow.enter(entry(slow))
    time.sleep(LEASE_S * 1.5)
    (found,) = other.lapsed()
    assert other.claim(found)
    other.forget(found)
    slow.show()
    assert other.enter(entry(other, "liba-2"), most=1)


def test_an_empty_redis_makes_nobody_an_orphan_and_all_is_written_again(
    place: InRedis, machines: Machines
) -> None:
    living, other = machines.ledger("a"), machines.ledger("b")
    living.enter(entry(living), most=1)
    place.server.kill()
    assert living.enter(entry(living, "liba-2"), most=2), "it counts here alone"
    assert not living.enter(entry(living, "liba-3"), most=2), "and it does count"
    with pytest.raises(StoreError):
        living.show()
    place.server.start()
    place.watch_now += RETRY_S
    assert other.lapsed() == []
    living.show()
    assert other.lapsed() == []
    assert not other.enter(entry(other, "liba-4"), most=2)


def test_what_ended_while_redis_was_gone_is_crossed_out_when_its_machine_shows_life(
    place: InRedis, machines: Machines
) -> None:
    ledger, other = machines.ledger("a"), machines.ledger("b")
    older = replace(entry(ledger), asked_at=asked_now() - 120)
    ledger.enter(older)
    os.kill(place.server.pid, signal.SIGSTOP)
    ledger.forget(older)
    os.kill(place.server.pid, signal.SIGCONT)
    assert not other.enter(entry(other, "liba-2"), most=1)
    place.watch_now += RETRY_S
    ledger.show()
    assert other.enter(entry(other, "liba-2"), most=1)


def test_for_a_lease_after_redis_was_gone_nobody_is_taken_for_gone(
    place: InRedis, machines: Machines
) -> None:
    gone, other = machines.ledger("a"), machines.ledger("b")
    gone.enter(entry(gone))
    gone.close()
    os.kill(place.server.pid, signal.SIGSTOP)
    with pytest.raises(StoreError):
        other.show()
    os.kill(place.server.pid, signal.SIGCONT)
    assert other.lapsed() == []
    place.watch_now += RETRY_S
    assert [found.name for found in other.lapsed()] == ["liba-1"]


def test_a_redis_that_was_just_started_may_have_read_leases_that_nobody_could_renew(
    place: InRedis, machines: Machines
) -> None:
    living, other = machines.ledger("a"), machines.ledger("b")
    living.enter(entry(living))
    redis = make_redis_for_threads(place.server.url)
    redis.save()
    redis.close()
    place.server.kill()
    time.sleep(LEASE_S * 1.5)
    place.server.start()
    with pytest.raises(StoreError, match="was started less than 90 s ago: whether the owners of 1 "):
        other.lapsed()
    assert not other.enter(entry(other, "liba-2"), most=1), "what it had it has"


def test_a_conversation_of_long_ago_takes_nobodys_place(machines: Machines) -> None:
    one, other = machines.ledger("a"), machines.ledger("b")
    one.enter(replace(entry(one), asked_at=asked_now() - 4000))
    assert other.enter(entry(other, "liba-2"), most=1)


def test_all_that_is_kept_ends_by_itself(place: InRedis, machines: Machines) -> None:
    one, other = machines.ledger("a"), machines.ledger("b")
    for name in ("liba-1", "liba-2"):
        one.enter(entry(one, name))
    one.show()
    one.close()
    first, _ = other.lapsed()
    other.claim(first)
    other.forget(first)
    other.claim(other.lapsed()[0])
    redis = make_redis_for_threads(place.server.url)
    keys = list(redis.scan_iter("*"))
    assert len(keys) >= 3
    assert all(0 < redis.pttl(key) <= 2 * 86_400_000 for key in keys)
    redis.close()


CRASH = """
import os, sys
from pathlib import Path
from libacli.edges.avatars.ledger import Entry, Ledger
from libacli.edges.avatars.shared_ledger import SharedLedger
from libacli.edges.redis.connection import make_redis_for_threads
from libacli.edges.redis.conversations import RedisConversations
from libacli.edges.redis.watch import RedisWatch
folder, url, scope, lease_s, asked_at = sys.argv[1:]
store = RedisConversations(make_redis_for_threads(url), RedisWatch(), scope, lease_s=float(lease_s))
ledger = SharedLedger(Ledger(Path(folder)), store, "crashed")
for number in (1, 2, 3):
    ledger.enter(Entry(f"liba-{number}", "demo", "http://127.0.0.1:1", ledger.owner, f"c{number}", "fake",
                       asked_at=float(asked_at)))
os.kill(os.getpid(), 9)
"""


async def test_what_a_machine_that_was_killed_has_left_behind_several_others_end_exactly_once(
    place: InRedis, machines: Machines, tmp_path: Path
) -> None:
    service = FakeAvatarService()
    for number in (1, 2, 3):
        await service.create(invitation(f"liba-{number}"))
    arguments = [str(tmp_path / "crashed"), place.server.url, place.scope, str(LEASE_S), str(asked_now())]
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", CRASH, *arguments])
    others = [machines.ledger(name) for name in "abc"]
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:

        async def look(ledger: SharedLedger) -> None:
            while len(service.ends) < 3:
                await end_lapsed(service, ledger, nobody)
                await asyncio.sleep(0.05)

        for ledger in others:
            tasks.create_task(look(ledger))
    assert sorted(service.ends) == ["c1", "c2", "c3"]
    back = SharedLedger(Ledger(tmp_path / "crashed"), place.store(), "crashed")
    assert await end_orphans(service, back) == 0
    assert (len(service.ends), await asyncio.to_thread(back.entries)) == (3, [])
    await asyncio.to_thread(back.close)


async def test_what_an_agent_needs_that_answers_is_left_to_it_whatever_its_lease_says(
    place: InRedis, machines: Machines
) -> None:
    service = FakeAvatarService()
    await service.create(invitation("liba-0a1b2c-agent1-0123abcd-1-demo"))
    cut_off, other = machines.ledger("a"), machines.ledger("b")
    left_out = entry(cut_off, "liba-0a1b2c-agent1-0123abcd-1-demo", id="c1")
    await asyncio.to_thread(cut_off.enter, left_out)
    await asyncio.sleep(LEASE_S * 1.5)

    async def all_are_needed(_: object) -> bool:
        return True

    assert await end_lapsed(service, other, all_are_needed) == 0
    assert (service.ends, len(await asyncio.to_thread(other.lapsed))) == ([], 1)


async def test_a_ledger_that_is_kept_lives_on_while_redis_comes_and_goes(
    place: InRedis, machines: Machines
) -> None:
    living, other = machines.ledger("a"), machines.ledger("b")
    await asyncio.to_thread(living.enter, entry(living))
    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(living.keep())
        await asyncio.sleep(LEASE_S * 2)
        assert await asyncio.to_thread(other.lapsed) == []
        await asyncio.to_thread(place.server.kill)
        await asyncio.sleep(LEASE_S)
        await asyncio.to_thread(place.server.start)
        place.watch_now += RETRY_S
        async with asyncio.timeout(10):
            while await asyncio.to_thread(other.enter, entry(other, "liba-2"), most=1):
                await asyncio.to_thread(other.forget, entry(other, "liba-2"))
                await asyncio.sleep(0.05)
        await asyncio.sleep(LEASE_S * 2)
        assert await asyncio.to_thread(other.lapsed) == []
        keeping.cancel()
