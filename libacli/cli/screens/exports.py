"""Settings for others, as lines that a shell takes."""

from __future__ import annotations

from collections.abc import Mapping

from libacli.cli.output import output


def show_exports(variables: Mapping[str, str]) -> None:
    """Prints environment variables to be pasted into a shell."""
    for name, value in variables.items():
        output.result(f"export {name}={value}")
