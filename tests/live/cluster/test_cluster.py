"""Workers on several machines of a LiveKit cluster: how rooms spread, and what one leaves to the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

import pytest

from libacli.config import Settings
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import AgentLocator
from libacli.edges.livekit.api import LiveKitApi
from tests.live.cluster.conftest import MAX_ROOMS, WORKERS
from tests.live.cluster.hasty import LEASE_S
from tests.live.cluster.nodes import Cluster
from tests.live.cluster.speech import AGENT, assert_kept, assert_paid, close, now, speaking
from tests.live.cluster.workers import Worker, liba

pytestmark = pytest.mark.live
logger = logging.getLogger("tests.cluster")

ROOMS = 2

KNOWN_S = 12.0
"""Until then each worker knows the rooms of the others."""

CUT_S = 25.0
RETURN_S = 8.0
"""In which what was cut off is back, and finds out that it is not wanted any more."""

NOTICED_S = 6.0
"""In which the agents of a dead node have noticed it: media that leads nowhere tells nobody, and signals may
come by another node. Up to 5.2 s were seen."""

REDIS_GONE_S = 3.0
"""What a service manager takes to start it again. After 5 s nodes count as dead for LiveKit, and it divides
rooms: who joins comes to one node, and who was there stays at the other."""


async def test_rooms_fill_every_worker_and_one_too_many_is_told_that_all_are_full(
    nodes: Cluster, workers: list[Worker]
) -> None:
    async with LiveKitApi(nodes.credentials) as api:
        for number in range(MAX_ROOMS * WORKERS):
            await AgentClient(api, AgentLocator(api, room=f"full-{number}", agent_name=AGENT)).reach(
                timeout_s=20
            )
    assert [len(worker.rooms()) for worker in workers] == [MAX_ROOMS] * WORKERS
    refused = await asyncio.to_thread(liba, nodes, "say", "Hello.", "--room", "too-many", "--timeout", "6")
    assert refused.returncode == 5
    assert "its workers are full" in refused.stderr
    assert all(worker.lines("full: 2 of 2 rooms are taken") for worker in workers)
    await close(nodes.credentials, [f"full-{number}" for number in range(MAX_ROOMS * WORKERS)])


async def test_the_rooms_of_a_killed_worker_speak_again_within_30_s(
    nodes: Cluster, workers: list[Worker]
) -> None:
    async with speaking(nodes, ROOMS) as speech:
        await asyncio.sleep(KNOWN_S)
        victim = busiest(workers)
        await speech.in_a_line(victim.rooms())
        killed_at = now()
        await asyncio.to_thread(victim.kill)
        report("worker killed", await speech.heard(killed_at))
        await speech.one_agent_each()
    assert_kept(speech, killed_at, takeovers=MAX_ROOMS)
    await assert_paid(speech)
    await asyncio.to_thread(victim.start)


async def test_what_a_fleet_that_was_killed_has_left_behind_ends_by_a_reap_from_another_machine(
    nodes: Cluster, workers: list[Worker]
) -> None:
    async with speaking(nodes, ROOMS) as speech:
        await speech.in_a_line([room.name for room in speech.rooms])
        killed_at = now()
        for worker in workers:
            await asyncio.to_thread(worker.kill)
        await asyncio.sleep(LEASE_S + 1.0)
        assert len(await nodes.conversations.running()) == ROOMS
        reaped = await asyncio.to_thread(liba, nodes, "reap")
        assert reaped.returncode == 0, reaped.stderr
        assert await nodes.conversations.running() == []
        for worker in workers:
            await asyncio.to_thread(worker.start)
        for worker in workers:
            await asyncio.to_thread(worker.ready)
        report("fleet killed", await speech.heard(now()))
        await speech.one_agent_each()
    assert_kept(speech, killed_at, takeovers=ROOMS)
    await assert_paid(speech)


async def test_the_rooms_of_a_machine_that_is_cut_off_speak_again_and_back_it_does_not_speak_beside(
    nodes: Cluster, workers: list[Worker]
) -> None:
    async with speaking(nodes, ROOMS) as speech:
        await asyncio.sleep(KNOWN_S)
        victim = busiest(workers)
        cut_at = now()
        await asyncio.to_thread(victim.machine.cut)
        try:
            report("machine cut off", await speech.heard(cut_at))
            await asyncio.sleep(max(0.0, cut_at + CUT_S - now()))
        finally:
            await asyncio.to_thread(victim.machine.mend)
        await asyncio.sleep(RETURN_S)
        await speech.one_agent_each()
    assert_kept(speech, cut_at, takeovers=2 * MAX_ROOMS)
    await assert_paid(speech, again=MAX_ROOMS)


async def test_the_rooms_of_a_killed_node_speak_again_on_the_other_within_30_s(
    nodes: Cluster, workers: list[Worker]
) -> None:
    async with speaking(nodes, ROOMS) as speech:
        killed_at = now()
        await asyncio.to_thread(nodes.nodes[0].kill)
        try:
            report("node killed", await speech.heard(killed_at))
            await speech.one_agent_each()
        finally:
            await asyncio.to_thread(nodes.nodes[0].start)
    assert_kept(speech, killed_at, takeovers=2 * ROOMS, unnoticed_s=NOTICED_S)
    await assert_paid(speech)


async def test_speech_goes_on_over_a_redis_that_is_killed_and_started_again(
    nodes: Cluster, workers: list[Worker]
) -> None:
    async with speaking(nodes, ROOMS) as speech:
        killed_at = now()
        await asyncio.to_thread(nodes.redis.kill)
        await asyncio.sleep(REDIS_GONE_S)
        await asyncio.to_thread(nodes.redis.start)
        report("redis killed", await speech.heard(killed_at + REDIS_GONE_S))
        await asyncio.sleep(RETURN_S)
        await speech.one_agent_each()
    assert_kept(speech, killed_at, takeovers=2 * ROOMS)
    await assert_paid(speech)


JOURNALS = ("off", "redis") if "say_journal" in Settings.model_fields else ("off",)


@pytest.mark.parametrize("journal", JOURNALS)
async def test_over_a_rolling_restart_of_all_workers_no_line_is_spoken_twice_and_each_lost_one_is_told(
    nodes: Cluster, workers: list[Worker], journal: str
) -> None:
    """With a journal none is lost."""
    kept = {"LIBA_SAY_JOURNAL": journal, "LIBA_REDIS_URL": f"redis://{nodes.redis.address}/0"}
    async with speaking(nodes, ROOMS) as speech:
        began_at = now()
        for worker in workers:
            worker.own = kept if journal != "off" else {}
            await asyncio.to_thread(worker.restart)
        await speech.heard(now())
        await speech.one_agent_each()
    tally = assert_kept(speech, began_at, takeovers=len(workers) * MAX_ROOMS)
    await assert_paid(speech)
    if journal != "off":
        assert {said.outcome for said in tally.said} == {"done"}


def busiest(workers: Iterable[Worker]) -> Worker:
    return max(workers, key=lambda worker: len(worker.rooms()))


def report(what: str, back_s: float) -> None:
    logger.info("%s: every room spoke again after %.1f s", what, back_s)
