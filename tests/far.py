"""A machine at the end of a bad network: what reaches it goes through a relay, see `tests.relay`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from libacli.child_environment import environment_of
from libacli.local.guard import GuardedProcess
from tests.impairment import Conditions
from tests.machines import Machine, Namespace, Network
from tests.relay import Cable, Counts

_ROOT = Path(__file__).parents[1]
_READY_TIMEOUT_S = 20.0
_POLL_S = 0.02
_GRACE_S = 2.0


@dataclass
class Far:
    """`machine` reaches one other, over a relay."""

    machine: Namespace
    _relay: GuardedProcess
    _log: Path

    def end(self) -> dict[str, Counts]:
        """Takes the cable away; what was done on `downlink` (to this machine) and `uplink`."""
        self._relay.terminate()
        told = json.loads(self._log.read_text().splitlines()[-1])
        return {name: Counts(**counts) for name, counts in told.items()}


@contextmanager
def far_from(
    near: Machine,
    network: Network,
    folder: Path,
    conditions: Conditions,
    *,
    seed: int,
    uplink: Conditions | None = None,
) -> Iterator[Far]:
    """A machine that reaches `near` alone, under `conditions`; `uplink`: other ones for the way there."""
    there = network.namespace()
    number = int(there.address.rpartition(".")[2])
    cable = Cable(
        near.name, near.address, there.name, there.address, number, seed, conditions, uplink or conditions
    )
    log = folder / f"relay-{number}.log"
    command = [sys.executable, "-m", "tests.relay", json.dumps(asdict(cable))]
    env = environment_of("python")
    with (
        log.open("wb") as out,
        GuardedProcess.start(command, env=env, cwd=_ROOT, stdout=out, grace_s=_GRACE_S) as relay,
    ):
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while log.read_text() != "ready\n":
            assert relay.wait(_POLL_S) is None and time.monotonic() < deadline, log.read_text()
        yield Far(there, relay, log)
