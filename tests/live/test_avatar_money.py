"""What an avatar costs, with a service that is as Tavus is: conversations begun are conversations ended."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from livekit import rtc

from libacli.config import LiveKitCredentials, Settings
from libacli.core.lifecycle import FINAL_STATES
from libacli.core.messages import SayRequest
from libacli.edges.avatars.ledger import Ledger
from libacli.edges.avatars.tavus import Tavus
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import AgentLocator
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.held_open import HeldOpen
from libacli.edges.livekit.joining import joined
from libacli.local.avatar_manners import Manners
from libacli.room_agent import agent_in_room
from libacli.room_parts import assemble
from libacli.speech.fakes import ScriptedVoice
from tests.faulty_avatar import FaultyAvatar, Script
from tests.live.avatar_peers import token
from tests.live.conftest import Listen, Shell
from tests.live.heard import assert_heard_once, quiet
from tests.live.test_avatar import EDGE_S, LINE, LINE_S, Air
from tests.lone_job import LoneJob

pytestmark = pytest.mark.live

AGENT = "liba-agent-test"


def agent_token(credentials: LiveKitCredentials, room: str) -> str:
    video = {"roomJoin": True, "room": room, "agent": True, "canUpdateOwnMetadata": True}
    claims = {
        "iss": credentials.api_key,
        "sub": AGENT,
        "exp": 4_000_000_000,
        "kind": "agent",
        "video": video,
    }
    return jwt.encode(claims, credentials.api_secret.get_secret_value(), algorithm="HS256")


@asynccontextmanager
async def paid(
    credentials: LiveKitCredentials,
    room: str,
    listen: Listen,
    folder: Path,
    tavus: FaultyAvatar,
    **settings: Any,
) -> AsyncIterator[Air]:
    """An agent that speaks through `tavus`; all that ran there has ended when it has left."""
    async with (
        LiveKitApi(credentials) as api,
        listen() as listener,
        joined(rtc.Room(), credentials.ws_url, agent_token(credentials, room), auto_subscribe=False) as there,
    ):
        bounds = {"avatar_ready_timeout": 5.0, "avatar_join_timeout": 20.0}
        fields: dict[str, Any] = {"tavus_face_id": "face"} | bounds | settings
        parts = assemble(
            Settings(
                livekit_url=credentials.url,
                livekit_api_key=credentials.api_key,
                livekit_api_secret=credentials.api_secret,
                tavus_api_key=tavus.api_key,
                tavus_base_url=tavus.base_url,
                **fields,
            ),
            there,
            ScriptedVoice(first_byte_s=0.05),
            ledger=Ledger(folder),
            characters=folder / "characters.json",
        )
        agent = HeldOpen(agent_in_room(parts, LoneJob()))
        await agent.enter()
        client = AgentClient(api, AgentLocator(api, room=room, agent_name="liba"))
        try:
            assert await client.find()
            yield Air(client, listener, tavus, parts, agent)
        finally:
            await agent.leave()
    assert tavus.active == []
    assert len(tavus.ends) == len(set(tavus.ends))


def reaped(shell: Shell, tavus: FaultyAvatar, *arguments: str) -> dict[str, int]:
    """`liba reap` on a machine that knows nothing of what was begun."""
    keys: dict[str, Any] = {
        "TAVUS_API_KEY": tavus.api_key.get_secret_value(),
        "TAVUS_BASE_URL": tavus.base_url,
        "XDG_STATE_HOME": str(shell.folder / f"elsewhere-{uuid.uuid4().hex[:6]}"),
    }
    ended = shell.run("reap", "--json", *arguments, **keys)
    assert ended.returncode == 0, ended.stderr
    told: dict[str, int] = json.loads(ended.stdout)
    return told


async def test_f7_a_page_that_is_loaded_anew_costs_nothing(
    credentials: LiveKitCredentials, room: str, listen: Listen, tmp_path: Path
) -> None:
    async with FaultyAvatar() as tavus, paid(credentials, room, listen, tmp_path, tavus) as on:
        identity = await on.avatar()
        await on.listener.room.disconnect()
        await asyncio.sleep(8)
        async with listen() as viewer:
            async with asyncio.timeout(10):
                while identity not in viewer.room.remote_participants:  # noqa: ASYNC110 - it is looked at
                    await asyncio.sleep(0.1)
            await asyncio.sleep(3)
        assert (tavus.creates, tavus.ends) == (1, [])


async def test_f8_a_cap_that_nobody_announced_cuts_one_line_at_most(
    credentials: LiveKitCredentials, room: str, listen: Listen, tmp_path: Path
) -> None:
    manners = Manners(max_conversations=1, longest_call_s=20)
    async with (
        FaultyAvatar(manners=manners) as tavus,
        paid(credentials, room, listen, tmp_path, tavus) as on,
    ):
        await on.avatar()
        cut, until = 0, asyncio.get_running_loop().time() + 120
        while tavus.created < 3 and asyncio.get_running_loop().time() < until:
            take = on.listener.start_capture()
            said = await on.client.say(SayRequest(LINE, id=uuid.uuid4().hex[:8]))
            async with asyncio.timeout(60):
                event = await on.listener.wait_for(said.id, *FINAL_STATES)
            await quiet(on.listener)
            cut += bool(event.get("replayed"))
            if not event.get("replayed"):
                assert_heard_once(take.speech_s, LINE_S, edge_s=EDGE_S)
        own_ends = [reason for reason in tavus.shutdown_reasons if "max_call_duration" in reason]
        assert (cut <= 1, len(own_ends)) == (True, 1)
        assert tavus.created >= 3


async def test_f9_a_newer_avatar_that_takes_sound_from_the_first_agent_it_meets_hears_the_agent(
    credentials: LiveKitCredentials, room: str, listen: Listen, tmp_path: Path
) -> None:
    settings = {"avatar_max_duration": 120, "avatar_renew_before": 110}
    async with (
        FaultyAvatar(Script(binds_to_first_agent=True)) as tavus,
        paid(credentials, room, listen, tmp_path, tavus, **settings) as on,
    ):
        await on.avatar()
        await on.until(lambda: tavus.created == 2)
        await on.avatar()
        event, heard_s = await on.heard()
        assert event["route"] == "tavus"
        assert_heard_once(heard_s, LINE_S, edge_s=EDGE_S)


async def test_f10_a_generic_400_is_told_tried_again_and_then_works(
    credentials: LiveKitCredentials,
    room: str,
    listen: Listen,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with FaultyAvatar() as tavus:
        tavus.play(Script(create="vague"))
        async with paid(credentials, room, listen, tmp_path, tavus) as on:
            await on.avatar()
        assert tavus.creates == 2
    assert "400 (There was an error creating the conversation" in caplog.text


async def test_f11_a_pal_that_joins_no_livekit_room_is_told_and_is_not_paid_for_again(
    credentials: LiveKitCredentials,
    room: str,
    listen: Listen,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with FaultyAvatar(manners=Manners(takes_any_pal=False)) as tavus:
        async with (
            aiohttp.ClientSession(headers={"x-api-key": tavus.api_key.get_secret_value()}) as session,
            session.post(
                f"{tavus.base_url}/v2/pals",
                json={"pal_name": "talker", "default_face_id": "face", "system_prompt": "Talk."},
            ) as made,
        ):
            pal_id = (await made.json())["pal_id"]
        async with paid(
            credentials, room, listen, tmp_path, tavus, tavus_pal_id=pal_id, avatar_join_timeout=5.0
        ) as on:
            event, heard_s = await on.heard()
            assert (event["state"], event["route"]) == ("done", "fallback")
            assert_heard_once(heard_s, LINE_S, edge_s=EDGE_S)
            await asyncio.sleep(10)
        assert tavus.creates <= 3
        assert len(tavus.ends) == tavus.created
    assert "its pipeline_mode is 'full', not 'echo'" in caplog.text


async def test_f11_three_that_never_join_are_the_last(
    credentials: LiveKitCredentials, room: str, listen: Listen, tmp_path: Path
) -> None:
    async with (
        FaultyAvatar(Script(joins=False)) as tavus,
        paid(credentials, room, listen, tmp_path, tavus, avatar_join_timeout=1.0) as on,
    ):
        await on.until(lambda: len(tavus.ends) == 3)
        await asyncio.sleep(10)
        assert tavus.creates == 3


async def test_f12_a_pal_made_for_it_says_nothing_of_its_own_and_is_spoken_through(
    credentials: LiveKitCredentials, shell: Shell, room: str, listen: Listen, tmp_path: Path
) -> None:
    async with FaultyAvatar(manners=Manners(takes_any_pal=False)) as tavus:
        key = tavus.api_key.get_secret_value()
        made = await asyncio.to_thread(
            shell.run, "avatar", "create-pal", "--json", TAVUS_API_KEY=key, TAVUS_BASE_URL=tavus.base_url
        )
        assert made.returncode == 0, made.stderr
        pal_id = json.loads(made.stdout)["pal_id"]
        ids = {"tavus_pal_id": pal_id, "tavus_face_id": ""}
        async with paid(credentials, room, listen, tmp_path, tavus, **ids) as on:
            await on.avatar()
            event, _ = await on.heard()
        assert event["route"] == "tavus"


async def test_f12_a_greeting_that_nobody_asked_for_is_told(
    credentials: LiveKitCredentials,
    room: str,
    listen: Listen,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        FaultyAvatar(Script(greets_s=2.0)) as tavus,
        paid(credentials, room, listen, tmp_path, tavus) as on,
    ):
        await on.avatar()
        event, _ = await on.heard()
        assert event["route"] == "tavus"
    assert "says what nobody sent" in caplog.text


async def test_f13_a_create_that_is_carried_out_late_is_found_ended_and_its_face_put_out(
    credentials: LiveKitCredentials, room: str, listen: Listen, tmp_path: Path
) -> None:
    async with FaultyAvatar() as tavus:
        tavus.play(Script(create="late", create_after_s=20.0))
        async with paid(credentials, room, listen, tmp_path, tavus) as on:
            await on.until(lambda: tavus.created == 2)
            await on.until(lambda: len(tavus.active) == 1)  # the face was put out, and took its call with it
            await on.avatar()
            there = on.listener.room.remote_participants
            await on.until(lambda: sum(identity.startswith("tavus-") for identity in there) == 1)
        assert tavus.created == 2


async def test_f13_what_a_machine_that_is_gone_has_begun_is_ended_from_any_other(
    credentials: LiveKitCredentials, shell: Shell, room: str, listen: Listen, tmp_path: Path
) -> None:
    async with (
        FaultyAvatar() as tavus,
        Tavus(tavus.api_key, tavus.base_url) as service,
        paid(credentials, room, listen, tmp_path, tavus) as on,
    ):
        await on.avatar()
        (living,) = await service.active()
        assert await asyncio.to_thread(reaped, shell, tavus, "--all") == {"ended": 0, "spared": 1}
        async with aiohttp.ClientSession(headers={"x-api-key": tavus.api_key.get_secret_value()}) as session:
            for name in (living.name.replace("-1-", "-9-").replace(room, "another"), "liba-0123abcd-1"):
                elsewhere = token(credentials, f"{room}-{name}", "tavus-avatar-agent", kind="agent")
                properties = tavus.bodies[0]["properties"] | {"livekit_room_token": elsewhere}
                body = {"face_id": "f", "conversation_name": name, "properties": properties}
                async with session.post(f"{tavus.base_url}/v2/conversations", json=body) as made:
                    assert made.status == 200
        assert await asyncio.to_thread(reaped, shell, tavus, "--all") == {"ended": 2, "spared": 1}
        assert [one.name for one in await service.active()] == [living.name]


async def test_f14_a_key_alone_brings_the_avatar(
    credentials: LiveKitCredentials, room: str, listen: Listen, tmp_path: Path
) -> None:
    async with (
        FaultyAvatar(manners=Manners(takes_any_pal=False)) as tavus,
        paid(credentials, room, listen, tmp_path, tavus, tavus_face_id="") as on,
    ):
        await on.avatar()
        event, _ = await on.heard()
        assert event["route"] == "tavus"


@pytest.mark.parametrize("kind", ["egress", "ingress", "sip", "agent"])
async def test_egress_watches_nothing_nor_do_imports_and_callers_and_none_brings_an_avatar(
    credentials: LiveKitCredentials, room: str, tmp_path: Path, kind: str
) -> None:
    claims = {
        "iss": credentials.api_key,
        "sub": "EG_1",
        "exp": 4_000_000_000,
        "kind": kind,
        "video": {"roomJoin": True, "room": room},
    }
    token = jwt.encode(claims, credentials.api_secret.get_secret_value(), algorithm="HS256")

    @asynccontextmanager
    async def nobody_else() -> AsyncIterator[rtc.Room]:
        async with joined(rtc.Room(), credentials.ws_url, token) as there:
            yield there

    async with (
        FaultyAvatar() as tavus,
        paid(credentials, room, nobody_else, tmp_path, tavus),  # type: ignore[arg-type]
    ):
        await asyncio.sleep(5)
        assert tavus.creates == 0
