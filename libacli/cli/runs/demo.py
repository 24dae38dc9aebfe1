"""What `liba demo` puts up: server, avatar, worker, and a participant of its own that listens and watches."""

from __future__ import annotations

import asyncio
import importlib.util
import secrets
import sys
import time
import uuid
import webbrowser
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from livekit import rtc
from platformdirs import user_cache_path, user_state_path
from pydantic import SecretStr

from libacli.cli.output import InstallProgress, output
from libacli.cli.runs.child_process import Child, running
from libacli.cli.runs.demo_proof import Proof, write_wav
from libacli.config import LiveKitCredentials, Settings
from libacli.config_sources import CONFIG_VARIABLE
from libacli.core.connection_details import ConnectionDetails
from libacli.core.lifecycle import FINAL_STATES
from libacli.core.messages import SayRequest, read_say
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.tokens import join_token, listener_token
from libacli.edges.viewer.listener import Listener
from libacli.edges.viewer.recorder import Recorder
from libacli.edges.viewer.video_watcher import VideoWatcher
from libacli.errors import NoAgentError, RefusedError, TimedOutError
from libacli.local.server_binary import ensure_server
from libacli.local.server_process import run_server

_AVATAR_TIMEOUT_S = 20.0
_PAGE_TIMEOUT_S = 30.0
_WORKER_TIMEOUT_S = 40.0
_SUBSCRIBE_TIMEOUT_S = 10.0
_NETWORK_TAIL_S = 0.3
"""How long the last sound may be on its way after the agent played it."""

_RECORDING = Path("liba-demo.wav")


@dataclass(frozen=True)
class _Cast:
    """Everybody in the room, and the way to speak to the agent."""

    client: AgentClient
    listener: Listener
    watcher: VideoWatcher


