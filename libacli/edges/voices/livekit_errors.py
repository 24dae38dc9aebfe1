"""What the errors of livekit-agents' voices mean for whoever wanted to hear something.

Their messages may quote the text ("no audio frames were pushed for text: …"): they stay out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from libacli.core.audio import duration_s
from libacli.core.server_words import reason_in
from libacli.edges.retry_after import retry_after_s
from libacli.edges.voices.openai_errors import safe_words
from libacli.errors import (
    VoiceBusyError,
    VoiceError,
    VoiceRefusedError,
    VoiceStalledError,
    VoiceTruncatedError,
)

if TYPE_CHECKING:
    from livekit.agents import APIError

_SILENT = "no audio frames were pushed"
"""How livekit-agents (1.8) complains of a text that made no sound."""

_NO_CREDIT = ("has no credit left", "add credit at the provider")
_ELSEWHERE = ("sends elsewhere, where key and text are not taken", "set the right address in voice.options")
_REFUSALS = {
    400: ("did not accept the request", "check the settings voice.name and voice.options"),
    401: ("refused the API key", "check the key of this provider"),
    402: _NO_CREDIT,
    403: ("does not allow this", "check what the key of this provider may do"),
    404: ("knows no such model, speaker or address", "check the settings voice.model and voice.name"),
}


_NEXT_TRY_S = 2.0
"""Where nothing tells when a provider that limits the rate can be asked again."""


@contextmanager
def translated(
    provider: str, text: str, yielded: Callable[[], int], secrets: Sequence[str] = ()
) -> Iterator[None]:
    """Turns whatever a TTS raises into our errors, the original kept as their cause.

    `text` and `secrets` must not be quoted; `yielded` says how many bytes of sound have been given out.
    """
    from livekit.agents import APIError

    try:
        yield
    except VoiceError:
        raise
    except APIError as error:
        raise _meaning(provider, error, yielded(), _reason(error, text, secrets)) from error
    except Exception as error:  # of a plugin, which may raise anything
        raise _broken(provider, type(error).__name__, yielded()) from error


def _meaning(provider: str, error: APIError, heard: int, reason: str) -> VoiceError:
    from livekit.agents import APITimeoutError

    if error.message.startswith(_SILENT):
        return VoiceRefusedError("the voice made no sound of this text")
    status = _status(error)
    words = f" ({status}): {reason}" if reason else f" ({status})"
    if status == 429 and "insufficient_quota" in str(error.body):
        return VoiceRefusedError(f"{provider} {_NO_CREDIT[0]}{words}", status=status, hint=_NO_CREDIT[1])
    if status == 429:
        after_s = retry_after_s({}, error.message)
        return VoiceBusyError(
            f"{provider} limits the rate of requests{words}",
            retry_after_s=_NEXT_TRY_S if after_s is None else after_s,
            hint="try again in a while",
        )
    if 300 <= status < 500 and status != 408:
        told, hint = _REFUSALS.get(status, _ELSEWHERE if status < 400 else _REFUSALS[400])
        return VoiceRefusedError(f"{provider} {told}{words}", status=status, hint=hint)
    if isinstance(error, APITimeoutError) and not heard:
        return VoiceStalledError(f"{provider} did not answer in time", hint="try again in a while")
    return _broken(provider, str(status) if status > 0 else type(error).__name__, heard)


def _reason(error: APIError, text: str, secrets: Sequence[str]) -> str:
    """The provider's own words; the message of an error without a body repeats its status only."""
    return safe_words(reason_in(error.body), text, secrets)


def _broken(provider: str, what: str, heard: int) -> VoiceError:
    if heard:
        return VoiceTruncatedError(f"{provider} broke off after {duration_s(heard):.2f} s of sound ({what})")
    return VoiceError(f"{provider} failed ({what})", hint="try again in a while; `liba doctor` tries it")


def _status(error: BaseException) -> int:
    """The HTTP status of an error or of what caused it; -1 where there is none."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        for name in ("status_code", "status"):
            status = getattr(at, name, None)
            if isinstance(status, int) and status >= 100:
                return status
        at = at.__cause__ or at.__context__
    return -1
