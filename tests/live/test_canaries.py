"""What a worker, its rooms and the local server tell, write and are started with: no secret and no word."""

from __future__ import annotations

import asyncio
import re
import resource
import stat
import subprocess
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil
import pytest
from aiohttp import web
from platformdirs import user_cache_path

from libacli.config import LiveKitCredentials
from libacli.local.server_binary import ensure_server
from libacli.local.server_process import run_server
from tests.canaries import KEYS, WORDS, secret_settings, secrets_in, words_in
from tests.live.conftest import Listen, Shell, wait_for_line
from tests.speech_server import Script, SpeechServer
from tests.started import started

pytestmark = pytest.mark.live

QUOTES_THE_KEY = Script(status=401, message=f"Incorrect API key provided: {KEYS['OPENAI_API_KEY']}. {WORDS}")


@asynccontextmanager
async def tavus_that_quotes_the_key() -> AsyncIterator[tuple[str, list[str]]]:
    """`host:port` of a service that refuses everything and quotes what it got; the paths asked for."""
    asked: list[str] = []

    async def refuse(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"message": f"Bad request: {dict(request.headers)}"}, status=401)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


def told_by_the_kernel(pid: int) -> str:
    """The command lines of a process and all that it started: anybody on the machine can read them."""
    lines = []
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            lines.append(" ".join(process.cmdline()))
    return "\n".join(lines)


def may_dump_core(pid: int) -> bool:
    """Whether a crash of this process could leave its memory on the disk, which holds all secrets."""
    with suppress(ProcessLookupError):
        return resource.prlimit(pid, resource.RLIMIT_CORE) != (0, 0)
    return False


def written(folder: Path) -> dict[Path, str]:
    """Content of every file below `folder`."""
    return {path: path.read_bytes().decode(errors="replace") for path in folder.rglob("*") if path.is_file()}


def is_private(path: Path) -> bool:
    return not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - a file and a server of the test, which tell nobody
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("level", ["info", "debug"])
async def test_fault_12_a_worker_tells_no_secret_whatever_becomes_of_it(
    shell: Shell, credentials: LiveKitCredentials, room: str, listen: Listen, tmp_path: Path, level: str
) -> None:
    real = {"the server's secret": credentials.api_secret.get_secret_value()}
    log, state = tmp_path / "worker.log", tmp_path / "state"
    async with tavus_that_quotes_the_key() as (tavus, asked), SpeechServer() as speech:
        address = speech.base_url.removeprefix("http://").removesuffix("/v1")
        environment = secret_settings(openai=address, tavus=tavus) | {
            "LIVEKIT_API_SECRET": credentials.api_secret.get_secret_value(),
            "LIBA_AGENT_NAME": room,
            "LIBA_LOG_LEVEL": level,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{tavus}",
            "XDG_STATE_HOME": str(state),
            # One voice that remembers nothing: what it refuses fails.
            "LIBA_VOICE_PROVIDERS": "speech",
            "LIBA_VOICE_CACHE_MEMORY_MB": "0",
        }

        async def say(*arguments: str) -> subprocess.CompletedProcess[str]:
            command = ("--verbose", "say", WORDS, "--room", room, "--wait", "done", *arguments)
            ended = await asyncio.to_thread(
                lambda: Shell(shell.folder, shell.environment | environment).run(*command)
            )
            assert not secrets_in(ended.stdout + ended.stderr, real)
            assert not words_in(ended.stdout + ended.stderr)
            return ended

        arguments = ("agent", "run", "--room", room)
        with shell.running(*arguments, log=log, **environment) as worker:
            await asyncio.to_thread(wait_for_line, log, "ready in room", worker)
            async with listen():
                await until(lambda: "/v2/conversations" in asked)
                assert (await say()).returncode == 0
                speech.play(*[QUOTES_THE_KEY] * 3)
                assert (await say()).returncode == 8
            processes = psutil.Process(worker.pid).children(recursive=True)
            assert not secrets_in(told_by_the_kernel(worker.pid), real)
            assert len(processes) >= 2
            assert not any(may_dump_core(process.pid) for process in processes)
            await until(lambda: "telemetry does not get through" in log.read_text())
            starter = next(process for process in processes if "forkserver" in "".join(process.cmdline()))
            rooms = starter.children()
            max(rooms, key=lambda process: process.memory_info().rss).kill()
            await until(lambda: "non-zero exit code" in log.read_text())
    for path, text in written(tmp_path).items():
        assert not secrets_in(text, real), (
            path,
            [line for line in text.splitlines() if secrets_in(line, real)],
        )
        assert "eyJ" not in text, path
        assert words_in(text) == (path == log and level == "debug"), path
    assert [path for path, text in written(state).items() if text and not is_private(path)] == []


def test_fault_12_the_local_server_leaves_its_secret_nowhere(tmp_path: Path) -> None:
    binary = ensure_server(None, user_cache_path("liba"))
    with run_server(binary.path, tmp_path) as server:
        files = written(tmp_path)
        assert files  # its log; the file that holds the key is gone once the server has read it
        assert not any(server.api_secret in text for text in files.values())
        assert all(is_private(path) for path in files)
        assert server.api_secret not in told_by_the_kernel(server.process.pid)
        for process in psutil.Process(server.process.pid).children(recursive=True):
            assert server.api_secret not in "".join(process.environ().values())
    assert not any(server.api_secret in text for text in written(tmp_path).values())


def test_fault_12_the_demo_writes_and_shows_no_word_and_no_secret(bare_shell: Shell, tmp_path: Path) -> None:
    seen: set[str] = set()
    over = threading.Event()
    with started(
        bare_shell.command("--verbose", "demo", WORDS, "--once"),
        env=bare_shell.environment | {"XDG_STATE_HOME": str(tmp_path), "OPENAI_API_KEY": ""},
        cwd=bare_shell.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:

        def look() -> None:
            while not over.wait(0.2):
                with suppress(psutil.NoSuchProcess):
                    seen.update(told_by_the_kernel(demo.pid).splitlines()[1:])

        looking = threading.Thread(target=look)
        looking.start()
        told = "".join(demo.communicate(timeout=100))
        over.set()
        looking.join()
    assert demo.returncode == 0, told
    assert len(seen) > 4
    assert not any(re.search(r"eyJ|local-\w{20}|[0-9a-f]{64}", line) for line in seen)
    assert not words_in(told + "".join(seen))
    for path, text in written(tmp_path).items():
        assert is_private(path), path
        assert not words_in(text), path
        assert "eyJ" not in text, path
