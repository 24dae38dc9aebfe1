"""Runs `liba server`: finds or installs livekit-server, and runs it on this machine."""

from __future__ import annotations

from platformdirs import user_cache_path, user_state_path

from libacli.cli.output import InstallProgress, output
from libacli.cli.screens.exports import show_exports
from libacli.config import Settings
from libacli.errors import InstallError
from libacli.local.server_binary import ServerBinary, ensure_server
from libacli.local.server_process import run_server


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
    with run_server(binary.path, user_state_path("liba"), port=port) as server:
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
        output.status("next: these lines in another terminal, and there: liba agent run")
        code = server.wait()
    raise InstallError(f"livekit-server ended by itself with code {code}", hint=f"its log: {server.log_path}")


def _ensured(settings: Settings) -> ServerBinary:
    return ensure_server(settings.server_binary, user_cache_path("liba"), progress=InstallProgress(output))
