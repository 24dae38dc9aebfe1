"""A room that is encrypted from end to end: who has the key hears and sees, and who has not is told so."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from livekit import rtc
from playwright.async_api import Browser
from pydantic import SecretStr

from libacli.config import LiveKitCredentials
from libacli.edges.livekit.tokens import Permissions, join_token, listener_token
from libacli.edges.viewer.listener import AudioCapture, Listener, listening
from libacli.web.npm import LIVEKIT_CLIENT, VENDOR, fetch
from tests.browser import Ear
from tests.leftover_processes import Leftovers
from tests.live.conftest import Shell, wait_for_line
from tests.live.visiting import AGENT as PAGE_AGENT
from tests.live.visiting import ROOM, Visit, fresh_context, serving

pytestmark = pytest.mark.live

KEY = "the key of this room"
AGENT = "liba-sealed"
LINE = "One two three four five."
LEAST_S = 0.8
"""The line takes more than a second."""


@pytest.fixture(scope="module")
def sealed(shell: Shell, tmp_path_factory: pytest.TempPathFactory, leftovers: Leftovers) -> Iterator[Shell]:
    """A worker that has the key, and the environment of who has it as well."""
    folder = tmp_path_factory.mktemp("sealed")
    own = Shell(shell.folder, shell.environment | {"LIVEKIT_E2EE_KEY": KEY, "LIBA_AGENT_NAME": AGENT})
    with own.running("agent", "run", log=folder / "worker.log") as process:
        leftovers.keep(process.pid)
        wait_for_line(folder / "worker.log", "worker is ready", process)
        yield own


@asynccontextmanager
async def listener_with(
    credentials: LiveKitCredentials, room: str, key: str | None
) -> AsyncIterator[Listener]:
    token = listener_token(credentials, room=room, identity=f"liba-ear-{key and len(key)}")
    e2ee_key = SecretStr(key) if key else None
    async with listening(credentials.ws_url, token, agent_name=AGENT, e2ee_key=e2ee_key) as listener:
        yield listener


async def say(shell: Shell, room: str, *options: str) -> dict[str, object]:
    arguments = ("say", LINE, "--room", room, "--wait", "done", "--json", *options)
    ended = await asyncio.to_thread(shell.run, *arguments)
    assert ended.returncode == 0, ended.stderr
    told: dict[str, object] = json.loads(ended.stdout)
    return told


async def heard(
    shell: Shell, credentials: LiveKitCredentials, room: str, keys: list[str | None]
) -> list[AudioCapture]:
    """What listeners with these keys hear of the second of two lines."""
    async with AsyncExitStack() as stack:
        ears = [await stack.enter_async_context(listener_with(credentials, room, key)) for key in keys]
        await say(shell, room)
        captures = [ear.start_capture() for ear in ears]
        await say(shell, room)
        await asyncio.sleep(0.5)
    return captures


async def test_e2ee_who_has_the_key_hears_the_line_and_who_has_not_hears_no_word_of_it(
    sealed: Shell, credentials: LiveKitCredentials, room: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "liba.encryption")
    with_key, without, with_another = await heard(sealed, credentials, room, [KEY, None, "another key"])
    assert with_key.speech_s > LEAST_S
    assert with_another.speech_s < 0.2
    told = [record.getMessage() for record in caplog.records if record.name == "liba.encryption"]
    assert any("publishes encrypted end to end, and there is no key here" in line for line in told)
    assert any("it is encrypted with another key" in line for line in told)
    assert without.pcm != with_key.pcm


async def test_a_client_of_the_sdk_that_encrypts_its_data_too_makes_it_speak_and_hears_it(
    sealed: Shell, credentials: LiveKitCredentials, room: str
) -> None:
    """`RoomOptions.encryption`: what LiveKit's documentation has for all SDKs."""
    key = rtc.KeyProviderOptions(shared_key=KEY.encode())
    options = rtc.RoomOptions(encryption=rtc.E2EEOptions(key_provider_options=key))
    token = join_token(
        credentials, room=room, identity="ann", permissions=Permissions(can_say=True), valid_for_s=600
    )
    client, ear = rtc.Room(), Listener
    listener = ear(client, agent_name=AGENT)
    await client.connect(credentials.ws_url, token, options)
    try:
        async with asyncio.TaskGroup() as tasks:
            listening_task = tasks.create_task(listener.run())
            await say(sealed, room)
            agent = next(
                one.identity
                for one in client.remote_participants.values()
                if one.attributes.get("liba.agent") == AGENT
            )
            capture = listener.start_capture()
            answer = json.loads(
                await client.local_participant.perform_rpc(
                    destination_identity=agent, method="liba.say", payload=json.dumps({"text": LINE})
                )
            )
            async with asyncio.timeout(20):
                await listener.wait_for(answer["id"], "done")
            await asyncio.sleep(0.3)
            listening_task.cancel()
    finally:
        await client.disconnect()
    assert capture.speech_s > LEAST_S


