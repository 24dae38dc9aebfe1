"""Opens a page in this machine's browser."""

from __future__ import annotations

from libacli.cli.output import output


def open_in_browser(link: str, *, otherwise: str) -> None:
    """Opens `link`; says what to do `otherwise` when there is no browser. May block for a while."""
    import webbrowser  # `liba token` mostly needs none

    if not webbrowser.open(link):
        output.status(f"no browser could be opened; {otherwise}")
