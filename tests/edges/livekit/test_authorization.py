from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from libacli.config import LiveKitCredentials, Settings
from libacli.core.hour import Account
from libacli.core.protocol import SAY_METHOD, STOP_METHOD
from libacli.edges.livekit.authorization import RoomAuthorization, say_caps
from libacli.edges.livekit.say_permission import sign_permission
from libacli.edges.livekit.tokens import sign_request
from libacli.errors import RefusedError
from libacli.speech.permit import Permit, Sender

SECRET = "a-secret-of-thirty-two-characters"
OLD_SECRET = "an-old-secret-of-thirty-two-chars"
NEW = LiveKitCredentials("ws://127.0.0.1:1", "new-key", SecretStr(SECRET))
OLD = LiveKitCredentials("ws://127.0.0.1:1", "old-key", SecretStr(OLD_SECRET))
PREVIOUS = {"livekit_previous_api_key": OLD.api_key, "livekit_previous_api_secret": OLD.api_secret}
BODY = {"text": "Hello."}
NOBODY = Sender()


def rule(**settings: Any) -> RoomAuthorization:
    given: dict[str, Any] = {
        "livekit_url": NEW.url,
        "livekit_api_key": NEW.api_key,
        "livekit_api_secret": NEW.api_secret,
    }
    return RoomAuthorization(Settings(**given | settings), "demo", agent="liba-agent-1")


def signed(credentials: LiveKitCredentials = NEW, **changes: Any) -> str:
    return sign_request(credentials, **{"room": "demo", "method": SAY_METHOD, "body": BODY} | changes)


def reason(authorization: RoomAuthorization, auth: str | None, sender: Sender) -> str:
    with pytest.raises(RefusedError) as caught:
        authorization.authorise(SAY_METHOD, BODY, auth, sender)
    return caught.value.reason


def test_a_signed_request_is_carried_out_whoever_brings_it_on_the_account_of_its_key() -> None:
    permits = [rule().authorise(SAY_METHOD, BODY, signed(), sender) for sender in (NOBODY, Sender("viewer"))]
    assert [permit.account for permit in permits] == ["key new-key"] * 2
    assert len({permit.nonce for permit in permits}) == 2


def permitted(identity: str = "vera", **changes: Any) -> Sender:
    given: dict[str, Any] = {"room": "demo", "identity": identity, "valid_for_s": 60} | changes
    return Sender(identity, sign_permission(given.pop("credentials", NEW), **given))


def test_a_sender_that_may_is_carried_out_on_its_own_account() -> None:
    assert rule().authorise(SAY_METHOD, BODY, None, permitted()) == Permit("participant vera in demo")


def test_a_permission_that_anybody_could_have_written_is_none() -> None:
    with pytest.raises(RefusedError, match="nobody knows who wrote that") as caught:
        rule().authorise(SAY_METHOD, BODY, None, Sender("vera", "true"))
    assert caught.value.reason == "unauthorized"
    assert "liba token --can-say" in caught.value.hint


@pytest.mark.parametrize("value", ["True", "1", "yes", "true ", '"true"', "signed"])
def test_no_other_word_is_one_either(value: str) -> None:
    assert reason(rule(say_accept="attribute"), None, Sender("vera", value)) == "unauthorized"


def test_where_the_setting_lets_it_count_the_bare_attribute_counts_and_signed_ones_go_on_counting() -> None:
    old_rule = rule(say_accept="attribute")
    for sender in (Sender("vera", "true"), permitted()):
        assert old_rule.authorise(SAY_METHOD, BODY, None, sender).account == "participant vera in demo"
    assert reason(old_rule, None, permitted(room="other")) == "unauthorized"
    assert reason(old_rule, None, Sender("vera")) == "unauthorized"
    assert reason(old_rule, None, Sender("", "true")) == "unknown_sender"


def test_a_permission_by_the_key_that_is_being_replaced_counts_as_long_as_that_is_set() -> None:
    rule(**PREVIOUS).authorise(SAY_METHOD, BODY, None, permitted(credentials=OLD))
    assert reason(rule(), None, permitted(credentials=OLD)) == "unauthorized"


