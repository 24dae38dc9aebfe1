"""What is known of the voices that have spoken here, and what follows for the next line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from libacli.core.habits import COMFORTABLE_CHARS, KEPT, NEXT_CHARS, PRESUMED_STEADY, Answer, Habits
from libacli.core.timeline import percentile

VoiceName = tuple[str, str, str]
_T = TypeVar("_T")

_VOICES_KEPT = 64
_LINES_KEPT = 40
_WHOLE_PERCENT = 95
"""So many of a hundred lines are to be whole; for the rest everybody else would have to wait too long."""

_FRAME_S = 0.02
"""Nobody hears less; and what is held so much longer does not run dry by a hair's breadth."""

_LIMIT_REMEMBERED_S = 600.0

_LEAD_FACTOR = 1.5
"""Over the 99th percentile of the first sound: a hundred lines have more than a hundred joints."""

_LEAD_S = 8.0
"""What goes wrong for the first time, such as a limit of requests, then has still time to be put right."""


@dataclass(frozen=True)
class _Line:
    """How late one line was: held back by `need_s` at its start, it would have been whole."""

    need_s: float
    chars: int
    """What its first request had."""


class Acquaintance:
    """What one voice has shown so far.

    May be used from several threads: what is shown replaces values and changes none.
    """

    def __init__(self) -> None:
        self.habits = Habits()
        self._answers: tuple[Answer, ...] = ()
        self._lines: tuple[_Line, ...] = ()
        self._limit_s = self._limited_until = 0.0

    def learn(self, answer: Answer) -> None:
        """It has answered a request."""
        self._answers = answers = (*self._answers[1 - KEPT :], answer)
        self.habits = Habits.of(answers)

    def learn_line(self, *, need_s: float, chars: int) -> None:
        """It has read a line, which would have been whole if its first sound had been held for `need_s`.

        `chars` are what its first request had.
        """
        self._lines = (*self._lines[1 - _LINES_KEPT :], _Line(need_s, chars))

    def learn_limit(self, seconds: float, now: float) -> None:
        """It limits the rate of requests, and is to be asked again after so long."""
        self._limit_s, self._limited_until = seconds, now + _LIMIT_REMEMBERED_S

    def limit_s(self, now: float) -> float:
        """How long a request may have to wait, as far as is known: 0 for a voice that does not limit them."""
        return self._limit_s if now < self._limited_until else 0.0

    def lead_s(self, chars: int, now: float) -> float:
        """How much sound has to be in hand when it is asked for more: enough for that to come in time.

        That is a text of `chars`; 0: of any length.
        """
        chars = min(chars or COMFORTABLE_CHARS, COMFORTABLE_CHARS)
        late_s = _LEAD_FACTOR * self.habits.p99 * self.habits.first_s(chars) + self.habits.hold_s(chars)
        return max(late_s, _LEAD_S) + self.limit_s(now)

    def least_lead_s(self) -> float:
        """The same while another request is on its way, which mostly is enough."""
        return self.habits.p99 * self.habits.first_s(NEXT_CHARS)

    def hold_s(self, chars: int) -> float:
        """How long the first sound is to wait, that 95 % of the lines are whole.

        That is what the first request, of `chars`, needs by itself, and what recent lines needed besides.
        """
        rests = [max(0.0, line.need_s - self.habits.hold_s(line.chars)) for line in self._lines]
        hold_s = self.habits.hold_s(chars) + percentile(rests + [0.0] * PRESUMED_STEADY, _WHOLE_PERCENT)
        return hold_s + _FRAME_S if hold_s >= _FRAME_S else 0.0


class Acquaintances:
    """The voices of a worker: what one room learns of a voice, every other one knows.

    A voice is `(provider, model, name)`. Of those that were asked for longest ago nothing is kept.
    """

    def __init__(self) -> None:
        self._known: dict[VoiceName, Acquaintance] = {}
        self._spoke_for: dict[VoiceName, VoiceName] = {}

    def expected(self, asked: VoiceName) -> Acquaintance:
        """Whoever will answer when that one is asked: the one who did the last time."""
        return self._known.get(self._spoke_for.get(asked, asked)) or Acquaintance()

    def speaks(self, voice: VoiceName, *, asked: VoiceName) -> Acquaintance:
        """`voice` answers where `asked` was asked."""
        _keep(self._spoke_for, asked, voice)
        found = self._known.get(voice) or Acquaintance()
        _keep(self._known, voice, found)
        return found


def _keep(kept: dict[VoiceName, _T], name: VoiceName, value: _T) -> None:
    """Sets it, as the newest; the oldest go."""
    kept.pop(name, None)
    kept[name] = value
    for oldest in list(kept)[:-_VOICES_KEPT]:
        kept.pop(oldest, None)
