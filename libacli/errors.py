"""Everything that liba raises on purpose.

LibaError                       1
├── UsageError                  2   the command line or a value given to it is wrong
├── ConfigError                 3   a setting is missing, unknown or invalid
│   ├── CredentialsError        3   a key is missing or was refused
│   └── FileError               3   a file or folder of this machine cannot be read or written
├── UnreachableError            4   LiveKit did not answer
│   └── OverQuotaError          4   ... because it may not be asked more often
├── NoAgentError                5   nobody in the room can speak
├── RefusedError                6   the agent (or liba itself) will not say this
├── TimedOutError               7   a bound passed
├── InterruptedSpeechError      8   speech ended before its end
├── WithoutAvatarError          9   spoken, but not through the avatar, which was required
├── ThresholdError             10   what was measured is not as --assert wants it
├── AvatarError                 1   the avatar service did not do what it was asked
│   ├── AvatarCapError          1   ... because there are as many conversations as are allowed
│   └── LeftRunningError        1   ... and conversations may still run, and cost money
├── InstallError                1   a component could not be fetched, built or started
│   └── TamperedError           1   ... because what came is not what was pinned
├── VoiceError                  1   text did not become sound
│   ├── VoiceRefusedError       1   ... and asking again would not help
│   ├── VoiceBusyError          1   ... and the voice has said when to ask again
│   │   └── VoiceLoadingError   1   ... because its server is not ready yet
│   ├── VoiceStalledError       1   ... because the voice went quiet for longer than its bound
│   └── VoiceTruncatedError     1   ... because the sound stopped before the text did
├── SinkError                   1   sound did not reach the room
│   └── CutOffError             1   ... all of it, because the connection was made anew under it
└── StoreError                  1   what machines share could not be read or written
    ├── FencedError             1   ... because somebody else has taken it over
    └── ForgottenError          1   ... because what was there is lost

The number is the exit code of a command that ends with the error.
"""

from __future__ import annotations

from typing import ClassVar


class LibaError(Exception):
    """Base of every error that liba raises on purpose.

    `hint` is the next step for the user: one sentence, or a command to run.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(LibaError):
    exit_code = 2


class ConfigError(LibaError):
    exit_code = 3


class CredentialsError(ConfigError):
    pass


class FileError(ConfigError):
    pass


class UnreachableError(LibaError):
    exit_code = 4


class OverQuotaError(UnreachableError):
    def __init__(self, message: str, *, hint: str = "", retry_in_s: float) -> None:
        super().__init__(message, hint=hint)
        self.retry_in_s = retry_in_s
        """After so many seconds it may be asked again."""


class NoAgentError(LibaError):
    exit_code = 5


class RefusedError(LibaError):
    """What was asked for will not be carried out. `reason` is the word for machines."""

    exit_code = 6

    def __init__(self, reason: str, message: str, *, hint: str = "", retry_in_s: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
        self.retry_in_s = retry_in_s
        """After so many seconds it may be accepted; None: that is not known, or never."""


class TimedOutError(LibaError):
    exit_code = 7

    def __init__(self, message: str, *, hint: str = "", utterance_id: str = "") -> None:
        super().__init__(message, hint=hint)
        self.utterance_id = utterance_id
        """What may have been said all the same: said again with this id it is spoken once."""


class InterruptedSpeechError(LibaError):
    exit_code = 8

    def __init__(self, message: str, *, hint: str = "", state: str = "", reason: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
        """The agent's own word for why."""

        self.state = state
        """What the agent says has become of it: `interrupted`, `failed`, `expired`, or that it is `unknown`;
        empty: nobody can tell."""


class WithoutAvatarError(LibaError):
    exit_code = 9


class InstallError(LibaError):
    pass


class TamperedError(InstallError):
    """Somebody has changed it, or a page came instead. No other way is tried: that is for a person to see."""


class ThresholdError(LibaError):
    exit_code = 10


class AvatarError(LibaError):
    """`reason` is what utterances are told: `402`, `400 too many conversations`, `no answer`."""

    def __init__(
        self,
        reason: str,
        *,
        status: int | None = None,
        said: str = "",
        is_permanent: bool,
        is_unsure: bool = False,
        retry_in_s: float | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(f"the avatar service answered: {reason}{f' ({said})' if said else ''}", hint=hint)
        self.reason = reason
        self.status = status
        """HTTP status of the answer; None: there was none."""

        self.said = said
        """The service's own words, as far as they may be shown."""

        self.is_permanent = is_permanent
        """Asking again would not help."""

        self.is_unsure = is_unsure
        """The request may have been carried out all the same."""

        self.retry_in_s = retry_in_s
        """Before so many seconds are over, asking again would not help; None: that is not known."""


class AvatarCapError(AvatarError):
    """The service was not even asked: `most` conversations run."""

    def __init__(self, most: int) -> None:
        super().__init__("too many conversations", is_permanent=False, hint="see avatar.max_conversations")
        self.args = (f"as many conversations run as are allowed at a time, {most}",)


class LeftRunningError(AvatarError):
    """Of several conversations `ended` were ended, and `left` were not; `why` is of the last of these."""

    def __init__(self, ended: int, left: int, why: AvatarError) -> None:
        super().__init__(
            why.reason,
            status=why.status,
            said=why.said,
            is_permanent=why.is_permanent,
            is_unsure=True,
            retry_in_s=why.retry_in_s,
            hint=f"{why.hint}; then liba reap again" if why.hint else "liba reap again in a while",
        )
        conversations = "1 conversation was" if left == 1 else f"{left} conversations were"
        self.args = (f"{conversations} not ended, and may cost money: {why}",)
        self.ended = ended
        self.left = left
        self.why = why


class VoiceError(LibaError):
    pass


class VoiceRefusedError(VoiceError):
    def __init__(self, message: str, *, status: int | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        """HTTP status of the service's answer; None: the refusal is our own."""

    @property
    def is_for_good(self) -> bool:
        """Whether every other text would be refused as well: key, money, model or address are at fault."""
        return self.status in _OF_ANY_TEXT


_OF_ANY_TEXT = frozenset({301, 302, 303, 307, 308, 401, 402, 403, 404, 429})


class VoiceBusyError(VoiceError):
    def __init__(self, message: str, *, retry_after_s: float, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s
        """After so many seconds it may answer."""


class VoiceLoadingError(VoiceBusyError):
    pass


class VoiceStalledError(VoiceError):
    pass


class VoiceTruncatedError(VoiceError):
    pass


class SinkError(LibaError):
    pass


class CutOffError(SinkError):
    pass


class StoreError(LibaError):
    pass


class FencedError(StoreError):
    pass


class ForgottenError(StoreError):
    pass
