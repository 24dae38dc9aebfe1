"""liba reap"""

from typing import Annotated

import typer

from libacli.cli.options import AsJson, ConfigFile, settings_from


def reap(
    every: Annotated[
        bool,
        typer.Option("--all", help="Also what other machines have begun and no agent that answers needs"),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="With --all: also what agents need")] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """End what crashed agents have left running.

    An agent does this by itself when it starts; this is for when none will. With redis.url it is for all
    machines that share it. With --all conversations are known by their names, which begin with liba-; others
    are never touched. Where LiveKit is not configured, no agent can be asked whether it needs its own: then
    --all ends every one of them.

    \b
    liba reap                 or: liba avatar reap
    liba reap --all           also what other machines have left
    """
    from libacli.cli.runs.reap import run_reap

    run_reap(settings_from(config).settings, is_for_all=every or force, is_forced=force, as_json=as_json)
