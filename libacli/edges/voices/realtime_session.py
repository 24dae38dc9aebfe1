"""One WebSocket to OpenAI's Realtime API, shared by all requests that are under way on it.

Protocol: https://platform.openai.com/docs/api-reference/realtime-client-events, …/realtime-server-events.
No task reads: whoever waits for an event reads for all until it is there. Nothing runs while nothing is said.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self, cast

from libacli.edges.voices.realtime_errors import HiccupError, meaning, translated
from libacli.edges.voices.realtime_events import Event, event_of
from libacli.errors import VoiceError, VoiceRefusedError
from libacli.network_environment import proxy_for

if TYPE_CHECKING:
    import ssl

    import openai
    from openai.resources.realtime.realtime import AsyncRealtimeConnection
    from openai.types.realtime import RealtimeResponseCreateParamsParam, RealtimeSessionCreateRequestParam

_CONNECT_TIMEOUT_S = 5.0
_CLOSE_TIMEOUT_S = 1.0
_LONGEST_MESSAGE = 16 * 2**20
_OLDEST_S = 55 * 60.0
"""The service ends a session after 60 minutes, whatever is being said: a new line takes a younger one."""

_TAG = "liba"
"""Under this name a response carries the tag of its request."""

_SESSION_UPDATE = "liba-session"
_CANCEL = "liba-cancel-"


class Answer:
    """What comes of one request."""

    def __init__(self, session: RealtimeSession, tag: str) -> None:
        self.tag = tag
        self.id = ""
        """The response's id; empty before it was created."""

        self.is_over = False
        """Its `response.done` was handed out."""

        self.is_left = False
        """Nobody waits for it any more."""

        self.events: deque[Event] = deque()
        self._session = session

    async def next(self, until: float | None = None) -> Event | None:
        """The next event of this response, an `error` included; None when the loop's clock reaches `until`.

        Raises VoiceError when the socket is closed, or the session itself was refused.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._session.read_until(self.events)
        if not self.events:
            return None
        event = self.events.popleft()
        self.is_over = event.kind == "response.done"
        return event


class RealtimeSession:
    """Implements what `RealtimeVoice` needs of the protocol. Made by `open`."""

    def __init__(self, connection: AsyncRealtimeConnection, secrets: Sequence[str]) -> None:
        self.is_ready: deque[bool] = deque()
        """Not empty once the service has taken the session's configuration."""

        self._connection = connection
        self._secrets = secrets
        self._oldest_at = asyncio.get_running_loop().time() + _OLDEST_S
        self._numbers = itertools.count(1)
        self._reading = asyncio.Lock()
        self._asked: dict[str, Answer] = {}
        """Requests whose response has no id yet, by tag."""

        self._answers: dict[str, Answer] = {}
        """The others, by the response's id."""

        self._is_retired = False
        self._end: VoiceError | None = None
        """Why nothing more will come."""

    @classmethod
    async def open(
        cls,
        client: openai.AsyncOpenAI,
        model: str,
        session: RealtimeSessionCreateRequestParam,
        *,
        secrets: Sequence[str] = (),
        tls: ssl.SSLContext | None = None,
    ) -> Self:
        """Connects and configures; what the service says to the configuration comes with the first events.

        `secrets` are not to be repeated in an error, `tls` is for wss:// addresses. Raises VoiceError.
        """
        options: Mapping[str, Any] = {
            "open_timeout": _CONNECT_TIMEOUT_S,
            "close_timeout": _CLOSE_TIMEOUT_S,
            "max_size": _LONGEST_MESSAGE,
            "compression": None,
            # What nobody reads must not stop the pings that keep the socket open: nothing is held up.
            "max_queue": None,
            "proxy": _proxy_to(str(client.base_url)),
            **({"ssl": tls} if tls else {}),
        }
        with translated(secrets, str(client.base_url)):
            manager = client.realtime.connect(model=model, websocket_connection_options=cast(Any, options))
            connection = await manager.enter()
        opened = cls(connection, secrets)
        try:
            with translated(secrets, str(client.base_url)):
                await connection.session.update(session=session, event_id=_SESSION_UPDATE)
        except VoiceError as error:
            raise await opened._last_words(error) from error
        return opened

    @property
    def is_usable(self) -> bool:
        """Whether a new request may be made on it."""
        return self._end is None and asyncio.get_running_loop().time() < self._oldest_at

    async def ask(self, response: RealtimeResponseCreateParamsParam) -> Answer:
        """Asks for one response. Raises HiccupError when the socket has been closed meanwhile.

        Or what the service said when it closed it.
        """
        answer = Answer(self, f"{_TAG}-{next(self._numbers)}")
        self._asked[answer.tag] = answer
        tagged = cast(Any, {**response, "metadata": {_TAG: answer.tag}})
        try:
            with translated(self._secrets):
                await self._connection.response.create(response=tagged, event_id=answer.tag)
        except VoiceError as error:
            del self._asked[answer.tag]
            raise await self._last_words(error) from error
        except BaseException:
            del self._asked[answer.tag]
            raise
        return answer

    async def leave(self, answer: Answer) -> None:
        """Nobody waits for `answer` any more: it is cancelled, if it is not over. Raises nothing."""
        answer.is_left = True
        answer.events.clear()
        if self._answers.pop(answer.id, None) and not answer.is_over:
            await self._cancel(answer)
        if self._is_retired:
            await self.retire()

    async def retire(self) -> None:
        """Closes the socket when nobody waits for an answer any more: now, or with the last `leave`."""
        self._is_retired = True
        if all(answer.is_left for answer in (*self._asked.values(), *self._answers.values())):
            await self.aclose()

    async def aclose(self) -> None:
        """Closes the socket; what is under way on it ends with an error. Safe to call twice."""
        self._end = self._end or HiccupError("the voice was closed")
        with suppress(VoiceError), translated():
            await self._connection.close()

    async def read_until(self, queue: deque[Any]) -> None:
        """Reads, and hands out what comes, until something is in `queue`. Can be cancelled at any point.

        Raises VoiceError when nothing more will come.
        """
        while not queue:
            async with self._reading:
                if queue:
                    return
                if self._end:
                    raise self._end
                try:
                    event = await self._receive()
                except VoiceError as error:
                    self._end = error
                    raise
                if (late := self._hand_out(event)) and late.is_left:
                    await self._cancel(late)

    async def _receive(self) -> Event:
        with translated(self._secrets):
            return event_of(await self._connection.recv_bytes())

    async def _last_words(self, error: VoiceError) -> VoiceError:
        """Why nothing more can be sent: what was said before the socket was closed, or else `error`."""
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_S), self._reading:
                while not self._end:
                    event = await self._receive()
                    self._hand_out(event)
                    if event.kind == "error":
                        self._end = self._end or meaning(event.complaint, "", self._secrets)
        except TimeoutError:
            self._end = error
        except VoiceError as closed:
            self._end = closed
        return self._end

    def _hand_out(self, event: Event) -> Answer | None:
        """Gives an event to whom it concerns; the answer of a `response.created`."""
        if event.kind == "response.created":
            return self._created(event)
        if event.kind == "session.updated":
            self.is_ready.append(True)
        elif event.kind == "error":
            self._complain(event)
        elif answer := self._answers.get(event.response_id or self._only):
            answer.events.append(event)
            if event.kind == "response.done":
                del self._answers[answer.id]
        return None

    @property
    def _only(self) -> str:
        """The id of the one response that is under way; empty when there are more, or none."""
        return next(iter(self._answers)) if len(self._answers) == 1 else ""

    def _created(self, event: Event) -> Answer | None:
        # A compatible server may not give back what a request carries: it answers in their order.
        tag = event.metadata.get(_TAG) or next(iter(self._asked), "")
        answer = self._asked.pop(tag, None)
        if answer:
            answer.id = event.response_id
            if not answer.is_left:
                self._answers[answer.id] = answer
        return answer

    def _complain(self, event: Event) -> None:
        """An error belongs to the request that it names, or to all; one about the session is its end."""
        if event.about == _SESSION_UPDATE:
            self._end = meaning(event.complaint, "", self._secrets)
            return
        # What names another event is about a cancellation that came too late, or about nothing that is known.
        for answer in (*self._asked.values(), *self._answers.values()):
            if event.about in ("", answer.tag):
                answer.events.append(event)
        self._asked.pop(event.about, None)

    async def _cancel(self, answer: Answer) -> None:
        with suppress(VoiceError, TimeoutError), translated(self._secrets):
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self._connection.response.cancel(
                    response_id=answer.id, event_id=f"{_CANCEL}{answer.tag}"
                )


def _proxy_to(url: str) -> str | None:
    """Address of the proxy for `url`. Raises VoiceRefusedError: `websockets` sends a login as is."""
    if not (proxy := proxy_for(url)):
        return None
    if not proxy.has_plain_login:
        raise VoiceRefusedError(
            f"the login in {proxy.variable} holds what a realtime voice cannot pass on",
            hint="letters, digits and !$&'()*+,-._~ it can",
        )
    return proxy.url