async def test_probe_and_record_hear_and_see_with_the_key_and_say_why_not_without(
    sealed: Shell, room: str, tmp_path: Path
) -> None:
    probed = await asyncio.to_thread(sealed.run, "probe", "--room", room, "-n", "1", "--text", LINE)
    assert probed.returncode == 0, probed.stdout + probed.stderr
    without = Shell(sealed.folder, {**sealed.environment, "LIVEKIT_E2EE_KEY": ""})
    blind = await asyncio.to_thread(
        without.run, "probe", "--room", room, "-n", "1", "--text", LINE, "--timeout", "20"
    )
    assert "publishes encrypted end to end, and there is no key here" in blind.stderr
    for shell, name in ((sealed, "with.wav"), (without, "without.wav")):
        recording = asyncio.to_thread(
            shell.run, "record", "--room", room, "--for", "6s", "--audio-only", "--json", str(tmp_path / name)
        )
        async with asyncio.TaskGroup() as tasks:
            ended = tasks.create_task(recording)
            await asyncio.sleep(2.5)
            await say(sealed, room)
        if shell is sealed:
            assert json.loads(ended.result().stdout)["speech_s"] > LEAST_S
        else:
            assert "there is no key here" in ended.result().stderr


async def test_doctor_and_queue_name_an_encrypted_room_of_which_the_agent_has_no_key(
    shell: Shell, worker: Path, credentials: LiveKitCredentials, room: str
) -> None:
    options = rtc.RoomOptions(
        encryption=rtc.E2EEOptions(key_provider_options=rtc.KeyProviderOptions(shared_key=KEY.encode()))
    )
    token = join_token(
        credentials, room=room, identity="ann", permissions=Permissions(can_publish=True), valid_for_s=600
    )
    client = rtc.Room()
    await client.connect(credentials.ws_url, token, options)
    source = rtc.AudioSource(48_000, 1)
    try:
        track = rtc.LocalAudioTrack.create_audio_track("mic", source)
        await client.local_participant.publish_track(track)
        await say(shell, room)
        queue = await asyncio.to_thread(shell.run, "queue", "--room", room, "--json")
        assert json.loads(queue.stdout)["encryption"] == "encrypted, no key"
        doctor = await asyncio.to_thread(shell.run, "doctor", "--room", room, "--json")
        found = {one["name"]: one for one in json.loads(doctor.stdout)["checks"]}
        assert found["encryption"]["verdict"] == found["agent"]["verdict"] == "fail"
        assert "'ann'" in found["encryption"]["message"]
        assert "LIVEKIT_E2EE_KEY" in found["encryption"]["fix"]
    finally:
        await source.aclose()
        await client.disconnect()
    told = await asyncio.to_thread(worker.read_text)
    assert "'ann'" in told
    assert "there is no key here" in told


@pytest.fixture(scope="module")
def stage(sealed: Shell, tmp_path_factory: pytest.TempPathFactory, leftovers: Leftovers) -> Iterator[Shell]:
    """A worker in `ROOM` with the local avatar; both have the key."""
    fetch(*LIVEKIT_CLIENT, VENDOR)
    folder = tmp_path_factory.mktemp("stage")
    avatar_log, log = folder / "avatar.log", folder / "worker.log"
    with sealed.running("avatar", "run", "--json", "--size", "256", log=avatar_log) as avatar:
        leftovers.keep(avatar.pid)
        wait_for_line(avatar_log, "TAVUS_API_KEY", avatar)
        told = json.loads(next(one for one in avatar_log.read_text().splitlines() if one.startswith("{")))
        keys = {"TAVUS_BASE_URL": told["TAVUS_BASE_URL"], "TAVUS_API_KEY": told["TAVUS_API_KEY"]}
        own = {"LIBA_AGENT_NAME": PAGE_AGENT, "TAVUS_FACE_ID": "local", **keys}
        with sealed.running("agent", "run", "--room", ROOM, log=log, **own) as worker:
            leftovers.keep(worker.pid)
            wait_for_line(log, "worker is ready", worker)
            yield Shell(sealed.folder, sealed.environment | own)


async def test_the_page_shows_and_plays_what_is_encrypted_with_the_key_of_its_server(
    stage: Shell, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with serving(stage, tmp_path_factory.mktemp("serve"), "--port", "0") as served:
        async with fresh_context(browser) as context:
            visit = Visit(await context.new_page())
            await visit.page.goto(served.page)
            await visit.state("live")
            await visit.sees(25)
            ear = await Ear.of(visit.page)
            await ear.silence(0.5)
            await visit.says(LINE)
            await ear.hear(await ear.last_click())
            assert visit.complaints == []
    told = await say(stage, ROOM)
    assert told["route"] == "tavus"


async def test_an_avatar_in_the_cloud_is_given_no_key_and_is_not_asked_for(
    shell: Shell, room: str, tmp_path: Path, credentials: LiveKitCredentials
) -> None:
    own = {
        "LIVEKIT_E2EE_KEY": KEY,
        "LIBA_AGENT_NAME": room,
        "TAVUS_API_KEY": "never-used",
        "TAVUS_BASE_URL": "https://tavus.invalid",
        "TAVUS_FACE_ID": "face",
    }
    log = tmp_path / "worker.log"
    with shell.running("agent", "run", "--room", room, log=log, **own) as process:
        await asyncio.to_thread(wait_for_line, log, "worker is ready", process)
        async with listener_with(credentials, room, KEY):
            told = await say(Shell(shell.folder, shell.environment | own), room)
    assert (told["route"], told["route_reason"]) == ("fallback", "encrypted")
    text = await asyncio.to_thread(log.read_text)
    assert "the room is encrypted end to end, and Tavus can be given no key" in text
    assert KEY not in text
