"""Which agent of a name a room belongs to: the one that came first, as long as it answers."""

from __future__ import annotations

import json
import logging
from typing import Literal

from libacli.config import LiveKitCredentials
from libacli.core.protocol import STATUS_METHOD
from libacli.edges.livekit.api import LiveKitApi, Participant
from libacli.edges.livekit.tokens import sign_request
from libacli.errors import LibaError, NoAgentError, RefusedError

logger = logging.getLogger("liba.agent")

Pulse = Literal["ready", "starting", "silent"]
"""How an agent answers: as one that takes requests; as one that will; not at all."""

_ANSWER_TIMEOUT_S = 2.0
_TRIES = 2


async def pulse(api: LiveKitApi, credentials: LiveKitCredentials, room: str, identity: str) -> Pulse:
    """Asks an agent of `room` for a sign of life; within 3 s. Raises LibaError when it cannot be asked."""
    body = {"id": "heartbeat"}
    auth = sign_request(credentials, room=room, method=STATUS_METHOD, body=body, agent=identity)
    payload = json.dumps(body | {"auth": auth})
    try:
        async with api.timeout(_ANSWER_TIMEOUT_S + 1):
            await api.perform_rpc(room, identity, STATUS_METHOD, payload, timeout_s=_ANSWER_TIMEOUT_S)
    except (NoAgentError, TimeoutError):
        return "silent"
    except RefusedError as error:
        return "starting" if error.reason == "unsupported_method" else "ready"
    return "ready"


async def is_leader(
    api: LiveKitApi, credentials: LiveKitCredentials, *, room: str, agent_name: str, identity: str
) -> bool:
    """Whether `room` belongs to the agent `identity`; dead ones that were there before it are put out.

    All agents of a room see the same order, so at most one of them stays, and one does: the first that
    answers. When LiveKit cannot be asked this one is: two that speak are better than none.
    """
    try:
        named = [found for found in await api.participants(room) if found.is_named(agent_name)]
        own = next((_seniority(found) for found in named if found.identity == identity), None)
        elders = [found for found in named if found.identity != identity]
        for elder in sorted(elders, key=_seniority):
            if own is not None and _seniority(elder) > own:
                break
            if await _answers(api, credentials, room, elder.identity):
                logger.warning("already_running: %s is in room %s", elder.identity, room)
                return False
            logger.warning("%s in room %s does not answer and is put out", elder.identity, room)
            await api.remove(room, elder.identity)
    except LibaError as error:
        logger.warning("cannot tell whether another agent is in room %s: %s", room, error)
    return True


async def _answers(api: LiveKitApi, credentials: LiveKitCredentials, room: str, identity: str) -> bool:
    for _ in range(_TRIES):
        if await pulse(api, credentials, room, identity) != "silent":
            return True
    return False


def _seniority(participant: Participant) -> tuple[int, str]:
    return participant.joined_at_ms, participant.identity
