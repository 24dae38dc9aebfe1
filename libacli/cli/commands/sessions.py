"""liba sessions"""

from typing import Annotated

import typer

from libacli.cli.options import AsJson, ConfigFile, settings_from


def sessions(
    end: Annotated[
        list[str] | None,
        typer.Option("--end", metavar="NAME", help="End it, and put its viewers out; may be repeated"),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option("--address", help="Where `liba serve` is reached [default: as its settings say]"),
    ] = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Show who was let in by links of `liba serve`, and end that.

    It asks the server that runs, with LIBA_SERVE_OWNER_KEY where that wants a key.

    \b
    liba sessions
    liba sessions --end "session 3f9a1c02"
    """
    from libacli.cli.runs.sessions import SessionsRun

    settings = settings_from(config).settings
    SessionsRun(settings, address=address, end=end or (), as_json=as_json).run()
