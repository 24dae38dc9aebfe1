"""The LiveKit projects that `lk` knows: those of `~/.livekit/cli-config.yaml`.

The format: https://github.com/livekit/livekit-cli/blob/main/pkg/config/config.go
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from libacli.config_files import Given, read_file
from libacli.errors import ConfigError

FIELDS = {"url": "livekit_url", "api_key": "livekit_api_key", "api_secret": "livekit_api_secret"}
"""What `lk` calls them → fields of `Settings`."""

_HINT = "`lk project add` adds one, `lk project list` shows them"


def lk_file() -> Path:
    """Where `lk` keeps its projects, whether it has any or not."""
    return Path.home() / ".livekit" / "cli-config.yaml"


def named_project(file: Path, name: str) -> dict[str, Given]:
    """Address, key and secret of one project, by field. Raises ConfigError where it is not there whole."""
    projects = _projects(_read(file)) if file.is_file() else {}
    if name not in projects:
        known = f": there are {', '.join(map(repr, projects))}" if projects else ""
        raise ConfigError(f"lk knows no project {name!r}{known}", hint=_HINT)
    found = _given(file, name, projects[name])
    if missing := [key for key, field in FIELDS.items() if field not in found]:
        raise ConfigError(f"lk's project {name!r} has no {' and no '.join(missing)}", hint=_HINT)
    return found


def default_project(file: Path, others: Mapping[str, Any]) -> dict[str, Given]:
    """What the default project adds to `others`, the fields that are set elsewhere.

    A project counts whole: not at all where another one is set up, of which it has half of the answer.
    Raises ConfigError for a file that is not as `lk` writes it, or that others may write to.
    """
    if all(field in others for field in FIELDS.values()) or not file.is_file():
        return {}
    content = _read(file)
    name = content.get("default_project")
    found = _given(file, name, _projects(content).get(name, {})) if isinstance(name, str) else {}
    is_another = any(
        _same(given.value) != _same(others.get(field, given.value)) for field, given in found.items()
    )
    return {} if is_another or len(found) < len(FIELDS) else found


def _same(value: Any) -> Any:
    """An address with and without its last slash is the same one."""
    return value.rstrip("/") if isinstance(value, str) else value


def _given(file: Path, name: str, project: Mapping[str, Any]) -> dict[str, Given]:
    origin = f"{file} (project {name})"
    return {
        field: Given(project[key], origin, spelled=key)
        for key, field in FIELDS.items()
        if isinstance(project.get(key), str) and project[key]
    }


def _projects(content: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Project by name."""
    listed = content.get("projects")
    projects = listed if isinstance(listed, Sequence) and not isinstance(listed, str) else ()
    named = [one for one in projects if isinstance(one, Mapping) and isinstance(one.get("name"), str)]
    found: dict[str, Mapping[str, Any]] = {}
    for one in named:
        found.setdefault(one["name"], one)  # of two with one name `lk` takes the first
    return found


def _read(file: Path) -> Mapping[str, Any]:
    import yaml  # 20 ms: only for who has this file and needs it

    content = read_file(file, hint=_HINT)
    try:
        # All values are text, as in Go: a key may look like a number.
        read = yaml.load(content, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{file} is not valid YAML{where}", hint=_HINT) from None  # which quotes secrets
    if isinstance(read, list):
        raise ConfigError(f"{file} is not as lk writes it", hint=_HINT)
    return read if isinstance(read, Mapping) else {}  # nothing, or `null`
