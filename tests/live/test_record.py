"""`liba record` in a real room, with an agent that flashes and beeps once a second."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import wave
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from livekit import rtc

from libacli.config import LiveKitCredentials
from libacli.core.audio import SAMPLE_RATE
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.tokens import avatar_token, listener_token
from libacli.edges.viewer.listener import listening
from libacli.edges.viewer.recorder import Recorder
from tests.film import DARK, LIGHT, Film, beep, plain, read
from tests.live.conftest import Shell

pytestmark = pytest.mark.live

TICK_S = 0.04
TICKS = 25
FLASH_TICKS = 4
LEAD_TICKS = 2
"""Sound is given this much before its picture: it waits so long in the queue of its source."""

IN_SYNC_S = 0.12
"""Sound waits in the receiver's jitter buffer, longer where the machine is busy; people notice from 0.125 s
on (ITU-R BT.1359)."""

ABSENCE_S = 0.25
"""Less than an agent is away while another one joins."""

STEADY_S = 0.06
"""A picture lasts 40 ms, and is drawn late on a busy machine: so exactly is its time known."""


@dataclass
class Beacon:
    """An agent whose picture turns light, and whose sound beeps, at the same moment of each second."""

    room: rtc.Room
    size: tuple[int, int] = (320, 240)
    with_picture: bool = True

    async def run(self) -> None:
        async with aclosing(rtc.AudioSource(SAMPLE_RATE, 1)) as sound:
            await self._shine(sound)

    async def _shine(self, sound: rtc.AudioSource) -> None:
        microphone = rtc.LocalAudioTrack.create_audio_track("sound", sound)
        here = self.room.local_participant
        await here.publish_track(
            microphone, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False)
        )
        video = rtc.VideoSource(*self.size)
        if self.with_picture:
            camera = rtc.LocalVideoTrack.create_video_track("picture", video)
            every_picture = rtc.VideoEncoding(max_framerate=1 / TICK_S, max_bitrate=1_000_000)
            options = rtc.TrackPublishOptions(
                source=rtc.TrackSource.SOURCE_CAMERA, simulcast=False, video_encoding=every_picture
            )
            await here.publish_track(camera, options)
        loop = asyncio.get_running_loop()
        tone, quiet = beep(40), bytes(len(beep(40)))
        pictures = {light: self._picture(light) for light in (DARK, LIGHT)}
        for _ in range(LEAD_TICKS):
            await sound.capture_frame(_frame(quiet))
        began_at, tick = loop.time(), 0
        while True:
            await asyncio.sleep(max(0.0, began_at + tick * TICK_S - loop.time()))
            await sound.capture_frame(_frame(tone if tick % TICKS < FLASH_TICKS else quiet))
            is_light = (tick - LEAD_TICKS) % TICKS < FLASH_TICKS
            video.capture_frame(pictures[LIGHT if is_light else DARK])
            tick += 1

    def _picture(self, light: int) -> rtc.VideoFrame:
        return rtc.VideoFrame(*self.size, rtc.VideoBufferType.I420, plain(*self.size, light))


def _frame(pcm: bytes) -> rtc.AudioFrame:
    return rtc.AudioFrame(pcm, SAMPLE_RATE, 1, len(pcm) // 2)


@asynccontextmanager
async def beacon(
    credentials: LiveKitCredentials,
    room: str,
    *,
    with_picture: bool = True,
    size: tuple[int, int] = (320, 240),
) -> AsyncIterator[None]:
    """Keeps one in the room, as the avatar."""
    token = avatar_token(
        credentials, room=room, identity="tavus-avatar-agent", on_behalf_of="agent", valid_for_s=600
    )
    async with joined(rtc.Room(), credentials.ws_url, token) as there:
        running = asyncio.get_running_loop().create_task(Beacon(there, size, with_picture).run())
        yield
        running.cancel()
        await asyncio.wait([running])


@asynccontextmanager
async def recording(shell: Shell, room: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`liba record` from its start to its end; the body ends it, or it ends by itself."""
    process = await asyncio.create_subprocess_exec(
        *shell.command("record", "--room", room, *arguments),
        env=shell.environment,
        cwd=shell.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def said(process: asyncio.subprocess.Process, text: str) -> str:
    """Reads its stderr up to the line with `text`."""
    assert process.stderr
    seen = ""
    async with asyncio.timeout(60):
        while line := (await process.stderr.readline()).decode():
            seen += line
            if text in line:
                return seen
    raise AssertionError(f"no {text!r} in:\n{seen}")


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    """Exit code, stdout and the rest of stderr."""
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def taken(shell: Shell, room: str, path: Path, number: int) -> tuple[dict[str, Any], Film]:
    """A recording of eight seconds that ends with a signal: what was told of it, and what is in it."""
    async with recording(shell, room, str(path), "--json") as process:
        await said(process, "picture  of tavus-avatar-agent, 320x240")
        await asyncio.sleep(8)
        process.send_signal(number)
        code, out, err = await ended(process)
    assert code == 0, err
    return json.loads(out), read(path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_picture_and_sound_are_in_sync_and_complete_after_a_signal(
    credentials: LiveKitCredentials, shell: Shell, room: str, tmp_path: Path, number: int
) -> None:
    async with beacon(credentials, room):
        # The recorder is a viewer: where the machine is busy its jitter buffer holds sound for longer than
        # pictures, as long as it is there. Three that are not in sync would be our doing.
        for take in range(3):
            path = tmp_path / f"take{take}.mp4"
            told, film = await taken(shell, room, path, number)
            if abs(median(film.lags[1:])) < IN_SYNC_S:
                break
    assert told["path"] == str(path)
    assert (told["width"], told["height"]) == film.size == (320, 240)
    assert told["frames"] == len(film.pictures) > 4 * TICKS  # WebRTC sends fewer where the machine is busy
    assert told["seconds"] == pytest.approx(film.sound_s, abs=0.1)
    assert film.sound_s == pytest.approx(film.pictures[-1], abs=0.5)
    assert told["speech_s"] == pytest.approx(len(film.beeps) * FLASH_TICKS * TICK_S, abs=0.5)
    assert len(film.lags) >= 6
    settled = film.lags[1:]  # the jitter buffers find their depth in the first second
    assert abs(median(settled)) < IN_SYNC_S
    # Most of them: what a busy machine delivers late it has to make up for at once.
    assert median(abs(lag - median(settled)) for lag in settled) < STEADY_S


async def test_a_recorder_that_is_killed_leaves_what_can_be_played_but_for_its_last_two_seconds(
    credentials: LiveKitCredentials, shell: Shell, room: str, tmp_path: Path
) -> None:
    film_path, sound_path = tmp_path / "out.mp4", tmp_path / "out.wav"
    async with (
        beacon(credentials, room),
        recording(shell, room, str(film_path)) as filming,
        recording(shell, room, str(sound_path), "--audio-only") as taping,
    ):
        await said(taping, "sound    of tavus-avatar-agent")
        await said(filming, "picture  of tavus-avatar-agent")
        await asyncio.sleep(6)
        for process in (filming, taping):
            process.kill()
            await process.wait()
    film = read(film_path)
    assert film.sound_s > 4
    assert film.pictures[-1] > 4
    assert len(film.beeps) >= 3
    with wave.open(str(sound_path)) as file:
        assert file.getnframes() / SAMPLE_RATE > 4
    assert {one.name for one in tmp_path.iterdir() if "out" in one.name} == {"out.mp4", "out.wav"}  # noqa: ASYNC240


async def test_sound_alone_becomes_a_wav_file(
    credentials: LiveKitCredentials, shell: Shell, room: str, tmp_path: Path
) -> None:
    path = tmp_path / "out.wav"
    arguments = (str(path), "--audio-only", "--for", "6s", "--json")
    async with beacon(credentials, room), recording(shell, room, *arguments) as process:
        code, out, err = await ended(process)
    assert code == 0, err
    assert "picture" not in err
    assert "asked for by --for" in err
    with wave.open(str(path)) as file:
        form = (file.getframerate(), file.getnchannels(), file.getsampwidth())
        length_s = file.getnframes() / SAMPLE_RATE
    assert form == (24_000, 1, 2)
    told = json.loads(out)
    assert told | {"path": "", "speech_s": 0} == {
        "path": "",
        "seconds": pytest.approx(length_s, abs=0.001),
        "frames": 0,
        "width": 0,
        "height": 0,
        "speech_s": 0,
    }
    assert 3 <= len(read(path).beeps) <= 6


async def test_a_picture_that_goes_and_comes_back_goes_on_in_the_same_file(
    credentials: LiveKitCredentials, shell: Shell, room: str, tmp_path: Path
) -> None:
    path = tmp_path / "out.mp4"
    async with recording(shell, room, str(path)) as process:
        await said(process, "waiting for an agent")
        async with beacon(credentials, room, with_picture=False):
            await said(process, "sound    of")
            await asyncio.sleep(2)
        async with beacon(credentials, room):
            await said(process, "picture  of")
            await asyncio.sleep(2.5)
        async with beacon(credentials, room, size=(640, 480)):
            await said(process, "picture  of")
            await asyncio.sleep(2.5)
        process.send_signal(signal.SIGINT)
        code, _, err = await ended(process)
    assert code == 0, err
    film = read(path)
    assert film.size == (320, 240)
    assert film.pictures[0] > 1.5  # the sound was there before it
    assert film.sound_s == pytest.approx(film.pictures[-1], abs=0.5)
    assert len(film.beeps) >= 5
    lags = [abs(lag) for lag in film.lags]
    assert median(lags) < IN_SYNC_S
    assert max(lags) < ABSENCE_S  # while jitter buffers settle; an absence that was left out would be seen


async def test_a_recorder_shares_the_room_of_a_listener(
    credentials: LiveKitCredentials, room: str, tmp_path: Path
) -> None:
    path = tmp_path / "out.mp4"
    token = listener_token(credentials, room=room, identity="liba-test-1")
    async with beacon(credentials, room), listening(credentials.ws_url, token) as listener:
        async with asyncio.timeout(60):
            await listener.subscribed.wait()
        recorder = Recorder(listener.room, path)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(4):
                await recorder.run()
    film = read(path)
    assert len(film.pictures) == recorder.frames > 2 * TICKS
    assert film.sound_s == pytest.approx(recorder.seconds, abs=0.1)
    assert listener.capture.speech_s == pytest.approx(recorder.speech_s, abs=0.3)


@pytest.mark.parametrize("auto_subscribe", [True, False])
async def test_a_recording_goes_on_after_the_connection_was_lost_for_a_moment(
    credentials: LiveKitCredentials, room: str, tmp_path: Path, auto_subscribe: bool
) -> None:
    path = tmp_path / "out.mp4"
    token = listener_token(credentials, room=room, identity="liba-test-1")
    there = rtc.Room()
    lines: asyncio.Queue[str] = asyncio.Queue()

    async def told(text: str) -> None:
        async with asyncio.timeout(60):
            while text not in await lines.get():
                pass

    async with (
        beacon(credentials, room),
        joined(there, credentials.ws_url, token, auto_subscribe=auto_subscribe),
    ):
        recorder = Recorder(there, path, tell=lines.put_nowait)
        running = asyncio.get_running_loop().create_task(recorder.run())
        try:
            await told("picture  of")
            await asyncio.sleep(1)
            await there.simulate_scenario(rtc.SimulateScenarioKind.SIMULATE_FULL_RECONNECT)
            await told("the connection is back")
            await told("picture  of")
            await asyncio.sleep(2)
        finally:
            running.cancel()
            await asyncio.wait([running])
    film = read(path)
    assert film.pictures[-1] > film.sound_s - 0.5
    assert film.beeps[-1] > film.sound_s - 1.5
    assert film.sound_s == pytest.approx(recorder.seconds, abs=0.1)


async def test_a_room_that_is_closed_ends_the_recording_in_an_orderly_way(
    credentials: LiveKitCredentials, shell: Shell, room: str, tmp_path: Path
) -> None:
    path = tmp_path / "out.mp4"
    async with beacon(credentials, room), recording(shell, room, str(path)) as process:
        await said(process, "picture  of")
        await asyncio.sleep(2)
        await _delete(credentials, room)
        code, out, err = await ended(process)
    assert code == 0, err
    assert "ended    the room was deleted" in err
    assert str(path) in out
    assert len(read(path).pictures) > TICKS


async def _delete(credentials: LiveKitCredentials, room: str) -> None:
    from livekit import api

    secret = credentials.api_secret.get_secret_value()
    async with api.LiveKitAPI(credentials.url, credentials.api_key, secret) as server:
        await server.room.delete_room(api.DeleteRoomRequest(room=room))


def test_no_agent_is_told_by_exit_code_5_and_leaves_no_file(shell: Shell, room: str, tmp_path: Path) -> None:
    done = shell.run("record", "--room", room, "--for", "2s", str(tmp_path / "out.mp4"))
    assert done.returncode == 5, done.stderr
    assert "waiting for an agent" in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_no_agent_leaves_a_file_as_it_was_that_was_to_be_overwritten(
    shell: Shell, room: str, tmp_path: Path
) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"precious")
    done = shell.run("record", "--room", room, "--for", "1s", "--force", str(path))
    assert done.returncode == 5, done.stderr
    assert path.read_bytes() == b"precious"


def test_a_server_that_is_not_there_is_told_by_exit_code_4(shell: Shell, room: str, tmp_path: Path) -> None:
    done = shell.run("record", "--room", room, str(tmp_path / "o.mp4"), LIVEKIT_URL="ws://127.0.0.1:9")
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_secret_is_told_by_exit_code_3(shell: Shell, room: str, tmp_path: Path) -> None:
    done = shell.run("record", "--room", room, str(tmp_path / "o.mp4"), LIVEKIT_API_SECRET="w" * 40)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr


async def test_a_stream_that_nobody_takes_is_no_success_and_its_key_is_not_told(
    credentials: LiveKitCredentials, shell: Shell, room: str
) -> None:
    with socket.socket() as nobody:  # bound, and not listening: it refuses
        nobody.bind(("127.0.0.1", 0))
        place = f"rtmp://127.0.0.1:{nobody.getsockname()[1]}"
        async with (
            beacon(credentials, room),
            recording(shell, room, f"{place}/app/canary", "--for", "3s") as one,
        ):
            code, out, err = await ended(one)
    assert (code, out) == (4, "")
    assert f"liba: nothing was sent: {place} never took the stream - " in err
    assert "canary" not in err
