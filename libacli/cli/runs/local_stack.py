"""All that speaks on one machine: server, avatar, worker and page; those of the settings, else local ones."""

from __future__ import annotations

import asyncio
import importlib.util
import secrets
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from platformdirs import user_cache_path, user_state_path
from pydantic import SecretStr

from libacli.cli.output import InstallProgress, output
from libacli.cli.runs.child_process import Child, running
from libacli.cli.runs.page_link import PageLink
from libacli.cli.runs.voice_meanwhile import VoiceMeanwhile
from libacli.config import LiveKitCredentials, Settings, is_loopback
from libacli.config_sources import CONFIG_VARIABLE
from libacli.config_variables import as_variables
from libacli.core.connection_details import MEET, ConnectionDetails
from libacli.edges.avatars.choose import avatar_base_url, avatar_vendor
from libacli.edges.avatars.vendors import LOCAL_KEY_PREFIX
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import pauses
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.tokens import join_token
from libacli.edges.voices.choose import provider_words
from libacli.errors import LibaError, NoAgentError
from libacli.local.face_sitters import HANA, SITTERS
from libacli.local.server_binary import ensure_server
from libacli.local.server_process import LocalServer, run_server
from libacli.local.server_sources import Progress
from libacli.running_stack import Part
from libacli.web.keys import new_key

_AVATAR_TIMEOUT_S = 20.0
_PAGE_TIMEOUT_S = 30.0
_LINK_TIMEOUT_S = 5.0
_WORKER_TIMEOUT_S = 40.0
"""To start and to come into the room: many times what it takes on a machine that is not busy."""

StartAgain = Callable[[], AbstractContextManager[Child]]


