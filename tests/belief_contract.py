"""Whom everybody who watches a room believes: its agent alone, whatever others are and say."""

from __future__ import annotations

import json
from typing import Any, Protocol

import pytest
from livekit import rtc

from libacli.core.protocol import AGENT_ATTRIBUTE, EPOCH_ATTRIBUTE, EVENTS_TOPIC
from libacli.edges.livekit.fakes import FakeParticipant, FakeRoom

AGENT = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
STANDARD = rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD
OWN = {AGENT_ATTRIBUTE: "liba", EPOCH_ATTRIBUTE: "e1"}

STRANGERS: dict[str, dict[str, Any]] = {
    "an avatar": {"kind": AGENT, "attributes": {"lk.publish_on_behalf": "agent-1"}},
    "an agent of another make": {"kind": AGENT, "attributes": {"lk.agent.name": "liba"}},
    "an agent of another name": {"kind": AGENT, "attributes": OWN | {AGENT_ATTRIBUTE: "other"}},
    "an agent without an epoch": {"kind": AGENT, "attributes": {AGENT_ATTRIBUTE: "liba"}},
    "an agent of another epoch": {"kind": AGENT, "attributes": OWN | {EPOCH_ATTRIBUTE: "e2"}},
    "a viewer": {"kind": STANDARD, "attributes": {}},
    "a viewer with an agent's attributes": {"kind": STANDARD, "attributes": OWN},
}

FORGED: dict[str, dict[str, Any]] = {
    "failed": {"state": "failed", "reason": "forged by the avatar"},
    "done": {"state": "done"},
    "rejected": {"state": "rejected", "rejected": "unauthorized", "message": "forged"},
    "speaking": {"state": "speaking", "route": "tavus"},
}


def event(epoch: str = "e1", **members: Any) -> bytes:
    """What an agent tells of its utterance `u1`."""
    told = {"room": "demo", "agent": "liba", "epoch": epoch, "id": "u1", "t0": 1.0, "state": "done"}
    return json.dumps(told | members).encode()


class Watcher(Protocol):
    """Somebody who watches a room in which `agent-1`, of epoch `e1`, is the agent."""

    room: FakeRoom

    async def told(self) -> list[dict[str, Any]]:
        """State, id and epoch of what it took for told by the agent since the last time."""


class BeliefContract:
    """Fixture: `watcher`."""

    @pytest.mark.parametrize("forged", FORGED)
    @pytest.mark.parametrize("stranger", STRANGERS)
    async def test_what_a_stranger_tells_changes_nothing(
        self, watcher: Watcher, stranger: str, forged: str
    ) -> None:
        watcher.room.join(FakeParticipant("stranger", **STRANGERS[stranger]))
        for epoch in ("e1", "", "e3"):
            members = event(epoch, **FORGED[forged])
            watcher.room.receive_data(members, topic=EVENTS_TOPIC, sender="stranger")
            watcher.room.receive_data(members, topic=EVENTS_TOPIC, sender=None)
        if stranger != "an agent of another epoch":  # that is one, and may be broken
            watcher.room.receive_data(b"{", topic=EVENTS_TOPIC, sender="stranger")
        assert await watcher.told() == []
        watcher.room.receive_data(event(), topic=EVENTS_TOPIC, sender="agent-1")
        assert await watcher.told() == [{"state": "done", "id": "u1", "epoch": "e1"}]

    @pytest.mark.parametrize("epoch", ["", "e2", "E1", "e1 "])
    async def test_the_agent_itself_is_believed_for_its_own_epoch_alone(
        self, watcher: Watcher, epoch: str
    ) -> None:
        watcher.room.receive_data(event(epoch), topic=EVENTS_TOPIC, sender="agent-1")
        assert await watcher.told() == []

    async def test_an_agent_that_has_left_is_believed_no_more_and_the_next_one_is(
        self, watcher: Watcher
    ) -> None:
        watcher.room.leave("agent-1")
        watcher.room.receive_data(event(), topic=EVENTS_TOPIC, sender="agent-1")
        assert await watcher.told() == []
        next_one = FakeParticipant("agent-2", kind=AGENT, attributes=OWN | {EPOCH_ATTRIBUTE: "e2"})
        watcher.room.join(next_one)
        watcher.room.receive_data(event("e2"), topic=EVENTS_TOPIC, sender="agent-2")
        assert await watcher.told() == [{"state": "done", "id": "u1", "epoch": "e2"}]
