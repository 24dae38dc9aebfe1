"""The two servers of the HTTP bench, in one process: prints their addresses, and serves until it is ended."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from libacli.cli.runs.serve_stores import open_stores
from libacli.config_sources import load
from libacli.edges.livekit.gateway import RoomGateway
from libacli.web.app import make_app
from libacli.web.models.say import SayAnswer, SayBody

_bare = FastAPI()


@_bare.post("/api/say", status_code=202)
async def say(body: SayBody) -> SayAnswer:
    """What any route costs that reads and answers the same."""
    return SayAnswer(
        id=body.id or "",
        room=body.room or "",
        level="accepted",
        epoch="",
        position=0,
        duplicate=False,
        state="accepted",
        report=None,
    )


async def main() -> None:
    settings = load(environment=os.environ, user_file=Path("none")).settings
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    urls = [f"http://127.0.0.1:{one.getsockname()[1]}" for one in listening]
    gateway = RoomGateway(settings.livekit(), agent_name=settings.agent_name)
    async with gateway, open_stores(settings) as stores:
        apps = (make_app(settings, gateway, address=urls[0], stores=stores), _bare)
        async with asyncio.TaskGroup() as tasks:
            for app, one in zip(apps, listening, strict=True):
                config = uvicorn.Config(app, ws="none", log_config=None, access_log=False)
                tasks.create_task(uvicorn.Server(config).serve(sockets=[one]))
            print(json.dumps(urls), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
