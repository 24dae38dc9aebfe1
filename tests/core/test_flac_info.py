from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.flac_info import FlacInfo, read_flac_info


def head(info: FlacInfo) -> bytes:
    """A file's first bytes, as RFC 9639 has them."""
    packed = info.rate << 44 | (info.channels - 1) << 41 | (info.bits - 1) << 36 | info.samples
    return b"fLaC\x80\x00\x00\x22" + bytes(10) + packed.to_bytes(8, "big") + bytes(16)


INFOS = st.builds(
    FlacInfo, st.integers(1, 2**20 - 1), st.integers(1, 8), st.integers(4, 32), st.integers(1, 2**36 - 1)
)


@given(INFOS)
def test_what_the_head_tells_is_read(info: FlacInfo) -> None:
    assert read_flac_info(head(info)) == info


@given(st.binary(max_size=60))
def test_what_is_no_flac_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="FLAC"):
        read_flac_info(data)


@given(INFOS, st.integers(0, 41))
def test_one_that_is_cut_is_none(info: FlacInfo, end: int) -> None:
    with pytest.raises(ValueError, match="FLAC"):
        read_flac_info(head(info)[:end])


def test_one_that_does_not_tell_its_length_is_refused() -> None:
    with pytest.raises(ValueError, match="how long"):
        read_flac_info(head(FlacInfo(24_000, 1, 16, 0)))


def test_its_length_is_told_in_milliseconds() -> None:
    assert FlacInfo(24_000, 1, 16, 36_012).ms == 1500
