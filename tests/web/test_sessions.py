from __future__ import annotations

import pytest

from libacli.web.sessions import CODE_VALID_S, SESSION_VALID_S, Session, Sessions


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(clock)


def enter(sessions: Sessions, room: str = "demo", *, can_say: bool = False) -> tuple[str, Session]:
    redeemed = sessions.redeem_code(sessions.new_code(room, can_say=can_say).secret)
    assert redeemed
    return redeemed


@pytest.mark.parametrize("can_say", [False, True])
def test_a_code_gives_a_session_for_its_room_and_its_right(sessions: Sessions, can_say: bool) -> None:
    token, session = enter(sessions, "lobby", can_say=can_say)
    assert (session.room, session.can_say) == ("lobby", can_say)
    assert session.identity.startswith("viewer-")
    assert sessions.find_session(token) == session


def test_a_code_works_once(sessions: Sessions) -> None:
    code = sessions.new_code("demo", can_say=True).secret
    assert sessions.redeem_code(code)
    assert sessions.redeem_code(code) is None


def test_a_code_works_for_ten_minutes(sessions: Sessions, clock: Clock) -> None:
    in_time, too_late = (sessions.new_code("demo", can_say=True).secret for _ in range(2))
    clock.now += CODE_VALID_S - 0.1
    assert sessions.redeem_code(in_time)
    clock.now += 0.1
    assert sessions.redeem_code(too_late) is None


def test_a_session_is_known_for_twelve_hours_from_when_the_code_was_traded(
    sessions: Sessions, clock: Clock
) -> None:
    code = sessions.new_code("demo", can_say=True).secret
    clock.now += 300
    redeemed = sessions.redeem_code(code)
    assert redeemed
    token, session = redeemed
    clock.now += SESSION_VALID_S - 0.1
    assert sessions.find_session(token) == session
    clock.now += 0.1
    assert sessions.find_session(token) is None


def test_a_token_is_random_long_and_not_the_code(sessions: Sessions) -> None:
    code = sessions.new_code("demo", can_say=True).secret
    redeemed = sessions.redeem_code(code)
    assert redeemed
    token, _ = redeemed
    assert token.startswith("lss_")
    assert len(token) == len("lss_") + 43
    assert token != enter(sessions)[0]
    assert sessions.find_session(code) is None


def test_a_token_is_no_code(sessions: Sessions) -> None:
    token, _ = enter(sessions)
    assert sessions.redeem_code(token) is None


@pytest.mark.parametrize("guess", ["", "lss_", "\ud800", "ключ", "a" * 100_000])
def test_a_guess_opens_nothing(sessions: Sessions, guess: str) -> None:
    enter(sessions)
    assert sessions.redeem_code(guess) is None
    assert sessions.find_session(guess) is None


def test_each_session_has_a_name_of_its_own_that_is_no_part_of_a_secret(sessions: Sessions) -> None:
    (token, first), (_, second) = enter(sessions), enter(sessions)
    assert first.name != second.name
    assert first.name.removeprefix("session ") not in token


def test_neither_codes_nor_tokens_are_kept(sessions: Sessions) -> None:
    code = sessions.new_code("demo", can_say=True).secret
    token, _ = enter(sessions)
    kept = repr(vars(sessions))
    assert "demo" in kept
    assert code not in kept
    assert token not in kept


def test_of_more_than_a_thousand_sessions_the_oldest_ends(sessions: Sessions) -> None:
    tokens = [enter(sessions)[0] for _ in range(1001)]
    assert [bool(sessions.find_session(token)) for token in tokens] == [False] + [True] * 1000


def test_of_more_than_a_thousand_codes_the_oldest_works_no_more(sessions: Sessions) -> None:
    first, *others = [sessions.new_code("demo", can_say=False).secret for _ in range(1001)]
    assert sessions.redeem_code(first) is None
    assert all(sessions.redeem_code(code) for code in others)


def test_sessions_of_two_servers_are_strangers_to_each_other(sessions: Sessions, clock: Clock) -> None:
    token, _ = enter(sessions)
    assert Sessions(clock).find_session(token) is None


def test_who_comes_by_the_link_of_a_session_shares_its_name_and_its_end(
    sessions: Sessions, clock: Clock
) -> None:
    _, host = enter(sessions)
    _, stranger = enter(sessions)
    for _ in range(3):  # guests of guests, too
        clock.now += 3600
        redeemed = sessions.redeem_code(sessions.new_code("demo", can_say=False, maker=host.name).secret)
        assert redeemed
        token, guest = redeemed
        assert (guest.name, guest.expires_at) == (host.name, host.expires_at)
        assert sessions.seconds_left(guest) == host.expires_at - clock.now
    assert stranger.name != host.name
    clock.now = host.expires_at
    assert sessions.find_session(token) is None


