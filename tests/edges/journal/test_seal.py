from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from libacli.edges.journal.seal import AesSeal

OLD, NEW = SecretStr("an old key"), SecretStr("a new key")


@given(plain=st.binary(max_size=2000), place=st.binary(max_size=50))
def test_what_was_sealed_is_opened_in_its_place_alone(plain: bytes, place: bytes) -> None:
    seal = AesSeal([NEW])
    sealed = seal.close(plain, place)
    assert seal.open(sealed, place) == plain
    assert sealed != seal.close(plain, place), "the same text shows that it is the same"
    with pytest.raises(ValueError, match="no key that is set opens it"):
        seal.open(sealed, place + b"x")


def test_nothing_of_a_text_can_be_read() -> None:
    assert "secret words" not in AesSeal([NEW]).close(b"secret words", b"")


def test_keys_can_be_changed() -> None:
    sealed = AesSeal([OLD]).close(b"text", b"here")
    assert AesSeal([NEW, OLD]).open(sealed, b"here") == b"text"
    with pytest.raises(ValueError, match="no key that is set opens it"):
        AesSeal([NEW]).open(sealed, b"here")


@pytest.mark.parametrize("sealed", ["", "AAAA", "no base64!", "ü", "A" * 200])
def test_what_is_damaged_is_told(sealed: str) -> None:
    with pytest.raises(ValueError, match=r"damaged|no key"):
        AesSeal([NEW]).open(sealed, b"")
