"""Codes and sessions, in memory and shared: the same rules."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest

from libacli.core.entry import Session
from libacli.web.sessions import CODE_VALID_S, SESSION_VALID_S, Sessions
from libacli.web.stores import Stores
from tests.redis_server import RedisServer
from tests.web.clock import Clock
from tests.web.entering import enter, new_guest
from tests.web.store_kinds import anyio_backend, real_redis, shared_stores, stores

__all__ = ["anyio_backend", "real_redis", "stores"]

Ended: TypeAlias = list[Session]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ended() -> Ended:
    """The sessions that have ended, as whoever has to know is told."""
    return []


@pytest.fixture
def sessions(clock: Clock, stores: Stores, ended: Ended) -> Sessions:
    return Sessions(clock, stores.sessions, on_end=teller(ended))


def teller(ended: Ended) -> Callable[[Session], Awaitable[None]]:
    async def tell(session: Session) -> None:
        ended.append(session)

    return tell


async def code_for(sessions: Sessions, host: Session | None = None, *, can_say: bool = False) -> str:
    return (await sessions.new_code("demo", can_say=can_say, host=host)).secret


async def known(sessions: Sessions, tokens: list[str]) -> list[bool]:
    return [bool(await sessions.find_session(token)) for token in tokens]


@pytest.mark.parametrize("can_say", [False, True])
async def test_a_code_gives_a_session_for_its_room_and_its_right(sessions: Sessions, can_say: bool) -> None:
    token, session = await enter(sessions, "lobby", can_say=can_say)
    assert (session.room, session.can_say) == ("lobby", can_say)
    assert session.identity.startswith("viewer-")
    assert await sessions.find_session(token) == session


async def test_a_code_works_once(sessions: Sessions) -> None:
    code = await code_for(sessions)
    assert await sessions.redeem_code(code)
    assert await sessions.redeem_code(code) is None


async def test_of_many_who_bring_one_code_at_once_one_is_let_in(sessions: Sessions) -> None:
    code = await code_for(sessions)
    async with asyncio.TaskGroup() as tasks:
        trades = [tasks.create_task(sessions.redeem_code(code)) for _ in range(20)]
    assert sum(bool(trade.result()) for trade in trades) == 1
    assert len(await sessions.all()) == 1


async def test_a_code_works_for_ten_minutes(sessions: Sessions, clock: Clock) -> None:
    in_time, too_late = [await code_for(sessions) for _ in range(2)]
    clock.now += CODE_VALID_S - 0.1
    assert await sessions.redeem_code(in_time)
    clock.now += 0.1
    assert await sessions.redeem_code(too_late) is None


async def test_a_session_is_known_for_twelve_hours_from_when_the_code_was_traded(
    sessions: Sessions, clock: Clock
) -> None:
    code = await code_for(sessions)
    clock.now += 300
    redeemed = await sessions.redeem_code(code)
    assert redeemed
    token, session = redeemed
    clock.now += SESSION_VALID_S - 0.1
    assert await sessions.find_session(token) == session
    clock.now += 0.1
    assert await sessions.find_session(token) is None


async def test_a_token_is_random_long_and_not_the_code(sessions: Sessions) -> None:
    code = await code_for(sessions)
    redeemed = await sessions.redeem_code(code)
    assert redeemed
    token, _ = redeemed
    assert token.startswith("lss_")
    assert len(token) == len("lss_") + 43
    assert token != (await enter(sessions))[0]
    assert await sessions.find_session(code) is None


async def test_a_token_is_no_code(sessions: Sessions) -> None:
    token, _ = await enter(sessions)
    assert await sessions.redeem_code(token) is None


@pytest.mark.parametrize("guess", ["", "lss_", "\ud800", "lss_\ud800", "ключ", "a" * 100_000])
async def test_a_guess_opens_nothing(sessions: Sessions, guess: str) -> None:
    await enter(sessions)
    assert await sessions.redeem_code(guess) is None
    assert await sessions.find_session(guess) is None


async def test_each_session_has_a_name_of_its_own_that_is_no_part_of_a_secret(sessions: Sessions) -> None:
    (token, first), (_, second) = await enter(sessions), await enter(sessions)
    assert first.name != second.name
    assert first.name.removeprefix("session ") not in token


async def test_neither_codes_nor_tokens_are_kept(sessions: Sessions, stores: Stores) -> None:
    code = await code_for(sessions)
    token, session = await enter(sessions)
    kept = repr(vars(stores.sessions)) + repr(vars(sessions)) + repr(session)
    assert code not in kept
    assert token not in kept


async def test_of_more_than_a_thousand_sessions_the_oldest_ends(sessions: Sessions, ended: Ended) -> None:
    (first, oldest), *others = [await enter(sessions) for _ in range(1001)]
    assert await known(sessions, [first, others[0][0], others[-1][0]]) == [False, True, True]
    assert ended == [oldest]
    assert await sessions.all() == [session for _, session in others]


async def test_of_more_than_a_thousand_codes_the_oldest_works_no_more(sessions: Sessions) -> None:
    first, second, *others = [await code_for(sessions) for _ in range(1001)]
    trades = [await sessions.redeem_code(code) for code in (first, second, others[-1])]
    assert [bool(trade) for trade in trades] == [False, True, True]


async def test_who_comes_by_the_link_of_a_session_shares_its_name_and_its_end(
    sessions: Sessions, clock: Clock
) -> None:
    _, host = await enter(sessions)
    _, stranger = await enter(sessions)
    guest = host
    for _ in range(3):  # guests of guests, too
        clock.now += 3600
        token, guest = await new_guest(sessions, guest)
        assert (guest.name, guest.expires_at) == (host.name, host.expires_at)
        assert sessions.seconds_left(guest) == host.expires_at - clock.now
    assert stranger.name != host.name
    clock.now = host.expires_at
    assert await sessions.find_session(token) is None


async def test_a_session_that_lets_in_ever_more_pushes_out_nobody_but_its_own_guests(
    sessions: Sessions,
) -> None:
    owner, _ = await enter(sessions, can_say=True)
    _, host = await enter(sessions)
    waiting = await code_for(sessions)
    for _ in range(501):
        await code_for(sessions, host)
        token, _ = await new_guest(sessions, host)
    assert await known(sessions, [token, owner]) == [True, True]
    assert await sessions.redeem_code(waiting)


async def test_a_link_of_a_session_in_its_last_minutes_works_no_longer_than_the_session(
    sessions: Sessions, clock: Clock
) -> None:
    _, host = await enter(sessions)
    clock.now = host.expires_at - 240
    in_time, too_late = [await sessions.new_code("demo", can_say=False, host=host) for _ in range(2)]
    assert in_time.valid_for_s == too_late.valid_for_s == 240
    clock.now = host.expires_at - 1
    redeemed = await sessions.redeem_code(in_time.secret)
    assert redeemed
    assert sessions.seconds_left(redeemed[1]) == 1
    clock.now = host.expires_at + 240
    assert await sessions.redeem_code(too_late.secret) is None


async def test_however_many_guests_a_session_lets_in_it_stays_let_in_itself(
    sessions: Sessions, ended: Ended
) -> None:
    token, host = await enter(sessions)
    guests = [await new_guest(sessions, host) for _ in range(120)]
    assert await sessions.find_session(token) == host
    assert await known(sessions, [guest for guest, _ in guests]) == [False] * 70 + [True] * 50
    assert ended == [guest for _, guest in guests[:70]]


async def test_a_session_that_is_ended_opens_nothing_and_its_guests_and_codes_go_with_it(
    sessions: Sessions, ended: Ended
) -> None:
    token, host = await enter(sessions)
    stranger, _ = await enter(sessions)
    waiting = await code_for(sessions, host)
    guests = [await new_guest(sessions, host) for _ in range(2)]
    assert await sessions.end(host) == ended == [host, *(guest for _, guest in guests)]
    assert len({gone.identity for gone in ended}) == 3
    assert not any(await known(sessions, [token, *(token for token, _ in guests)]))
    assert await sessions.redeem_code(waiting) is None
    assert await sessions.find_session(stranger)
    assert await sessions.end(host) == []


async def test_what_its_host_lets_in_after_its_end_is_let_in_no_more(sessions: Sessions) -> None:
    _, host = await enter(sessions)
    await sessions.end(host)
    assert await sessions.redeem_code(await code_for(sessions, host)) is None
    assert await sessions.all() == []


async def test_a_guest_that_leaves_leaves_alone(sessions: Sessions, ended: Ended) -> None:
    token, host = await enter(sessions)
    (_, first), (other, second) = [await new_guest(sessions, host) for _ in range(2)]
    assert await sessions.end(first) == ended == [first]
    assert await sessions.find_session(token) == host
    assert await sessions.find_session(other) == second
    assert await sessions.redeem_code(await code_for(sessions, host))


async def test_those_that_were_ended_are_told_from_those_that_were_not(sessions: Sessions) -> None:
    (_, first), (_, second) = await enter(sessions), await enter(sessions)
    await sessions.end(first)
    assert await sessions.ended([first, second]) == [first]
    assert await sessions.ended([]) == []


async def test_a_session_that_ends_by_itself_is_noticed_once(
    sessions: Sessions, clock: Clock, ended: Ended
) -> None:
    _, first = await enter(sessions)
    clock.now += 1
    _, second = await enter(sessions)
    clock.now = first.expires_at
    for _ in range(2):
        await sessions.end_expired()
    assert ended == [first]
    assert await sessions.all() == [second]


async def test_a_code_shows_in_no_log(sessions: Sessions) -> None:
    code = await sessions.new_code("demo", can_say=True)
    assert code.secret not in repr(code)


async def test_what_a_key_lets_in_stands_for_itself(sessions: Sessions) -> None:
    (_, first), (_, second) = await enter(sessions), await enter(sessions)
    assert first.name != second.name


async def test_servers_that_share_nothing_are_strangers_to_each_other(clock: Clock) -> None:
    token, _ = await enter(Sessions(clock))
    assert await Sessions(clock).find_session(token) is None


async def test_servers_that_share_know_each_others_and_one_is_told_of_an_end(
    clock: Clock, real_redis: RedisServer
) -> None:
    async with (
        shared_stores(real_redis, "two") as (one, shared),
        shared_stores(real_redis, "two") as (two, _),
    ):
        told: list[Ended] = [[], []]
        here, there = (
            Sessions(clock, replica.sessions, on_end=teller(ended))
            for replica, ended in zip((one, two), told, strict=True)
        )
        token, session = await enter(here)
        assert await there.find_session(token) == session
        clock.now = session.expires_at
        async with asyncio.TaskGroup() as tasks:
            for sessions in (here, there) * 5:
                tasks.create_task(sessions.end_expired())
        assert [*told[0], *told[1]] == [session]
        assert await here.all() == await there.all() == []
        assert await shared.client.zcard(shared.key("sessions")) == 0


async def test_every_key_has_an_end_and_the_prefix_and_none_holds_a_secret(
    clock: Clock, real_redis: RedisServer
) -> None:
    async with shared_stores(real_redis, "brief") as (stores, shared):
        sessions = Sessions(clock, stores.sessions)
        code = await code_for(sessions)
        token, host = await enter(sessions)
        await new_guest(sessions, host)
        await sessions.end_named("nobody")
        await stores.tokens.count(host, clock.now + 600, most=5, now=clock.now)
        await stores.tokens.dismiss(host, leeway_s=60)
        await stores.tokens.take_turn(5)
        keys: list[bytes] = [key async for key in shared.client.scan_iter()]
        ours = [key for key in keys if key.startswith(b"brief:web:")]
        assert len(ours) >= 10
        for key in ours:
            assert 0 < await shared.client.pttl(key) <= 24 * 3600 * 1000, key
            assert code not in key.decode() and token not in key.decode()
            dump = await shared.client.dump(key)
            assert dump and code.encode() not in dump and token.encode() not in dump
