"""liba mcp"""

from libacli.cli.options import (
    ApiKey,
    ApiSecret,
    ConfigFile,
    LogLevel,
    Project,
    Room,
    Url,
    livekit_settings,
)


def mcp(
    room: Room = None,
    log_level: LogLevel = None,
    project: Project = None,
    url: Url = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    config: ConfigFile = None,
) -> None:
    """Let a model speak, by the Model Context Protocol.

    \b
    liba mcp --room demo     a client starts it, when it is told to:

    \b
    Claude Desktop, claude_desktop_config.json:
    {"mcpServers": {"liba": {"command": "liba", "args": ["mcp"]}}}

    \b
    VS Code, .vscode/mcp.json:
    {"servers": {"liba": {"command": "liba", "args": ["mcp"]}}}

    They speak on standard input and output; it ends with its input. Its tools: say, stop, queue, status,
    voices; "args": ["mcp", "--room", "demo"] names the usual room.

    It has the settings of whoever starts it: what is set in a shell alone goes below "env". It says what it
    is told in the name of who has the API secret. Others reach the same tools at /mcp of `liba serve`, with
    a key of theirs, where serve.mcp is set.
    """
    from libacli.mcp.installed import check_installed

    check_installed()
    from libacli.cli.runs.mcp import McpRun

    flags = {"say_room": room, "log_level": log_level}
    McpRun(livekit_settings(config, url, api_key, api_secret, project, **flags)).run()
