from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from libacli.config import LiveKitCredentials
from libacli.core.protocol import MAX_NAME_BYTES, MAX_NAME_CHARS, SAY_METHOD, STOP_METHOD
from libacli.edges.livekit.say_permission import SayPermissions
from libacli.edges.livekit.tokens import (
    Permissions,
    Signature,
    admin_token,
    check_identity,
    check_name,
    join_token,
    listener_token,
    sign_request,
    verify_request,
)
from libacli.errors import RefusedError, UsageError

SECRET = "a-secret-of-thirty-two-characters"
CREDENTIALS = LiveKitCredentials("ws://127.0.0.1:7880", "key", SecretStr(SECRET))
BODY = {"text": "Grüße, 世界.", "id": "u1", "speed": 1.5}


def claims(token: str) -> dict[str, Any]:
    decoded: dict[str, Any] = jwt.decode(token, SECRET, algorithms=["HS256"])
    return decoded


def signed(**changes: Any) -> str:
    """A signature of BODY with some claims changed; None leaves one out."""
    made = jwt.decode(sign(), SECRET, algorithms=["HS256"], audience="liba") | changes
    return jwt.encode({name: value for name, value in made.items() if value is not None}, SECRET)


def signed_raw(**changes: Any) -> str:
    """The same for claims that no library would sign: of any kind."""
    made = jwt.decode(sign(), SECRET, algorithms=["HS256"], audience="liba") | changes
    return jwt.PyJWS().encode(json.dumps(made).encode(), SECRET, "HS256")


def sign(*, agent: str = "") -> str:
    return sign_request(CREDENTIALS, room="demo", method=SAY_METHOD, body=BODY, agent=agent)


def verify(auth: str, **changes: Any) -> Signature:
    members: dict[str, Any] = {"room": "demo", "method": SAY_METHOD, "body": BODY} | changes
    return verify_request(CREDENTIALS, auth, **members)


def test_a_viewer_may_join_one_room_and_subscribe_and_nothing_else() -> None:
    made = claims(join_token(CREDENTIALS, room="demo", identity="viewer", name="Vera"))
    life = made.pop("exp") - made.pop("nbf")
    assert made == {
        "iss": "key",
        "sub": "viewer",
        "name": "Vera",
        "video": {
            "roomJoin": True,
            "room": "demo",
            "canSubscribe": True,
            "canPublish": False,
            "canPublishData": False,
            "canUpdateOwnMetadata": False,
        },
        "roomConfig": {"syncStreams": True},
    }
    assert life == 600


@pytest.mark.parametrize("can_say", [False, True])
@pytest.mark.parametrize("can_publish", [False, True])
@pytest.mark.parametrize("can_control", [False, True])
def test_each_permission_grants_its_own_and_never_the_right_to_change_oneself(
    can_say: bool, can_publish: bool, can_control: bool
) -> None:
    permissions = Permissions(can_say, can_publish, can_control)
    made = claims(join_token(CREDENTIALS, room="demo", identity="viewer", permissions=permissions))
    video = made["video"]
    assert (video["canPublishData"], video["canPublish"]) == (can_say or can_control, can_publish)
    assert list(made.get("attributes", {})) == (["liba.say"] if can_say or can_control else [])
    if value := made.get("attributes", {}).get("liba.say"):
        given = SayPermissions([CREDENTIALS], "demo").read("viewer", value)
        assert (given.may_say, given.may_control) == (can_say, can_control)
    assert video["canUpdateOwnMetadata"] is False
    assert not {"roomAdmin", "roomCreate", "hidden", "recorder", "agent"} & video.keys()


def test_the_permission_in_a_token_is_for_its_holder_and_ends_with_it() -> None:
    permissions = Permissions(can_say=True)
    made = claims(
        join_token(CREDENTIALS, room="demo", identity="vera", valid_for_s=90, permissions=permissions)
    )
    value = made["attributes"]["liba.say"]
    permission = jwt.decode(value, SECRET, algorithms=["HS256"], audience="liba-say")
    assert (permission["room"], permission["sub"]) == ("demo", "vera")
    assert permission["exp"] == pytest.approx(made["exp"], abs=1)
    SayPermissions([CREDENTIALS], "demo").read("vera", value)


def test_a_listener_of_our_own_bears_a_reserved_name_and_only_hears() -> None:
    made = claims(listener_token(CREDENTIALS, room="demo", identity="liba-listener-1"))
    assert made["sub"] == "liba-listener-1"
    assert not made["video"]["canPublish"]
    assert not made["video"]["canPublishData"]


def test_an_admin_token_is_for_one_room_and_one_minute() -> None:
    made = claims(admin_token(CREDENTIALS, room="demo"))
    assert made["video"] == {"roomAdmin": True, "room": "demo"}
    assert made["exp"] - made["nbf"] == 60