class LocalStack:
    """Starts them for `room`; each lasts as long as its context. The server comes first, then the avatar.

    `log_name` is what names of log files begin with.
    """

    def __init__(
        self, settings: Settings, *, room: str, config_file: Path | None, log_name: str = "demo"
    ) -> None:
        self.avatar_name = avatar_vendor(settings).title
        """What to call the avatar."""

        self.local_server: LocalServer | None = None
        """Our own, where it had to be started."""

        self.parts: dict[str, Part] = {}
        """What runs, by name."""

        self.again: dict[str, tuple[Child, StartAgain]] = {}
        """What was started, by name, and how to start it anew, where it was, when it has ended."""

        self._settings = settings
        """With what was put up so far."""

        self._room = room
        self._config_file = config_file
        self._log_name = log_name

    @contextmanager
    def server(self) -> Iterator[LiveKitCredentials]:
        """The LiveKit server of the settings, or one of our own."""
        if self._settings.livekit_url:
            credentials = self._settings.livekit()
            output.status(f"server   {credentials.url}")
            yield credentials
            return
        binary = ensure_server(
            self._settings.server_binary, user_cache_path("liba"), progress=self._while_it_is_built()
        )
        with run_server(binary.path, user_state_path("liba")) as server:
            self.local_server = server
            self.parts["server"] = Part("server", server.pid, server.url, str(server.log_path), _now())
            output.status(f"server   local livekit-server {binary.version} at {server.url}")
            # Nobody but this machine's own user can reach it: packets of any client are heard.
            self._settings = self._settings.model_copy(update={"say_accept": "anyone"})
            secret, e2ee_key = SecretStr(server.api_secret), self._settings.livekit_e2ee_key
            yield LiveKitCredentials(server.url, server.api_key, secret, e2ee_key=e2ee_key)

    def _while_it_is_built(self) -> Progress:
        file = user_cache_path("liba") / "voice.wav"
        return VoiceMeanwhile(InstallProgress(output), self._settings, file)

    @contextmanager
    def avatar(self) -> Iterator[None]:
        """The one of the settings, if it can come here, else a local one."""
        settings = self._settings
        is_within_reach = bool(settings.livekit_url) or is_loopback(avatar_base_url(settings))
        if settings.has_avatar and is_within_reach:
            output.status(f"avatar   {self.avatar_name} at {avatar_base_url(self._settings)}")
            yield
            return
        key = SecretStr(f"{LOCAL_KEY_PREFIX}{secrets.token_urlsafe(24)}")
        with self._avatar(key) as child:
            url = self.parts["avatar"].address
            self.again["avatar"] = (child, partial(self._avatar, key, port=urlsplit(url).port))
            output.status(f"avatar   local avatar at {url}")
            self.avatar_name = "local avatar"
            face = settings.tavus_face_id if settings.tavus_face_id in SITTERS else HANA.name
            self._settings = self._settings.model_copy(
                update={"tavus_api_key": key, "tavus_base_url": url, "tavus_face_id": face}
            )
            yield

    @contextmanager
    def _avatar(self, key: SecretStr, *, port: int | None = None) -> Iterator[Child]:
        command = ["avatar", "run", "--json", *(["--port", str(port)] if port else [])]
        with self._running("the local avatar", command, self.avatar_environment(key)) as child:
            url = child.announced(timeout_s=_AVATAR_TIMEOUT_S)["TAVUS_BASE_URL"]
            self._note("avatar", child, url)
            yield child

    @contextmanager
    def worker(self, credentials: LiveKitCredentials, *, grace_s: float = 5.0) -> Iterator[Child]:
        """The worker, which goes into the room at once; it has `grace_s` seconds to end what it began."""
        environment = self.worker_environment(credentials)
        command = ["agent", "run", "--room", self._room]
        with self._running(
            "the worker", command, environment, inherits_settings=True, grace_s=grace_s
        ) as child:
            self._note("agent", child, f"room {self._room}")
            self.again["agent"] = (child, partial(self.worker, credentials, grace_s=grace_s))
            yield child

    @contextmanager
    def page(self, credentials: LiveKitCredentials, *, port: int = 0) -> Iterator[PageLink]:
        """The page to watch and speak with: our own, or LiveKit's where `web` is not installed."""
        if not importlib.util.find_spec("fastapi"):
            token = join_token(credentials, room=self._room, identity=f"viewer-{uuid.uuid4().hex[:6]}")
            yield PageLink(MEET, ConnectionDetails(credentials.outside.ws_url, token).meet_url)
            return
        environment = self.page_environment(credentials)
        keys, (key, entry) = self._settings.serve_keys, new_key(f"demo-{secrets.token_hex(4)}")
        if keys:  # the page lets nobody in without one, not even us
            environment["LIBA_SERVE_KEYS"] = ",".join((*keys, entry))
        with self._page(environment, port) as child:
            page = self.parts["page"].address
            url = page.partition("/#")[0]
            again_at = urlsplit(url).port or port
            self.again["page"] = (child, partial(self._page, environment, again_at))
            yield PageLink(page, _link_that_lets_in(url, key) if keys else "")

    @contextmanager
    def _page(self, environment: Mapping[str, str], port: int) -> Iterator[Child]:
        with self._running("the page", ["serve", "--port", str(port), "--json"], environment) as child:
            self._note("page", child, child.announced(timeout_s=_PAGE_TIMEOUT_S)["page"])
            yield child

    def _running(
        self, name: str, command: list[str], environment: Mapping[str, str], **how: Any
    ) -> AbstractContextManager[Child]:
        return running(name, command, environment, log_name=f"{self._log_name}-{command[0]}", **how)

    def _note(self, name: str, child: Child, address: str) -> None:
        self.parts[name] = Part(name, child.process.pid, address, str(child.log_path), _now())

    async def put_dead_agents_out(self, credentials: LiveKitCredentials) -> None:
        """Of our own server, when their worker has ended: it lists them for some 20 s, and they are asked."""
        if not self.local_server:
            return  # those of another machine may be there
        with suppress(LibaError):
            async with LiveKitApi(credentials) as api:
                for room in await api.rooms():
                    for one in await api.participants(room.name):
                        if one.is_named(self._settings.agent_name):
                            await api.remove(room.name, one.identity)

    def reach(self, credentials: LiveKitCredentials) -> dict[str, str]:
        """What others on this machine need to reach it, by field of `Settings`; nothing that was not
        started here. It holds secrets."""
        told = {"say_room": self._room}
        if self.local_server:
            told |= {
                "livekit_url": credentials.url,
                "livekit_api_key": credentials.api_key,
                "livekit_api_secret": credentials.api_secret.get_secret_value(),
            }
        if "avatar" in self.parts and self._settings.tavus_api_key:
            told |= {
                "tavus_api_key": self._settings.tavus_api_key.get_secret_value(),
                "tavus_base_url": self._settings.tavus_base_url,
                "tavus_face_id": self._settings.tavus_face_id,
            }
        return told

    def worker_environment(self, credentials: LiveKitCredentials) -> dict[str, str]:
        """What the worker has to know: all that we were given, and the server."""
        return self._environment(with_credentials=True) | _reaching(credentials)

    def page_environment(self, credentials: LiveKitCredentials) -> dict[str, str]:
        """What the page has to know: it has no key for a voice, and yet names the voices that there are."""
        providers = ",".join(provider_words(self._settings))
        own = {"LIBA_SAY_ROOM": self._room, "LIBA_VOICE_PROVIDERS": providers}
        return self._environment() | _reaching(credentials) | own

    def avatar_environment(self, key: SecretStr) -> dict[str, str]:
        """What the local avatar has to know: it is told the server when it is asked into a room."""
        own = {"TAVUS_API_KEY": key.get_secret_value()}
        return self._environment() | own | _encrypting(self._settings.livekit_e2ee_key)

    def _environment(self, *, with_credentials: bool = False) -> dict[str, str]:
        """The settings that we were given; the file that was named is found from everywhere."""
        environment = as_variables(self._settings, with_credentials=with_credentials)
        environment["LIBA_LOG_FORMAT"] = "text"  # for people: `liba logs`, and the last line of what ended
        if self._config_file:
            environment[CONFIG_VARIABLE] = str(self._config_file.absolute())
        return environment