def test_fault_04_who_only_watches_is_refused() -> None:
    assert reason(rule(), None, Sender("viewer")) == "unauthorized"


def test_fault_05_nobody_to_name_is_never_trusted() -> None:
    assert reason(rule(), None, NOBODY) == "unknown_sender"
    assert reason(rule(), None, replace(permitted(), identity="")) == "unknown_sender"


def test_a_permission_does_not_mend_a_signature_that_is_wrong() -> None:
    assert reason(rule(), signed(room="other"), permitted()) == "unauthorized"


def test_keys_are_changed_without_a_pause() -> None:
    for credentials in (NEW, OLD):
        permit = rule(**PREVIOUS).authorise(SAY_METHOD, BODY, signed(credentials), NOBODY)
        assert permit.account == f"key {credentials.api_key}"
    assert reason(rule(), signed(OLD), NOBODY) == "unauthorized"


def test_a_key_goes_with_its_own_secret_only() -> None:
    crossed = LiveKitCredentials(NEW.url, OLD.api_key, NEW.api_secret)
    assert reason(rule(**PREVIOUS), signed(crossed), NOBODY) == "unauthorized"


def test_what_was_signed_for_an_agent_that_is_gone_is_not_spoken_by_the_next_one() -> None:
    rule().authorise(SAY_METHOD, BODY, signed(agent="liba-agent-1"), NOBODY)
    assert reason(rule(), signed(agent="liba-agent-0"), NOBODY) == "unauthorized"


def test_a_stop_is_not_a_say() -> None:
    with pytest.raises(RefusedError, match="another method"):
        rule().authorise(STOP_METHOD, BODY, signed(), NOBODY)


def test_where_anyone_may_speak_anyone_may_and_has_an_account() -> None:
    open_rule = rule(say_accept="anyone")
    nobodys = open_rule.authorise(SAY_METHOD, BODY, None, NOBODY)
    assert nobodys == Permit("participant  in demo", may_control=True)
    viewers = open_rule.authorise(SAY_METHOD, BODY, "rubbish", Sender("viewer"))
    assert viewers == Permit("participant viewer in demo", may_control=True)


def test_what_the_owner_has_signed_is_his_also_where_anyone_may_speak() -> None:
    permit = rule(say_accept="anyone").authorise(SAY_METHOD, BODY, signed(), NOBODY)
    assert (permit.account, permit.is_owner) == ("key new-key", True)
    assert permit.nonce


def test_who_asks_for_another_has_an_account_for_it_and_is_no_owner() -> None:
    owners = rule().authorise(SAY_METHOD, BODY, signed(), NOBODY)
    sessions = [
        rule().authorise(SAY_METHOD, BODY, signed(on_behalf=name), NOBODY)
        for name in ("session 1", "session 2")
    ]
    assert [permit.account for permit in (owners, *sessions)] == [
        "key new-key",
        "key new-key for session 1",
        "key new-key for session 2",
    ]
    assert [permit.is_owner for permit in (owners, *sessions)] == [True, False, False]


def test_a_session_has_one_account_by_which_way_ever_it_asks() -> None:
    over_http = rule().authorise(SAY_METHOD, BODY, signed(on_behalf="session 1"), NOBODY)
    in_the_room = rule().authorise(SAY_METHOD, BODY, None, permitted(on_behalf="session 1"))
    assert over_http.account == in_the_room.account
    assert not in_the_room.is_owner


@pytest.mark.parametrize("may_say", [False, True])
@pytest.mark.parametrize("may_control", [False, True])
def test_a_permission_gives_the_rights_that_stand_in_it(may_say: bool, may_control: bool) -> None:
    permit = rule().authorise(SAY_METHOD, BODY, None, permitted(may_say=may_say, may_control=may_control))
    assert (permit.may_say, permit.may_control) == (may_say, may_control)


def test_a_sender_may_fill_the_queue_at_once() -> None:
    caps, account = say_caps(Settings(say_queue_limit=5)), Account("a")
    for number in range(6):
        caps.check(account, 10, 0.0)
        caps.accept(account, f"u{number}", 10, 0.0)
    with pytest.raises(RefusedError, match="faster than is allowed"):
        caps.check(account, 10, 0.0)
