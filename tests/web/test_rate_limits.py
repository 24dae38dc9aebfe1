"""Limits as callers meet them, on their way through the authenticator."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from limits.aio.storage import MemoryStorage
from starlette.requests import Request

from libacli.config import Settings
from libacli.web.auth import Authenticator
from libacli.web.keys import new_key
from libacli.web.problems import Problem
from libacli.web.rate_limits import WRONG_ATTEMPTS_PER_MINUTE, RateLimits, client_address
from libacli.web.sessions import Sessions
from libacli.web.stores import Stores
from tests.redis_server import RedisServer
from tests.web.entering import enter
from tests.web.store_kinds import anyio_backend, real_redis, shared_stores, stores

__all__ = ["anyio_backend", "real_redis", "stores"]

KEY, ENTRY = new_key("laptop")
OTHER_KEY, OTHER_ENTRY = new_key("ci")
WRONG = "Bearer liba_" + "A" * 43
HERE, THERE = "192.0.2.1", "192.0.2.2"


def make(
    *, keys: tuple[str, ...] = (), per_minute: int = 600, limits: RateLimits | None = None
) -> Authenticator:
    settings = Settings(serve_keys=keys)
    return Authenticator(settings, Sessions(), limits or RateLimits(per_minute), host_is_loopback=True)


async def reasons(times: int, call: Callable[[], Awaitable[object]]) -> list[str]:
    """Why each of so many calls was refused; empty where it was not."""
    told = []
    for _ in range(times):
        try:
            await call()
            told.append("")
        except Problem as problem:
            told.append(problem.reason)
    return told


def request_from(client: tuple[str, int] | None) -> Request:
    return Request({"type": "http", "client": client, "headers": []})


async def test_after_twenty_wrong_keys_no_other_one_from_that_address_is_told_that_it_is_wrong() -> None:
    authenticator = make(keys=(ENTRY,))
    # A minute that ends meanwhile gives back less than two.
    told = await reasons(WRONG_ATTEMPTS_PER_MINUTE + 2, lambda: authenticator.authenticate(WRONG, HERE))
    assert told[:WRONG_ATTEMPTS_PER_MINUTE] == ["unauthorized"] * WRONG_ATTEMPTS_PER_MINUTE
    assert told[-1] == "rate_limited"
    with pytest.raises(Problem) as caught:
        await authenticator.authenticate(WRONG, HERE)
    problem = caught.value
    assert (problem.status, problem.reason) == (429, "rate_limited")
    assert 1 <= int(problem.headers["Retry-After"]) <= 60


@pytest.mark.parametrize("per_minute", [0, 3, 600])
async def test_guess_lockout_of_wrong_keys_is_nobodys_who_comes_from_the_same_address(
    per_minute: int,
) -> None:
    sessions = Sessions()
    settings = Settings(serve_keys=(ENTRY,))
    authenticator = Authenticator(settings, sessions, RateLimits(per_minute), host_is_loopback=True)
    token, session = await enter(sessions)
    await reasons(1000, lambda: authenticator.authenticate(WRONG, HERE))
    assert (await authenticator.authenticate(f"Bearer {KEY}", HERE)).name == "key laptop"
    assert (await authenticator.authenticate(f"Bearer {token}", HERE)).name == session.name


async def test_those_behind_one_address_who_have_keys_are_counted_each() -> None:
    authenticator = make(keys=(ENTRY, OTHER_ENTRY), per_minute=3)
    told = await reasons(5, lambda: authenticator.authenticate(f"Bearer {KEY}", HERE))
    assert (told[:3], told[-1]) == ([""] * 3, "rate_limited")
    assert (await authenticator.authenticate(f"Bearer {OTHER_KEY}", HERE)).name == "key ci"


async def test_a_key_that_is_left_out_counts_as_a_wrong_one() -> None:
    authenticator = make(keys=(ENTRY,))
    told = await reasons(WRONG_ATTEMPTS_PER_MINUTE + 2, lambda: authenticator.authenticate(None, HERE))
    assert (told[0], told[-1]) == ("unauthorized", "rate_limited")


async def test_right_keys_do_not_count_as_wrong() -> None:
    authenticator = make(keys=(ENTRY,))
    told = await reasons(
        3 * WRONG_ATTEMPTS_PER_MINUTE, lambda: authenticator.authenticate(f"Bearer {KEY}", HERE)
    )
    assert not any(told)


async def test_wrong_keys_of_one_program_do_not_lock_out_the_others_on_a_machine_without_keys() -> None:
    authenticator = make()
    await reasons(WRONG_ATTEMPTS_PER_MINUTE + 2, lambda: authenticator.authenticate(WRONG, "127.0.0.1"))
    assert (await authenticator.authenticate(None, "127.0.0.1")).name == "local"


async def test_one_address_has_so_many_requests_a_minute() -> None:
    authenticator = make(per_minute=3)
    told = await reasons(5, lambda: authenticator.authenticate(None, HERE))
    assert told[:3] == [""] * 3
    assert told[-1] == "rate_limited"
    assert (await authenticator.authenticate(None, THERE)).name == "local"


async def test_one_key_has_so_many_requests_a_minute_from_wherever_they_come() -> None:
    authenticator = make(keys=(ENTRY, OTHER_ENTRY), per_minute=3)
    addresses = (f"192.0.2.{number}" for number in range(1, 9))
    told = await reasons(5, lambda: authenticator.authenticate(f"Bearer {KEY}", next(addresses)))
    assert told[:3] == [""] * 3
    assert told[-1] == "rate_limited"
    assert (await authenticator.authenticate(f"Bearer {OTHER_KEY}", next(addresses))).name == "key ci"


async def test_wrong_keys_use_up_what_an_address_has_but_not_what_a_key_has() -> None:
    authenticator = make(keys=(ENTRY,), per_minute=3)
    told = await reasons(5, lambda: authenticator.authenticate(WRONG, HERE))
    assert (told[0], told[-1]) == ("unauthorized", "rate_limited")
    assert (await authenticator.authenticate(f"Bearer {KEY}", THERE)).name == "key laptop"


async def test_a_limit_of_zero_is_none() -> None:
    authenticator = make(per_minute=0)
    assert not any(await reasons(1000, lambda: authenticator.authenticate(None, HERE)))


async def test_addresses_that_nobody_comes_from_any_more_are_forgotten() -> None:
    rate_limits = RateLimits(600)
    authenticator = make(keys=(ENTRY,), limits=rate_limits)
    await reasons(1, lambda: authenticator.authenticate(f"Bearer {KEY}", THERE))
    addresses = (f"192.0.2.{number}" for number in range(300))
    await reasons(300, lambda: authenticator.authenticate(WRONG, next(addresses)))
    kept = rate_limits._limiter.storage
    assert isinstance(kept, MemoryStorage)
    assert len(kept.storage) > 600
    kept.expirations = dict.fromkeys(kept.expirations, 0.0)  # minutes pass
    await reasons(1, lambda: authenticator.authenticate(None, HERE))
    await asyncio.sleep(0)  # it cleans up beside its work
    assert len(kept.storage) <= 3
    assert max(len(kept.locks), len(kept.expirations), len(kept.events)) <= 3


@pytest.mark.parametrize(
    ("host", "known_as"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ("fe80::1%eth0", "fe80::"),
        ("not an address", "not an address"),
    ],
)
def test_limits_know_an_address_of_ipv6_by_its_network(host: str, known_as: str) -> None:
    assert client_address(request_from((host, 50000))) == known_as


def test_who_comes_through_a_socket_without_addresses_is_limited_too() -> None:
    assert client_address(request_from(None)) == ""


async def test_requests_are_counted_by_the_same_rule_wherever_the_counts_are(stores: Stores) -> None:
    limits = RateLimits(3, stores.counts)
    told = await reasons(5, lambda: limits.count_caller_request("key laptop"))
    assert (told[:3], told[-1]) == ([""] * 3, "rate_limited")
    assert not any(await reasons(3, lambda: limits.count_caller_request("key ci")))


async def test_servers_that_share_count_together(real_redis: RedisServer) -> None:
    one_more = functools.partial(shared_stores, real_redis, "sum")
    async with one_more() as (one, shared), one_more() as (two, _):
        replicas = [RateLimits(4, replica.counts) for replica in (one, two)]
        calls = [functools.partial(limits.count_caller_request, "ann") for limits in replicas * 4]
        told = [await reasons(1, call) for call in calls]
        assert told.count(["rate_limited"]) >= 3
        keys: list[bytes] = [key async for key in shared.client.scan_iter("*ann*")]
        assert keys
        for key in keys:
            assert key.startswith(b"sum:web:counts")
            assert 0 < await shared.client.pttl(key) <= 120_000


async def test_while_what_is_shared_is_gone_requests_are_counted_here(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with RedisServer(tmp_path) as server:
        async with shared_stores(server, "gone") as (stores, _):
            limits = RateLimits(3, stores.counts)
            await limits.count_caller_request("ann")
            server.kill()
            told = await reasons(5, lambda: limits.count_caller_request("ann"))
    assert (told[:3], told[-1]) == ([""] * 3, "rate_limited")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
