"""Which tests run side by side, in two processes of pytest-xdist, and what becomes of one that crashes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

WORKERS = 2
"""The live tests on one, all else on the other; and no more, for the live ones are speech in real time."""

LIVE = "tests/live/"
LONGEST = (
    "tests/web/test_schema.py",
    "tests/web/test_build_hook.py",
    "tests/cli/runs/test_serve.py",
    "tests/test_guards.py",
)
"""They come first: a long module that came last would run while the other process has nothing to do."""

CRASHED = "crashed"
"""The outcome of a test whose process ended under it for the first time."""


class SideBySide(LoadFileScheduling):
    """Gives a process a whole module at a time, and the live tests as if they were one module.

    The LiveKit SDK's native code brings down the process that runs the tests, once in many runs: that is no
    verdict on the test that ran. It is run once more, and has failed when that ends its process too.
    """

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        super().__init__(config, log)
        self.crashes = Counter[str]()

    def _split_scope(self, nodeid: str) -> str:
        return LIVE if nodeid.startswith(LIVE) else str(super()._split_scope(nodeid))

    def remove_node(self, node: WorkerController) -> str | None:
        """What is left of its work goes to others, with the test that it ran when it crashed: once."""
        units = self.assigned_work[node]
        left = [test for unit in units.values() for test, is_over in unit.items() if not is_over]
        if left:  # its tests have their order: the first of these is the one that ran
            self.crashes[left[0]] += 1
        for scope, unit in [*units.items()]:
            unit.update({test: True for test in left[:1] if test in unit and self.crashes[test] > 1})
            if all(unit.values()):  # xdist would give it away too, and wait for a test of it for ever
                del units[scope]
        super().remove_node(node)
        return left[0] if left else None


def longest_first(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """The live tests, the longest modules, and the others in their order."""
    first = (LIVE, *LONGEST)

    def rank(item: pytest.Item) -> int:
        return next((at for at, start in enumerate(first) if item.nodeid.startswith(start)), len(first))

    return sorted(items, key=rank)
