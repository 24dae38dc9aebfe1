from __future__ import annotations

from collections.abc import Awaitable

import pytest

from libacli.config import Settings
from libacli.errors import ConfigError
from libacli.web.auth import Authenticator, Caller, check_bind
from libacli.web.keys import new_key
from libacli.web.problems import Problem
from libacli.web.rate_limits import RateLimits
from libacli.web.sessions import SESSION_VALID_S, Sessions

KEY, ENTRY = new_key("laptop")
OTHER_KEY, OTHER_ENTRY = new_key("ci")
WRONG = "Bearer liba_" + "A" * 43
HERE = "192.0.2.1"
ANY = Caller("any", None, True, True)
VIEWER = Caller("viewer", "demo", False)


def make(*, keys: tuple[str, ...] = (), loopback: bool = True) -> Authenticator:
    settings = Settings(serve_keys=keys)
    return Authenticator(settings, Sessions(), RateLimits(600), host_is_loopback=loopback)


async def refusal(letting_in: Awaitable[object]) -> Problem:
    with pytest.raises(Problem) as caught:
        await letting_in
    return caught.value


async def test_on_loopback_without_keys_whoever_calls_may_do_everything() -> None:
    assert await make().authenticate(None, "127.0.0.1") == Caller("local", None, True, True)


async def test_a_key_may_do_everything_everywhere() -> None:
    authenticator = make(keys=(OTHER_ENTRY, ENTRY), loopback=False)
    assert await authenticator.authenticate(f"Bearer {KEY}", HERE) == Caller("key laptop", None, True, True)
    assert await authenticator.authenticate(f"bearer  {OTHER_KEY} ", HERE) == Caller(
        "key ci", None, True, True
    )


@pytest.mark.parametrize("can_say", [False, True])
async def test_a_session_may_do_what_its_code_was_made_for(can_say: bool) -> None:
    sessions = Sessions(now=lambda: 0.0)
    redeemed = await sessions.redeem_code((await sessions.new_code("demo", can_say=can_say)).secret)
    assert redeemed
    token, session = redeemed
    authenticator = Authenticator(Settings(), sessions, RateLimits(600), host_is_loopback=False)
    caller = await authenticator.authenticate(f"Bearer {token}", HERE)
    assert caller == Caller(session.name, "demo", can_say, valid_for_s=SESSION_VALID_S, session=session)
    assert caller.session
    assert caller.seat not in token


@pytest.mark.parametrize("loopback", [False, True])
async def test_where_there_are_keys_one_is_needed(loopback: bool) -> None:
    problem = await refusal(make(keys=(ENTRY,), loopback=loopback).authenticate(None, "127.0.0.1"))
    assert (problem.status, problem.reason) == (401, "unauthorized")
    assert problem.headers["WWW-Authenticate"] == "Bearer"


async def test_beyond_loopback_nobody_comes_in_without_a_key_even_if_there_is_none() -> None:
    assert (await refusal(make(loopback=False).authenticate(None, "127.0.0.1"))).status == 401


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
    ids=lambda header: header.replace(KEY, "KEY"),  # the key is another one in each process that runs tests
)
@pytest.mark.parametrize("keys", [(), (ENTRY,)])
async def test_a_wrong_header_is_refused_even_where_none_is_needed(
    keys: tuple[str, ...], authorization: str
) -> None:
    problem = await refusal(make(keys=keys).authenticate(authorization, "127.0.0.1"))
    assert (problem.status, problem.reason) == (401, "unauthorized")
    assert KEY not in f"{problem.detail} {problem.hint} {problem.headers}"


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


def test_who_may_speak_may_not_stop_or_go_first() -> None:
    ANY.check_can_control()
    with pytest.raises(Problem) as caught:
        Caller("guest", "demo", True).check_can_control()
    assert (caught.value.status, caught.value.reason) == (403, "no_control")


def test_only_who_is_on_this_machine_speaks_on_the_owners_account() -> None:
    callers = [Caller(name, None, True) for name in ("local", "key laptop", "session 3f9a1c02")]
    assert [caller.on_behalf for caller in callers] == ["", "key laptop", "session 3f9a1c02"]


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
