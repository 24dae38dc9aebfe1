"""Runs `liba deploy`: makes files, and prints or writes them. It reads no settings: none gets into a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from libacli import __version__
from libacli.cli.output import output
from libacli.deploy import compose, k8s, livekit_cloud, systemd
from libacli.deploy.dockerfile import dockerfile
from libacli.deploy.pins import pins
from libacli.deploy.plan import Plan, parts_of
from libacli.errors import ConfigError, FileError
from libacli.local.pins import SERVER_VERSION
from libacli.private_files import check_replaceable, kept_whole


def dockerfile_files(*, from_source: bool) -> dict[str, str]:
    """The Dockerfile, by its name."""
    return {"Dockerfile": dockerfile(__version__, pins(), from_source=from_source)}


def compose_files(parts: str, **values: Any) -> dict[str, str]:
    """The Compose file, by its name. `values` are those of a `Plan`. Raises UsageError."""
    plan = Plan(__version__, parts=parts_of(parts, compose.PARTS), livekit_version=SERVER_VERSION, **values)
    return {"compose.yaml": compose.compose_file(plan)}


def k8s_files(parts: str, **values: Any) -> dict[str, str]:
    """The manifests, by their file's name. `values` are those of a `Plan`. Raises UsageError."""
    return {"liba.yaml": k8s.manifests(Plan(__version__, parts=parts_of(parts, k8s.PARTS), **values))}


def systemd_files(parts: str, *, program: str, **values: Any) -> dict[str, str]:
    """The units, by their names. `values` are those of a `Plan`. Raises UsageError."""
    plan = Plan(__version__, parts=parts_of(parts, systemd.PARTS), **values)
    return systemd.units(plan, program)


def livekit_cloud_files(*, agent_id: str | None, from_source: bool, **values: Any) -> dict[str, str]:
    """The folder's files, by their names. `values` are those of a `Plan`. Raises UsageError."""
    plan = Plan(__version__, **values)
    return livekit_cloud.folder(plan, pins(), from_source=from_source, agent_id=agent_id)


class DeployRun:
    """Hands files over, by their names: on standard output, or written where there are none yet."""

    def __init__(self, files: Mapping[str, str], *, as_json: bool) -> None:
        self._files = files
        self._as_json = as_json

    def to_file(self, path: Path | None, *, force: bool) -> None:
        """Writes the one file to `path`, or prints it. Raises ConfigError for one that is there."""
        (text,) = self._files.values()
        if path is None:
            self._print()
        else:
            self._write({path: text}, force=force)

    def to_folder(self, folder: Path | None, *, force: bool) -> None:
        """Writes the files into `folder`, or prints them. Raises ConfigError for one that is there."""
        if folder is None:
            self._print()
        else:
            self._write({folder / name: text for name, text in self._files.items()}, force=force)

    def _print(self) -> None:
        if self._as_json:
            output.json({"files": dict(self._files)})
            return
        if len(self._files) == 1:
            output.text(*self._files.values())
            return
        for name, text in self._files.items():
            output.result(f"# ---- {name}")
            output.result(text)

    def _write(self, texts: Mapping[Path, str], *, force: bool) -> None:
        try:
            for path in texts:
                path.parent.mkdir(parents=True, exist_ok=True)
                _check_free(path, force=force)  # all of them, before the first is written
            for path, text in texts.items():
                with kept_whole(path, replaces=force) as file:
                    file.write(text)
        except OSError as error:
            raise FileError(f"cannot write {error.filename or path}: {error.strerror}") from error
        written = [str(path) for path in texts]
        if self._as_json:
            output.json({"written": written})
            return
        for name in written:
            output.result(name)


def _check_free(path: Path, *, force: bool) -> None:
    if force:
        check_replaceable(path)
    elif path.is_symlink() or path.exists():
        raise ConfigError(f"{path} is there already", hint="--force overwrites it")
