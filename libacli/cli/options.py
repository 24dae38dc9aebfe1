"""Options that several commands share, and the settings they end up in."""

import enum
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from libacli.cli.anywhere import AnywhereCommand, AnywhereGroup
from libacli.cli.output import output
from libacli.errors import ConfigError, TimedOutError, UsageError

if TYPE_CHECKING:
    from libacli.config import Settings
    from libacli.config_sources import LoadedSettings


_STARTING_S = 20.0
"""How long a command waits for a stack that is just starting: as long as for an agent."""


class Level(enum.StrEnum):
    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


LogLevel = Annotated[Level | None, typer.Option("--log-level", help="How much to tell [setting: log.level]")]
Url = Annotated[str | None, typer.Option("--url", help="LiveKit server URL [env: LIVEKIT_URL]")]
ApiKey = Annotated[str | None, typer.Option("--api-key", help="LiveKit API key [env: LIVEKIT_API_KEY]")]
ApiSecret = Annotated[
    str | None,
    typer.Option(
        "--api-secret",
        help="LiveKit API secret; better from the environment: LIVEKIT_API_SECRET",
        show_default=False,
    ),
]
Room = Annotated[str | None, typer.Option("--room", "-r", help="Room [setting: say.room]")]
"""Given on to the settings as `say_room`, which is then the room in any case."""

Project = Annotated[
    str | None, typer.Option("--project", metavar="NAME", help="LiveKit project, as `lk project list` has it")
]
AsJson = Annotated[bool, typer.Option("--json", "-j", help="Print JSON")]
ConfigFile = Annotated[
    Path | None,
    # The variable is config.CONFIG_VARIABLE; `--help` does not load that module.
    typer.Option("--config", envvar="LIBA_CONFIG", show_envvar=False, help="Settings file to use"),
]
OpenPage = Annotated[bool, typer.Option("--open", help="Open the page in a browser")]
ForceFiles = Annotated[bool, typer.Option("--force", help="Overwrite files that are there")]
FreePort = Annotated[
    int | None, typer.Option("--port", "-p", min=1, max=65535, help="Port [default: a free one]")
]
Speed = Annotated[float | None, typer.Option("--speed", min=0.25, max=4.0, help="Pace, 1 is normal")]
Instructions = Annotated[str | None, typer.Option("--instructions", help="Tone and manner")]

_DURATION = re.compile(r"(?:(\d{1,6})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?", re.ASCII)
_SECONDS = re.compile(r"\d{1,9}", re.ASCII)


def group(help: str = "", *, does_something_alone: bool = False) -> typer.Typer:
    """A group of commands, or a single one, in the manner of all of liba's."""
    return _Typer(
        cls=AnywhereGroup,
        help=help,
        no_args_is_help=bool(help) and not does_something_alone,
        invoke_without_command=does_something_alone,
        add_completion=False,
        rich_markup_mode=None,  # rich costs as much time as all the rest, and takes [such words] for markup
    )


class _Typer(typer.Typer):
    """One whose commands take options of all commands from wherever they stand."""

    def command(self, name: str | None = None, **arguments: Any) -> Any:
        return super().command(name, **{"cls": AnywhereCommand} | arguments)


def settings_from(
    config: Path | None = None, *, project: str | None = None, is_local: bool = False, **flags: Any
) -> "LoadedSettings":
    """Settings with `flags` (fields by name, None where not given) on top.

    What `is_local` unless told otherwise takes nothing that runs here, and no project of `lk` but one that
    is named. Raises ConfigError, also where the folder sets what only the user may; UsageError.
    """
    loaded = settings_with_left_out(config, project=project, is_local=is_local, **flags)
    loaded.check_nothing_is_left_out()
    return loaded


def settings_with_left_out(
    config: Path | None = None, *, project: str | None = None, is_local: bool = False, **flags: Any
) -> "LoadedSettings":
    """The same for a command that tells what was left out of the folder's files. Raises ConfigError."""
    from libacli.config_sources import load

    credentials = ("livekit_url", "livekit_api_key", "livekit_api_secret")
    if project is not None and any(flags.get(name) is not None for name in credentials):
        raise UsageError(
            "--project brings an address, a key and a secret of its own", hint="leave out the others, or it"
        )
    loaded = load(flags=flags, config_file=config, project=project, is_local=is_local)
    output.settings = loaded.settings
    return loaded


def settings_or_error(config: Path | None = None, **flags: Any) -> "LoadedSettings | ConfigError":
    """The same for a command that tells why there are none."""
    try:
        return settings_with_left_out(config, **flags)
    except ConfigError as error:
        return error


def livekit_settings(
    config: Path | None,
    url: str | None,
    api_key: str | None,
    api_secret: str | None,
    project: str | None = None,
    **flags: Any,
) -> "Settings":
    """Settings with what was given to reach LiveKit on top, and other `flags`, as `settings_from` has it.

    Where there is none but what `liba up` is just starting here, that is waited for. Raises TimedOutError.
    """
    flags |= {"livekit_url": url, "livekit_api_key": api_key, "livekit_api_secret": api_secret}
    settings = settings_from(config, project=project, **flags).settings
    if settings.livekit_url or not _is_started_meanwhile():
        return settings
    return settings_from(config, project=project, **flags).settings


def _is_started_meanwhile() -> bool:
    from libacli.running_stack import stack_file

    file = stack_file()
    if file.read() or not file.is_owned():
        return False
    output.status("waiting for what is just starting on this machine...")
    if not file.wait_until_started(_STARTING_S):
        raise TimedOutError(
            f"what is starting on this machine was not ready after {_STARTING_S:g} s",
            hint="try again when `liba up` has told its page",
        )
    return True


def seconds(duration: str) -> int:
    """Reads `90s`, `5m`, `1h30m`, `7d` or a bare number of seconds. Raises UsageError."""
    duration = duration.strip()
    match = _DURATION.fullmatch(f"{duration}s" if _SECONDS.fullmatch(duration) else duration)
    if not match or not any(match.groups()):
        raise UsageError(f"{duration!r} is not a duration", hint="write it like 90s, 5m or 1h30m")
    days, hours, minutes, rest = (int(group or 0) for group in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest
