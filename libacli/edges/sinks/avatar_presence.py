"""Who the avatar is, whether it is there, and how long it is worth waiting for."""

from __future__ import annotations

import asyncio
import logging

from libacli.core.unasked_speech import UnaskedSpeech

logger = logging.getLogger("liba.avatar")

_LISTEN_EVERY_S = 0.1


class AvatarPresence:
    """Whoever manages the avatar says who it is, and when; whoever speaks through it asks."""

    def __init__(self) -> None:
        self.trouble = asyncio.Event()
        """Set when the avatar left or does not do its part any more: it must be made anew."""

        self._identity = ""
        """Who takes sound; empty: nobody."""

        self._expected = ""
        self._unasked = UnaskedSpeech()
        self._absence = "not ready"
        self._gate = asyncio.Event()
        self._gate_until = 0.0
        self._idle = asyncio.Event()
        self._idle.set()

    def joining(self, *, timeout_s: float) -> None:
        """An avatar is on its way; utterances wait for it until `timeout_s` seconds from now."""
        self._absence = "not ready"
        self._gate.clear()
        self._gate_until = asyncio.get_running_loop().time() + timeout_s

    def expect(self, identity: str) -> None:
        """This avatar comes next; until it is `present` it takes no sound."""
        self._expected, self._unasked = identity, UnaskedSpeech()

    def present(self, identity: str) -> None:
        """The avatar is in the room and takes sound."""
        self._identity = identity
        self._absence = ""
        self.trouble.clear()
        self._gate.set()

    def absent(self, reason: str) -> None:
        """There is no avatar, and none is waited for; `reason` is what utterances are told."""
        self._absence = reason
        self._identity = ""
        self._gate.set()

    @property
    def identity(self) -> str:
        """Who takes sound; empty: nobody."""
        return self._identity

    @property
    def state(self) -> str:
        """`ready`, or why it is not."""
        return self._absence or "ready"

    async def idle(self) -> None:
        """Waits until no utterance is on its way. None is when this returns, until the next `await`."""
        while not self._idle.is_set():  # one may have begun since the last one ended
            await self._idle.wait()

    async def quiet(self, *, within_s: float) -> None:
        """Waits until the avatar that was expected last says nothing by itself, so long at most."""
        now = asyncio.get_running_loop().time
        until = now() + within_s
        while self._unasked.is_speaking(now()) and now() < until:  # noqa: ASYNC110 - silence is no event
            await asyncio.sleep(_LISTEN_EVERY_S)

    async def gate(self) -> str:
        """Waits, within a bound, while it may still become ready; then why it is not, or ""."""
        if self._absence and not self._gate.is_set():
            try:
                async with asyncio.timeout_at(self._gate_until):
                    await self._gate.wait()
            except TimeoutError:
                self._gate.set()  # the next utterance does not wait again
        return self._absence

    def _overhear(self, identity: str, seconds: float, *, is_ours: bool) -> None:
        """Something was heard of an avatar, and whether a line of ours is on its way there."""
        now = asyncio.get_running_loop().time()
        if is_ours:
            self._unasked.sent(now)
        elif identity == self._expected and self._unasked.heard(seconds, now):
            logger.warning(
                "the avatar %s says what nobody sent: its pal greets or answers by itself - "
                "liba avatar create-pal makes one that does not",
                identity,
            )

    def _give_up(self, reason: str) -> None:
        """The avatar does not do its part: nothing more goes there until it has been made anew."""
        self.absent(reason)
        self.trouble.set()
