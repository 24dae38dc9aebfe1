"""Hatch asks this while it builds: brings what the page needs of npm's packages into the wheel.

Node is needed to build liba, not to run it; where the machine has none the build asks for a wheel of it. In
an editable install the files land in the source tree.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).parents[2]))  # a build has nothing of liba installed

from libacli.child_environment import on_path
from libacli.errors import InstallError
from libacli.web import npm

WITHOUT_NODE = "LIBACLI_BUILD_WITHOUT_NODE"
_FIX = f"""\
npm is needed to build liba, not to run it. Install Node.js, or set {WITHOUT_NODE}=1 to build without:
then the page has no video and there is no /docs, and all else works."""


class BuildHook(BuildHookInterface):
    """An editable install goes on without the files and warns; a wheel without them must be asked for."""

    def dependencies(self) -> list[str]:
        return [] if on_path("npm") or _is_to_be_without() else [npm.NODE_WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if _is_to_be_without():
            self.app.display_warning(f"{WITHOUT_NODE}=1: fetched nothing for the page")
            return
        try:
            for pin in npm.SERVED:
                npm.fetch(*pin, npm.VENDOR)
        except InstallError as error:
            if version != "editable":
                self.app.abort(f"liba cannot be built: {error}\n{_FIX}")
            self.app.display_warning(f"without video in its page: {error}")


def _is_to_be_without() -> bool:
    return os.environ.get(WITHOUT_NODE) == "1"
