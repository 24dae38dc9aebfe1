"""Runs `liba reap`: ends the conversations that crashed agents have left running."""

from __future__ import annotations

import asyncio

from libacli.cli.output import output
from libacli.config import Settings
from libacli.edges.avatars.choose import avatar_vendor, make_avatar_service
from libacli.errors import CredentialsError


def run_reap(settings: Settings, *, as_json: bool) -> None:
    """Ends them, prints how many there were. Raises CredentialsError, or what the avatar service raises."""
    if make_avatar_service(settings) is None:
        missing = f"{avatar_vendor(settings).key_variable} is not set"
        raise CredentialsError(missing, hint="it is needed to end conversations")
    from libacli.worker import reap  # takes a second: what is missing is told before

    count = asyncio.run(reap(settings))
    if as_json:
        output.json({"ended": count})
    else:
        output.result(f"ended {count} conversation{'' if count == 1 else 's'}")
