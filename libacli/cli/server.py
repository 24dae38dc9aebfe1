"""liba server"""

from __future__ import annotations

import typer

app = typer.Typer(help="The local LiveKit server.", no_args_is_help=True)
