"""What the errors of OpenAI's client mean for whoever wanted to hear something.

Format of the errors: https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import httpx2
import openai

from libacli.core.audio import duration_s
from libacli.errors import VoiceError, VoiceRefusedError, VoiceTruncatedError
from libacli.masking import masked

_RETRY_PAUSE_S = 0.1
_RATE_LIMIT_PAUSE_S = 0.5
_LONGEST_RETRY_AFTER_S = 2.0
"""Nobody waits longer than this for a voice; a service that asks for more has refused."""

_HARMLESS_PARAMS = frozenset({"voice", "model", "speed", "response_format"})
"""Fields of a request whose complaint can be repeated: it quotes a setting, not the text."""


def pause_before_retry(error: openai.APIError | httpx2.TransportError) -> float | None:
    """Seconds until a second try, or None where it would not help."""
    if isinstance(error, openai.RateLimitError) and not _is_quota(error):
        pause_s = _retry_after_s(error)
        return pause_s if pause_s <= _LONGEST_RETRY_AFTER_S else None
    if isinstance(error, (openai.InternalServerError, openai.APIConnectionError, httpx2.TransportError)):
        return _RETRY_PAUSE_S
    return None


def _retry_after_s(error: openai.RateLimitError) -> float:
    try:
        return max(0.0, float(error.response.headers["retry-after"]))
    except (KeyError, ValueError):
        return _RATE_LIMIT_PAUSE_S


def _is_quota(error: openai.APIStatusError) -> bool:
    return "insufficient_quota" in (error.code, error.type)


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
            hint="check the network and OPENAI_BASE_URL",
        ) from error


def _refusal(error: openai.APIStatusError, text: str, secrets: Sequence[str]) -> VoiceError:
    """What a status means for the user. The server's words may quote the text or the key: they stay out."""
    status = error.status_code
    if status == 429 and not _is_quota(error):
        return VoiceError("the speech service limits the rate of requests (429)", hint="try again in a while")
    if status >= 500:
        return VoiceError(f"the speech service failed ({status})", hint="try again in a while")
    complaint, hint = _REFUSALS.get(
        status,
        (
            "did not accept the request",
            "check the settings voice.model, voice.name, voice.speed and voice.instructions",
        ),
    )
    words = ""
    if status in (400, 404, 422) and error.param in _HARMLESS_PARAMS and isinstance(error.body, dict):
        words = masked(str(error.body.get("message", "")), secrets)
    words = f": {words[:300]}" if words and text not in words else ""
    return VoiceRefusedError(f"the speech service {complaint} ({status}){words}", status=status, hint=hint)


_REFUSALS = {
    **dict.fromkeys(
        (301, 302, 303, 307, 308),
        ("sends elsewhere, where key and text are not taken", "set OPENAI_BASE_URL to what answers there"),
    ),
    401: ("refused the API key", "check OPENAI_API_KEY, and that it belongs to OPENAI_BASE_URL"),
    403: ("does not allow this", "check what the key in OPENAI_API_KEY may do, and from which country"),
    404: ("knows no such model or address", "check the setting voice.model, and OPENAI_BASE_URL"),
    429: (
        "has no quota left for this key",
        "add credit at https://platform.openai.com/settings/organization/billing",
    ),
}
