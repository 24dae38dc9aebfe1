"""One conformance suite for each port of what machines count together, run on every way to do so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from libacli.core.hour import OWNER, Account, Hour
from libacli.edges.avatars.ledger import Entry
from libacli.edges.avatars.ledger_port import ConversationLedger
from libacli.edges.avatars.minutes import AvatarMinutes
from libacli.edges.livekit.hour_port import HourKeeper

NOW = 1_800_000_000.0
ANN = Account("ann")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class HourAgent:
    """An agent that counts characters, and the keepers of its hour."""

    hour: Hour
    keepers: Sequence[HourKeeper]
    accepted: int = 0

    @property
    def used(self) -> float:
        return self.hour.used(NOW)

    def spend(self, amount: int, name: str = "ann") -> None:
        self.hour.spend(name, amount, NOW)

    async def exchange(self) -> None:
        for keeper in self.keepers:
            await keeper.load()

    async def leave(self) -> None:
        for keeper in self.keepers:
            await keeper.aclose()


class HourKeeperContract:
    """Fixture: `agents`, two that share one hour of 1000 characters, which nothing was spent of yet."""

    async def test_what_one_spends_the_other_knows(self, agents: tuple[HourAgent, HourAgent]) -> None:
        one, other = agents
        one.spend(600)
        one.spend(100, OWNER)
        await one.exchange()
        await other.exchange()
        assert other.used == 700
        assert other.hour.share_of(ANN).used(NOW) == 600

    async def test_each_counts_once_however_often_it_is_told(
        self, agents: tuple[HourAgent, HourAgent]
    ) -> None:
        for _ in range(3):
            for agent in agents:
                agent.spend(10)
                await agent.exchange()
                await agent.exchange()
        await agents[0].exchange()
        assert [agent.used for agent in agents] == [60, 60]

    async def test_what_one_promises_the_other_may_not_have(
        self, agents: tuple[HourAgent, HourAgent]
    ) -> None:
        one, other = agents
        one.hour.promise("ann", 400)
        await one.exchange()
        await other.exchange()
        assert other.used == 400
        one.hour.promise("ann", -400)
        one.spend(150)
        await one.exchange()
        await other.exchange()
        assert (one.used, other.used) == (150, 150)

    async def test_who_leaves_promises_nothing_and_has_spent_what_it_has(
        self, agents: tuple[HourAgent, HourAgent]
    ) -> None:
        one, other = agents
        one.hour.promise("ann", 400)
        one.spend(5)
        await one.leave()
        await other.exchange()
        assert other.used == 5


@dataclass
class DayClock:
    """The time of day; tests put it forward."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now


MakeMinutes = Callable[[str, str], AvatarMinutes]
"""Of a machine, `a` or `b`, and a room there: 10 minutes a day, of which 4 for each room."""


class MinutesContract:
    """Fixtures: `minutes`, and `day`, which is their clock."""

    async def test_what_one_room_uses_another_one_cannot(self, minutes: MakeMinutes) -> None:
        one, other = minutes("a", "demo"), minutes("b", "lobby")
        await one.count(200)
        await other.count(100)
        assert other.left_s == 4 * 60 - 100
        (cap,) = other.usage()
        assert (cap.used, cap.limit) == (5.0, 10)

    async def test_it_counts_once_however_often_it_is_told(self, minutes: MakeMinutes) -> None:
        one, other = minutes("a", "demo"), minutes("b", "lobby")
        for total_s in (50, 50, 100):
            await one.count(total_s)
            await other.count(0)
        assert other.usage()[0].used == round(100 / 60, 1)

    async def test_a_room_that_moves_takes_what_it_has_used_along(self, minutes: MakeMinutes) -> None:
        await minutes("a", "demo").count(230)
        there = minutes("b", "demo")
        await there.count(0)
        assert there.left_s == 10
        await there.count(10)
        assert there.are_used_up

    async def test_the_next_day_begins_at_zero(self, minutes: MakeMinutes, day: DayClock) -> None:
        await minutes("a", "demo").count(240)
        there = minutes("b", "demo")
        await there.count(0)
        assert there.are_used_up
        day.now = day.now.replace(day=2)
        assert there.left_s == 240
        await there.count(0)
        assert there.left_s == 240


