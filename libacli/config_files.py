"""Files of settings: whose they may be, and what stands in them."""

from __future__ import annotations

import logging
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from libacli.config import Settings, toml_name, variable_name
from libacli.errors import ConfigError
from libacli.kubernetes import is_service_link
from libacli.value_files import SUFFIX, read_value

logger = logging.getLogger("liba.config")

_OLDER_NAMES = {
    "openai_custom_headers": "openai_headers",
    "tavus_replica_id": "tavus_face_id",
    "tavus_persona_id": "tavus_pal_id",
    "tavus_ready_timeout": "avatar_ready_timeout",
    "tavus_join_timeout": "avatar_join_timeout",
    "tavus_audible_timeout": "avatar_audible_timeout",
    "tavus_idle_timeout": "avatar_idle_timeout",
    "tavus_max_duration": "avatar_max_duration",
    "tavus_renew_before": "avatar_renew_before",
    "tavus_max_minutes_per_day": "avatar_max_minutes_per_day",
    "voice_provider": "voice_providers",
    "livekit_agent_name": "agent_name",
    "livekit_log_level": "log_level",
}
"""How earlier versions, OpenAI's SDK or livekit-agents spell them; in capitals they are variables."""

CONFIG_VARIABLE = "LIBA_CONFIG"
SECTIONS = tuple(dict.fromkeys(toml_name(field).partition(".")[0] for field in Settings.model_fields))
_FIRST_NAME = re.compile(r"\s*(?:export\s+)?(\w+)")
_MOST_BYTES = 1 << 20
_ROOT = 0


@dataclass(frozen=True)
class Given:
    """A value as a source has it, not validated."""

    value: Any
    origin: str
    """`flag`, `environment NAME`, a file's path, or a path and how it is spelled, or whose it is, there."""

    spelled: str = ""
    """The setting's name as that file spells it; empty outside of files."""

    asks_for: str = ""
    """What of the user's the file asks for: a variable as `${HOME}` in `.env`, a file as NAME_FILE."""


def read_file(file: Path, *, is_named: bool = False, hint: str = "") -> bytes:
    """The bytes of a file of settings.

    Raises ConfigError for one that cannot be read, that somebody else owns (root may), or that others may
    write to. The user answers for the owner of one that `is_named` on the command line, and for its group.
    """
    try:
        with file.open("rb") as opened:
            # Of what was opened: another file may stand there a moment later.
            status = os.fstat(opened.fileno())
            _check_named(file, status) if is_named else _check_owner(file, status)
            content = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {_short(error)}", hint=hint) from error
    if len(content) > _MOST_BYTES:
        raise ConfigError(f"cannot read {file}: it has more than {_MOST_BYTES >> 20} MB", hint=hint)
    return content


def from_variables(
    variables: Mapping[str, str], file: Path | None = None, *, may_refer: bool = True
) -> dict[str, Given]:
    """Settings among variables, of `file` or of the environment, where Kubernetes' own are passed over.

    A file that NAME_FILE names is read where the variables `may_refer` to what is the user's.
    Raises ConfigError for unknown ones, for both NAME and NAME_FILE, and for a file that cannot be read.
    """
    known = _known()
    if file is None:
        variables = {name: value for name, value in variables.items() if not is_service_link(name, value)}
    for name in variables:
        is_known = name in known or name.removesuffix(SUFFIX) in known or name == CONFIG_VARIABLE
        if name.startswith("LIBA_") and not is_known:
            raise ConfigError(f"{name} is not a setting of liba", hint=_nearest(name, known))
    # The newer spelling comes later in `known` and so wins where both are set.
    return {
        field: given
        for name, field in known.items()
        if (given := _given(variables, name, file, may_refer=may_refer))
    }


def _known() -> dict[str, str]:
    """Fields by the names of their variables, older spellings first."""
    older = {variable_name(older): field for older, field in _OLDER_NAMES.items()}
    return older | {variable_name(field): field for field in Settings.model_fields}


