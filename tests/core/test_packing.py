from __future__ import annotations

import base64
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.messages import MAX_REQUEST_BYTES, parse_request
from libacli.core.packing import MAX_CARRIED_BYTES, PACKED, packed, unpacked
from libacli.errors import RefusedError


def test_what_livekit_carries_goes_as_it_is() -> None:
    request = json.dumps({"text": (MAX_CARRIED_BYTES - 12) * "a"})
    assert len(request) == MAX_CARRIED_BYTES
    assert packed(request) == request
    assert json.loads(packed(request[:-2] + 'a"}')).keys() == {PACKED}


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_what_was_packed_is_read_as_what_it_was(part: str) -> None:
    body = {"text": 4000 * part, "auth": "signed"}
    request = json.dumps(body, ensure_ascii=False)
    if len(request.encode()) <= MAX_REQUEST_BYTES:
        assert parse_request(packed(request).encode()) == ({"text": 4000 * part}, "signed")


@pytest.mark.parametrize("first", [0x1F300, 0x20000], ids=["emoji", "rare Chinese"])
def test_escaped_json_of_4000_letters_of_four_bytes_is_carried(first: int) -> None:
    spread = "".join(chr(first + number * 7919 % 0x300) for number in range(4000))
    request = json.dumps({"text": spread, "auth": 400 * "x"}, ensure_ascii=False)
    assert len(packed(request).encode()) <= MAX_CARRIED_BYTES < len(request.encode())


def test_a_small_packet_that_would_become_a_large_one_is_refused_and_takes_no_memory() -> None:
    bomb = base64.b85encode(zlib.compress(bytes(50_000_000), 9)).decode()
    with pytest.raises(RefusedError, match="more than 65536 bytes"):
        parse_request(json.dumps({PACKED: bomb}).encode())


def test_one_that_is_cut_off_is_refused() -> None:
    whole = json.loads(packed(json.dumps({"text": 20_000 * "a"})))[PACKED]
    with pytest.raises(ValueError, match="cut off"):
        unpacked(whole[:-5], most=MAX_REQUEST_BYTES)


def test_a_packed_request_holds_no_other_packed_one() -> None:
    inner = json.dumps({PACKED: "x"})
    outer = json.dumps({PACKED: base64.b85encode(zlib.compress(inner.encode())).decode()})
    members, _ = parse_request(outer.encode())
    assert members == {PACKED: "x"}
