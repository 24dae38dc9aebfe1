from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from limits.aio.storage import MemoryStorage
from starlette.requests import Request

from libacli.config import Settings
from libacli.errors import ConfigError
from libacli.web.auth import WRONG_PER_MINUTE, Caller, Callers, address_of, check_bind
from libacli.web.keys import new_key
from libacli.web.problems import Problem
from libacli.web.sessions import SESSION_VALID_S, Sessions

KEY, ENTRY = new_key("laptop")
OTHER_KEY, OTHER_ENTRY = new_key("ci")
WRONG = "Bearer liba_" + "A" * 43
HERE, THERE = "192.0.2.1", "192.0.2.2"
ANY = Caller("any", None, True)
VIEWER = Caller("viewer", "demo", False)


def make(*, keys: tuple[str, ...] = (), per_minute: int = 600, loopback: bool = True) -> Callers:
    settings = Settings(serve_keys=keys, serve_rate_per_minute=per_minute)
    return Callers(settings, Sessions(), host_is_loopback=loopback)


async def refusal(letting_in: Awaitable[object]) -> Problem:
    with pytest.raises(Problem) as caught:
        await letting_in
    return caught.value


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


async def test_on_loopback_without_keys_whoever_calls_may_do_everything() -> None:
    assert await make().let_in(None, "127.0.0.1") == Caller("local", None, True)


async def test_a_key_may_do_everything_everywhere() -> None:
    callers = make(keys=(OTHER_ENTRY, ENTRY), loopback=False)
    assert await callers.let_in(f"Bearer {KEY}", HERE) == Caller("key laptop", None, True)
    assert await callers.let_in(f"bearer  {OTHER_KEY} ", HERE) == Caller("key ci", None, True)


@pytest.mark.parametrize("can_say", [False, True])
async def test_a_session_may_do_what_its_code_was_made_for(can_say: bool) -> None:
    sessions = Sessions(now=lambda: 0.0)
    redeemed = sessions.redeem(sessions.new_code("demo", can_say=can_say))
    assert redeemed
    token, session = redeemed
    callers = Callers(Settings(), sessions, host_is_loopback=False)
    assert await callers.let_in(f"Bearer {token}", HERE) == Caller(
        session.name, "demo", can_say, valid_for_s=SESSION_VALID_S
    )


@pytest.mark.parametrize("loopback", [False, True])
async def test_where_there_are_keys_one_is_needed(loopback: bool) -> None:
    problem = await refusal(make(keys=(ENTRY,), loopback=loopback).let_in(None, "127.0.0.1"))
    assert (problem.status, problem.reason) == (401, "unauthorized")
    assert problem.headers["WWW-Authenticate"] == "Bearer"


async def test_beyond_loopback_nobody_comes_in_without_a_key_even_if_there_is_none() -> None:
    assert (await refusal(make(loopback=False).let_in(None, "127.0.0.1"))).status == 401


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        WRONG,
        KEY,
        f"Basic {KEY}",
        f"Bearer {KEY}x",
        f"Bearer {KEY},{KEY}",
        "Bearer \xff",
    ],
)
@pytest.mark.parametrize("keys", [(), (ENTRY,)])
async def test_a_wrong_header_is_refused_even_where_none_is_needed(
    keys: tuple[str, ...], authorization: str
) -> None:
    problem = await refusal(make(keys=keys).let_in(authorization, "127.0.0.1"))
    assert (problem.status, problem.reason) == (401, "unauthorized")
    assert KEY not in f"{problem.detail} {problem.hint} {problem.headers}"


async def test_after_twenty_wrong_keys_nothing_from_that_address_is_compared() -> None:
    callers = make(keys=(ENTRY,))
    # A minute that ends meanwhile gives back less than two.
    told = await reasons(WRONG_PER_MINUTE + 2, lambda: callers.let_in(WRONG, HERE))
    assert told[:WRONG_PER_MINUTE] == ["unauthorized"] * WRONG_PER_MINUTE
    assert told[-1] == "rate_limited"
    problem = await refusal(callers.let_in(f"Bearer {KEY}", HERE))
    assert (problem.status, problem.reason) == (429, "rate_limited")
    assert 1 <= int(problem.headers["Retry-After"]) <= 60
    assert (await callers.let_in(f"Bearer {KEY}", THERE)).name == "key laptop"


async def test_a_key_that_is_left_out_counts_as_a_wrong_one() -> None:
    callers = make(keys=(ENTRY,))
    told = await reasons(WRONG_PER_MINUTE + 2, lambda: callers.let_in(None, HERE))
    assert (told[0], told[-1]) == ("unauthorized", "rate_limited")


async def test_right_keys_do_not_count_as_wrong() -> None:
    callers = make(keys=(ENTRY,))
    told = await reasons(3 * WRONG_PER_MINUTE, lambda: callers.let_in(f"Bearer {KEY}", HERE))
    assert not any(told)


