"""Images that need not be built: what is installed here stands in for what is in them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Image:
    """What an image brings for whatever is run in it."""

    entrypoint: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=lambda: {"PATH": "/usr/local/bin:/usr/bin:/bin"})
    workdir: str = "/"
    binds: Mapping[str, Path] = field(default_factory=dict)
    """Path inside → the file or folder here that is there, read-only."""


def liba_image(dockerfile: str, folder: Path) -> Image:
    """The image of a Dockerfile of ours, with liba as these tests import it. `folder` takes a file."""
    last_stage = re.sub(r"\\\n\s*", "", dockerfile).rsplit("\nFROM ", 1)[1]
    variables = re.search(r"^ENV (.*)$", last_stage, re.MULTILINE)
    entrypoint = re.search(r"^ENTRYPOINT (.*)$", last_stage, re.MULTILINE)
    workdir = re.search(r"^WORKDIR (.*)$", last_stage, re.MULTILINE)
    assert variables and entrypoint and workdir
    env = dict(pair.split("=", 1) for pair in variables[1].split())
    env["PATH"] = env["PATH"].replace("$PATH", "/usr/local/bin:/usr/bin:/bin")
    program = folder / "liba"  # the installed one names the place that it was installed in
    program.write_text('#!/bin/sh\nexec /opt/liba/bin/python -m libacli "$@"\n')
    program.chmod(0o755)
    binds = {"/opt/liba": Path(sys.prefix), "/opt/source": ROOT, "/opt/liba/bin/liba": program}
    if not Path(sys.base_prefix).is_relative_to("/usr"):
        binds[sys.base_prefix] = Path(sys.base_prefix)
    return Image(tuple(json.loads(entrypoint[1])), env | {"PYTHONPATH": "/opt/source"}, workdir[1], binds)
