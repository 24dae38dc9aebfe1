"""Where settings come from, and which source goes first.

Order, first wins: flags > `--project` > environment > `.env.local` > `.env` > `--config` or `./liba.toml` >
user's file > what `liba up` runs here > default project of `lk` > what a pod needs > defaults.
`.env.local`, `.env` and `./liba.toml` are the folder's, not the user's: see `config_trust`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from libacli.config import Settings, toml_name
from libacli.config_files import CONFIG_VARIABLE as CONFIG_VARIABLE
from libacli.config_files import Given, from_dotenv, from_toml, from_variables, passed_over, read_file
from libacli.config_trust import Trust, class_of
from libacli.errors import ConfigError
from libacli.folder_settings import LeftOut, Source, without_untrusted
from libacli.kubernetes import POD_DEFAULTS, is_pod
from libacli.lk_projects import default_project, lk_file, named_project
from libacli.running_stack import StackFile, stack_file, stack_settings
from libacli.trusted_files import TrustedFiles, user_trusted_files

PROJECT_FILE = Path("liba.toml")
DOTENV_FILES = (Path(".env.local"), Path(".env"))
"""First wins, as in Next.js; the first is where `lk app env -w` and LiveKit's starters put their keys:
https://nextjs.org/docs/app/guides/environment-variables#environment-variable-load-order"""

FOLDER_FILES = (*DOTENV_FILES, PROJECT_FILE)
TRUST_HINT = "read it, then: liba config trust"

_MOST_TOLD = 3
_INIT_HINT = "`liba config init` writes one"


@dataclass(frozen=True)
class LoadedSettings:
    """Settings together with their origins."""

    settings: Settings
    origins: dict[str, str]
    """Field name → where its value came from: `flag`, `environment NAME`, a file's path, or `default`."""

    left_out: tuple[LeftOut, ...] = ()
    """What the folder sets and may not: `settings` hold what there is without it."""

    folder: tuple[Source, ...] = ()
    """What the folder's files set."""

    passed_over: tuple[str, ...] = ()
    """Variables that look like settings and are Kubernetes' own."""

    def check_nothing_is_left_out(self) -> None:
        """Raises ConfigError that names what was, and the next step."""
        if self.left_out:
            raise ConfigError(f"{told(self.left_out)}, and you have not trusted it", hint=TRUST_HINT)


def load(
    *,
    flags: Mapping[str, Any] | None = None,
    config_file: Path | None = None,
    project: str | None = None,
    is_local: bool = False,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    user_file: Path | None = None,
    projects_file: Path | None = None,
    running: StackFile | None = None,
    trusted: TrustedFiles | None = None,
) -> LoadedSettings:
    """Reads all sources. `flags` are fields by name, None means not given; `project` is one that `lk` knows.

    What `is_local` brings a server of its own: neither what runs here nor the default project of `lk` counts.

    Raises ConfigError for a file that cannot be read or that others can write, an unknown key, or an
    invalid value; not for what is left out of the folder's files, which the caller has to tell.
    """
    environment = os.environ if environment is None else environment
    user_file = user_file or user_config_file()
    trusted = trusted or user_trusted_files()
    projects_file = projects_file or lk_file()
    sources = [Source(_of_flags(flags or {}))]
    if project is not None:
        sources.append(Source(named_project(projects_file, project)))
    sources.append(Source(from_variables(environment)))
    sources += [_folder_source(file, trusted) for file in folder_files(folder or Path(), config_file)]
    sources += _named_files(config_file, user_file)
    kept, left_out = without_untrusted(sources)
    if not is_local:
        sources += _found_here(kept, environment, projects_file, running or stack_file())
        kept, left_out = without_untrusted(sources)  # the secret of what was found is in use now
    settings, origins = _made(kept)
    of_folder = tuple(one for one in sources if one.file)
    return LoadedSettings(settings, origins, tuple(left_out), of_folder, passed_over(environment))


def _of_flags(flags: Mapping[str, Any]) -> dict[str, Given]:
    return {name: Given(value, "flag") for name, value in flags.items() if value is not None}


def _named_files(config_file: Path | None, user_file: Path) -> list[Source]:
    """The file that the user names, and the user's own one."""
    files = []
    if config_file:
        named = read_file(config_file, is_named=True, hint=_INIT_HINT)
        files.append(Source(from_toml(config_file, named)))
    if user_file.is_file():
        files.append(Source(from_toml(user_file, read_file(user_file, hint=_INIT_HINT))))
    return files


def _found_here(
    sources: Sequence[Source], environment: Mapping[str, str], projects_file: Path, running: StackFile
) -> list[Source]:
    """A server that runs here or that `lk` knows, if `sources` name none, and what a pod needs."""
    counting = {field: given.value for source in reversed(sources) for field, given in source.values.items()}
    found = [Source(stack_settings(running, counting) or default_project(projects_file, counting))]
    if is_pod(environment):
        found.append(Source({field: Given(value, "Kubernetes") for field, value in POD_DEFAULTS.items()}))
    return found


def folder_files(folder: Path, config_file: Path | None = None) -> list[Path]:
    """The files of settings that are in `folder`; first wins. One that is named takes the place of TOML."""
    names = DOTENV_FILES if config_file else FOLDER_FILES
    return [folder / name for name in names if os.path.isfile(folder / name)]


def folder_values(file: Path, content: bytes, *, may_refer: bool = False) -> dict[str, Given]:
    """What one of those files sets; `may_refer` to variables of the environment. Raises ConfigError."""
    is_dotenv = file.name in map(str, DOTENV_FILES)
    return from_dotenv(file, content, may_refer=may_refer) if is_dotenv else from_toml(file, content)


def user_config_file() -> Path:
    """The settings file of this user, whether it is there or not."""
    from platformdirs import user_config_path

    return user_config_path("liba") / "config.toml"


def told(left_out: Sequence[LeftOut]) -> str:
    """What was left out, worst first: `liba.toml sets server.binary (a program that would run)`."""
    clauses = []
    worst_first = sorted(left_out, key=lambda one: list(Trust).index(class_of(one.field)))
    for file in dict.fromkeys(one.file for one in worst_first):
        names = [f"{one.spelled} ({one.why})" for one in worst_first if one.file == file]
        more = [f"{len(names) - _MOST_TOLD} more"] if len(names) > _MOST_TOLD else []
        *first, last = names[:_MOST_TOLD] + more
        clauses.append(f"{file} sets {', '.join(first)}{' and ' if first else ''}{last}")
    return "; ".join(clauses)


def _folder_source(file: Path, trusted: TrustedFiles) -> Source:
    content = read_file(file, hint=_INIT_HINT)
    is_trusted = (file, content) in trusted
    return Source(folder_values(file, content, may_refer=is_trusted), is_trusted, str(file))


def _made(sources: Sequence[Source]) -> tuple[Settings, dict[str, str]]:
    found: dict[str, Given] = {}
    for source in reversed(sources):
        found |= source.values
    origins = {name: found[name].origin if name in found else "default" for name in Settings.model_fields}
    try:
        settings = Settings(**{name: given.value for name, given in found.items()})
    except ValidationError as error:
        raise _explained(error, origins) from None
    settings.livekit_previous()
    return settings, origins


def _explained(error: ValidationError, origins: Mapping[str, str]) -> ConfigError:
    first = error.errors(include_input=False, include_url=False)[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    message = first["msg"][0].lower() + first["msg"][1:]
    return ConfigError(
        f"{toml_name(field)}: {message} (from {origins.get(field, 'unknown')})",
        hint="config.example.toml describes every setting",
    )
