from __future__ import annotations

from contextlib import ExitStack

import pytest

from libacli.core.entry import Session
from libacli.web.auth import Caller
from libacli.web.open_streams import STREAMS_PER_CALLER, OpenStreams
from libacli.web.problems import Problem


def test_each_caller_has_four_streams_and_gets_one_back_when_one_ends() -> None:
    streams = OpenStreams()
    with ExitStack() as stack:
        for _ in range(STREAMS_PER_CALLER - 1):
            stack.enter_context(streams.one_more("key ci"))
        with streams.one_more("key ci"):
            with pytest.raises(Problem) as caught, streams.one_more("key ci"):
                pass
            with streams.one_more("key laptop"):
                pass
        with streams.one_more("key ci"):
            pass
    assert (STREAMS_PER_CALLER, caught.value.status, caught.value.reason) == (4, 429, "too_many_streams")


def test_one_that_ends_in_an_error_is_given_back_too() -> None:
    streams = OpenStreams(limit=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), streams.one_more("local"):
            raise ZeroDivisionError


def test_the_guests_of_a_session_share_its_name_and_not_its_streams() -> None:
    sessions = [Session("session 1", "demo", False, 1.0, identity=name) for name in ("viewer-a", "viewer-b")]
    host, guest = (Caller("session 1", "demo", False, session=session) for session in sessions)
    assert host.seat != guest.seat
    assert Caller("key ci", None, True).seat == "key ci"
