"""What `liba ps` prints."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.table import Table

from libacli.cli.screens.cells import cell
from libacli.running_stack import Part


def parts_table(parts: Sequence[tuple[Part, bool]]) -> Table:
    """Each part, and whether it runs."""
    table = Table("PART", "STATE", "PID", "SINCE", "ADDRESS", box=None, pad_edge=False)
    for part, is_running in parts:
        since = datetime.fromtimestamp(part.started_at, UTC).astimezone().strftime("%H:%M:%S")
        table.add_row(
            part.name, "running" if is_running else "ended", str(part.pid), since, cell(part.address)
        )
    return table
