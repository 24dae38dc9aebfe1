"""Claims signed with a shared secret, held against PyJWT, which others read them with."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.jws import claims_of, signed

_SECRETS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=80)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(codec="utf-8"), max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_CLAIMS = st.dictionaries(st.sampled_from(["name", "video", "attributes", "room"]), _VALUES)


@pytest.mark.filterwarnings("ignore:The HMAC key is")
@given(_CLAIMS, _SECRETS)
def test_what_is_signed_pyjwt_verifies_and_reads_as_it_was_given(claims: dict[str, Any], secret: str) -> None:
    token = signed(claims, secret)

    assert jwt.decode(token, secret, algorithms=["HS256"], options={"verify_aud": False}) == claims
    assert claims_of(token) == claims


@pytest.mark.filterwarnings("ignore:The HMAC key is")
@given(_CLAIMS, _SECRETS, _SECRETS)
def test_another_secret_makes_another_signature(claims: dict[str, Any], secret: str, other: str) -> None:
    if secret == other:
        return

    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(signed(claims, secret), other, algorithms=["HS256"], options={"verify_aud": False})


def test_a_token_is_signed_as_rfc_7515_appendix_a_1_has_it() -> None:
    # The RFC's own example has its header written otherwise: its rule is held against our text.
    text, _, signature = signed({"iss": "joe", "exp": 1300819380}, "secret").rpartition(".")

    expected = hmac.new(b"secret", text.encode(), hashlib.sha256).digest()
    assert signature == urlsafe_b64encode(expected).rstrip(b"=").decode()
    assert text == "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJqb2UiLCJleHAiOjEzMDA4MTkzODB9"


def test_nothing_is_signed_with_an_empty_secret() -> None:
    with pytest.raises(ValueError, match="empty secret"):
        signed({}, "")