def passed_over(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The variables that look like settings and are there for a Service of Kubernetes."""
    ours = tuple({f"{variable_name(field).partition('_')[0]}_" for field in Settings.model_fields})
    links = (name for name, value in environment.items() if is_service_link(name, value))
    return tuple(sorted(name for name in links if name.startswith(ours)))


def _given(variables: Mapping[str, str], name: str, file: Path | None, *, may_refer: bool) -> Given | None:
    value = variables.get(name, "").removeprefix("\ufeff").rstrip("\r\n")  # as editors and `echo` leave them
    # Python keeps bytes that are no text as surrogates (PEP 383).
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ConfigError(f"{name} holds bytes that are no UTF-8", hint="write it anew, as text")
    by_file = name + SUFFIX
    path = variables.get(by_file, "")
    if value and path:
        raise ConfigError(f"both {name} and {by_file} are set", hint="leave one of them out")
    if path:
        read = read_value(by_file, path) if may_refer else path
        origin = f"{path} {by_file}"
        return Given(read, origin, by_file, "a file by its path") if file else Given(read, origin)
    if not value:
        return None
    if not file:
        return Given(value, f"environment {name}")
    asks_for = "a variable of your environment" if "${" in value else ""
    return Given(value, f"{file} {name}", name, asks_for)


def from_dotenv(file: Path, content: bytes, *, may_refer: bool) -> dict[str, Given]:
    """Settings in a `.env` or the like, with what is the user's put in where it `may_refer` to it.

    Raises ConfigError.
    """
    from dotenv import dotenv_values

    try:
        values = dotenv_values(stream=StringIO(_readable(file, _text(content))), interpolate=may_refer)
    except UnicodeDecodeError as error:
        raise ConfigError(f"cannot read {file}: {error}", hint="it must be a text file in UTF-8") from error
    found = {name: value for name, value in values.items() if value}
    return from_variables(found, file, may_refer=may_refer)


def _readable(file: Path, text: str) -> str:
    """What of a `.env` can be read, without the lines of others that cannot, of which the log is told.

    Raises ConfigError where such a line is to set something of ours: it would be as if it was not there.
    """
    from dotenv.parser import parse_stream

    known = _known()
    readable = []
    for statement in parse_stream(StringIO(text)):
        written = statement.original.string
        if not statement.error:
            readable.append(written)
            continue
        place = f"{file}:{statement.original.line + _blank_lines(written)}"
        name = _FIRST_NAME.match(written)
        if name and (name[1].removesuffix(SUFFIX) in known or name[1].startswith("LIBA_")):
            raise ConfigError(
                f"{place}: {name[1]} cannot be read", hint="write NAME=value, and end a quotation that begins"
            )
        logger.warning("%s: passed over, it is not NAME=value", place)
    return "".join(readable)


def _blank_lines(written: str) -> int:
    return written[: len(written) - len(written.lstrip())].count("\n")


def from_toml(file: Path, content: bytes) -> dict[str, Given]:
    """Settings in a TOML file. Raises ConfigError for what is none."""
    found: dict[str, Given] = {}
    for section, table in _tables(file, content).items():
        if section not in SECTIONS:
            raise ConfigError(f"{file}: unknown table [{section}]", hint=_nearest(section, SECTIONS))
        if not isinstance(table, dict):
            raise ConfigError(f"{file}: {section} must be a table", hint=f"write [{section}] above its keys")
        if section in Settings.model_fields:  # a table of its own, whatever its keys
            found[section] = Given(table, str(file), section)
            continue
        for key, value in table.items():
            newer = _OLDER_NAMES.get(f"{section}_{key}")
            field = newer or f"{section}_{key}"
            spelled = f"{section}.{key}"
            if field not in Settings.model_fields:
                known = [toml_name(name) for name in Settings.model_fields]
                raise ConfigError(f"{file}: unknown setting {spelled}", hint=_nearest(spelled, known))
            if value == "" or (newer and field in found):
                continue  # empty is the same as not set, as in the environment; the newer spelling wins
            found[field] = Given(value, f"{file} {spelled}" if newer else str(file), spelled)
    return found


def _tables(file: Path, content: bytes) -> dict[str, Any]:
    try:
        tables = tomllib.loads(_text(content))
        if not _fits(tables):
            raise ValueError("a number has more than 64 bits")
    except UnicodeDecodeError as error:
        raise ConfigError(f"cannot read {file}: {error}", hint="it must be a text file in UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file} is not valid TOML: {error}", hint="see config.example.toml") from error
    return tables


def _text(content: bytes) -> str:
    """Without the mark that editors on Windows put at its beginning. Raises UnicodeDecodeError."""
    return content.decode("utf-8-sig")


def _fits(value: Any) -> bool:
    """Whether all numbers in it are such as TOML has; Python reads larger ones, and cannot write them."""
    if isinstance(value, dict | list):
        return all(map(_fits, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, int) or value.bit_length() < 64


def _check_owner(file: Path, status: os.stat_result) -> None:
    """Raises ConfigError unless nobody but this user and root can have written it. As ssh does it."""
    named = f", or name it: --config {file}" if file.suffix == ".toml" else ""
    hint = f"read it, then put a copy of your own in its place{named}; or leave this folder"
    for kind, uid in (("file", status.st_uid), ("link", os.lstat(file).st_uid)):
        if uid not in (os.geteuid(), _ROOT):
            told = f"{file} is a {kind} that belongs to {_user_name(uid)}, so it is not read"
            raise ConfigError(told, hint=hint)
    is_of_group = status.st_mode & stat.S_IWGRP and not _is_own_group(status.st_gid)
    if status.st_mode & stat.S_IWOTH or is_of_group:
        _refuse_writable(file)


def _check_named(file: Path, status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode) and status.st_mode & stat.S_IWOTH:  # /dev/null is for everybody
        _refuse_writable(file)


def _refuse_writable(file: Path) -> None:
    hint = f"read it, then: chmod go-w {file}"
    raise ConfigError(f"others may write to {file}, so it is not read", hint=hint)


def _is_own_group(gid: int) -> bool:
    """Whether nobody else is in the group, as in those that Linux makes with each user."""
    import grp
    import pwd

    try:
        members = set(grp.getgrgid(gid).gr_mem)
        own = {pwd.getpwuid(uid).pw_name for uid in (os.geteuid(), _ROOT)}
    except KeyError:
        return False
    return members | {user.pw_name for user in pwd.getpwall() if user.pw_gid == gid} <= own


def _user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _nearest(name: str, known: Iterable[str]) -> str:
    import difflib

    match = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean {match[0]}?" if match else "`liba config show` lists all settings"


def _short(error: OSError) -> str:
    return error.strerror or str(error)