class Stage:
    """One run of the demo in `room`; `opens` its page in a browser."""

    def __init__(self, settings: Settings, *, room: str, config_file: Path | None, opens: bool) -> None:
        self._settings = settings
        self._room = room
        self._config_file = config_file
        self._opens = opens
        self._avatar_name = "Tavus"
        self._has_spoken = False

    async def perform(self, text: str, *, once: bool, record: Path | None) -> None:
        """Speaks `text`, and then each line typed, unless `once` or not on a terminal.

        Raises NoAgentError, TimedOutError, RefusedError; LibaError when it was not heard.
        """
        request = self._request(text)
        once = once or not (sys.stdin.isatty() and sys.stdout.isatty())
        async with AsyncExitStack() as stack:
            credentials = await asyncio.to_thread(stack.enter_context, self._server())
            self._settings = await asyncio.to_thread(stack.enter_context, self._avatar())
            cast = await stack.enter_async_context(self._cast(credentials))
            if not once:
                page = await asyncio.to_thread(stack.enter_context, self._page(credentials))
                output.status(f"page     {page}")
                output.status("type a line to have it spoken; Ctrl-C ends everything")
                if self._opens:
                    await asyncio.to_thread(webbrowser.open, page)
            await self._say_and_record(cast, request, record or (_RECORDING if once else None))
            if not once:
                await self._say_what_is_typed(cast)

    async def _say_and_record(self, cast: _Cast, request: SayRequest, path: Path | None) -> None:
        """Speaks; `path` gets what was heard (WAV), or with `.mp4`, what was seen too."""
        if path is None or path.suffix.lower() != ".mp4":
            proof = await self._say(cast, request)
            if path:
                write_wav(path, proof.take)
        else:
            recorder = Recorder(cast.listener.room, path)
            recording = asyncio.get_running_loop().create_task(recorder.run())
            try:
                await self._say(cast, request)
                await asyncio.sleep(_NETWORK_TAIL_S)
            finally:
                recording.cancel()
                await asyncio.wait([recording])
            if not recording.cancelled() and (error := recording.exception()):
                raise error
        if path:
            output.status(f"recorded what was heard: {path}")

    async def _say_what_is_typed(self, cast: _Cast) -> None:
        async for line in _typed_lines():
            try:
                await self._say(cast, self._request(line))
            except RefusedError as error:
                output.error(error)

    @contextmanager
    def _server(self) -> Iterator[LiveKitCredentials]:
        """The LiveKit server of the settings, or one of our own."""
        if self._settings.livekit_url:
            credentials = self._settings.livekit()
            output.status(f"server   {credentials.url}")
            yield credentials
            return
        binary = ensure_server(
            self._settings.server_binary, user_cache_path("liba"), progress=InstallProgress(output)
        )
        with run_server(binary.path, user_state_path("liba")) as server:
            output.status(f"server   local livekit-server {binary.version} at {server.url}")
            # Nobody but this machine's own user can reach it: packets of any client are heard.
            self._settings = self._settings.model_copy(update={"say_accept": "anyone"})
            yield LiveKitCredentials(server.url, server.api_key, SecretStr(server.api_secret))

    @contextmanager
    def _avatar(self) -> Iterator[Settings]:
        """The settings with an avatar: Tavus where it is configured, else a local one."""
        if self._settings.has_avatar:
            output.status(f"avatar   Tavus at {self._settings.tavus_base_url}")
            yield self._settings
            return
        key = SecretStr(f"local-{secrets.token_urlsafe(24)}")
        environment = {"TAVUS_API_KEY": key.get_secret_value()}
        with running("the local avatar", ["avatar", "run", "--json"], environment) as child:
            url = child.announced(timeout_s=_AVATAR_TIMEOUT_S)["TAVUS_BASE_URL"]
            output.status(f"avatar   local avatar at {url}")
            self._avatar_name = "local avatar"
            yield self._settings.model_copy(
                update={"tavus_api_key": key, "tavus_base_url": url, "tavus_face_id": "local"}
            )

    @asynccontextmanager
    async def _cast(self, credentials: LiveKitCredentials) -> AsyncIterator[_Cast]:
        """The worker, started, and our own participant, in the room; ready to speak, hear and see."""
        token = listener_token(credentials, room=self._room, identity=f"liba-listener-{uuid.uuid4().hex[:6]}")
        room = rtc.Room()
        listener, watcher = Listener(room), VideoWatcher(room)
        async with LiveKitApi(credentials) as api:
            with self._worker(credentials) as worker:
                client = AgentClient(api, credentials, room=self._room, agent_name=self._settings.agent_name)
                async with joined(room, credentials.ws_url, token):
                    loop = asyncio.get_running_loop()
                    senses = [loop.create_task(listener.run()), loop.create_task(watcher.run())]
                    try:
                        await self._wait_for_agent(client, worker)
                        await self._wait_for_senses(listener, watcher)
                        yield _Cast(client, listener, watcher)
                    finally:
                        for sense in senses:
                            sense.cancel()
                        await asyncio.wait(senses)

    @contextmanager
    def _worker(self, credentials: LiveKitCredentials) -> Iterator[Child]:
        key = self._settings.tavus_api_key
        environment = self._environment(credentials) | {
            "LIBA_SAY_ACCEPT": self._settings.say_accept,
            "TAVUS_API_KEY": key.get_secret_value() if key else "",
            "TAVUS_BASE_URL": self._settings.tavus_base_url,
            "TAVUS_FACE_ID": self._settings.tavus_face_id,
            "TAVUS_PAL_ID": self._settings.tavus_pal_id,
        }
        with running("the worker", ["agent", "run", "--room", self._room], environment) as child:
            yield child

    @contextmanager
    def _page(self, credentials: LiveKitCredentials) -> Iterator[str]:
        """Address of the page to watch and speak with: our own, or LiveKit's where `web` is not installed."""
        if not importlib.util.find_spec("fastapi"):
            token = join_token(credentials, room=self._room, identity=f"viewer-{uuid.uuid4().hex[:6]}")
            yield ConnectionDetails(credentials.ws_url, token).meet_url
            return
        environment = self._environment(credentials) | {"LIBA_SAY_ROOM": self._room}
        with running("the page", ["serve", "--port", "0", "--json"], environment) as child:
            yield child.announced(timeout_s=_PAGE_TIMEOUT_S)["page"]

    def _environment(self, credentials: LiveKitCredentials) -> dict[str, str]:
        """What a child has to know to find the server, and the settings that we were given."""
        environment = {
            "LIVEKIT_URL": credentials.url,
            "LIVEKIT_API_KEY": credentials.api_key,
            "LIVEKIT_API_SECRET": credentials.api_secret.get_secret_value(),
        }
        if self._config_file:
            environment[CONFIG_VARIABLE] = str(self._config_file.absolute())
        return environment

    async def _wait_for_agent(self, client: AgentClient, worker: Child) -> None:
        output.status("agent    starting...")
        deadline = time.monotonic() + _WORKER_TIMEOUT_S
        while not await client.find():
            if worker.process.poll() is not None:
                raise worker.ended()
            if time.monotonic() > deadline:
                raise NoAgentError(
                    f"the worker did not come into the room within {_WORKER_TIMEOUT_S:g} s",
                    hint=f"its log: {worker.log_path}",
                )
            await asyncio.sleep(0.1)

    async def _wait_for_senses(self, listener: Listener, watcher: VideoWatcher) -> None:
        try:
            async with asyncio.timeout(_SUBSCRIBE_TIMEOUT_S):
                await listener.subscribed.wait()
                await watcher.seen.wait()
        except TimeoutError:
            output.status("avatar   not in the room yet; the agent speaks without it until it is")
        output.status(f"agent    in room {self._room!r}, and a participant of our own that listens")

    async def _say(self, cast: _Cast, request: SayRequest) -> Proof:
        """Speaks one text and shows what came of it. Raises LibaError when nobody heard it."""
        loop = asyncio.get_running_loop()
        take, sight = cast.listener.start_capture(), cast.watcher.start_capture()
        sent_at = loop.time()
        bound_s = 30 + len(request.text) * 0.2
        try:
            async with asyncio.timeout(bound_s):
                said = await cast.client.say(request)
                event = await cast.listener.wait_for(said.id, *FINAL_STATES)
        except TimeoutError as error:
            raise TimedOutError(
                f"it was not spoken within {bound_s:g} s", hint="see the worker's log"
            ) from error
        await asyncio.sleep(_NETWORK_TAIL_S)
        first_sound_ms = ((take.first_audible_at or sent_at) - sent_at) * 1000
        proof = Proof(event, take, sight, first_sound_ms, self._avatar_name)
        proof.check()
        proof.show(with_header=not self._has_spoken)
        self._has_spoken = True
        return proof

    def _request(self, text: str) -> SayRequest:
        members = {"text": text, "id": uuid.uuid4().hex[:12]}
        return read_say(members, max_text_chars=self._settings.say_max_text_chars)


async def _typed_lines() -> AsyncIterator[str]:
    """Lines of the terminal, until its end."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop.add_reader(sys.stdin.fileno(), lambda: lines.put_nowait(sys.stdin.readline()))
    try:
        while line := await lines.get():
            if line.strip():
                yield line
    finally:
        loop.remove_reader(sys.stdin.fileno())
