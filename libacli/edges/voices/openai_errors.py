"""What the errors of OpenAI's client mean for whoever wanted to hear something.

Format of the errors: https://platform.openai.com/docs/guides/error-codes; others': `core.server_words`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import httpx2
import openai

from libacli.core.audio import duration_s
from libacli.core.server_words import presentable, reason_in
from libacli.edges.retry_after import retry_after_s
from libacli.edges.voices.openai_address import azure_hint, told_address
from libacli.errors import VoiceBusyError, VoiceError, VoiceRefusedError, VoiceTruncatedError
from libacli.masking import masked
from libacli.network_environment import proxy_hint

_RETRY_PAUSE_S = 0.1
_RATE_LIMIT_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 2.0
"""A request is not held back for longer: whoever asked for it knows whether it can wait."""

_NEXT_TRY_S = 2.0
"""Where even the second try came too early."""

_SHORTEST_SECRET = 8

NO_QUOTA = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_NO_QUOTA_WORDS = re.compile(
    r"\bexceed\w* (?:your|the) (?:\w+ )?quota\b|\bbilling (?:hard )?limit\b"
    r"|\b(?:insufficient|no|not enough|out of)\b[^.]*\b(?:credits?|balance|funds)\b",
    re.IGNORECASE,
)
"""ElevenLabs and its like say it with 401, others with 400, 403 or a 429 without a time."""


def pause_before_retry(error: openai.APIError | httpx2.TransportError) -> float | None:
    """Seconds until a second try, or None where it would not help, or not soon."""
    if isinstance(error, openai.APIStatusError) and (after_s := _busy_s(error)) is not None:
        return after_s if after_s <= _LONGEST_PAUSE_S else None
    if isinstance(error, (openai.InternalServerError, openai.APIConnectionError, httpx2.TransportError)):
        return _RETRY_PAUSE_S
    return None


def _busy_s(error: openai.APIStatusError) -> float | None:
    """Seconds until a server that has too much to do can be asked again; None: it is something else."""
    told = retry_after_s(error.response.headers, reason_in(error.body))
    if error.status_code == 429 and not _is_quota(error):
        return _RATE_LIMIT_PAUSE_S if told is None else told
    return told if error.status_code == 503 else None


def _is_quota(error: openai.APIStatusError) -> bool:
    """Whether nothing is left to pay with, which no waiting mends: by OpenAI's word for it, or by others'."""
    if {error.code, error.type} & NO_QUOTA or error.status_code == 402:
        return True
    reason = reason_in(error.body)
    may_be = error.status_code in (400, 401, 403) or (
        error.status_code == 429 and retry_after_s(error.response.headers, reason) is None
    )
    return may_be and tells_of_no_quota(reason)


def tells_of_no_quota(words: str) -> bool:
    """Whether a server's words say that nothing is left to pay with."""
    return bool(_NO_QUOTA_WORDS.search(words))


@contextmanager
def translated(text: str, yielded: Callable[[], int], secrets: Sequence[str] = ()) -> Iterator[None]:
    """Turns the errors of `openai` and `httpx2` into ours, the original kept as their cause.

    `text` and `secrets` must not be quoted; `yielded` says how many bytes of sound have been given out.
    """
    try:
        yield
    except openai.APIStatusError as error:
        raise _refusal(error, text, secrets) from error
    except (openai.OpenAIError, httpx2.RequestError) as error:
        if yielded():
            seconds = duration_s(yielded())
            raise VoiceTruncatedError(
                f"the voice's connection broke after {seconds:.2f} s of sound"
            ) from error
        raise VoiceError(
            "the speech service cannot be reached, or hung up before the first sound",
            hint=_hint_of_proxy(error) or "check the network and OPENAI_BASE_URL",
        ) from error


def _hint_of_proxy(error: Exception) -> str:
    return proxy_hint(str(error.request.url)) if isinstance(error, openai.APIConnectionError) else ""


def safe_words(words: str, text: str, secrets: Sequence[str]) -> str:
    """A server's `words`, without the text and the secrets that it may quote."""
    told = [secret for secret in secrets if len(secret) >= _SHORTEST_SECRET]
    return masked(presentable(masked(words, told), [text, *told]), told)


def _refusal(error: openai.APIStatusError, text: str, secrets: Sequence[str]) -> VoiceError:
    """What a status means for the user, with the server's own reason."""
    status = error.status_code
    reason = safe_words(reason_in(error.body), text, secrets)
    words = f" ({status}): {reason}" if reason else f" ({status})"
    if (after_s := _busy_s(error)) is not None:
        what = "limits the rate of requests" if status == 429 else "is busy"
        after_s = max(after_s, _NEXT_TRY_S)
        hint = "try again in a while"
        return VoiceBusyError(f"the speech service {what}{words}", retry_after_s=after_s, hint=hint)
    if status >= 500:
        return VoiceError(f"the speech service failed{words}", hint="try again in a while")
    if _is_quota(error):
        complaint, hint = _NO_CREDIT
        return VoiceRefusedError(f"the speech service {complaint}{words}", status=status, hint=hint)
    complaint, hint = _REFUSALS.get(status, ("did not accept the request", _CHECK_SETTINGS))
    hint = azure_hint(status, error.request) or hint.format(address=told_address(error.request.url))
    return VoiceRefusedError(f"the speech service {complaint}{words}", status=status, hint=hint)


_CHECK_SETTINGS = (
    "check the settings voice.model, voice.name, voice.speed, voice.instructions and voice.extra"
)
_NO_CREDIT = (
    "has no quota left for this key",
    "add credit: for OpenAI at https://platform.openai.com/settings/organization/billing",
)
_NOTHING_THERE = "check the setting voice.model, and OPENAI_BASE_URL: {address} was asked"

_REFUSALS = {
    **dict.fromkeys(
        (301, 302, 303, 307, 308),
        ("sends elsewhere, where key and text are not taken", "set OPENAI_BASE_URL to what answers there"),
    ),
    401: ("refused the API key", "check OPENAI_API_KEY, and that it belongs to OPENAI_BASE_URL"),
    403: ("does not allow this", "check what the key in OPENAI_API_KEY may do, and from which country"),
    404: ("knows no such model or address", _NOTHING_THERE),
    405: ("has no speech at this address", _NOTHING_THERE),
}
