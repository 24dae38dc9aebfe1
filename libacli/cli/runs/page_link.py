"""Links to pages: what of them may be shown where, and how a browser is led there."""

from __future__ import annotations

import html
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_state_path

from libacli.child_environment import environment_of
from libacli.cli.output import output
from libacli.private_files import new_private_file, private_folder

_FOLDER = "links"
_KEPT_S = 600.0
"""How long a file may be needed that leads a browser to its page: a code is good for no longer either."""

_OPENER = "import sys, webbrowser; sys.exit(not webbrowser.open(sys.argv[1]))"
_LEADS_THERE = """<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={link}">
<title>liba</title>
<a href="{link}">to the page</a>
"""


@dataclass(frozen=True)
class PageLink:
    """A page in a browser."""

    address: str
    """What anybody may read."""

    secret: str = field(default="", repr=False)
    """The whole link, where it holds a code or token: whoever has it is let in. Empty: the address does."""

    def shown(self) -> str:
        """What may be told on standard error: a log that it goes to keeps no code."""
        return self.secret if self.secret and sys.stderr.isatty() else self.address

    def open(self, *, otherwise: str) -> None:
        """Opens it in this machine's browser; says what to do `otherwise` when there is none. May block.

        A secret link is not part of a command line, which everybody on this machine can read: it stands in a
        file of this user's, which leads there. See `forget_links`.
        """
        try:
            opened = _file_that_leads_to(self.secret).as_uri() if self.secret else self.address
        except OSError as error:
            output.status(f"no browser was opened, {error.filename}: {error.strerror}; {otherwise}")
            return
        if not _opens(opened):
            output.status(f"no browser could be opened; {otherwise}")


def forget_links() -> None:
    """Removes the files by which this process has led browsers to pages."""
    for file in (user_state_path("liba") / _FOLDER).glob(f"{os.getpid()}-*.html"):
        file.unlink(missing_ok=True)


def _opens(address: str) -> bool:
    """In a process between us and the browser, which stays when we are gone and needs none of our keys."""
    command = [sys.executable, "-I", "-c", _OPENER, address]
    return subprocess.run(command, env=environment_of("browser"), check=False).returncode == 0


def _file_that_leads_to(link: str) -> Path:
    folder = private_folder(user_state_path("liba") / _FOLDER)
    _remove_old(folder)
    path = folder / f"{os.getpid()}-{os.urandom(8).hex()}.html"
    with os.fdopen(new_private_file(path), "w", encoding="utf-8") as file:
        file.write(_LEADS_THERE.format(link=html.escape(link)))
    return path


def _remove_old(folder: Path) -> None:
    oldest = time.time() - _KEPT_S  # noqa: TID251 - as files are dated
    for file in folder.glob("*.html"):
        if file.lstat().st_mtime < oldest:
            file.unlink(missing_ok=True)
