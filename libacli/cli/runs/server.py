"""Runs `liba server`: finds or installs livekit-server, and runs it on this machine."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime

from platformdirs import user_cache_path, user_state_path

from libacli.cli.output import InstallProgress, output
from libacli.cli.screens.exports import show_exports
from libacli.config import Settings
from libacli.errors import InstallError, UsageError
from libacli.local.server_binary import ServerBinary, ensure_server
from libacli.local.server_process import LocalServer, run_server
from libacli.running_stack import Part, stack_file


def install_server(settings: Settings, *, as_json: bool) -> None:
    """Prints where livekit-server is, once it is. Raises InstallError or ConfigError."""
    binary = _ensured(settings)
    output.status(f"livekit-server {binary.version}, from: {binary.source}")
    if as_json:
        output.json({"path": str(binary.path), "version": binary.version, "source": binary.source})
    else:
        output.result(str(binary.path))


def run_local_server(settings: Settings, *, port: int | None, as_json: bool) -> None:
    """Runs it until Ctrl-C. Raises InstallError when it ends by itself."""
    binary = _ensured(settings)
    with run_server(binary.path, user_state_path("liba"), port=port) as server, ExitStack() as stack:
        is_found = _is_found_by_others(stack, server)
        values = {
            "LIVEKIT_URL": server.url,
            "LIVEKIT_API_KEY": server.api_key,
            "LIVEKIT_API_SECRET": server.api_secret,
        }
        if as_json:
            output.ndjson(values | {"log": str(server.log_path)})
        else:
            show_exports(values)
        output.status(
            f"livekit-server {binary.version} is running; its log: {server.log_path}; Ctrl-C ends it"
        )
        finds = "it finds this server, unless another one is set up"
        way = finds if is_found else "paste these lines first"
        output.status(f"next, in another terminal: liba agent run - {way}")
        code = server.wait()
    raise InstallError(f"livekit-server ended by itself with code {code}", hint=f"its log: {server.log_path}")


def _is_found_by_others(stack: ExitStack, server: LocalServer) -> bool:
    """Has other commands of this user find it, until `stack` ends; not where they find another one."""
    file = stack_file()
    try:
        stack.enter_context(file.owned())
    except UsageError:
        return False
    settings = {
        "livekit_url": server.url,
        "livekit_api_key": server.api_key,
        "livekit_api_secret": server.api_secret,
    }
    now = datetime.now(UTC).timestamp()
    file.write(settings, [Part("server", server.pid, server.url, str(server.log_path), now)])
    return True


def _ensured(settings: Settings) -> ServerBinary:
    return ensure_server(settings.server_binary, user_cache_path("liba"), progress=InstallProgress(output))
