"""Why a request is refused, and why speech goes without the avatar: each reason once, with all that it means.

Words are for machines and part of the protocol. An agent of another version may have others: they are passed
on as they are, and `refusal_reason` has a plain row for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from libacli.errors import RefusedError


@dataclass(frozen=True)
class RefusalReason:
    """Why something will not be carried out."""

    word: str
    meaning: str
    """What it means, for people."""

    status: int = 422
    """Of HTTP."""

    hint: str = ""
    """The next step of whoever sent the request."""

    passes: bool = False
    """The same request may be accepted later: its sender may try again, with the same id."""

    is_brief: bool = False
    """... and that in a moment: it is worth waiting for."""

    is_of_text: bool = False
    """The text is at fault: another one of the same sender may be accepted."""

    is_private: bool = False
    """Of nobody who may speak, or not to be read: its sender alone is told, never the room."""

    is_counted: bool = True
    """An agent says it, so that it is a label of the metric `liba_rejected`."""


_REFUSALS = (
    RefusalReason("malformed", "the request is not as it should be", is_private=True),
    RefusalReason("too_large", "the request has too many bytes", 413, is_private=True),
    RefusalReason("nothing_to_say", "there is no letter or digit in the text", is_of_text=True),
    RefusalReason(
        "text_too_long",
        "the text is longer than `say.max_text_chars`",
        hint="send it in parts: liba say - < text.txt",
        is_of_text=True,
    ),
    RefusalReason(
        "unsupported_text",
        "the voice does not speak this language",
        hint="use another voice: set OPENAI_API_KEY",
        is_of_text=True,
    ),
    RefusalReason(
        "unknown_voice", "no voice has the speaker that is asked for", hint="`liba voices` lists them"
    ),
    RefusalReason(
        "unsupported_markup",
        "the text holds SSML other than `<break>`, or a pause that is too long",
        hint="leave it out; [pause 500ms] makes silence with any voice",
        is_of_text=True,
    ),
    RefusalReason(
        "id_reused",
        "the id, or the `Idempotency-Key`, was sent before with something else to say",
        hint="use an id of its own for each text",
    ),
    RefusalReason(
        "silent_sound",
        "there is nothing to hear in the sound that is given",
        hint="listen to the file: is it the right one?",
        is_of_text=True,
        is_counted=False,
    ),
    RefusalReason(
        "sound_too_long",
        "the sound that is given is longer than `say.max_sound`",
        413,
        "cut it into parts, or raise say.max_sound here and where the agent runs",
        is_of_text=True,
    ),
    RefusalReason(
        "unknown_sound",
        "the agent does not have the sound that is to be heard, or not all of it yet",
        409,
        "send it first, as `liba say --audio` does",
        passes=True,
        is_brief=True,
        is_private=True,
        is_counted=False,
    ),
    RefusalReason(
        "sounds_full",
        "as many sounds wait to be heard as the agent keeps",
        429,
        "try again when one of them was heard",
        passes=True,
    ),
    RefusalReason(
        "queue_full",
        "as many wait as `say.queue_limit` lets",
        429,
        "try again when something has been spoken, or go first: --interrupt",
        passes=True,
        is_brief=True,
    ),
    RefusalReason(
        "rate_limited",
        "the sender is faster than `say.rate_per_minute`",
        429,
        "send fewer, or raise say.rate_per_minute where the agent runs",
        passes=True,
        is_brief=True,
    ),
    RefusalReason(
        "too_many_requests",
        "more than 50 requests a second of one sender, whoever it is",
        429,
        "send fewer: 50 a second are read, and who goes on with more for 5 s is put out of the room",
        passes=True,
        is_brief=True,
        is_private=True,
    ),
    RefusalReason(
        "spend_cap",
        "`say.max_chars_per_hour` is used up, or the caller's share of it",
        429,
        "liba queue shows what is used up; the caps are settings of the agent",
        passes=True,
    ),
    RefusalReason(
        "voice_unavailable",
        "no voice is left: each has refused, or failed three times in a row, and is tried again later",
        503,
        "try again in a while; the agent's log says why the voice fails",
        passes=True,
    ),
    RefusalReason(
        "draining",
        "the agent is shutting down",
        503,
        "it comes back when the agent is started again",
        passes=True,
    ),
    RefusalReason(
        "unauthorized",
        "neither a signature nor the sender's token allows it",
        502,
        "check LIVEKIT_API_KEY and LIVEKIT_API_SECRET",
        is_private=True,
    ),
    RefusalReason(
        "unknown_sender", "it is not signed, and its sender joined a moment ago or is hidden", is_private=True
    ),
    RefusalReason(
        "internal", "the agent failed at it, which is a defect of its own; it goes on", 502, is_private=True
    ),
    RefusalReason(
        "unknown_utterance",
        "the agent knows of no line with this id",
        404,
        "`liba queue` shows those that wait",
        is_counted=False,
    ),
    RefusalReason(
        "being_spoken",
        "the line does not wait, it is being spoken",
        409,
        "stop it: liba stop --id",
        is_counted=False,
    ),
    RefusalReason("not_waiting", "the line does not wait, it has ended", 409, is_counted=False),
    RefusalReason(
        "nothing_on_standby",
        "no line waits for its go-ahead",
        409,
        "`liba queue` shows what waits; `liba play --step` has lines wait for it",
        is_counted=False,
    ),
    RefusalReason(
        "on_standby",
        "the line waits for its go-ahead, and has no place in the queue yet",
        409,
        "give it the go-ahead: liba next --id",
        is_counted=False,
    ),
    RefusalReason(
        "not_yours",
        "the line is another's, and who asks may cancel his own alone",
        403,
        "get a token of `liba token --can-say --can-control`",
        is_private=True,
        is_counted=False,
    ),
    RefusalReason(
        "old_agent",
        "the agent is of an earlier version, which cannot do that",
        502,
        "restart it with this version: liba agent run",
        is_counted=False,
    ),
    RefusalReason("takeover", "somebody joined with the agent's own identity and put it out"),
    RefusalReason(
        "reserved_identity",
        "the identity belongs to agents",
        403,
        "choose another one, or leave --identity out",
        is_counted=False,
    ),
    RefusalReason(
        "unsupported_server",
        "the LiveKit server is too old to ask the agent",
        502,
        "use 1.9.2 or newer",
        is_counted=False,
    ),
    RefusalReason("unsupported_method", "the participant takes no such requests", 502, is_counted=False),
)
REFUSALS: Mapping[str, RefusalReason] = {reason.word: reason for reason in _REFUSALS}


def refusal_reason(word: str) -> RefusalReason:
    """The row of `word`; a plain one for a word that only another version knows."""
    return REFUSALS.get(word) or RefusalReason(word, word, is_counted=False)


def refusal(word: str, message: str, *, retry_in_s: float | None = None) -> RefusedError:
    """An error with the hint of its row."""
    return RefusedError(word, message, hint=refusal_reason(word).hint, retry_in_s=retry_in_s)


@dataclass(frozen=True)
class RouteReason:
    """Why speech goes without the avatar; also the state of an avatar that is not `ready`."""

    word: str
    sentence: str
    """What the page says."""

    is_coming: bool = False
    """The avatar will show itself, for a viewer."""


_ROUTE_REASONS = (
    RouteReason("not configured", "No avatar is configured."),
    RouteReason(
        "not watched", "The avatar comes as soon as it is noticed that somebody watches.", is_coming=True
    ),
    RouteReason("resting", "The avatar rests, and comes with the next line.", is_coming=True),
    RouteReason("not ready", "The avatar is on its way.", is_coming=True),
    RouteReason("left", "The avatar has left. It is called back."),
    RouteReason("stalled", "The avatar does not keep up."),
    RouteReason("never joined", "The avatar was called and did not come."),
    RouteReason("no answer", "The avatar's service does not answer."),
    RouteReason("not reachable", "The avatar's service cannot be reached."),
    RouteReason("answer not understood", "What answers in place of the avatar's service is not that."),
    RouteReason("not available", "The avatar is not available."),
    RouteReason("spend cap", "The avatar's time for today is used up."),
    RouteReason("too many conversations", "All avatars that may be there at a time are elsewhere."),
    RouteReason("livekit not public", "The avatar's service cannot reach this LiveKit server."),
    RouteReason("encrypted", "The room is encrypted, and the avatar has no key."),
)
ROUTE_REASONS: Mapping[str, RouteReason] = {reason.word: reason for reason in _ROUTE_REASONS}
"""By word. What a service itself answers, `402` or `400 too many conversations`, is a reason too."""
