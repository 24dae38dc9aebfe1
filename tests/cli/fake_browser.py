"""A browser that notes what it is started with, and where the file that it is given leads."""

from __future__ import annotations

import html
import re
import stat
import time
from pathlib import Path


class FakeBrowser:
    """A program in `folder`. It is used by whoever has `env` in his environment."""

    def __init__(self, folder: Path) -> None:
        self._noted = folder / "browser-noted"
        self._copy = folder / "browser-copy.html"
        self._modes = folder / "browser-modes"
        program = folder / "browser"
        program.write_text(
            "#!/bin/sh\n"
            'file="${1#file://}"\n'
            f'if [ -f "$file" ]; then cp "$file" {self._copy}\n'
            f'  stat -c %a "$(dirname "$file")" "$file" > {self._modes}; fi\n'
            f'echo "$@" > {self._noted}.part; mv {self._noted}.part {self._noted}\n'
        )
        program.chmod(stat.S_IRWXU)
        self.env = {"BROWSER": f"{program} %s"}

    def arguments(self, *, timeout_s: float = 20.0) -> str:
        """The command line that everybody can read; waits for it."""
        deadline = time.monotonic() + timeout_s
        while not self._noted.exists():
            assert time.monotonic() < deadline, "no browser was started"
            time.sleep(0.02)
        return self._noted.read_text().strip()

    def led_to(self) -> str:
        """The address that it ends up at."""
        arguments = self.arguments()
        if not arguments.startswith("file://"):
            return arguments
        led = re.search(r'url=([^"]*)"', self._copy.read_text())
        assert led
        return html.unescape(led[1])

    def file_modes(self) -> tuple[int, int]:
        """Modes of the folder and of the file that it was given, while it was there."""
        self.arguments()
        folder, file = self._modes.read_text().split()
        return int(folder, 8), int(file, 8)
