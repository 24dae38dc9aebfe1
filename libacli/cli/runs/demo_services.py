"""What a demo needs: server, avatar, worker and page; those of the settings, else some that end with it."""

from __future__ import annotations

import importlib.util
import secrets
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx2
from platformdirs import user_cache_path, user_state_path
from pydantic import SecretStr

from libacli.cli.output import InstallProgress, output
from libacli.cli.runs.child_process import Child, running
from libacli.cli.runs.page_link import PageLink
from libacli.config import LiveKitCredentials, Settings
from libacli.config_sources import CONFIG_VARIABLE
from libacli.core.connection_details import MEET, ConnectionDetails
from libacli.edges.avatars.choose import avatar_base_url, avatar_vendor
from libacli.edges.livekit.tokens import join_token
from libacli.local.server_binary import ensure_server
from libacli.local.server_process import run_server
from libacli.web.keys import new_key

_AVATAR_TIMEOUT_S = 20.0
_PAGE_TIMEOUT_S = 30.0
_LINK_TIMEOUT_S = 5.0


class DemoServices:
    """Starts them for `room`; each lasts as long as its context. The server comes first, then the avatar."""

    def __init__(self, settings: Settings, *, room: str, config_file: Path | None) -> None:
        self.avatar_name = avatar_vendor(settings).title
        """What to call the avatar."""

        self._settings = settings
        """With what was put up so far."""

        self._room = room
        self._config_file = config_file

    @contextmanager
    def server(self) -> Iterator[LiveKitCredentials]:
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
    def avatar(self) -> Iterator[None]:
        """The one of the settings, else a local one."""
        if self._settings.has_avatar:
            output.status(f"avatar   {self.avatar_name} at {avatar_base_url(self._settings)}")
            yield
            return
        key = SecretStr(f"local-{secrets.token_urlsafe(24)}")
        environment = {"TAVUS_API_KEY": key.get_secret_value(), "LIBA_LOG_LEVEL": self._settings.log_level}
        command = ["avatar", "run", "--json"]
        with running("the local avatar", command, environment, is_agent_or_page=False) as child:
            url = child.announced(timeout_s=_AVATAR_TIMEOUT_S)["TAVUS_BASE_URL"]
            output.status(f"avatar   local avatar at {url}")
            self.avatar_name = "local avatar"
            self._settings = self._settings.model_copy(
                update={"tavus_api_key": key, "tavus_base_url": url, "tavus_face_id": "local"}
            )
            yield

    def worker(self, credentials: LiveKitCredentials) -> AbstractContextManager[Child]:
        """The worker, which goes into the room at once."""
        key = self._settings.tavus_api_key
        environment = self._environment(credentials) | {
            "LIBA_SAY_ACCEPT": self._settings.say_accept,
            "TAVUS_API_KEY": key.get_secret_value() if key else "",
            "TAVUS_BASE_URL": self._settings.tavus_base_url,
            "TAVUS_FACE_ID": self._settings.tavus_face_id,
            "TAVUS_PAL_ID": self._settings.tavus_pal_id,
        }
        return running("the worker", ["agent", "run", "--room", self._room], environment)

    @contextmanager
    def page(self, credentials: LiveKitCredentials) -> Iterator[PageLink]:
        """The page to watch and speak with: our own, or LiveKit's where `web` is not installed."""
        if not importlib.util.find_spec("fastapi"):
            token = join_token(credentials, room=self._room, identity=f"viewer-{uuid.uuid4().hex[:6]}")
            yield PageLink(MEET, ConnectionDetails(credentials.ws_url, token).meet_url)
            return
        environment = self._environment(credentials) | {"LIBA_SAY_ROOM": self._room}
        keys, (key, entry) = self._settings.serve_keys, new_key(f"demo-{secrets.token_hex(4)}")
        if keys:  # the page lets nobody in without one, not even us
            environment["LIBA_SERVE_KEYS"] = ",".join((*keys, entry))
        with running("the page", ["serve", "--port", "0", "--json"], environment) as child:
            told = child.announced(timeout_s=_PAGE_TIMEOUT_S)
            yield PageLink(told["page"], _link_that_lets_in(told["url"], key) if keys else "")

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


def _link_that_lets_in(url: str, key: str) -> str:
    """A link by which one browser may speak; empty where the server cannot be asked by its own address."""
    try:
        answer = httpx2.post(
            f"{url}/api/link",
            json={"can_say": True},
            headers={"Authorization": f"Bearer {key}"},
            trust_env=False,
            timeout=_LINK_TIMEOUT_S,
        )
        return str(answer.raise_for_status().json()["url"])
    except (httpx2.HTTPError, KeyError, ValueError):
        return ""
