"""How busy a worker says that it is: by that alone LiveKit decides which worker a room is offered to.

Of the nodes of a server the one is chosen whose workers have the most left of 0.7, and never one where that
is nothing; of its workers one is drawn, weighed by 1 - load. (livekit-server 1.13, `pkg/agent/config.go` and
`pkg/service/agentservice.go`. 0.7 is also where LiveKit's own agents count as full.)
"""

from __future__ import annotations

_FULL = 1.0
_MOST = 0.69
"""Of a worker that has room for one more: rooms have to come to it, too."""


def load(taken: int, most: int) -> float:
    """From 0, nothing taken, to 1, nothing free; faster at first, so that who is idle is drawn first."""
    if taken >= most:
        return _FULL
    free = 1 - taken / most
    return _MOST * (1 - free * free)
