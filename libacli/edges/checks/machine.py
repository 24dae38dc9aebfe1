"""Checks of this machine: packages, files, folders, ports, programs. They need no network and no loop."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from pathlib import Path

from libacli.child_environment import environment_of, on_path
from libacli.config import is_secret, toml_name
from libacli.config_files import SECTIONS
from libacli.config_sources import TRUST_HINT, LoadedSettings, told
from libacli.edges.checks.finding import WRONG_SETTING, Finding, Verdict
from libacli.edges.voices.cache_files import usage
from libacli.errors import ConfigError

_FREE_WARN_MB, _FREE_FAIL_MB = 200, 20
_MOST_LINKS = 4
_PROGRAM_TIMEOUT_S = 5.0
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)[^<>=!~;]*(?P<wanted>[^;]*)(?P<marker>;.*)?")
_BOUND = re.compile(r"(>=|<=|==|<|>)\s*([\d.]+)")
_HOLDS: dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    ">=": lambda is_, wanted: is_ >= wanted,
    "<=": lambda is_, wanted: is_ <= wanted,
    "==": lambda is_, wanted: is_ == wanted,
    "<": lambda is_, wanted: is_ < wanted,
    ">": lambda is_, wanted: is_ > wanted,
}


def settings(loaded: LoadedSettings) -> Finding:
    """Where each setting came from, and which secrets are among them; not what these are."""
    given = {field: _source(origin) for field, origin in loaded.origins.items() if origin != "default"}
    if not given:
        return Finding("settings", "ok", "none given: all are defaults", "liba config init")
    sources = ", ".join(
        f"{source} ({', '.join(toml_name(field) for field in given if given[field] == source)})"
        for source in dict.fromkeys(given.values())
    )
    secrets = ", ".join(toml_name(field) for field in given if is_secret(field)) or "none"
    return Finding("settings", "ok", f"{len(given)} given by {sources}; secrets among them: {secrets}")


def service_links(loaded: LoadedSettings) -> Finding | None:
    """Which variables are no settings of the user's but Kubernetes' own; None: there are none."""
    if not loaded.passed_over:
        return None
    names = loaded.passed_over
    more = f" and {len(names) - _MOST_LINKS} more" if len(names) > _MOST_LINKS else ""
    told = f"passed over, as Kubernetes sets them for Services: {', '.join(names[:_MOST_LINKS])}{more}"
    return Finding("service links", "ok", told, "enableServiceLinks: false in the pod leaves them out")


def folder(loaded: LoadedSettings) -> Finding:
    """Whether the files of this folder set what only the user may; they are left out of all other checks."""
    if loaded.left_out:
        message = f"{told(loaded.left_out)}: left out here, and other commands end with code {WRONG_SETTING}"
        return Finding("folder", "fail", message, TRUST_HINT, WRONG_SETTING)
    states = {True: "trusted", False: "sets nothing that you would have to trust it for"}
    files = ", ".join(f"{one.file}: {states[one.is_trusted]}" for one in loaded.folder)
    return Finding("folder", "ok", files or "it has no settings of its own")


def files(loaded: LoadedSettings) -> Finding:
    """Whether the files that hold secrets are for their owner alone."""
    origins = (loaded.origins[field] for field in loaded.origins if is_secret(field))
    holding = {Path(_source(origin).partition(" (project ")[0]) for origin in origins}
    open_to_all = sorted(str(file) for file in holding if _is_open_to_all(file))
    if open_to_all:
        names = " ".join(open_to_all)
        return Finding(
            "files", "warn", f"everybody here can read the secrets in {names}", f"chmod 600 {names}"
        )
    return Finding("files", "ok", "no file with secrets is open to others")


def packages(requirements: Iterable[str] | None = None) -> Finding:
    """Whether what is installed is what liba was made for; `requirements` are its own if None."""
    if requirements is None:
        try:
            requirements = metadata.requires("libacli") or ()
        except metadata.PackageNotFoundError:
            return Finding(
                "packages", "warn", "libacli is not installed here, only its source", "pip install -e ."
            )
    wrong, wanted = [], []
    for line in requirements:
        match = _REQUIREMENT.match(line)
        if match is None or match["marker"]:
            continue
        name, bounds = match["name"], match["wanted"].strip()
        installed = _version(name)
        if installed is None or not _fits(installed, bounds):
            wrong.append(f"{name} {installed or 'is missing'}")
            wanted.append(f"'{name}{bounds}'")
    if wrong:
        fix = f"pip install {' '.join(wanted)}"
        return Finding("packages", "fail", f"not what liba was made for: {', '.join(wrong)}", fix)
    told = ", ".join(f"{name} {_version(name)}" for name in ("livekit", "livekit-agents") if _version(name))
    return Finding("packages", "ok", f"Python {platform.python_version()}, {told}")


def voice_cache(folder: Path, most_mb: int) -> Finding:
    """What is kept of the voice, of `most_mb` megabytes."""
    try:
        found = usage(folder)
    except OSError as error:
        message = f"{folder} cannot be used: {error.strerror or error}"
        return Finding("voice cache", "fail", message, f"make it a folder of this user: {folder}")
    message = f"{found.sounds} lines, {found.bytes / 1e6:.1f} of {most_mb} MB, in {folder}"
    return Finding("voice cache", "ok", message)


def disk(folders: Mapping[str, Path]) -> Finding:
    """Whether these folders, by what they are for, can be written to and have room."""
    free_mb: dict[str, float] = {}
    for purpose, folder in folders.items():
        there = next(path for path in (folder, *folder.parents) if path.exists())
        try:
            with tempfile.TemporaryFile(dir=there):
                free_mb[purpose] = shutil.disk_usage(there).free / 1e6
        except OSError as error:
            message = f"cannot write to {there}, which is for {purpose}: {error.strerror}"
            return Finding("disk", "fail", message, f"make it a folder that you may write to: {folder}")
    purpose, least = min(free_mb.items(), key=lambda item: item[1])
    verdict: Verdict = "fail" if least < _FREE_FAIL_MB else "warn" if least < _FREE_WARN_MB else "ok"
    fix = "" if verdict == "ok" else f"free some space on the disk of {folders[purpose]}"
    return Finding("disk", verdict, f"{least / 1000:.1f} GB free for {' and '.join(folders)}", fix)


def metrics(path: Path) -> Finding:
    """Whether the kept records can be read."""
    from libacli.edges.metrics.reader import MetricsReader

    with MetricsReader(path) as reader:
        kept = reader.latest(1)
    return Finding("metrics", "ok", f"records are kept in {path}" if kept else "no records yet")


def conversations(folder: Path) -> Finding:
    """Whether crashed agents have left conversations that may still run."""
    from libacli.edges.avatars.ledger import Ledger
    from libacli.edges.avatars.reaping import forget_local

    ledger = Ledger(folder)
    forget_local(ledger)
    local = sum(entry.is_local for entry in ledger.orphans())
    if left := len(ledger.orphans()) - local:
        message = f"{left} left behind by agents that crashed: they may still run and cost money"
        return Finding("conversations", "warn", message, "liba reap")
    if files := ledger.unreadable():
        message = f"{files[0]} cannot be read: what it notes down may run, and cost money"
        return Finding("conversations", "warn", message, "liba reap --all; then remove the file")
    told = f"{local} with a local avatar left behind, which cost nothing" if local else "none left behind"
    return Finding("conversations", "ok", f"{told}; {len(ledger.entries()) - local} running")


def ports(wanted: Mapping[str, tuple[str, int]]) -> Finding:
    """Whether the ports can be had; `wanted` is setting → address and port, where 0 is none in particular."""
    fixed = {name: place for name, place in wanted.items() if place[1]}
    for name, (host, port) in fixed.items():
        try:
            with socket.create_server((host, port), family=_family(host)):
                pass
        except OSError as error:
            holder, is_liba = _holder(port)
            if is_liba:
                continue
            what = f"is taken by {holder}" if holder else f"cannot be bound: {error.strerror}"
            variable = f"LIBA_{name.upper().replace('.', '_')}"
            fix = f"{f'end {holder}' if holder else 'choose another one'}, or set {variable}=0"
            return Finding("ports", "fail", f"{name}: {host}:{port} {what}", fix)
    told = ", ".join(f"{name} {port}" for name, (_, port) in fixed.items())
    return Finding(
        "ports", "ok", f"free, or held by liba: {told}" if told else "each is chosen among the free ones"
    )


def local_server(setting: Path | None, find: Callable[[], tuple[Path, str] | None]) -> Finding:
    """Whether there is a livekit-server for `liba demo`; `find` tells path and version of the one to use."""
    try:
        found = find()
    except ConfigError as error:
        why = _trouble(setting) if setting else ""
        return Finding("local server", "fail", f"{error}: {why}", error.hint, error.exit_code)
    installed = on_path("livekit-server")
    if installed and (why := _trouble(Path(installed))):
        uses = f"; {found[0]} is used" if found else ""
        fix = f"remove {installed}" if found else f"remove {installed}, then: liba server install"
        return Finding("local server", "warn", f"{installed} does not run here: {why}{uses}", fix)
    if found:
        return Finding("local server", "ok", f"livekit-server {found[1]} at {found[0]}")
    return Finding("local server", "warn", "no livekit-server on this machine", "liba server install")


def local_parts() -> Finding:
    """Whether the embedded voice and what draws the local avatar are installed."""
    parts = {"hibari": "the embedded voice", "resvg_py": "the local avatar's face", "av": "recordings"}
    missing = [purpose for module, purpose in parts.items() if not importlib.util.find_spec(module)]
    if missing:
        fix = "pip install 'libacli[local]'"
        return Finding("local parts", "warn", f"not installed: {', '.join(missing)}", fix)
    return Finding("local parts", "ok", ", ".join(parts.values()))


def _source(origin: str) -> str:
    """The file that `origin` tells of, with a project in it, or what it is instead: `environment`, `flag`."""
    source, _, name = origin.rpartition(" ")
    is_named = name.isupper() or name.partition(".")[0] in SECTIONS
    return source if source and is_named else origin


def _is_open_to_all(file: Path) -> bool:
    try:
        return bool(file.stat().st_mode & stat.S_IROTH)
    except OSError:  # `environment`, `default`: no file
        return False


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _fits(installed: str, bounds: str) -> bool:
    return all(_HOLDS[sign](_numbers(installed), _numbers(bound)) for sign, bound in _BOUND.findall(bounds))


def _numbers(version: str) -> tuple[int, ...]:
    """`1.9.0` as (1, 9): zeros at the end say nothing."""
    match = re.match(r"\d+(?:\.\d+)*?(?=(?:\.0+)*(?![\d.]))", version)
    return tuple(int(number) for number in match[0].split(".")) if match else ()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _holder(port: int) -> tuple[str, bool]:
    """Which process listens on `port`, as far as this user may know, and whether it is one of liba's own."""
    import psutil

    try:
        for held in psutil.net_connections("tcp"):
            if held.status == psutil.CONN_LISTEN and held.laddr.port == port and held.pid:
                process = psutil.Process(held.pid)
                is_liba = any(Path(word).name in ("liba", "libacli") for word in process.cmdline())
                return f"{process.name()} (process {held.pid})", is_liba
    except psutil.Error:
        pass
    return "", False


def _trouble(program: Path) -> str:
    """Why a program does not run, "" if it does. A wrong architecture is an `Exec format error`."""
    try:
        command = [os.path.abspath(program), "--version"]
        ended = subprocess.run(
            command,
            capture_output=True,
            env=environment_of("program"),
            timeout=_PROGRAM_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "it does not answer"
    except OSError as error:
        is_other = error.strerror == "Exec format error"
        here = f"it is no program for this machine ({platform.system()}, {platform.machine()})"
        return here if is_other else str(error.strerror)
    return f"it ends with code {ended.returncode}" if ended.returncode else ""
