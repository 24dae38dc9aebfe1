"""What goes wrong with OpenAI's Realtime API, and what it means for whoever wanted to hear something.

A refusal comes as a status of the handshake, as an `error` event, or in the details of a failed response,
each with OpenAI's own words for it: https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from libacli.core.server_words import reason_in
from libacli.edges.retry_after import retry_after_s
from libacli.edges.voices.openai_errors import NO_QUOTA, safe_words, tells_of_no_quota
from libacli.errors import VoiceBusyError, VoiceError, VoiceRefusedError
from libacli.network_environment import proxy_hint

if TYPE_CHECKING:
    from websockets.frames import Close
    from websockets.http11 import Response

_PAUSE_S = 0.1
_RATE_LIMIT_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 2.0
"""A request is not held back for longer: whoever asked for it knows whether it can wait."""

_NEXT_TRY_S = 2.0
"""Where even the second try came too early."""


class HiccupError(VoiceError):
    """What may go well if it is asked for once more, after `pause_s` seconds."""

    def __init__(
        self, message: str, *, pause_s: float = _PAUSE_S, last: VoiceError | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.pause_s = pause_s
        self.last = last or self
        """What it is when the second try has failed as well."""


@dataclass(frozen=True)
class Complaint:
    """What the service says is wrong, in its own words."""

    code: str
    kind: str
    message: str
    status: int | None = None
    """HTTP status, where there was one."""

    pause_s: float | None = None
    """When to ask again, where that is told beside the words."""


_STATUS_OF = {
    "invalid_api_key": 401,
    "unsupported_country_region_territory": 403,
    "insufficient_permissions": 403,
    "model_not_found": 404,
    "invalid_model": 404,
    "insufficient_quota": 429,
    "billing_hard_limit_reached": 429,
    "billing_not_active": 429,
}
_NOTHING_THERE = (
    "has no realtime voice at this address",
    "check OPENAI_BASE_URL, or put another voice first in voice.providers",
)
_REFUSALS = {
    **dict.fromkeys((200, 405, 407, 426, 501), _NOTHING_THERE),
    401: ("refused the API key", "check OPENAI_API_KEY, and that it belongs to OPENAI_BASE_URL"),
    403: ("does not allow this", "check what the key in OPENAI_API_KEY may do, and from which country"),
    404: ("knows no such model or address", "check the setting voice.model, and OPENAI_BASE_URL"),
    429: (
        "has no quota left for this key",
        "add credit at https://platform.openai.com/settings/organization/billing",
    ),
}
_RATE_LIMITS = frozenset({"rate_limit_exceeded", "rate_limit_error", "requests", "tokens"})
_EXPIRED = "session_expired"
_ONE_AT_A_TIME = "conversation_already_has_active_response"
_TELLING = frozenset(_STATUS_OF) | NO_QUOTA | _RATE_LIMITS - {"requests", "tokens"} | {_EXPIRED}
_CHECK_SETTINGS = "check the settings voice.model, voice.name, voice.speed and voice.instructions"


def meaning(complaint: Complaint, text: str = "", secrets: Sequence[str] = ()) -> VoiceError:
    """The error to raise: HiccupError where a second try may help. `text` and `secrets` are not quoted."""
    words = {complaint.code, complaint.kind}
    status = complaint.status or next((_STATUS_OF[word] for word in words if word in _STATUS_OF), None)
    if _has_no_quota(complaint, status):
        return _refusal(429 if status is None else status, complaint, _REFUSALS[429], text, secrets)
    if words & _RATE_LIMITS or status == 429:
        return _busy("the speech service limits the rate of requests (429)", complaint)
    if complaint.code == _ONE_AT_A_TIME:
        return _busy("the speech service says one text at a time", complaint)
    if complaint.code == _EXPIRED:
        return HiccupError("the session of the voice came to its end", hint="try again")
    if status == 503 and complaint.pause_s is not None:
        return _busy("the speech service is busy (503)", complaint)
    if "server_error" in words or ((status or 0) >= 500 and status not in _REFUSALS):
        return HiccupError("the speech service failed", hint="try again in a while")
    told = _REFUSALS.get(status or 400, ("did not accept the request", _CHECK_SETTINGS))
    return _refusal(status or 400, complaint, told, text, secrets)


def _has_no_quota(complaint: Complaint, status: int | None) -> bool:
    if {complaint.code, complaint.kind} & NO_QUOTA or status == 402:
        return True
    is_timed = complaint.pause_s is not None or retry_after_s({}, complaint.message) is not None
    return status in (400, 401, 403, 429) and not is_timed and tells_of_no_quota(complaint.message)


def _refusal(
    status: int, complaint: Complaint, told: tuple[str, str], text: str, secrets: Sequence[str]
) -> VoiceError:
    reason = safe_words(complaint.message, text, secrets)
    reason = f": {reason}" if reason else ""
    return VoiceRefusedError(f"the speech service {told[0]} ({status}){reason}", status=status, hint=told[1])


def _busy(told: str, complaint: Complaint) -> VoiceError:
    hint = "try again in a while"
    pause_s = complaint.pause_s
    if pause_s is None:
        pause_s = retry_after_s({}, complaint.message)
    if pause_s is not None and pause_s > _LONGEST_PAUSE_S:
        return VoiceBusyError(told, retry_after_s=pause_s, hint=hint)
    busy = VoiceBusyError(told, retry_after_s=_NEXT_TRY_S, hint=hint)
    pause_s = _RATE_LIMIT_PAUSE_S if pause_s is None else pause_s
    return HiccupError(told, pause_s=pause_s, last=busy, hint=hint)


@contextmanager
def translated(secrets: Sequence[str] = (), url: str = "") -> Iterator[None]:
    """Turns the errors of the socket to `url`, and of `openai`, into ours, the original kept as cause."""
    import openai
    from websockets.exceptions import (
        ConnectionClosed,
        InvalidStatus,
        InvalidURI,
        SecurityError,
        WebSocketException,
    )

    try:
        yield
    except InvalidStatus as error:
        raise meaning(_of_handshake(error.response), "", secrets) from error
    except (SecurityError, InvalidURI) as error:  # the client goes nowhere else with the key
        raise VoiceRefusedError(
            "the speech service sends elsewhere, where key and text are not taken",
            hint="set OPENAI_BASE_URL to what answers there",
        ) from error
    except ValueError as error:
        raise VoiceError(
            "the speech service answered with what is no event", hint="check OPENAI_BASE_URL"
        ) from error
    except (openai.OpenAIError, WebSocketException, OSError, EOFError) as error:
        if isinstance(error, ConnectionClosed) and (said := _of_close(error.rcvd)):
            raise meaning(said, "", secrets) from error
        raise HiccupError(
            "the speech service cannot be reached, or hung up before the first sound",
            hint=proxy_hint(url) or "check the network and OPENAI_BASE_URL",
        ) from error


def _of_handshake(answer: Response) -> Complaint:
    """What is said with a handshake that was refused: JSON as from OpenAI's HTTP API, or anything."""
    status, body = answer.status_code, (answer.body or b"").decode(errors="replace")
    pause_s = retry_after_s(answer.headers)
    try:
        said = json.loads(body)["error"]
        code, kind = (str(said.get(field) or "") for field in ("code", "type"))
    except (ValueError, KeyError, TypeError, AttributeError):
        code = kind = ""
    return Complaint(code, kind, reason_in(body), status=status, pause_s=pause_s)


def _of_close(close: Close | None) -> Complaint | None:
    """Why a socket was closed, where a word of OpenAI's says so ("invalid_request_error.invalid_api_key")."""
    known = [word for word in re.findall(r"\w+", close.reason if close else "") if word in _TELLING]
    return Complaint(known[0], "", "") if known else None
