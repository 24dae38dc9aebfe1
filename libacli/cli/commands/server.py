"""liba server"""

from typing import Annotated

import typer

from libacli.cli.options import AsJson, ConfigFile, group, settings_from
from libacli.cli.output import InstallProgress, output

app = group("The local LiveKit server.")


@app.command()
def install(config: ConfigFile = None) -> None:
    """Find livekit-server, or fetch or build it; once."""
    from platformdirs import user_cache_path

    from libacli.local.server_binary import ensure_server

    settings = settings_from(config).settings
    binary = ensure_server(settings.server_binary, user_cache_path("liba"), progress=InstallProgress(output))
    output.status(f"livekit-server {binary.version}, from: {binary.source}")
    output.result(str(binary.path))


@app.command()
def run(
    port: Annotated[
        int | None, typer.Option("--port", min=1, max=65535, help="Port [default: a free one]")
    ] = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Run a LiveKit server until Ctrl-C.

    It is for this machine alone.

    \b
    liba server run        in one terminal; in another one, paste the lines that it prints
    """
    from platformdirs import user_cache_path, user_state_path

    from libacli.errors import InstallError
    from libacli.local.server_binary import ensure_server
    from libacli.local.server_process import run_server

    settings = settings_from(config).settings
    binary = ensure_server(settings.server_binary, user_cache_path("liba"), progress=InstallProgress(output))
    with run_server(binary.path, user_state_path("liba"), port=port) as server:
        values = {
            "LIVEKIT_URL": server.url,
            "LIVEKIT_API_KEY": server.api_key,
            "LIVEKIT_API_SECRET": server.api_secret,
        }
        if as_json:
            output.ndjson(values | {"log": str(server.log_path)})
        else:
            for name, value in values.items():
                output.result(f"export {name}={value}")
        output.status(
            f"livekit-server {binary.version} is running; its log: {server.log_path}; Ctrl-C ends it"
        )
        code = server.wait()
    raise InstallError(f"livekit-server ended by itself with code {code}", hint=f"its log: {server.log_path}")