@dataclass(frozen=True)
class Ledgers:
    """Three that see each other's conversations."""

    one: ConversationLedger
    two: ConversationLedger
    three: ConversationLedger
    asked_at: float = field(default=0.0)
    """When its conversations are asked for: POSIX seconds."""

    def entry(self, of: ConversationLedger, name: str = "liba-1") -> Entry:
        return Entry(name, "demo", "http://127.0.0.1:1", of.owner, asked_at=self.asked_at)


def left(ledger: ConversationLedger) -> list[Entry]:
    """What it finds of those that are gone."""
    return [*ledger.orphans(), *ledger.lapsed()]


class LedgerContract:
    """Fixture: `ledgers`, empty. All in threads, as disks and networks are."""

    def test_what_belongs_to_one_that_lives_is_left_to_it(self, ledgers: Ledgers) -> None:
        assert ledgers.one.enter(ledgers.entry(ledgers.one))
        assert left(ledgers.two) == []

    def test_what_is_left_behind_is_found_with_what_is_new_about_it(self, ledgers: Ledgers) -> None:
        entry = ledgers.entry(ledgers.one)
        ledgers.one.enter(entry)
        ledgers.one.write(replace(entry, id="c1"))
        ledgers.one.close()
        ledgers.one.close()
        assert left(ledgers.two) == [replace(entry, id="c1")]

    def test_one_alone_may_end_it(self, ledgers: Ledgers) -> None:
        ledgers.one.enter(ledgers.entry(ledgers.one))
        ledgers.one.close()
        (found,) = left(ledgers.two)
        assert [ledgers.two.claim(found), ledgers.three.claim(found), ledgers.two.claim(found)] == [
            *(True, False, False)
        ]
        ledgers.two.forget(found)
        assert (left(ledgers.three), ledgers.three.claim(found)) == ([], False)

    def test_what_was_not_ended_the_next_one_may_end(self, ledgers: Ledgers) -> None:
        ledgers.one.enter(ledgers.entry(ledgers.one))
        ledgers.one.close()
        (found,) = left(ledgers.two)
        assert ledgers.two.claim(found)
        ledgers.two.release(found)
        assert left(ledgers.three) == [found]
        assert ledgers.three.claim(found)

    def test_what_is_crossed_out_is_nowhere_any_more(self, ledgers: Ledgers) -> None:
        ledgers.one.enter(ledgers.entry(ledgers.one))
        ledgers.one.forget(ledgers.entry(ledgers.one))
        ledgers.one.forget(ledgers.entry(ledgers.one))
        ledgers.one.close()
        assert (left(ledgers.two), list(ledgers.one.entries())) == ([], [])

    def test_no_more_are_entered_than_may_run_and_a_place_is_free_when_one_has_ended(
        self, ledgers: Ledgers
    ) -> None:
        first, second, third = (
            ledgers.entry(ledger, f"liba-{number}")
            for number, ledger in enumerate((ledgers.one, ledgers.two, ledgers.three))
        )
        assert ledgers.one.enter(first, most=2)
        assert ledgers.one.enter(first, most=2), "itself it does not count"
        assert ledgers.two.enter(second, most=2)
        assert not ledgers.three.enter(third, most=2)
        assert third not in ledgers.three.entries()
        ledgers.one.forget(first)
        assert ledgers.three.enter(third, most=2)

    def test_what_a_crash_has_left_keeps_its_place_until_it_is_ended(self, ledgers: Ledgers) -> None:
        ledgers.one.enter(ledgers.entry(ledgers.one), most=1)
        ledgers.one.close()
        mine = ledgers.entry(ledgers.two, "liba-2")
        assert not ledgers.two.enter(mine, most=1)
        (found,) = left(ledgers.two)
        assert ledgers.two.claim(found)
        ledgers.two.forget(found)
        assert ledgers.two.enter(mine, most=1)

    def test_of_many_that_ask_at_once_no_more_come_in_than_may(self, ledgers: Ledgers) -> None:
        async def ask() -> list[bool]:
            async with asyncio.TaskGroup() as tasks:
                asking = [
                    tasks.create_task(
                        asyncio.to_thread(ledger.enter, ledgers.entry(ledger, f"{who}-{number}"), most=3)
                    )
                    for number in range(4)
                    for who, ledger in {"a": ledgers.one, "b": ledgers.two, "c": ledgers.three}.items()
                ]
            return [one.result() for one in asking]

        assert sum(asyncio.run(ask())) == 3
