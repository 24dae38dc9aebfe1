from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.web.connection_gate import CONNECTIONS_PER_ADDRESS, ConnectionGate

HERE, THERE, PROXY = "192.0.2.1", "192.0.2.2", "127.0.0.1"


@dataclass(eq=False)
class Held:
    """A connection that is idle, or has a request under way."""

    asks_for_nothing: bool = True
    is_aborted: bool = False

    def abort(self) -> None:
        self.is_aborted = True


def busy() -> Held:
    return Held(asks_for_nothing=False)


def filled(gate: ConnectionGate, address: str, *held: Held) -> list[Held]:
    for connection in held:
        assert gate.enter(address, connection)
    return list(held)


def test_a_newcomer_takes_the_place_of_the_oldest_idle_one_of_its_address() -> None:
    gate = ConnectionGate(per_address=3)
    first, second, third = filled(gate, HERE, busy(), Held(), Held())
    other = filled(gate, THERE, Held())[0]
    assert gate.enter(HERE, Held())
    assert [held.is_aborted for held in (first, second, third, other)] == [False, True, False, False]


def test_one_address_whose_connections_all_work_gets_no_more() -> None:
    gate = ConnectionGate(per_address=2)
    working = filled(gate, HERE, busy(), busy())
    assert not gate.enter(HERE, Held())
    assert gate.enter(THERE, Held())
    gate.leave(HERE, working[0])
    assert gate.enter(HERE, Held())


def test_when_all_places_are_taken_the_address_with_the_most_idle_ones_makes_room() -> None:
    gate = ConnectionGate(per_address=10, in_all=5)
    mine = filled(gate, HERE, Held())[0]
    theirs = filled(gate, THERE, busy(), Held(), Held(), Held())
    assert gate.enter("192.0.2.3", busy())
    assert [held.is_aborted for held in (mine, *theirs)] == [False, False, True, False, False]


def test_when_all_work_nobody_is_cut_off() -> None:
    gate = ConnectionGate(per_address=2, in_all=2)
    working = filled(gate, HERE, busy(), busy())
    assert not gate.enter(THERE, Held())
    assert not any(held.is_aborted for held in working)


def test_a_proxy_speaks_for_many() -> None:
    gate = ConnectionGate(per_address=2, unbounded=(PROXY,))
    held = filled(gate, PROXY, *(busy() for _ in range(100)))
    assert not any(one.is_aborted for one in held)


def test_a_proxy_counts_apart_from_others_of_its_network() -> None:
    gate = ConnectionGate(per_address=2, unbounded=("2001:db8::1",))
    filled(gate, "2001:db8::1", *(busy() for _ in range(10)))
    ours = filled(gate, "2001:db8::2", busy(), busy())
    assert not gate.enter("2001:db8::3", busy())
    gate.leave("2001:db8::2", ours[0])
    assert gate.enter("2001:db8::3", busy())


def test_what_has_left_leaves_once() -> None:
    gate = ConnectionGate(per_address=1)
    (one,) = filled(gate, HERE, Held())
    for _ in range(3):
        gate.leave(HERE, one)
    gate.leave(THERE, Held())
    (two,) = filled(gate, HERE, busy())
    gate.leave(HERE, one)
    assert not gate.enter(HERE, Held())
    assert not two.is_aborted


def test_at_the_end_only_those_that_ask_for_nothing_are_cut_off() -> None:
    gate = ConnectionGate()
    idle, working = filled(gate, HERE, Held(), busy())
    gate.abort_idle()
    assert (idle.is_aborted, working.is_aborted) == (True, False)


def test_an_address_may_hold_fifty() -> None:
    assert CONNECTIONS_PER_ADDRESS == 50


STEPS = st.tuples(st.sampled_from(["enter", "work", "rest", "leave"]), st.integers(0, 3))


@pytest.mark.parametrize("in_all", [3, 7])
@given(steps=st.lists(STEPS, max_size=60))
def test_there_are_never_more_than_there_may_be(in_all: int, steps: list[tuple[str, int]]) -> None:
    gate = ConnectionGate(per_address=3, in_all=in_all)
    inside: dict[int, list[Held]] = {address: [] for address in range(4)}
    for step, address in steps:
        if step == "enter":
            newcomer = Held()
            if gate.enter(str(address), newcomer):
                inside[address].append(newcomer)
        elif inside[address]:
            connection = inside[address][0]
            if step == "leave":
                gate.leave(str(address), inside[address].pop(0))
            else:
                connection.asks_for_nothing = step == "rest"
        inside = {there: [one for one in held if not one.is_aborted] for there, held in inside.items()}
        assert all(len(held) <= 3 for held in inside.values())
        assert sum(map(len, inside.values())) <= in_all