def test_a_session_that_lets_in_ever_more_pushes_out_nobody_but_its_own_guests(sessions: Sessions) -> None:
    owner, _ = enter(sessions, can_say=True)
    _, host = enter(sessions)
    waiting = sessions.new_code("demo", can_say=True).secret
    for _ in range(1001):
        sessions.new_code("demo", can_say=False, maker=host.name)
        redeemed = sessions.redeem_code(sessions.new_code("demo", can_say=False, maker=host.name).secret)
    assert redeemed
    assert sessions.find_session(redeemed[0])
    assert sessions.find_session(owner)
    assert sessions.redeem_code(waiting)


def test_a_link_of_a_session_in_its_last_minutes_works_no_longer_than_the_session(
    sessions: Sessions, clock: Clock
) -> None:
    _, host = enter(sessions)
    clock.now = host.expires_at - 240
    in_time, too_late = (sessions.new_code("demo", can_say=False, maker=host.name) for _ in range(2))
    assert in_time.valid_for_s == too_late.valid_for_s == 240
    clock.now = host.expires_at - 1
    redeemed = sessions.redeem_code(in_time.secret)
    assert redeemed
    assert sessions.seconds_left(redeemed[1]) == 1
    clock.now = host.expires_at + 240
    assert sessions.redeem_code(too_late.secret) is None


def test_a_code_outlives_no_session_even_when_a_thousand_others_came_in_between(
    sessions: Sessions, clock: Clock
) -> None:
    token, host = enter(sessions)
    code = sessions.new_code("demo", can_say=False, maker=host.name)
    for _ in range(1000):
        enter(sessions)
    assert sessions.find_session(token) is None
    redeemed = sessions.redeem_code(code.secret)
    assert redeemed
    assert redeemed[1].expires_at == host.expires_at


def test_however_many_guests_a_session_lets_in_it_stays_let_in_itself(sessions: Sessions) -> None:
    token, host = enter(sessions)
    guests = []
    for _ in range(120):
        redeemed = sessions.redeem_code(sessions.new_code("demo", can_say=False, maker=host.name).secret)
        assert redeemed
        guests.append(redeemed[0])
        assert sessions.find_session(token) == host
    assert [bool(sessions.find_session(guest)) for guest in guests] == [False] * 70 + [True] * 50


class Ended(list[Session]):
    """The sessions that have ended, as whoever has to know is told."""


def followed(clock: Clock) -> tuple[Sessions, Ended]:
    ended = Ended()
    return Sessions(clock, on_end=ended.append), ended


def test_a_session_that_is_ended_opens_nothing_and_its_guests_and_codes_go_with_it(clock: Clock) -> None:
    sessions, ended = followed(clock)
    token, host = enter(sessions)
    stranger, _ = enter(sessions)
    codes = [sessions.new_code("demo", can_say=False, maker=host.name).secret for _ in range(3)]
    guests = [redeemed for code in codes[:2] if (redeemed := sessions.redeem_code(code))]
    assert sessions.end(host) == ended == [host, *(guest for _, guest in guests)]
    assert len({gone.identity for gone in ended}) == 3
    assert [sessions.find_session(secret) for secret in (token, *(secret for secret, _ in guests))] == [
        None
    ] * 3
    assert sessions.redeem_code(codes[2]) is None
    assert sessions.find_session(stranger)
    assert sessions.end(host) == []


def test_a_guest_that_leaves_leaves_alone(clock: Clock) -> None:
    sessions, ended = followed(clock)
    token, host = enter(sessions)
    guests = [
        redeemed
        for _ in range(2)
        if (
            redeemed := sessions.redeem_code(sessions.new_code("demo", can_say=False, maker=host.name).secret)
        )
    ]
    assert sessions.end(guests[0][1]) == ended == [guests[0][1]]
    assert sessions.find_session(token) == host
    assert sessions.find_session(guests[1][0]) == guests[1][1]
    assert sessions.redeem_code(sessions.new_code("demo", can_say=False, maker=host.name).secret)


def test_a_session_that_ends_by_itself_is_noticed_once(clock: Clock) -> None:
    sessions, ended = followed(clock)
    _, first = enter(sessions)
    clock.now += 1
    _, second = enter(sessions)
    clock.now = first.expires_at
    for _ in range(2):
        sessions.end_expired()
    assert ended == [first]
    assert sessions.all() == [second]


def test_one_that_has_to_make_room_for_another_is_told_as_ended(clock: Clock) -> None:
    sessions, ended = followed(clock)
    _, host = enter(sessions)
    for _ in range(51):
        sessions.redeem_code(sessions.new_code("demo", can_say=False, maker=host.name).secret)
    assert [gone.is_guest for gone in ended] == [True]
    for _ in range(1000):
        enter(sessions)
    assert ended[1] == host


def test_a_code_shows_in_no_log(sessions: Sessions) -> None:
    code = sessions.new_code("demo", can_say=True)
    assert code.secret not in repr(code)


def test_what_a_key_lets_in_stands_for_itself(sessions: Sessions) -> None:
    codes = [sessions.new_code("demo", can_say=True, maker="key laptop").secret for _ in range(2)]
    first, second = (sessions.redeem_code(code) for code in codes)
    assert first
    assert second
    assert first[1].name != second[1].name
