"""What `liba demo` puts up: server, worker, a listener of its own; then it speaks and sees who heard it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
import uuid
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformdirs import user_cache_path, user_state_path
from pydantic import SecretStr

from libacli.cli.output import InstallProgress, output
from libacli.cli.token import watch_link
from libacli.config import CONFIG_VARIABLE, LiveKitCredentials, Settings
from libacli.core.audio import SAMPLE_RATE
from libacli.core.messages import FINAL_STATES, Malformed, SayRequest, read_say
from libacli.errors import InstallError, LibaError, NoAgentError, RefusedError, TimedOutError

if TYPE_CHECKING:
    from libacli.edges.agent_client import AgentClient
    from libacli.edges.listener import Listener, Take
    from libacli.local.guard import GuardedProcess

_WORKER_TIMEOUT_S = 40.0
_SUBSCRIBE_TIMEOUT_S = 10.0
_NETWORK_TAIL_S = 0.3
"""How long the last sound may be on its way after the agent played it."""

_LEAST_SPEECH_S = 0.2
_RECORDING = Path("liba-demo.wav")


class Stage:
    """One run of the demo in `room`."""

    def __init__(self, settings: Settings, *, room: str, config_file: Path | None) -> None:
        self._settings = settings
        self._room = room
        self._config_file = config_file
        self._has_spoken = False

    async def perform(self, text: str, *, once: bool, record: Path | None) -> None:
        """Speaks `text`, and then each line typed, unless `once` or not on a terminal.

        Raises NoAgentError, TimedOutError, RefusedError; LibaError when it was not heard.
        """
        request = self._request(text)
        once = once or not (sys.stdin.isatty() and sys.stdout.isatty())
        async with AsyncExitStack() as stack:
            credentials = await asyncio.to_thread(stack.enter_context, self._server())
            client, listener = await stack.enter_async_context(self._cast(credentials))
            if not once:
                self._tell_where_to_watch(credentials)
            take = await self._say(client, listener, request)
            if once or record:
                _write_wav(record or _RECORDING, take)
            if not once:
                await self._say_what_is_typed(client, listener)

    async def _say_what_is_typed(self, client: AgentClient, listener: Listener) -> None:
        async for line in _typed_lines():
            try:
                await self._say(client, listener, self._request(line))
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
        from libacli.local.server_binary import ensure_server
        from libacli.local.server_process import run_server

        binary = ensure_server(
            self._settings.server_binary, user_cache_path("liba"), progress=InstallProgress(output)
        )
        with run_server(binary.path, user_state_path("liba")) as server:
            output.status(f"server   local livekit-server {binary.version} at {server.url}")
            # Nobody but this machine's own user can reach it: packets of any client are heard.
            self._settings = self._settings.model_copy(update={"say_accept": "anyone"})
            yield LiveKitCredentials(server.url, server.api_key, SecretStr(server.api_secret))

    @asynccontextmanager
    async def _cast(self, credentials: LiveKitCredentials) -> AsyncIterator[tuple[AgentClient, Listener]]:
        """The worker, started, and the listener, in the room; ready to speak and to hear."""
        from libacli.edges.agent_client import AgentClient
        from libacli.edges.listener import listening
        from libacli.edges.livekit_api import LiveKitApi
        from libacli.edges.tokens import listener_token

        token = listener_token(credentials, room=self._room, identity=f"liba-listener-{uuid.uuid4().hex[:6]}")
        async with LiveKitApi(credentials) as api:
            with self._worker(credentials) as worker:
                client = AgentClient(api, credentials, room=self._room, agent_name=self._settings.agent_name)
                async with listening(credentials.ws_url, token) as listener:
                    await self._wait_for_agent(client, worker)
                    async with asyncio.timeout(_SUBSCRIBE_TIMEOUT_S):
                        await listener.subscribed.wait()
                    output.status(f"agent    in room {self._room!r}, and a listener of our own")
                    yield client, listener

    @contextmanager
    def _worker(self, credentials: LiveKitCredentials) -> Iterator[_Worker]:
        """The worker, as a process of its own that ends with us."""
        from libacli.local.guard import GuardedProcess

        logs = user_state_path("liba") / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        log_path = logs / "demo-agent.log"
        secrets = {
            "LIVEKIT_URL": credentials.url,
            "LIVEKIT_API_KEY": credentials.api_key,
            "LIVEKIT_API_SECRET": credentials.api_secret.get_secret_value(),
            "LIBA_SAY_ACCEPT": self._settings.say_accept,
        }
        if self._config_file:
            secrets[CONFIG_VARIABLE] = str(self._config_file.absolute())
        command = [sys.executable, "-m", "libacli", "agent", "run", "--room", self._room]
        with (
            log_path.open("wb") as log,
            GuardedProcess.start(command, env=os.environ | secrets, stdout=log) as process,
        ):
            yield _Worker(process, log_path)

    async def _wait_for_agent(self, client: AgentClient, worker: _Worker) -> None:
        output.status("agent    starting...")
        deadline = time.monotonic() + _WORKER_TIMEOUT_S
        while not await client.find():
            if worker.process.poll() is not None:
                raise InstallError(
                    f"the worker ended: {worker.last_line()}", hint=f"its log: {worker.log_path}"
                )
            if time.monotonic() > deadline:
                raise NoAgentError(
                    f"the worker did not come into the room within {_WORKER_TIMEOUT_S:g} s",
                    hint=f"its log: {worker.log_path}",
                )
            await asyncio.sleep(0.1)

    async def _say(self, client: AgentClient, listener: Listener, request: SayRequest) -> Take:
        """Speaks one text and shows what came of it. Raises LibaError when nobody heard it."""
        loop = asyncio.get_running_loop()
        take = listener.start_take()
        sent_at = loop.time()
        bound_s = 30 + len(request.text) * 0.2
        try:
            async with asyncio.timeout(bound_s):
                said = await client.say(request)
                event = await listener.wait_for(said.id, *FINAL_STATES)
        except TimeoutError as error:
            raise TimedOutError(
                f"it was not spoken within {bound_s:g} s", hint="see the worker's log"
            ) from error
        await asyncio.sleep(_NETWORK_TAIL_S)
        if event["state"] != "done":
            raise LibaError(f"the agent says: {event['state']}, {event.get('reason', 'no reason given')}")
        if take.first_audible_at is None or take.speech_s < _LEAST_SPEECH_S:
            raise LibaError("the agent spoke but our listener heard nothing", hint="see the worker's log")
        first_sound_ms = (take.first_audible_at - sent_at) * 1000
        _show(event, take, first_sound_ms=first_sound_ms, with_header=not self._has_spoken)
        self._has_spoken = True
        return take

    def _tell_where_to_watch(self, credentials: LiveKitCredentials) -> None:
        from libacli.edges.tokens import join_token

        identity = f"viewer-{uuid.uuid4().hex[:6]}"
        token = join_token(credentials, room=self._room, identity=identity)
        output.status(f"watch    {watch_link(credentials.ws_url, token)}")
        output.status("type a line to have it spoken; Ctrl-C ends everything")

    def _request(self, text: str) -> SayRequest:
        try:
            members = {"text": text, "id": uuid.uuid4().hex[:12]}
            return read_say(members, max_text_chars=self._settings.say_max_text_chars)
        except Malformed as error:
            raise RefusedError(str(error), reason=error.reason) from error


@dataclass(frozen=True)
class _Worker:
    process: GuardedProcess
    log_path: Path

    def last_line(self) -> str:
        lines = self.log_path.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def _show(event: dict[str, Any], take: Take, *, first_sound_ms: float, with_header: bool) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim", show_header=with_header)
    row = {
        "utterance": event["id"],
        "route": event["route"],
        "T0→T1 voice": _ms(event, "d01"),
        "T1→T2 sink": _ms(event, "d12"),
        "T2→TA audible": _ms(event, "d2a"),
        "T2→T3 played": _ms(event, "d23"),
        "T0→T3 total": _ms(event, "total"),
        "T3 is": event.get("t3_source", ""),
    }
    for name in row:
        is_duration = "→" in name
        width = max(len(name), 12)
        table.add_column(name, justify="right" if is_duration else "left", no_wrap=True, min_width=width)
    table.add_row(*row.values())
    output.result(
        f"HEARD    {take.speech_s:.2f} s of speech at {take.level_dbfs:.0f} dBFS, "
        f"first sound {first_sound_ms:.0f} ms after it was sent"
    )
    output.table(table)


def _ms(event: dict[str, Any], name: str) -> str:
    return f"{event[name]:.1f} ms" if name in event else "-"


def _write_wav(path: Path, take: Take) -> None:
    try:
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(bytes(take.pcm))
    except OSError as error:
        raise LibaError(
            f"cannot write {path}: {error.strerror}", hint="choose another place: --record"
        ) from error
    output.status(f"recorded what was heard: {path}")


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
