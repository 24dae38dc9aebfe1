from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.messages import SayRequest, read_say
from libacli.core.trace_context import UNTRACED, TraceContext, read_traceparent

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_what_w3c_has_as_its_example_is_read() -> None:
    assert read_traceparent(PARENT) == PARENT


def test_of_a_later_version_the_parts_that_are_known_are_read() -> None:
    later = PARENT.replace("00-", "cc-", 1)
    assert read_traceparent(f"{later}-what-the-future-will-be-like") == later
    assert read_traceparent(f"{later}.what") == ""


@pytest.mark.parametrize(
    "value",
    [
        None, 7, True, [PARENT], "", " ", PARENT[:-1], PARENT + "-", PARENT + "\n", f" {PARENT}",
        PARENT.upper(), PARENT.replace("00-", "ff-", 1), PARENT.replace("4bf9", "4bg9"),
        f"00-{'0' * 32}-00f067aa0ba902b7-01", f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
        PARENT.replace("-", "_"), PARENT + PARENT,
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_malformed_is_passed_over_and_the_text_is_said(value: object) -> None:
    assert read_traceparent(value) == ""
    request = read_say({"text": "Hello.", "traceparent": value, "tracestate": "a=b"}, max_text_chars=100)
    assert request.text == "Hello."
    assert request.traceparent == ""


@pytest.mark.parametrize("state", ["x" * 513, "a=b\n", "ä=b", 3, None], ids=repr)
def test_a_state_that_cannot_be_passed_on_costs_the_parent_nothing(state: object) -> None:
    assert TraceContext.read({"traceparent": PARENT, "tracestate": state}) == TraceContext(PARENT)


def test_a_state_without_a_parent_is_nothing() -> None:
    assert TraceContext.read({"tracestate": "a=b"}) == UNTRACED


def test_the_environment_has_it_in_capitals() -> None:
    environment = {"TRACEPARENT": PARENT, "TRACESTATE": "a=b", "traceparent": "nonsense"}
    assert TraceContext.of_environment(environment) == TraceContext(PARENT, "a=b")
    assert TraceContext.of_environment({}) == UNTRACED


def test_a_request_carries_it_and_one_without_has_no_member_for_it() -> None:
    traced = SayRequest("Hello.", traceparent=PARENT, tracestate="a=b")
    assert read_say(traced.encode(), max_text_chars=100) == traced
    assert traced.trace == TraceContext(PARENT, "a=b")
    assert SayRequest("Hello.").encode() == {"text": "Hello."}


@given(st.text())
def test_nothing_that_somebody_sends_is_passed_on_unless_it_is_one(value: str) -> None:
    assert read_traceparent(value) in ("", value[:55])
