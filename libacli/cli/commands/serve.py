"""liba serve"""

from typing import Annotated

import typer

from libacli.cli.options import ApiKey, ApiSecret, AsJson, ConfigFile, LogLevel, Project, Url, settings_from
from libacli.errors import ConfigError

_EXTRA = ("fastapi", "limits", "prometheus_client", "segno", "starlette", "uvicorn")


def serve(
    host: Annotated[
        str | None, typer.Option("--host", help="Address to bind [setting: serve.host]", show_default=False)
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", "-p", min=0, max=65535, help="Port, 0: a free one [setting: serve.port]"),
    ] = None,
    new_key: Annotated[
        str | None, typer.Option("--new-key", metavar="NAME", help="Make an API key of this name, and end")
    ] = None,
    open_page: Annotated[
        bool, typer.Option("--open", help="Open the page in a browser, which may speak")
    ] = False,
    log_level: LogLevel = None,
    as_json: AsJson = False,
    project: Project = None,
    url: Url = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    config: ConfigFile = None,
) -> None:
    """Serve the web page and the HTTP API.

    \b
    liba serve --open              the page, for this machine
    liba serve --new-key laptop    a key, and the line that lets it in
    liba serve --host 0.0.0.0      for others too; needs a key
    """
    try:
        from libacli.cli.runs.serve import ServeRun, make_key
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        raise ConfigError("the web is not installed", hint="pip install 'libacli[web]'") from error
    settings = settings_from(
        config,
        project=project,
        livekit_url=url,
        livekit_api_key=api_key,
        livekit_api_secret=api_secret,
        serve_host=host,
        serve_port=port,
        log_level=log_level,
    ).settings
    if new_key is not None:
        make_key(settings, new_key, as_json=as_json)
    else:
        ServeRun(settings, as_json=as_json, open_page=open_page).run()