async def until_agent(client: AgentClient, worker: Child) -> None:
    """Waits until the agent is in its room. Raises InstallError when its worker ends, NoAgentError."""
    output.status("agent    starting...")
    clock = asyncio.get_running_loop().time
    deadline, pause = clock() + _WORKER_TIMEOUT_S, pauses()
    while not await client.find():
        if worker.process.poll() is not None:
            raise worker.ended()
        if clock() > deadline:
            raise NoAgentError(
                f"the worker did not come into the room within {_WORKER_TIMEOUT_S:g} s",
                hint=f"its log: {worker.log_path}",
            )
        await asyncio.sleep(next(pause))


def _now() -> float:
    return datetime.now(UTC).timestamp()


def _link_that_lets_in(url: str, key: str) -> str:
    """A link by which one browser may speak; empty where the server cannot be asked by its own address."""
    try:
        answer = httpx2.post(
            f"{url}/api/link",
            json={"can_say": True, "can_control": True},
            headers={"Authorization": f"Bearer {key}"},
            trust_env=False,
            timeout=_LINK_TIMEOUT_S,
        )
        return str(answer.raise_for_status().json()["url"])
    except (httpx2.HTTPError, KeyError, ValueError):
        return ""


def _reaching(credentials: LiveKitCredentials) -> dict[str, str]:
    return {
        "LIVEKIT_URL": credentials.url,
        "LIVEKIT_PUBLIC_URL": credentials.public_url,
        "LIVEKIT_API_KEY": credentials.api_key,
        "LIVEKIT_API_SECRET": credentials.api_secret.get_secret_value(),
    } | _encrypting(credentials.e2ee_key)


def _encrypting(e2ee_key: SecretStr | None) -> dict[str, str]:
    return {"LIVEKIT_E2EE_KEY": e2ee_key.get_secret_value()} if e2ee_key else {}
