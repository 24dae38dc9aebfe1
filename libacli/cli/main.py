"""The command `liba`: what it consists of, and how it ends."""

import atexit
import errno
import gc
import importlib
import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import ModuleType
from typing import Annotated, Any, NoReturn, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from libacli import __version__
from libacli.cli.anywhere import AnywhereGroup
from libacli.cli.options import group
from libacli.cli.output import output
from libacli.cli.streams import settle_streams, write_no_more
from libacli.cli.usage_words import UsageProblem
from libacli.core_files import leave_no_core_files
from libacli.errors import ConfigError, FileError, LibaError
from libacli.network_environment import spell_out
from libacli.user_folders import folder_error, settle_home

COMMANDS = (
    "demo",
    "up",
    "ps",
    "logs",
    "down",
    "agent",
    "serve",
    "sessions",
    "mcp",
    "say",
    "play",
    "next",
    "stop",
    "queue",
    "token",
    "metrics",
    "probe",
    "record",
    "voices",
    "reap",
    "server",
    "avatar",
    "cache",
    "doctor",
    "deploy",
    "config",
)
"""Modules of `libacli.cli.commands`: each holds a group named `app`, or a function named as itself."""


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _Commands(Mapping[str, Any]):
    """The commands by name: of one that is asked for its module is loaded, and of no other."""

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)

    def __getitem__(self, name: str) -> Any:
        if name not in COMMANDS:
            raise KeyError(name)
        module = _module(name)
        if hasattr(module, "app"):
            return get_group(module.app)
        alone = group()
        alone.command(name)(getattr(module, name))
        return get_command(alone)


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"libacli.cli.commands.{name}")


def _listed(name: str) -> TyperCommand:
    """A command as the list of all shows it: without its options."""
    module = _module(name)
    said = module.app.info.help if hasattr(module, "app") else getattr(module, name).__doc__
    return TyperCommand(name, help=inspect.cleandoc(said))


class _Liba(AnywhereGroup):
    """Loads only the command that is run; turns errors into one line and an exit code, for all of them."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.commands = cast("Any", _Commands())

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        output.quiet = output.verbose = False
        output.log = None
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """As every group does; but to make the options of all commands would take as long as to load them."""
        listed = TyperGroup(commands=[_listed(name) for name in COMMANDS])
        listed.format_commands(ctx, formatter)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except LibaError as error:
            output.error(error)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as interrupt:
            raise typer.Exit(130) from interrupt
        except BrokenPipeError as end:  # `liba ... | head`: who reads has had enough
            write_no_more()
            raise typer.Exit(0) from end


_EPILOG = """\b
Try it without any account:  liba demo

\b
Exit codes:
   0  done
   1  unexpected, or a service failed
   2  the command line is wrong
   3  settings or credentials; a file that cannot be read or written
   4  LiveKit cannot be reached
   5  no agent came
   6  refused: not allowed, queue full, too long, nothing to say
   7  timed out
   8  ended before its end
   9  spoken without the avatar that --require-avatar wants
  10  --assert does not hold
 130  Ctrl-C
"""

app = typer.Typer(
    cls=_Liba,
    name="liba",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Make a digital human in a LiveKit room say exactly this text, now, and know that it was heard.",
    epilog=_EPILOG,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        output.result(f"liba {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """What stands before the command concerns this run."""


def main() -> None:
    settle_streams()
    leave_no_core_files()
    settle_home(os.environ)
    spell_out(os.environ)
    # Pydantic would look through every installed distribution for plugins; liba uses none.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # Python looks for modules in the current folder first, also in processes for rooms that are started here.
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    # What is loaded stays: at Python's own 700 a tenth of the start went into looking for garbage.
    gc.set_threshold(50_000)
    _leave(_run())


def _run() -> int:
    """Runs the command; its exit code."""
    try:
        return _ended()
    except BrokenPipeError:  # with the last of what there was to read
        write_no_more()
        return 0
    except Exception as error:
        if isinstance(alone := _alone(error), BrokenPipeError):
            write_no_more()
            return 0
        told = _told(alone)
        if told is not alone:
            told.__cause__ = alone
        output.error(told)
        return told.exit_code


def _alone(error: Exception) -> Exception:
    """What a group of tasks has failed by, where it is one thing."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _told(error: Exception) -> LibaError:
    """`error` as it is told, in one line: a defect of ours like the rest."""
    if isinstance(error, LibaError):
        return error
    if isinstance(error, OSError) and (told := folder_error(error)):
        return told
    if isinstance(error, FileNotFoundError) and _is_folder_gone():
        return ConfigError("the current folder is not there any more", hint="cd into one that is")
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        write_no_more()
        return FileError(f"cannot write: {error.strerror}", hint="make room where the output goes")
    return LibaError(
        f"unexpected {type(error).__name__}: {error}", hint="liba --verbose shows where; please report it"
    )


def _is_folder_gone() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _ended() -> int:
    code = 0
    try:
        app()
    except SystemExit as exit:
        code = exit.code if isinstance(exit.code, int) else int(exit.code is not None)
    except OSError as error:
        if not isinstance(mistake := error.__context__, UsageProblem):
            raise
        return int(mistake.exit_code)  # there was no room to show it, or nobody reads it
    sys.stdout.flush()
    return code


def _leave(code: int) -> NoReturn:
    """Ends the process, at once where the LiveKit SDK is loaded.

    Its threads may call back into a Python that is being taken apart, which aborts the process: signal 6.
    """
    try:
        sys.stderr.flush()
    except OSError:  # nobody reads how it went, or there is no room for it
        write_no_more(sys.stderr)
    if "livekit.rtc" in sys.modules:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        with suppress(OSError):
            sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
