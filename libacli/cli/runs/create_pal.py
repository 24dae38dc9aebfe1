"""Runs `liba avatar create-pal`: makes a pal, and prints the setting that names it."""

from __future__ import annotations

import asyncio

from libacli.cli.output import output
from libacli.cli.screens.exports import show_exports
from libacli.config import Settings
from libacli.edges.avatars.choose import avatar_vendor, make_tavus
from libacli.errors import CredentialsError


def run_create_pal(settings: Settings, *, name: str, as_json: bool) -> None:
    """Raises CredentialsError without a key, AvatarError when the service does not make it."""
    pal_id = asyncio.run(_create(settings, name))
    if as_json:
        output.json({"pal_id": pal_id})
        return
    show_exports({"TAVUS_PAL_ID": pal_id})
    output.status(f'the pal is made; in liba.toml: [tavus] pal_id = "{pal_id}"')


async def _create(settings: Settings, name: str) -> str:
    service = make_tavus(settings)
    if service is None:
        raise CredentialsError(
            f"{avatar_vendor(settings).key_variable} is not set", hint="it is needed to make a pal"
        )
    async with service:
        return await service.create_pal(name)