@pytest.mark.parametrize(
    "identity",
    ["liba-x", "LIBA-agent-1", "agent-AJ_1", "Agent-", "tavus-avatar-agent", "tavus-avatar-agent-2"],
)
def test_fault_07_identities_of_agents_are_not_given_away(identity: str) -> None:
    with pytest.raises(RefusedError) as caught:
        join_token(CREDENTIALS, room="demo", identity=identity)
    assert (caught.value.reason, caught.value.exit_code) == ("reserved_identity", 6)


@pytest.mark.parametrize(
    "identity", ["viewer", "liba", "agent", "secret-agent-7", "tavus-avatar-agents", "世界"]
)
def test_other_identities_are_free(identity: str) -> None:
    check_identity(identity)


@pytest.mark.parametrize(
    "name", ["", " ", "demo ", "a\nb", "a\x1b[2Jb", "a\u202eb", "x" * (MAX_NAME_CHARS + 1)]
)
def test_what_is_no_name_is_a_mistake_of_the_user(name: str) -> None:
    with pytest.raises(UsageError, match="room must be 1 to 128 printable"):
        check_name("room", name)


@pytest.mark.parametrize("letter", ["x", "é", "世", "🦜"])
def test_a_name_that_livekit_would_refuse_is_told_before_by_its_size(letter: str) -> None:
    check_name("room", letter * min(MAX_NAME_CHARS, MAX_NAME_BYTES // len(letter.encode())))
    if (size := len((letter * MAX_NAME_CHARS).encode())) > MAX_NAME_BYTES:
        with pytest.raises(UsageError, match=f"room has {size} bytes as UTF-8, LiveKit takes 256"):
            check_name("room", letter * MAX_NAME_CHARS)


@given(st.text(max_size=200))
def test_a_name_is_taken_or_refused_and_never_breaks_anything(name: str) -> None:
    try:
        check_identity(name)
    except (UsageError, RefusedError):
        return
    assert claims(join_token(CREDENTIALS, room="demo", identity=name))["sub"] == name


def test_a_signature_holds_for_what_was_signed() -> None:
    signature = verify(sign())
    assert signature.key == "key"
    assert len(signature.nonce) == 32


def test_a_signature_holds_whatever_the_order_of_the_members() -> None:
    verify(sign(), body=dict(reversed(BODY.items())))


def test_two_signatures_of_the_same_request_are_not_the_same() -> None:
    assert verify(sign()).nonce != verify(sign()).nonce


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"room": "other"}, "room"),
        ({"method": STOP_METHOD}, "method"),
        ({"body": BODY | {"text": "Something else."}}, "body"),
        ({"body": {}}, "body"),
    ],
)
def test_fault_56_a_signature_holds_for_nothing_else(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(RefusedError, match=f"for another {what}") as caught:
        verify(sign(), **changes)
    assert caught.value.reason == "unauthorized"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"exp": int(time.time()) - 31}, "has expired"),  # noqa: TID251
        ({"nbf": int(time.time()) + 3600}, "from the future"),  # noqa: TID251
        ({"exp": 4_000_000_000}, "for more than 60 s"),
        ({"nbf": 0}, "for more than 60 s"),
        ({"exp": None}, "not valid"),
        ({"jti": None}, "not valid"),
        ({"nbf": 1e999}, "not valid"),
        ({"nbf": None}, "not valid"),
        ({"aud": None}, "not valid"),
        ({"aud": "someone-else"}, "not valid"),
        ({"iss": "other-key"}, "a key that is not accepted"),
        ({"exp": "soon"}, "not valid"),
    ],
)
def test_fault_56_a_signature_of_the_wrong_kind_or_time_does_not_hold_and_says_why(
    changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(RefusedError, match=words):
        verify(signed(**changes))


def test_a_clock_that_is_half_a_minute_off_is_forgiven() -> None:
    now = int(time.time())  # noqa: TID251
    verify(signed(nbf=now + 25, exp=now + 85))
    verify(signed(nbf=now - 85, exp=now - 25))
    for nbf, words in ((now + 35, "from the future"), (now - 95, "has expired")):
        with pytest.raises(RefusedError, match=words):
            verify(signed(nbf=nbf, exp=nbf + 60))


@pytest.mark.parametrize(
    "auth",
    [
        "",
        "a.b.c",
        "\ud800",
        sign()[:-3] + "abc",
        jwt.encode({"aud": "liba"}, "another-secret-of-thirty-two-characters"),
        jwt.encode({"aud": "liba", "room": "demo"}, "", algorithm="none"),
        base64.urlsafe_b64encode(b"[" * 9000).decode() + ".e30.AAAA",
    ],
    ids=["empty", "no-token", "half-a-character", "forged", "other-secret", "unsigned", "deep"],
)
def test_what_is_no_signature_of_ours_is_refused_and_raises_nothing_else(auth: str) -> None:
    with pytest.raises(RefusedError) as caught:
        verify(auth)
    assert caught.value.reason == "unauthorized"


@pytest.mark.parametrize(
    "body",
    [
        {"id": "\ud800"},
        {"text": "\udfff half", "\ud83d": ["\ude00", {"\udc00": "\ud800"}]},
        {"text": "x", "nested": json.loads("[" * 900 + "]" * 900)},
        {"speed": 10**400, "priority": -0.0},
    ],
    ids=["half a character", "halves in keys and lists", "deep", "large"],
)
def test_what_a_holder_of_the_key_has_signed_is_judged_whatever_it_holds(body: dict[str, Any]) -> None:
    auth = sign_request(CREDENTIALS, room="demo", method=SAY_METHOD, body=body)
    assert verify(auth, body=body).key == "key"
    with pytest.raises(RefusedError, match="for another body"):
        verify(sign(), body=body)
    with pytest.raises(RefusedError, match="for another body"):
        verify(auth)


@pytest.mark.parametrize(
    "changes",
    [
        {"jti": ["a", "list"]},
        {"jti": {"an": "object"}},
        {"jti": "\ud800"},
        {"jti": "x" * 65},
        {"jti": ""},
        {"nbf": True, "exp": True},
        {"nbf": "0", "exp": "1e3"},
        {"exp": 10**400},
        {"nbf": -(10**400)},
        {"agent": ["\ud800"]},
        {"room": {"demo": "demo"}},
        {"body": None},
        {"iss": ["key"]},
        {"aud": ["liba", "\ud800"], "room": "\ud800"},
    ],
    ids=str,
)
def test_claims_of_any_kind_are_refused_and_nothing_else_is_raised(changes: dict[str, Any]) -> None:
    with pytest.raises(RefusedError) as caught:
        verify(signed_raw(**changes), agent="liba-agent-1")
    assert caught.value.reason == "unauthorized"


def test_a_join_token_is_no_signature() -> None:
    with pytest.raises(RefusedError):
        verify(join_token(CREDENTIALS, room="demo", identity="viewer"))


def test_a_signature_says_on_whose_behalf_it_is_and_nobody_can_leave_that_out() -> None:
    request: dict[str, Any] = {"room": "demo", "method": SAY_METHOD, "body": BODY}
    behalf = sign_request(CREDENTIALS, **request, on_behalf="session 3f9a")
    assert (verify(behalf).on_behalf, verify(sign()).on_behalf) == ("session 3f9a", "")
    head, claimed, signature = behalf.split(".")
    without = base64.urlsafe_b64encode(
        base64.urlsafe_b64decode(claimed + "==").replace(b'"on_behalf":"session 3f9a"', b'"on_behalf":""')
    )
    with pytest.raises(RefusedError):
        verify(".".join((head, without.decode().rstrip("="), signature)))


@pytest.mark.parametrize("name", [5, ["session"], "a\nb", "x" * 129, True])
def test_what_is_no_name_is_nobody_to_sign_for(name: object) -> None:
    with pytest.raises(RefusedError, match="no name"):
        verify(signed(on_behalf=name))


def test_a_signature_is_for_one_agent_and_none_that_comes_after_it() -> None:
    verify(sign(agent="liba-agent-1"), agent="liba-agent-1")
    with pytest.raises(RefusedError, match="for another agent"):
        verify(sign(agent="liba-agent-1"), agent="liba-agent-2")


def test_a_signature_for_whichever_agent_is_not_for_one_that_began_later() -> None:
    now = time.time()  # noqa: TID251
    verify(sign(), agent="liba-agent-1", began_at=now + 25)
    with pytest.raises(RefusedError, match="before this agent began"):
        verify(sign(), agent="liba-agent-1", began_at=now + 35)
    verify(sign(agent="liba-agent-1"), agent="liba-agent-1", began_at=now + 35)


def test_a_previous_key_is_accepted_as_well_and_its_requests_are_judged_alike() -> None:
    newer = LiveKitCredentials(CREDENTIALS.url, "newer", SecretStr("another-secret-of-thirty-two-chars"))
    request: dict[str, Any] = {"room": "demo", "method": SAY_METHOD, "body": BODY}
    assert verify_request(newer, sign(), **request, previous=CREDENTIALS).key == "key"
    with pytest.raises(RefusedError, match="a key that is not accepted"):
        verify_request(newer, sign(), **request)
    with pytest.raises(RefusedError, match="has expired"):
        verify_request(newer, signed(nbf=100, exp=160), **request, previous=CREDENTIALS)
