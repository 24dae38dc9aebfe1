"""What follows an avatar that was not to be had, or did not do its part."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from libacli.edges.avatars.conversations import Conversation
from libacli.edges.avatars.demand import Demand
from libacli.edges.avatars.due import Due
from libacli.edges.avatars.lifetime import Lifetime
from libacli.edges.avatars.patience import Patience
from libacli.edges.avatars.port import AvatarService
from libacli.edges.sinks.avatar_presence import AvatarPresence
from libacli.errors import AvatarError, LibaError

logger = logging.getLogger("liba.avatar")

_OF_USE_S = 60.0
"""An avatar that was there for so long was seen, even if nothing was said."""

_REASON_TIMEOUT_S = 2.0
"""For why an avatar left: it is not ended before that is known, or not."""

_LOOK_AGAIN_S = 900.0
"""How often a pal is read of which no avatar comes: reading costs nothing."""


class Aftermath:
    """Tells what went wrong, learns from it, and says how long to wait: seconds, None for ever."""

    def __init__(
        self, sink: AvatarPresence, service: AvatarService, lifetime: Lifetime, demand: Demand
    ) -> None:
        self._sink = sink
        self._service = service
        self._lifetime = lifetime
        self._demand = demand
        self._patience = Patience()

    async def of_loss(self, avatar: Conversation) -> Due:
        """An avatar is not there any more; its conversation is not ended yet. Raises LibaError."""
        if not self._demand.is_watched:  # its service has noticed it, too
            self._sink.absent("not watched")
            return Due.UNWANTED
        state, reason = self._sink.state, ""
        lived_s = asyncio.get_running_loop().time() - avatar.asked_at
        if state == "left":
            with suppress(AvatarError, TimeoutError):
                async with asyncio.timeout(_REASON_TIMEOUT_S):
                    reason = await self._service.end_reason(avatar.entry.id)
            await self._lifetime.left(lived_s, reason)
        told = f"{state} ({reason})" if reason else state
        logger.warning("the avatar %s is given up after %.0f s: %s", avatar.identity, lived_s, told)
        is_of_use = self._demand.has_served or (state == "left" and lived_s >= _OF_USE_S)
        return Due.LOST if is_of_use else Due.IN_VAIN

    def of_visit(self, due: Due) -> float | None:
        """An avatar was there, and went for this reason."""
        if due is Due.IN_VAIN:
            return self._in_vain()
        return self._patience.served() if self._demand.has_served else self._patience.first_pause_s

    async def of_error(self, error: LibaError) -> float | None:
        """None came."""
        if not isinstance(error, AvatarError):
            self._sink.absent("not available")
            logger.error("no avatar: %s%s", error, _hint(error))
            return self._patience.failed()
        self._sink.absent(error.reason)
        if error.reason == "never joined":
            return await self._after_none_joined()
        pause_s = self._patience.refused(error)
        if pause_s is None:
            logger.error("no avatar: %s; speaking without it%s", error, _hint(error))
        else:
            logger.warning("no avatar: %s; next try in %g s%s", error, pause_s, _hint(error))
        return pause_s

    async def _after_none_joined(self) -> float | None:
        """One was taken, paid for, and never came. Where the service can tell why, no other one is begun."""
        if not (wrong := await self._service.misfit()):
            return self._in_vain()
        logger.error("no avatar: it was called and did not come; %s - liba avatar create-pal", wrong)
        while await self._service.misfit():  # noqa: ASYNC110 - the service calls nobody
            await asyncio.sleep(_LOOK_AGAIN_S)
        logger.info("the avatar's pal is as it must be now")
        return self._patience.served()

    def _in_vain(self) -> float | None:
        pause_s, state = self._patience.in_vain(), self._sink.state
        if pause_s is None:
            logger.error(
                "no avatar: %d in a row were paid for and did nothing (the last one: %s); "
                "speaking without it - liba doctor, then start the agent again",
                Patience.ENOUGH,
                state,
            )
        else:
            logger.warning("no avatar: %s; next try in %g s", state, pause_s)
        return pause_s


def _hint(error: LibaError) -> str:
    return f" - {error.hint}" if error.hint else ""
