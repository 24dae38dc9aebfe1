from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from libacli.config import LiveKitCredentials
from libacli.core.protocol import MAX_NAME_CHARS, SAY_METHOD
from libacli.edges.livekit.say_permission import SayPermissions, sign_permission
from libacli.edges.livekit.signing import wall_clock
from libacli.edges.livekit.tokens import Permissions, admin_token, join_token, sign_request
from libacli.errors import RefusedError

SECRET = "a-secret-of-thirty-two-characters"
KEY = LiveKitCredentials("ws://127.0.0.1:7880", "key", SecretStr(SECRET))
OLD_KEY = LiveKitCredentials(KEY.url, "old-key", SecretStr("an-old-secret-of-thirty-two-chars"))


def value(credentials: LiveKitCredentials = KEY, **changes: Any) -> str:
    wanted: dict[str, Any] = {"room": "demo", "identity": "vera", "valid_for_s": 60} | changes
    return sign_permission(credentials, **wanted)


def changed(**claims: Any) -> str:
    """One whose claims somebody with the secret has changed; None leaves one out."""
    made = jwt.decode(value(), SECRET, algorithms=["HS256"], audience="liba-say") | claims
    return jwt.encode({name: claim for name, claim in made.items() if claim is not None}, SECRET)


def refusal(given: str, *, identity: str = "vera", accepted: tuple[LiveKitCredentials, ...] = (KEY,)) -> str:
    with pytest.raises(RefusedError) as caught:
        SayPermissions(accepted, "demo").read(identity, given)
    assert caught.value.reason == "unauthorized"
    assert "liba token --can-say" in caught.value.hint
    return str(caught.value)


def test_a_permission_holds_for_its_holder_in_its_room_for_its_time() -> None:
    permission = SayPermissions([KEY], "demo").read("vera", value())
    assert permission.expires_at == pytest.approx(wall_clock() + 60, abs=2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"identity": "mallory"}, "another participant's"),
        ({"identity": "Vera"}, "another participant's"),
        ({"identity": ""}, "another participant's"),
        ({"room": "other"}, "for another room"),
        ({"room": ""}, "for another room"),
        ({"valid_for_s": 0}, "has expired"),
        ({"valid_for_s": -1}, "has expired"),  # clocks that differ prolong nothing
        ({"valid_for_s": -3600}, "has expired"),
        ({"credentials": OLD_KEY}, "by a key that is not accepted"),
    ],
)
def test_it_holds_for_nobody_else_nowhere_else_and_no_longer(changes: dict[str, Any], words: str) -> None:
    assert words in refusal(value(**changes))


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": None},
        {"aud": "liba"},
        {"exp": None},
        {"exp": "soon"},
        {"exp": 1e999},
        {"nbf": None},
        {"sub": None},
        {"sub": ["vera"]},
        {"sub": True},
        {"room": None},
        {"room": ["demo"]},
        {"iss": None},
        {"may": "say control"},
        {"may": None, "on_behalf": ["session"]},
        {"on_behalf": "a\nb"},
        {"on_behalf": 5},
        {"nbf": 4_000_000_000, "exp": 4_000_000_060},
    ],
    ids=str,
)
def test_one_that_says_too_little_or_the_wrong_thing_is_none(claims: dict[str, Any]) -> None:
    refusal(changed(**claims))


@pytest.mark.parametrize(
    "given",
    [
        "true",
        "\ud800",
        value()[:-3] + "abc",
        value().rpartition(".")[0] + ".",
        jwt.encode({"aud": "liba-say", "room": "demo", "sub": "vera"}, "", algorithm="none"),
        base64.urlsafe_b64encode(b"[" * 1400).decode() + ".e30.AAAA",
        base64.urlsafe_b64encode(b"[" * 9000).decode() + ".e30.AAAA",
        "x" * 1_000_000,
        join_token(KEY, room="demo", identity="vera", permissions=Permissions(can_say=True)),
        sign_request(KEY, room="demo", method=SAY_METHOD, body={}),
        admin_token(KEY, room="demo"),
    ],
    ids=lambda given: given[:12].encode("ascii", "replace").decode(),
)
def test_what_is_something_else_is_no_permission(given: str) -> None:
    refusal(given)


@given(st.text(max_size=300))
def test_whatever_stands_there_is_refused_and_raises_nothing_else(given: str) -> None:
    refusal(given)


@pytest.mark.parametrize(
    ("may", "rights"),
    [
        (["say"], (True, False)),
        (["say", "control"], (True, True)),
        (["control"], (False, True)),
        ([], (False, False)),
        (["everything", 5, None], (False, False)),
        (None, (True, False)),
    ],
    ids=str,
)
def test_it_is_for_what_stands_in_it_and_nothing_else(may: object, rights: tuple[bool, bool]) -> None:
    permission = SayPermissions([KEY], "demo").read("vera", changed(may=may))
    assert (permission.may_say, permission.may_control) == rights


def test_it_is_no_signature_of_a_request_and_opens_no_room() -> None:
    claims = jwt.decode(value(), SECRET, algorithms=["HS256"], audience="liba-say")
    assert "video" not in claims
    assert claims["aud"] != "liba"


def test_a_previous_key_counts_as_long_as_it_is_accepted() -> None:
    old = value(OLD_KEY)
    SayPermissions([KEY, OLD_KEY], "demo").read("vera", old)
    assert "not accepted" in refusal(old)


def test_a_key_goes_with_its_own_secret_only() -> None:
    crossed = LiveKitCredentials(KEY.url, OLD_KEY.api_key, KEY.api_secret)
    assert "not accepted" in refusal(value(crossed), accepted=(KEY, OLD_KEY))


class CountedKeys(list[LiveKitCredentials]):
    """Keys that count how often somebody goes through them, to verify with them."""

    times = 0

    def __iter__(self) -> Iterator[LiveKitCredentials]:
        self.times += 1
        return super().__iter__()


def test_one_is_verified_once_and_ends_all_the_same() -> None:
    keys, given, ahead = CountedKeys([KEY]), value(), [0.0]
    permissions = SayPermissions(keys, "demo", clock=lambda: wall_clock() + ahead[0])
    for _ in range(100):
        permissions.read("vera", given)
    assert keys.times == 1
    with pytest.raises(RefusedError, match="another participant's"):  # what is known of one is not of another
        permissions.read("mallory", given)
    ahead[0] = 61
    with pytest.raises(RefusedError, match="has expired"):
        permissions.read("vera", given)


def test_so_many_are_remembered_and_no_more() -> None:
    permissions = SayPermissions([KEY], "demo")
    for number in range(300):
        permissions.read(f"guest-{number}", value(identity=f"guest-{number}"))
    assert len(permissions._known) == 256


def test_the_longest_names_fit() -> None:
    name = "🦜" * MAX_NAME_CHARS
    SayPermissions([KEY], name).read(name, value(room=name, identity=name))
