"""Tavus's own command line, `tavus-cli` on PyPI: whom it speaks to can be set.

It stands in an environment of its own under the user's cache, made once, because it brings more packages than
liba has altogether. `TAVUS_PUBLIC_API_BASE_URL` is read in its `tavus_mcp/sdk/env.py`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

VERSION = "0.11.0"
"""The newest one when this was written."""


@dataclass(frozen=True)
class TavusCli:
    """Runs it in `folder` against the service at `base_url`."""

    folder: Path
    base_url: str
    api_key: str

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run(str(_environment() / "bin" / "tavus"), *arguments)

    def told(self, *arguments: str) -> Any:
        """The JSON that a command prints."""
        ran = self.run(*arguments)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return json.loads(ran.stdout)

    def client(self, call: str) -> Any:
        """What a call of its Python client gives: `conversations.list()`."""
        program = (
            "import asyncio, json\n"
            "from tavus_mcp.sdk.client.http import TavusClient\n"
            "async def run():\n"
            "    async with TavusClient.from_env() as client:\n"
            f"        return await client.{call}\n"
            "print(json.dumps(asyncio.run(run())))\n"
        )
        ran = self._run(str(_environment() / "bin" / "python"), "-c", program)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return json.loads(ran.stdout)

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        mine = {"TAVUS_PUBLIC_API_BASE_URL": f"{self.base_url}/v2", "TAVUS_API_KEY": self.api_key}
        return subprocess.run(
            command, cwd=self.folder, env=kept | mine, capture_output=True, text=True, timeout=240
        )


def _environment() -> Path:
    folder = (
        user_cache_path("liba") / f"tavus-cli-{VERSION}-{sys.version_info.major}.{sys.version_info.minor}"
    )
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", f"tavus-cli=={VERSION}"]
        subprocess.run(install, check=True)
        (folder / "complete").touch()
    return folder
