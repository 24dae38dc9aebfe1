"""liba logs"""

from typing import Annotated

import typer

from libacli.cli.options import AsJson


def logs(
    part: Annotated[
        str, typer.Argument(help="server, avatar, agent or page [default: all]", show_default=False)
    ] = "",
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines")] = 20,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until Ctrl-C")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the logs of what `liba up` runs on this machine.

    \b
    liba logs
    liba logs agent --follow
    """
    from libacli.cli.runs.stack import show_logs

    show_logs(part, lines=lines, follow=follow, as_json=as_json)
