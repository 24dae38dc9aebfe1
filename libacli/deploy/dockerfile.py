"""A Dockerfile for an image that holds liba and all its extras."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from libacli.deploy.pins import EXTRAS
from libacli.deploy.probe import probe
from libacli.deploy.template import fill

_NODE = """\
# The page's JavaScript is fetched while liba is built.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends nodejs npm && rm -rf /var/lib/apt/lists/*"""


def dockerfile(version: str, pins: Sequence[str], *, from_source: bool) -> str:
    """A Dockerfile for liba of this `version`, out of a package index or the folder that it is built in.

    It is all in the one file: also the versions that it is held to, `pins`.
    """
    constraints = ["COPY <<PINS /constraints.txt", *pins, "PINS"]
    head = fill("Dockerfile.head", {"version": version})
    return image(version, head=head, constraints="\n".join(constraints), from_source=from_source)


def image(version: str, *, head: str, constraints: str, from_source: bool, settings: str = "") -> str:
    """The same with a `head` of comments, and an instruction that brings /constraints.txt.

    `settings` are more lines of variables: `NAME=value \\`.
    """
    extras = ",".join(EXTRAS)
    values = {
        "head": head,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "node": _NODE if from_source else "",
        "constraints": constraints,
        "source": "COPY . /src" if from_source else "",
        "distribution": f"/src[{extras}]" if from_source else f"libacli[{extras}]=={version}",
        "settings": settings,
        "probe": probe(8081),
    }
    return fill("Dockerfile", values)
