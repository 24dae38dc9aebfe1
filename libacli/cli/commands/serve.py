"""liba serve"""

from typing import Annotated

import typer

from libacli.cli.options import (
    ApiKey,
    ApiSecret,
    AsJson,
    ConfigFile,
    LogLevel,
    Project,
    Url,
    livekit_settings,
)
from libacli.errors import ConfigError

_EXTRA = ("fastapi", "limits", "prometheus_client", "segno", "starlette", "uvicorn")

Host = Annotated[
    str | None, typer.Option("--host", help="Address to bind [setting: serve.host]", show_default=False)
]
Port = Annotated[
    int | None,
    typer.Option("--port", "-p", min=0, max=65535, help="Port, 0: a free one [setting: serve.port]"),
]
NewKey = Annotated[
    str | None, typer.Option("--new-key", metavar="NAME", help="Make an API key of this name, and end")
]
OpenPage = Annotated[bool, typer.Option("--open", help="Open the page in a browser, which may speak")]


def serve(
    host: Host = None,
    port: Port = None,
    new_key: NewKey = None,
    open_page: OpenPage = False,
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
    flags = {"serve_host": host, "serve_port": port, "log_level": log_level}
    settings = livekit_settings(config, url, api_key, api_secret, project, **flags)
    if new_key is not None:
        make_key(settings, new_key, as_json=as_json)
    else:
        ServeRun(settings, as_json=as_json, open_page=open_page).run()
