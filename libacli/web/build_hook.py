"""Hatch asks this while it builds: brings what the page needs of npm's packages into the wheel.

Node is needed to build liba, not to run it. In an editable install the files land in the source tree.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).parents[2]))  # a build has nothing of liba installed

from libacli.errors import InstallError
from libacli.web import npm

WITHOUT_NODE = "LIBACLI_BUILD_WITHOUT_NODE"
_FIX = f"""\
Node.js, with npm on PATH, is needed to build liba, not to run it. Install Node.js, or set {WITHOUT_NODE}=1
to build without: then the page has no video and there is no /docs, and all else works."""


class BuildHook(BuildHookInterface):
    """An editable install goes on without the files and warns; a wheel without them must be asked for."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if os.environ.get(WITHOUT_NODE) == "1":
            self.app.display_warning(f"{WITHOUT_NODE}=1: fetched nothing for the page")
            return
        try:
            for pin in npm.SERVED:
                npm.fetch(*pin, npm.VENDOR)
        except InstallError as error:
            if version != "editable":
                self.app.abort(f"liba cannot be built: {error}\n{_FIX}")
            self.app.display_warning(f"without video in its page: {error}")
