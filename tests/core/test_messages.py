from __future__ import annotations

import json
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.messages import MAX_REQUEST_BYTES, SayRequest, parse_request, read_say
from libacli.errors import RefusedError

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,  # per member: what is wrong with one does not depend on how much of it there is
)


def parse(payload: bytes) -> SayRequest:
    members, _ = parse_request(payload)
    return read_say(members, max_text_chars=100)


@given(
    st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
def test_fault_57_bytes_of_any_kind_are_read_or_refused(payload: bytes) -> None:
    try:
        request = parse(payload)
    except RefusedError as error:
        assert error.reason in {"malformed", "nothing_to_say", "text_too_long", "too_large"}
    else:
        assert request.text


@given(
    st.dictionaries(
        st.sampled_from(["text", "id", "voice", "speed", "priority", "ttl_ms", "interrupt", "auth"]), JSON
    )
)
def test_fault_57_members_of_any_type_are_read_or_refused(members: dict[str, object]) -> None:
    try:
        parse(json.dumps(members).encode())
    except RefusedError as error:
        assert error.reason in {"malformed", "nothing_to_say", "text_too_long"}


def test_bare_text_is_a_request() -> None:
    assert parse("Hello, wörld".encode()) == SayRequest("Hello, wörld")


ESCAPES: dict[str, Callable[[str], str]] = {
    "as they are": lambda text: json.dumps(text, ensure_ascii=False),
    "escaped": json.dumps,
    "in capitals": lambda text: json.dumps(text).replace("\\u", "\\U").upper().replace("\\U", "\\u"),
    "each": lambda text: f'"{"".join(f"{chr(92)}u{unit:04x}" for unit in utf16(text))}"',
}
"""Ways in which a program writes a string in JSON."""


def utf16(text: str) -> tuple[int, ...]:
    encoded = text.encode("utf-16-be")
    return struct.unpack(f">{len(encoded) // 2}H", encoded)


@pytest.mark.parametrize("escape", ESCAPES.values(), ids=ESCAPES)
@pytest.mark.parametrize("letter", ["A", "я", "字", "𝐀"])
def test_escaped_json_of_4000_characters_is_a_request_in_the_room(
    escape: Callable[[str], str], letter: str
) -> None:
    text = 4000 * letter
    payload = f'{{"text": {escape(text)}, "instructions": {escape(1000 * letter)}}}'.encode()
    members, _ = parse_request(payload)
    assert read_say(members, max_text_chars=4000).text == text


def test_bare_text_may_begin_with_a_pause() -> None:
    assert parse(b"[pause 1s] Hello") == SayRequest("[pause 1s] Hello")


def test_a_full_request_is_read_whole() -> None:
    request = SayRequest(
        "hi",
        id="a1",
        voice="nova",
        speed=1.5,
        instructions="calm",
        emotion="surprise",
        interrupt=True,
        priority=3,
        ttl_ms=500,
    )
    members, auth = parse_request(json.dumps(request.encode() | {"auth": "x.y.z"}).encode())
    assert read_say(members, max_text_chars=10) == request
    assert auth == "x.y.z"


def test_pauses_count_as_no_characters_and_stay_in_the_text() -> None:
    text = "x" * 99 + " [pause 500ms] y"
    with pytest.raises(RefusedError, match="101 characters, 100 are allowed"):
        read_say({"text": text}, max_text_chars=100)
    request = read_say({"text": text[1:]}, max_text_chars=100)
    assert (request.text, request.words) == (text[1:], "x" * 98 + " y")


def test_members_nobody_knows_are_passed_over() -> None:
    assert parse(b'{"text": "hi", "colour": "red", "voice": null}') == SayRequest("hi")


@pytest.mark.parametrize(
    ("payload", "reason", "words"),
    [
        (b"", "nothing_to_say", "no letter"),
        (b"   ", "nothing_to_say", "no letter"),
        ("😀😀".encode(), "nothing_to_say", "no letter"),
        (b'{"text": "..."}', "nothing_to_say", "no letter"),
        (b"[pause 1s]", "nothing_to_say", "no letter"),
        (b"... <break/> !", "nothing_to_say", "no letter"),
        (b"<speak>Hi</speak>", "unsupported_markup", "<speak> is not supported"),
        (b"Wait [pause 60s] now", "unsupported_markup", "10 s"),
        (b"\xff\xfe", "malformed", "UTF-8"),
        (b'{"text": "hi"', "malformed", "not valid JSON"),
        (b'{"text": "hi"} x', "malformed", "not valid JSON"),
        (b'\xef\xbb\xbf{"text": "hi"}', "malformed", "not valid JSON"),
        (b'{"text": "hi", "text": "ho"}', "malformed", "stands twice"),
        (b'{"text": "hi", "speed": NaN}', "malformed", "NaN"),
        (b'{"text": "hi", "speed": 1e999}', "malformed", "0.25 to 4"),
        (b'{"text": "hi", "x": {"a": 1, "a": 2}}', "malformed", "stands twice"),
        (b'{"text": "hi", "speed": -Infinity}', "malformed", "Infinity"),
        (b'{"text": "hi", "priority": 1e400}', "malformed", "-100 to 100"),
        (b'{"text": "hi", "priority": ' + b"9" * 400 + b"}", "malformed", "-100 to 100"),
        (b'{"text": "hi", "priority": ' + b"9" * 5000 + b"}", "malformed", "not valid JSON"),
        (b'{"text": "hi"}\x00', "malformed", "not valid JSON"),
        (b'{"text": ["hi"]}', "malformed", "must be a string, not an array"),
        (b'{"text": ' + b"[" * 8000 + b"]" * 8000 + b"}", "malformed", "not valid JSON"),
        (b'{"text": "hi", "emotion": "joy"}', "malformed", "must be one of neutral, happiness, sadness"),
        (b'{"text": "hi", "emotion": 3}', "malformed", "must be a string"),
        (b"[]", "malformed", "not an array"),
        (b'["hi"]', "malformed", "not an array"),
        (b'"hi"', "malformed", "not a string"),
        (b"12", "malformed", "not a number"),
        (b"1.5", "malformed", "not a number"),
        (b"true", "malformed", "not true or false"),
        (b"null", "malformed", "not null"),
        (b"{}", "malformed", "`text` is missing"),
        (b'{"text": null}', "malformed", "`text` is missing"),
        (b'{"text": 5}', "malformed", "must be a string"),
        (b'{"text": {}}', "malformed", "must be a string, not an object"),
        (b'{"text": "\\ud800 hi"}', "malformed", "surrogate"),
        (b'{"text": "hi", "id": ""}', "malformed", "1 to 64"),
        (b'{"text": "hi", "id": "a\\nb"}', "malformed", "1 to 64"),
        (b'{"text": "hi", "id": 7}', "malformed", "must be a string"),
        (b'{"text": "hi", "speed": "fast"}', "malformed", "must be a number"),
        (b'{"text": "hi", "speed": true}', "malformed", "must be a number"),
        (b'{"text": "hi", "priority": 1.5}', "malformed", "whole number"),
        (b'{"text": "hi", "interrupt": 1}', "malformed", "true or false"),
        (b'{"text": "hi", "ttl_ms": 0}', "malformed", "1 to"),
        (b'{"text": "hi", "auth": 1}', "malformed", "must be a string"),
        (b"[" * 9000, "malformed", "not valid JSON"),
        (b'{"text": "' + b"a" * 101 + b'"}', "text_too_long", "101"),
        (b"a" * (MAX_REQUEST_BYTES + 1), "too_large", "65537"),
        (b'{"text": "hi",}', "malformed", "a comma before the end: line 1 column"),
        (b'{"text": "hi", "x": [1, ]}', "malformed", "a comma before the end"),
        (b'{"packed": 5}', "malformed", "must be a string"),
        (b'{"packed": "a b"}', "malformed", "`packed`"),
        (b'{"packed": "VPa!sWoKm"}', "malformed", "cannot be unpacked"),
    ],
)
def test_fault_57_a_bad_request_is_refused_with_its_reason(payload: bytes, reason: str, words: str) -> None:
    with pytest.raises(RefusedError, match=words) as caught:
        parse(payload)
    assert caught.value.reason == reason