async def test_wrong_keys_of_one_program_do_not_lock_out_the_others_on_a_machine_without_keys() -> None:
    callers = make()
    await reasons(WRONG_PER_MINUTE + 2, lambda: callers.let_in(WRONG, "127.0.0.1"))
    assert (await callers.let_in(None, "127.0.0.1")).name == "local"


async def test_one_address_has_so_many_requests_a_minute() -> None:
    callers = make(per_minute=3)
    told = await reasons(5, lambda: callers.let_in(None, HERE))
    assert told[:3] == [""] * 3
    assert told[-1] == "rate_limited"
    assert (await callers.let_in(None, THERE)).name == "local"


async def test_one_key_has_so_many_requests_a_minute_from_wherever_they_come() -> None:
    callers = make(keys=(ENTRY, OTHER_ENTRY), per_minute=3)
    addresses = (f"192.0.2.{number}" for number in range(1, 9))
    told = await reasons(5, lambda: callers.let_in(f"Bearer {KEY}", next(addresses)))
    assert told[:3] == [""] * 3
    assert told[-1] == "rate_limited"
    assert (await callers.let_in(f"Bearer {OTHER_KEY}", next(addresses))).name == "key ci"


async def test_wrong_keys_use_up_what_an_address_has_but_not_what_a_key_has() -> None:
    callers = make(keys=(ENTRY,), per_minute=3)
    told = await reasons(5, lambda: callers.let_in(WRONG, HERE))
    assert (told[0], told[-1]) == ("unauthorized", "rate_limited")
    assert (await callers.let_in(f"Bearer {KEY}", THERE)).name == "key laptop"


async def test_a_limit_of_zero_is_none() -> None:
    callers = make(per_minute=0)
    assert not any(await reasons(1000, lambda: callers.let_in(None, HERE)))


async def test_addresses_that_nobody_comes_from_any_more_are_forgotten() -> None:
    callers = make(keys=(ENTRY,))
    await reasons(1, lambda: callers.let_in(f"Bearer {KEY}", THERE))
    addresses = (f"192.0.2.{number}" for number in range(300))
    await reasons(300, lambda: callers.let_in(WRONG, next(addresses)))
    kept = callers._limiter.storage
    assert isinstance(kept, MemoryStorage)
    assert len(kept.storage) > 600
    kept.expirations = dict.fromkeys(kept.expirations, 0.0)  # minutes pass
    await reasons(1, lambda: callers.let_in(None, HERE))
    await asyncio.sleep(0)  # it cleans up beside its work
    assert len(kept.storage) <= 3
    assert max(len(kept.locks), len(kept.expirations), len(kept.events)) <= 3


def test_who_is_bound_to_no_room_means_the_one_he_names_or_that_of_the_settings() -> None:
    assert ANY.room_or("demo", None) == "demo"
    assert ANY.room_or("demo", "lobby") == "lobby"


def test_who_is_bound_to_a_room_means_that_one() -> None:
    assert VIEWER.room_or("lobby", None) == "demo"
    assert VIEWER.room_or("lobby", "demo") == "demo"


@pytest.mark.parametrize("wanted", ["lobby", "", "DEMO", "demo "])
def test_who_is_bound_to_a_room_may_not_ask_for_another_one(wanted: str) -> None:
    with pytest.raises(Problem) as caught:
        VIEWER.room_or("lobby", wanted)
    assert (caught.value.status, caught.value.reason) == (403, "other_room")


def test_who_may_watch_may_not_speak() -> None:
    ANY.check_can_say()
    with pytest.raises(Problem) as caught:
        VIEWER.check_can_say()
    assert (caught.value.status, caught.value.reason) == (403, "watch_only")


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
    assert address_of(request_from((host, 50000))) == known_as


def test_who_comes_through_a_socket_without_addresses_is_limited_too() -> None:
    assert address_of(request_from(None)) == ""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_loopback_needs_no_key(host: str) -> None:
    assert check_bind(Settings(serve_host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", "localhost.example.org"])
def test_any_other_bind_is_refused_without_keys(host: str) -> None:
    with pytest.raises(ConfigError, match="no API key") as caught:
        check_bind(Settings(serve_host=host))
    assert "--new-key" in caught.value.hint
    assert not check_bind(Settings(serve_host=host, serve_keys=(ENTRY,)))


def test_loopback_behind_a_public_address_is_refused_without_keys() -> None:
    public = "https://speak.example.org"
    with pytest.raises(ConfigError, match=r"whoever reaches https://speak\.example\.org"):
        check_bind(Settings(serve_public_url=public))
    assert not check_bind(Settings(serve_public_url=public, serve_keys=(ENTRY,)))


def test_loopback_by_another_name_stays_loopback() -> None:
    assert check_bind(Settings(serve_public_url="http://liba.localhost:9000"))


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_an_entry_that_is_no_key_stops_the_server_before_it_binds(host: str) -> None:
    with pytest.raises(ConfigError, match="entry 1"):
        check_bind(Settings(serve_host=host, serve_keys=("laptop:1234",)))
