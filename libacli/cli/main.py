"""The command `liba`: what it consists of, and how it ends."""

import os
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from libacli import __version__
from libacli.cli import agent, config, demo, reap, say, server, token
from libacli.cli.output import output
from libacli.errors import LibaError


class _Liba(TyperGroup):
    """Turns errors into one line and an exit code, in one place for all commands."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except LibaError as error:
            output.error(error)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as interrupt:
            raise typer.Exit(130) from interrupt


app = typer.Typer(
    cls=_Liba,
    name="liba",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich costs as much time as all the rest, and takes [words like this] for markup
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Make a digital human in a LiveKit room say exactly this text, now, and know that it was heard.",
    epilog="Try it without any account:  liba demo",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        output.result(f"liba {__version__}")
        raise typer.Exit


@app.callback()
def common(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors only")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show tracebacks of errors")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    output.quiet = quiet
    output.verbose = verbose


app.command("demo")(demo.demo)
app.command("say")(say.say)
app.command("token")(token.token)
app.command("reap")(reap.reap)
app.add_typer(agent.app, name="agent")
app.add_typer(server.app, name="server")
app.add_typer(config.app, name="config")


def main() -> None:
    # Pydantic would look through every installed distribution for plugins; liba uses none.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    app()
