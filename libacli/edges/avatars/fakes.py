"""An avatar service without a network, shipped so that whoever builds on the port can test without one.

It runs on the loop's clock alone, so under a virtual clock every wait is exact and costs nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from libacli.edges.avatars.port import AvatarVendor, Invitation, ListedConversation
from libacli.errors import AvatarError

FAKE_VENDOR = AvatarVendor(
    name="fake",
    title="Fake",
    identity="liba-fake-avatar",
    sample_rate=24_000,
    key_variable="FAKE_API_KEY",
    url_variable="FAKE_BASE_URL",
)


_FULL = "400 too many conversations"


@dataclass(frozen=True)
class ScriptedCreate:
    """How one request for a conversation goes."""

    after_s: float = 0.0
    """Seconds until it is carried out, or refused."""

    error: AvatarError | None = None
    """What it is answered with instead of an id."""

    is_begun: bool = True
    """Whether a conversation runs from then on."""

    answers_after_s: float = 0.0
    """Seconds from then until the answer comes."""

    begins_after_s: float = 0.0
    """Not 0: it runs from so much later on, also when the one who asked has given up."""


def lost_answer() -> ScriptedCreate:
    """The conversation is begun, and nobody is told."""
    error = AvatarError("no answer", is_permanent=False, is_unsure=True)
    return ScriptedCreate(error=error)


def refusal(status: int, *, is_permanent: bool) -> ScriptedCreate:
    error = AvatarError(str(status), status=status, is_permanent=is_permanent, is_unsure=status >= 500)
    return ScriptedCreate(error=error, is_begun=False)


class FakeAvatarService:
    """An AvatarService that does what it is told, and remembers what it was asked.

    Without a script each invitation is taken at once. `on_begun` and `on_ended` are called with it when its
    conversation begins and ends: whoever has a room lets an avatar join it, and leave. `max_conversations` at
    a time are taken, and each ends by itself after `cap_s` seconds, which nobody was told of, with
    `cap_reason` as its reason.
    """

    def __init__(
        self,
        *,
        vendor: AvatarVendor = FAKE_VENDOR,
        base_url: str = "http://127.0.0.1:1",
        on_begun: Callable[[Invitation], None] = lambda invitation: None,
        on_ended: Callable[[Invitation], None] = lambda invitation: None,
        max_conversations: float = math.inf,
        cap_s: float = math.inf,
        cap_reason: str = "max_call_duration reached",
    ) -> None:
        self.vendor = vendor
        self.base_url = base_url
        self.invitations: list[Invitation] = []
        """Those that came, refused ones included."""

        self.running: dict[str, Invitation] = {}
        """Id → invitation of the conversations that run, and cost money."""

        self.ends: list[str] = []
        """Ids that were asked to end, repeated if asked twice."""

        self.failed_ends: list[str] = []
        """The same where that failed, as `fail_ends` had it."""

        self.ended_by_itself: list[str] = []
        """Ids of those that the service has ended."""

        self.begun: list[str] = []
        """Ids of all that ever ran, also of those that nobody was told of."""

        self.pal_misfit = ""
        """What is wrong with the pal."""

        self._max_conversations = max_conversations
        self._cap_s = cap_s
        self._cap_reason = cap_reason
        self._reasons: dict[str, str] = {}

        self._on_begun = on_begun
        self._on_ended = on_ended
        self._creates: deque[ScriptedCreate] = deque()
        self._failing_ends: deque[AvatarError] = deque()
        self._failing_finds: deque[AvatarError] = deque()

    def play(self, *creates: ScriptedCreate) -> None:
        """Sets how the next invitations go, one each."""
        self._creates.extend(creates)

    def fail_ends(self, *errors: AvatarError) -> None:
        """The next requests to end a conversation fail, one each."""
        self._failing_ends.extend(errors)

    def fail_finds(self, *errors: AvatarError) -> None:
        """The next requests to find one fail, one each."""
        self._failing_finds.extend(errors)

    async def create(self, invitation: Invitation) -> str:
        self.invitations.append(invitation)
        script = self._creates.popleft() if self._creates else ScriptedCreate()
        await asyncio.sleep(script.after_s)
        conversation_id = f"c{len(self.invitations)}"
        if script.begins_after_s:
            asyncio.get_running_loop().call_later(
                script.begins_after_s, self._begin, conversation_id, invitation
            )
        elif script.is_begun:
            if len(self.running) >= self._max_conversations:
                raise AvatarError(_FULL, status=400, is_permanent=False)
            self._begin(conversation_id, invitation)
        await asyncio.sleep(script.answers_after_s)
        if script.error:
            raise script.error
        return conversation_id

    async def end(self, conversation_id: str) -> None:
        await asyncio.sleep(0)
        if self._failing_ends:
            self.failed_ends.append(conversation_id)
            raise self._failing_ends.popleft()
        self.ends.append(conversation_id)
        self._finish(conversation_id, "end_conversation_endpoint_hit")

    async def find(self, name: str) -> list[str]:
        await asyncio.sleep(0)
        if self._failing_finds:
            raise self._failing_finds.popleft()
        return [one for one, invitation in self.running.items() if invitation.name == name]

    async def active(self) -> list[ListedConversation]:
        await asyncio.sleep(0)
        return [ListedConversation(one, invitation.name) for one, invitation in self.running.items()]

    async def end_reason(self, conversation_id: str) -> str:
        await asyncio.sleep(0)
        return self._reasons.get(conversation_id, "")

    async def misfit(self) -> str:
        await asyncio.sleep(0)
        return self.pal_misfit

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def _begin(self, conversation_id: str, invitation: Invitation) -> None:
        self.begun.append(conversation_id)
        self.running[conversation_id] = invitation
        loop, lasts_s = asyncio.get_running_loop(), min(invitation.max_duration_s, self._cap_s)
        loop.call_later(lasts_s, self._run_out, conversation_id)
        self._on_begun(invitation)

    def _run_out(self, conversation_id: str) -> None:
        if conversation_id in self.running:
            self.ended_by_itself.append(conversation_id)
            self._finish(conversation_id, self._cap_reason)

    def _finish(self, conversation_id: str, reason: str) -> None:
        if invitation := self.running.pop(conversation_id, None):
            self._reasons[conversation_id] = reason
            self._on_ended(invitation)
