"""An avatar that goes and is back, comes twice, mutes or changes its track: every line is heard, and once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from libacli.config import LiveKitCredentials
from tests.faulty_avatar import Script
from tests.live.conftest import Listen
from tests.live.heard import assert_heard_once
from tests.live.test_avatar import EDGE_S, LINE_S, on_air, spoken_again

pytestmark = pytest.mark.live


@pytest.fixture
def air(credentials: LiveKitCredentials, room: str, listen: Listen, tmp_path: Path) -> Any:
    def go(script: Script) -> Any:
        return on_air(credentials, room, listen, tmp_path / "ledger", script)

    return go


@pytest.mark.parametrize(
    "script",
    [
        Script(mishap="mutes", mishap_s=0.3),
        Script(mishap="publishes anew"),
        Script(has_second_track=True),
        Script(answers_clear=False),
    ],
    ids=["mutes for a moment", "publishes anew", "second track", "answers no clear"],
)
async def test_a_line_goes_on_and_so_do_the_next_ones(air: Any, script: Script) -> None:
    async with air(script) as on:
        await on.avatar()
        for _ in range(2):
            event, heard_s = await on.heard()
            assert (event["state"], event["route"]) == ("done", "tavus")
            assert_heard_once(heard_s, LINE_S, edge_s=EDGE_S)
        assert on.tavus.creates == 1


@pytest.mark.parametrize(
    "script",
    [
        Script(mishap="mutes", mishap_s=3.0),
        Script(mishap="leaves"),
        Script(mishap="comes twice"),
        Script(has_sound=False),
        Script(takes_streams=False),
    ],
    ids=["mutes", "leaves and is back", "comes twice", "no sound", "takes no streams"],
)
async def test_a_line_is_said_again_whole_and_another_avatar_comes(air: Any, script: Script) -> None:
    async with air(script) as on:
        await on.avatar()
        on.tavus.default = Script()
        event, heard_s = await on.heard()
        assert (event["state"], event["route"], event["replayed"]) == ("done", "fallback", True)
        assert LINE_S - EDGE_S <= heard_s <= 2 * LINE_S
        await spoken_again(on)
        assert on.tavus.creates == 2


async def test_one_that_goes_as_soon_as_it_has_come_is_noticed_before_the_next_line(air: Any) -> None:
    async with air(Script(leaves_after_s=0.6)) as on:
        await on.until(lambda: bool(on.tavus.creates))
        on.tavus.default = Script()
        await on.until(lambda: on.tavus.creates == 2)
        await on.avatar()
        event, heard_s = await on.heard()
        assert (event["state"], event["route"], event.get("replayed")) == ("done", "tavus", None)
        assert_heard_once(heard_s, LINE_S, edge_s=EDGE_S)
