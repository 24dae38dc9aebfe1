"""liba server"""

from libacli.cli.options import AsJson, ConfigFile, FreePort, group, settings_from

app = group("The local LiveKit server.")


@app.command()
def install(as_json: AsJson = False, config: ConfigFile = None) -> None:
    """Find livekit-server, or fetch or build it; once.

    \b
    liba server install      `liba demo` does so by itself
    """
    from libacli.cli.runs.server import install_server

    install_server(settings_from(config, is_local=True).settings, as_json=as_json)


@app.command()
def run(
    port: FreePort = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Run a LiveKit server until Ctrl-C.

    It is for this machine alone.

    \b
    liba server run
    liba agent run       in another terminal, where it is found
    """
    from libacli.cli.runs.server import run_local_server

    run_local_server(settings_from(config, is_local=True).settings, port=port, as_json=as_json)
