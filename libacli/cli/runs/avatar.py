"""Runs the avatar service in this process: what it announces, its signals, its end."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from typing import TYPE_CHECKING

from pydantic import SecretStr

from libacli.cli.log import configure_log
from libacli.cli.output import output
from libacli.cli.screens.exports import show_exports
from libacli.config import Settings
from libacli.edges.avatars.vendors import LOCAL_KEY_PREFIX
from libacli.local.avatar import attend
from libacli.local.avatar_presence import Invitation
from libacli.local.avatar_service import AvatarService, serving
from libacli.local.face_sitters import HANA, SITTERS, Sitter

if TYPE_CHECKING:
    from libacli.local.face import Face


def run_avatar(settings: Settings, *, port: int | None, size: int, fps: float, as_json: bool) -> None:
    """Serves until a signal, then ends all conversations; a second signal does not wait."""
    configure_log(settings)
    asyncio.run(_run(settings, port=port or 0, size=size // 2 * 2, fps=fps, as_json=as_json))


async def _run(settings: Settings, *, port: int, size: int, fps: float, as_json: bool) -> None:
    own_key, e2ee_key = settings.tavus_api_key, settings.livekit_e2ee_key
    key = own_key or SecretStr(f"{LOCAL_KEY_PREFIX}{secrets.token_urlsafe(24)}")
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[int] = loop.create_future()
    faces = _Faces(size)
    faces.drawn(HANA)  # from the start: most want it

    async def join(invitation: Invitation) -> str:
        face = await faces.drawn(SITTERS.get(invitation.face_id, HANA))
        return await attend(invitation, face, fps=fps, e2ee_key=e2ee_key)

    def on_signal(number: int) -> None:
        if stopped.done():
            os._exit(128 + number)
        stopped.set_result(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal, number)
    async with serving(AvatarService(key, join, port=port)) as service:
        values = {"TAVUS_BASE_URL": service.base_url}
        if not own_key:  # who has set one knows it
            values["TAVUS_API_KEY"] = key.get_secret_value()
        _announce(values, as_json)
        ended_by = await stopped
        output.status("ending the conversations; once more ends it at once")
    if ended_by == signal.SIGINT:
        raise KeyboardInterrupt


class _Faces:
    """One of each sitter for all rooms. It takes a second to draw, in which no room's sound may stop."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._drawings: dict[str, asyncio.Future[Face]] = {}

    def drawn(self, sitter: Sitter) -> asyncio.Future[Face]:
        """The face, once it is there; whoever gives up waiting takes it from nobody else."""
        if sitter.name not in self._drawings:
            loop = asyncio.get_running_loop()
            self._drawings[sitter.name] = loop.run_in_executor(None, _draw, self._size, sitter)
        return asyncio.shield(self._drawings[sitter.name])


def _draw(size: int, sitter: Sitter) -> Face:
    from libacli.local.face import Face

    return Face(size, sitter=sitter)


def _announce(values: dict[str, str], as_json: bool) -> None:
    if as_json:
        output.ndjson(values)
    else:
        show_exports(values)
    output.status(f"the local avatar is ready at {values['TAVUS_BASE_URL']}; Ctrl-C ends it")
    output.status("next: these lines in the terminal of `liba agent run`, before it is started")
