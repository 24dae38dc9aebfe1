"""Who may hold a connection: so many of one address, so many in all; who asks for nothing goes first."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from itertools import chain
from typing import Protocol

from libacli.web.rate_limits import network_of

CONNECTIONS_PER_ADDRESS = 50
"""A page has two or three; a house full of viewers behind one address fits, and a twentieth of all is held by
nobody alone."""

CONNECTIONS = 900
"""In all: a process may have 1024 files open, where nobody has raised that, and needs some for itself."""


class Connection(Protocol):
    """What a gate knows of a connection."""

    @property
    def asks_for_nothing(self) -> bool:
        """Whether it has no request under way: none came yet, or it was answered."""

    def abort(self) -> None:
        """Ends it at once."""


class ConnectionGate:
    """Counts connections by address. Where there is no place a newcomer takes that of an idle one.

    So whoever opens many and says nothing harms but himself. Hosts in `unbounded` are those of proxies, which
    speak for many.
    """

    def __init__(
        self,
        *,
        per_address: int = CONNECTIONS_PER_ADDRESS,
        in_all: int = CONNECTIONS,
        unbounded: Container[str] = (),
    ) -> None:
        self._per_address = per_address
        self._in_all = in_all
        self._unbounded = unbounded
        self._held: dict[str, dict[Connection, None]] = {}
        """By address, the oldest one first."""

        self._count = 0

    def enter(self, host: str, newcomer: Connection) -> bool:
        """Lets it in, in the place of the oldest idle one where need be; False: there is no place."""
        is_proxy = host in self._unbounded
        address = host if is_proxy else network_of(host)
        here = self._held.get(address, {})
        if len(here) >= self._per_address and not is_proxy:
            if not self._make_room(address, here):
                return False
        elif self._count >= self._in_all and not self._make_room_anywhere():
            return False
        self._held.setdefault(address, {})[newcomer] = None
        self._count += 1
        return True

    def leave(self, host: str, connection: Connection) -> None:
        """It has ended; one that has left already is passed over."""
        self._leave(host if host in self._unbounded else network_of(host), connection)

    def abort_idle(self) -> None:
        """Ends all that ask for nothing."""
        for connection in list(_idle(chain(*self._held.values()))):
            connection.abort()

    def _leave(self, address: str, connection: Connection) -> None:
        here = self._held.get(address, {})
        if connection in here:
            del here[connection]
            self._count -= 1
        if not here:
            self._held.pop(address, None)

    def _make_room_anywhere(self) -> bool:
        """At the address that holds the most idle ones: it is the one that is felt."""
        fullest = max(self._held, key=lambda address: sum(1 for _ in _idle(self._held[address])))
        return self._make_room(fullest, self._held[fullest])

    def _make_room(self, address: str, here: Iterable[Connection]) -> bool:
        oldest = next(_idle(here), None)
        if oldest is None:
            return False
        oldest.abort()
        self._leave(address, oldest)
        return True


def _idle(connections: Iterable[Connection]) -> Iterator[Connection]:
    return (connection for connection in connections if connection.asks_for_nothing)
