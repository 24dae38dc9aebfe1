from __future__ import annotations

import traceback

import pytest

from libacli.errors import UnreachableError
from libacli.web.problems import Problem
from libacli.web.readiness import Readiness
from tests.web.fake_gateway import FakeGateway


async def test_however_often_it_is_asked_the_problem_collects_no_tracebacks(gateway: FakeGateway) -> None:
    gateway.failures["check"] = UnreachableError("nobody there", hint="start it")
    readiness = Readiness(gateway)
    depths = set()
    for _ in range(20):
        with pytest.raises(Problem) as caught:
            await readiness.check()
        assert (caught.value.reason, caught.value.hint) == ("livekit_unreachable", "start it")
        depths.add(len(traceback.extract_tb(caught.value.__traceback__)))
    assert gateway.calls == ["check"]
    assert len(depths) == 1
