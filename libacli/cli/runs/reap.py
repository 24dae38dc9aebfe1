"""Runs `liba reap`: ends the conversations that nobody needs any more."""

from __future__ import annotations

import asyncio

from libacli.cli.output import output
from libacli.config import Settings
from libacli.edges.avatars.choose import avatar_vendor, make_avatar_service
from libacli.edges.avatars.ledger import Ledger, conversations_path
from libacli.edges.avatars.reaping import Reaped, end_strays, forget_local, nobody, whom_agents_need
from libacli.errors import CredentialsError, FileError, LeftRunningError, UnreachableError


def run_reap(settings: Settings, *, is_for_all: bool, is_forced: bool, as_json: bool) -> None:
    """Ends them, prints how many there were.

    Raises CredentialsError, LeftRunningError when not all were ended, FileError when it cannot be read what
    is to be ended, or what the avatar service, and Redis where there is one, raise.
    """
    file = Ledger(conversations_path())
    forget_local(file)
    if make_avatar_service(settings) is None:
        if not (is_for_all or file.orphans()):
            _tell(0, None, left=0, as_json=as_json)
            _check_all_read(file)
            return
        missing = f"{avatar_vendor(settings).key_variable} is not set"
        raise CredentialsError(missing, hint="it is needed to end conversations")
    spared: int | None = None
    failure: LeftRunningError | None = None
    try:
        ended = asyncio.run(_reap(settings))
    except LeftRunningError as error:
        ended, failure = error.ended, error
    if is_for_all:  # what was not ended by now is among them
        try:
            strays = asyncio.run(_reap_all(settings, file, is_forced=is_forced))
            ended, spared, failure = ended + strays.ended, strays.spared, None
        except LeftRunningError as error:
            ended, failure = ended + error.ended, error
    _tell(ended, spared, left=failure.left if failure else 0, as_json=as_json)
    if failure:
        raise failure
    if not is_for_all:  # the service itself has told of all
        _check_all_read(file)


def _check_all_read(ledger: Ledger) -> None:
    if files := ledger.unreadable():
        more = f", nor {len(files) - 1} more beside it" if files[1:] else ""
        raise FileError(
            f"{files[0]} cannot be read{more}: what it notes down may run, and cost money",
            hint="liba reap --all ends that by its name; then remove the file",
        )


async def _reap(settings: Settings) -> int:
    from libacli.leftovers import reap  # takes a second: what is missing is told before
    from libacli.shared_counts import SharedCounts

    ledger = SharedCounts(settings).ledger()
    try:
        return await reap(settings, ledger, everywhere=True)
    finally:
        await asyncio.to_thread(ledger.close)


def _tell(ended: int, spared: int | None, *, left: int, as_json: bool) -> None:
    if as_json:
        told = {"ended": ended, "spared": spared, "left": left or None}
        output.json({name: count for name, count in told.items() if count is not None})
        return
    output.result(f"ended {ended} conversation{'' if ended == 1 else 's'}")
    if spared:
        are = "1 is" if spared == 1 else f"{spared} are"
        output.status(f"{are} left to agents that answer, or may: liba reap --all --force ends them, too")


async def _reap_all(settings: Settings, ledger: Ledger, *, is_forced: bool) -> Reaped:
    service = make_avatar_service(settings)
    assert service
    async with service:
        if is_forced:
            return await end_strays(service, ledger, nobody)
        async with whom_agents_need(settings) as is_needed:
            try:
                return await end_strays(service, ledger, is_needed)
            except UnreachableError as error:
                hint = "liba reap --all --force asks no agent whether it needs its own"
                raise UnreachableError(str(error), hint=hint) from error
