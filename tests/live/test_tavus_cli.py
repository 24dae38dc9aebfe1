"""Tavus's own command line works with the local avatar service as it does with Tavus."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from libacli.local.avatar_manners import Manners
from libacli.local.avatar_presence import Invitation
from libacli.local.avatar_service import AvatarService, serving
from tests.live.tavus_cli import TavusCli

pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]  # the first time it is installed

KEY = "key-of-the-test"
LIVEKIT = {"transport": {"transport_type": "livekit"}}


async def _attend(invitation: Invitation) -> str:
    raise AssertionError("its conversations are in no LiveKit room")


@pytest.fixture
async def service() -> AsyncIterator[AvatarService]:
    async with serving(AvatarService(SecretStr(KEY), _attend, manners=Manners(takes_any_pal=False))) as one:
        yield one


async def test_it_makes_pals_and_begins_lists_and_ends_conversations(
    service: AvatarService, tmp_path: Path
) -> None:
    await asyncio.to_thread(_use, TavusCli(tmp_path, service.base_url, KEY))
    (conversation,) = service.conversations.values()
    assert conversation.shutdown_reason == "end_conversation_endpoint_hit"


def _use(tavus: TavusCli) -> None:
    assert "Network check passed" in tavus.run("doctor").stdout
    fitting = _pal(tavus, "--pipeline-mode", "echo", "--layers-file", _layers(tavus.folder))
    (told,) = tavus.told("pal", "get", fitting)["data"]
    assert (told["pipeline_mode"], told["layers"]) == ("echo", LIVEKIT)
    talking = _pal(tavus, "--system-prompt", "Be kind.")
    listed = tavus.told("pal", "list", "--pal-type", "user", "--json")
    assert [pal["pal_id"] for pal in listed["data"]] == [talking, fitting]
    tavus.run("pal", "delete", fitting)
    begun = tavus.told("conversation", "create", "--pal-id", talking, "--name", "morning")
    assert (begun["conversation_name"], begun["status"]) == ("morning", "active")
    assert _running(tavus) == [begun["conversation_id"]]
    assert tavus.run("conversation", "end", begun["conversation_id"]).returncode == 0
    assert _running(tavus) == []
    unknown = tavus.run("conversation", "end", "c-none")
    assert (unknown.returncode, "failed with 400" in unknown.stdout) == (1, True)
    stranger = TavusCli(tavus.folder, tavus.base_url, "another key").run("pal", "list")
    assert (stranger.returncode, "failed with 401" in stranger.stdout) == (1, True)


def _pal(tavus: TavusCli, *options: str) -> str:
    return str(tavus.told("pal", "create", "--name", "liba", "--face-id", "r4067604db72", *options)["pal_id"])


def _layers(folder: Path) -> str:
    file = folder / "layers.json"
    file.write_text(json.dumps(LIVEKIT))
    return str(file)


def _running(tavus: TavusCli) -> list[Any]:
    listed = tavus.client("conversations.list_all(status='active')")
    return [one["conversation_id"] for one in listed["data"]]
