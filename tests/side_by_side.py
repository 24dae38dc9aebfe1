"""Which tests run side by side, in three processes of pytest-xdist, and what becomes of one that crashes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

WORKERS = 3
"""The live tests on one, all else and then what is left of those on the others. They are speech in real time,
which waits most of its time: once all else is done, three of them leave processors idle still."""

SPARE = "gw2"
SPARE_NICENESS = 5
"""As long as all else is left. A third of the time of who has none, where both want a processor: no more is
left of what live tests leave, and no less is enough for tests that wait for a process."""

LIVE = ("tests/live/", "tests/security/")
LONGEST = (
    "tests/edges/voices/test_recognition.py",
    "tests/cli/test_odd_environments.py",
    "tests/web/test_schema.py",
    "tests/web/test_build_hook.py",
    "tests/cli/runs/test_serve.py",
    "tests/test_guards.py",
)
"""They come first: a long module that came last would run while the other process has nothing to do."""

CRASHED = "crashed"
"""The outcome of a test whose process ended under it for the first time."""


class SideBySide(LoadFileScheduling):
    """Gives a process a whole module at a time: to the first the live ones in order, to another all else
    first, and then the live ones from the last on.

    The LiveKit SDK's native code brings down the process that runs the tests, once in many runs: that is no
    verdict on the test that ran. It is run once more, and has failed when that ends its process too.
    """

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        super().__init__(config, log)
        self.crashes = Counter[str]()

    def _assign_work_unit(self, node: WorkerController) -> None:
        self.workqueue.move_to_end(self._next_for(node), last=False)  # where the next one is taken from
        super()._assign_work_unit(node)

    def _next_for(self, node: WorkerController) -> str:
        modules: list[str] = list(self.workqueue)
        live = [module for module in modules if module.startswith(LIVE)]
        others = [module for module in modules if not module.startswith(LIVE)]
        if node is self.nodes[0]:
            return (live + others)[0]
        return (others + live[::-1])[0]

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
    first = [LIVE, *((module,) for module in LONGEST)]

    def rank(item: pytest.Item) -> int:
        return next((at for at, start in enumerate(first) if item.nodeid.startswith(start)), len(first))

    return sorted(items, key=rank)
