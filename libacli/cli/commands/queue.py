"""liba queue"""

from typing import Annotated, Literal

import typer

from libacli.cli.options import (
    ApiKey,
    ApiSecret,
    AsJson,
    ConfigFile,
    Project,
    Room,
    Url,
    group,
    livekit_settings,
)
from libacli.errors import UsageError

_HELP = """Show what an agent speaks and what waits, or change it.

It shows what may be spent, too.

\b
liba queue --room demo
liba queue --json | jq '.waiting | length'
liba queue --json | jq '.caps[] | select(.used >= .limit)'
liba queue cancel 61c08bdc0353 --room demo
"""

app = group(_HELP, does_something_alone=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="Id of the line, as `liba queue` shows it")]


@app.callback()
def queue(
    context: typer.Context,
    room: Room = None,
    as_json: AsJson = False,
    project: Project = None,
    url: Url = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    config: ConfigFile = None,
) -> None:
    """What `_HELP` says."""
    if context.invoked_subcommand:
        return
    from libacli.cli.runs.ask import ask
    from libacli.cli.screens.queue import show_status

    settings = livekit_settings(config, url, api_key, api_secret, project)
    show_status(ask(settings, room, lambda liba: liba.queue()), as_json=as_json)


@app.command()
def cancel(
    utterance_id: Id,
    room: Room = None,
    as_json: AsJson = False,
    project: Project = None,
    url: Url = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    config: ConfigFile = None,
) -> None:
    """Take one line that waits out of the queue.

    Whoever waits for it is told that it was interrupted: cancelled. One that is being spoken is refused:
    `liba stop --id` stops it.

    \b
    liba queue cancel 61c08bdc0353 --room demo
    """
    from libacli.cli.runs.ask import ask
    from libacli.cli.screens.queue import show_cancelled

    settings = livekit_settings(config, url, api_key, api_secret, project)
    cancelled = ask(settings, room, lambda liba: liba.cancel(utterance_id))
    show_cancelled(cancelled.report, as_json=as_json)


@app.command()
def move(
    utterance_id: Id,
    first: Annotated[bool, typer.Option("--first", help="It goes before all that wait")] = False,
    last: Annotated[bool, typer.Option("--last", help="It goes behind all that wait")] = False,
    before: Annotated[
        str | None, typer.Option("--before", metavar="ID", help="It goes before this one")
    ] = None,
    room: Room = None,
    as_json: AsJson = False,
    project: Project = None,
    url: Url = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    config: ConfigFile = None,
) -> None:
    """Put one line that waits elsewhere in the queue.

    It takes the priority of its new place: that of the line which it goes before, or, as the last one,
    behind. So what comes later with a higher priority still goes before it.

    \b
    liba queue move 61c08bdc0353 --first
    liba queue move 61c08bdc0353 --before e560984ddf8c --room demo
    """
    from libacli.cli.runs.ask import ask
    from libacli.cli.screens.queue import show_moved

    if first + last + (before is not None) != 1:
        raise UsageError("say where to: --first, --last or --before ID", hint="liba queue shows the ids")
    if before == "":  # of a variable that is not set
        raise UsageError("--before is empty", hint="liba queue shows the ids")
    to: Literal["first", "last", ""] = "first" if first else "last" if last else ""
    settings = livekit_settings(config, url, api_key, api_secret, project)
    moved = ask(settings, room, lambda liba: liba.move(utterance_id, to=to, before=before or ""))
    show_moved(moved.report, as_json=as_json)


@app.command()
def pause(
    room: Room = None,
    as_json: AsJson = False,
    project: Project = None,
    url: Url = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    config: ConfigFile = None,
) -> None:
    """Have nothing new begin until the queue is resumed.

    What is spoken is finished, and texts are taken all the same. What waits gets no older: no time of
    --ttl, and none of --wait, passes. Without say.journal it lasts no longer than the agent.

    \b
    liba queue pause --room demo
    """
    from libacli.cli.runs.ask import ask
    from libacli.cli.screens.queue import show_pause

    settings = livekit_settings(config, url, api_key, api_secret, project)
    show_pause(ask(settings, room, lambda liba: liba.pause()), as_json=as_json)


@app.command()
def resume(
    room: Room = None,
    as_json: AsJson = False,
    project: Project = None,
    url: Url = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    config: ConfigFile = None,
) -> None:
    """Go on where the queue was paused.

    \b
    liba queue resume --room demo
    """
    from libacli.cli.runs.ask import ask
    from libacli.cli.screens.queue import show_pause

    settings = livekit_settings(config, url, api_key, api_secret, project)
    show_pause(ask(settings, room, lambda liba: liba.resume()), as_json=as_json)
