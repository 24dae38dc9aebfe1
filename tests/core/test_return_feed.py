"""What comes back of a line, against what was sent: who plays it is not taken for one who does not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.return_feed import LOUD_PEAK, STALLED_S, SWALLOWED_S, ReturnFeed

LOUD = 9000
FRAME_S = 0.02
PIECE_S = 0.01
LATEST_S = 0.02
"""What is found out is found out with the next frame."""


@dataclass(frozen=True)
class Line:
    """Words and the pauses behind them, in frames; each frame is sent at its time, 2 s ahead at most."""

    words: list[tuple[int, int]]

    def frames(self) -> Iterator[bool]:
        for word, pause in self.words:
            yield from [True] * word
            yield from [False] * pause

    def long_pauses(self) -> Iterator[bool]:
        """Of each frame whether it is one of half a second of silence or more."""
        for word, pause in self.words:
            yield from [False] * word
            yield from [pause >= 25] * pause

    @property
    def longest_pause_s(self) -> float:
        return max((pause * FRAME_S for _, pause in self.words[:-1]), default=0.0)


@dataclass(frozen=True)
class Avatar:
    """Plays frames a way after they were sent, with holes, and is frozen from some moment on."""

    way_s: float = 0.3
    hole_s: float = 0.0
    hole_every: int = 10**9
    edge_s: float = 0.0
    """What is taken off each sound at its end, or rings on where it is less than 0."""

    frozen_at: float = math.inf
    swallows_s: float = 0.0
    leaves_out_pauses: bool = False

    def sounds(self, line: Line) -> list[tuple[float, float]]:
        """When a frame that is heard begins and ends to sound."""
        sounds, at = [], self.way_s
        frames = list(line.frames())
        last = max(number for number, is_loud in enumerate(frames) if is_loud)
        for number, (is_loud, is_long) in enumerate(zip(frames, line.long_pauses(), strict=True)):
            if number % self.hole_every == self.hole_every - 1:
                at += self.hole_s
            if is_loud and at < self.frozen_at and (last + 1 - number) * FRAME_S > self.swallows_s:
                is_end = number + 1 == len(frames) or not frames[number + 1]
                sounds.append((at, at + FRAME_S - (self.edge_s if is_end else 0.0)))
            at += 0.0 if self.leaves_out_pauses and is_long else FRAME_S
        return sounds


@dataclass
class Air:
    """A line, an avatar, and who listens to it."""

    line: Line
    avatar: Avatar
    feed: ReturnFeed
    stalled_at: float = math.inf
    longest_hole_s: float = 0.0

    @property
    def ends_at(self) -> float:
        return max(ends_at for _, ends_at in self.avatar.sounds(self.line))


def listen(line: Line, avatar: Avatar, *, for_s: float = 3.0) -> Air:
    """Sends and hears it all, in time; notes when it would have been called stalled first."""
    feed = ReturnFeed()
    air = Air(line, avatar, feed)
    frames, sounds = list(line.frames()), avatar.sounds(line)
    sent = heard = 0
    for step in range(
        round((max(ends_at for _, ends_at in sounds) + line.longest_pause_s + for_s) / PIECE_S)
    ):
        now = step * PIECE_S
        while sent < len(frames) and sent * FRAME_S - 2.0 <= now:
            feed.sent(now, loudness=LOUD if frames[sent] else 0)
            sent += 1
        while heard < len(sounds) and sounds[heard][1] <= now:
            heard += 1
        is_audible = heard < len(sounds) and sounds[heard][0] <= now < sounds[heard][1]
        hole_s = feed.listened(now, PIECE_S, is_audible=is_audible)
        air.longest_hole_s = max(air.longest_hole_s, hole_s)
        if (
            feed.heard_at is not None
            and feed.unheard_s >= SWALLOWED_S
            and now >= feed.silent_until(STALLED_S)
        ):
            air.stalled_at = min(air.stalled_at, now)
    return air


lines = st.lists(
    st.tuples(st.integers(10, 60), st.sampled_from([2, 4, 10, 20, 40, 100])), min_size=1, max_size=6
).map(Line)
ways = st.sampled_from([0.05, 0.3, 1.5])


@given(lines, ways, st.sampled_from([-0.05, 0.0, 0.015]))
def test_a_line_that_is_played_is_heard_to_its_end_and_never_called_stalled(
    line: Line, way_s: float, edge_s: float
) -> None:
    air = listen(line, Avatar(way_s=way_s, edge_s=edge_s))
    assert air.stalled_at == math.inf
    assert air.feed.out_at == pytest.approx(air.ends_at, abs=0.07)
    assert air.feed.unheard_s < 0.1
    assert air.longest_hole_s < 0.05


@given(lines, ways, st.floats(0.1, 0.85), st.integers(110, 200))
def test_a_line_that_falters_is_not_called_stalled(
    line: Line, way_s: float, hole_s: float, every: int
) -> None:
    assert listen(line, Avatar(way_s=way_s, hole_s=hole_s, hole_every=every)).stalled_at == math.inf


@given(
    st.lists(st.tuples(st.integers(10, 60), st.sampled_from([2, 4, 30, 100])), min_size=1, max_size=6), ways
)
def test_pauses_that_an_avatar_leaves_out_are_not_missed(words: list[tuple[int, int]], way_s: float) -> None:
    assert listen(Line(words), Avatar(way_s=way_s, leaves_out_pauses=True)).stalled_at == math.inf


@given(lines, ways, st.floats(0.0, 1.0))
def test_a_line_that_is_heard_no_more_is_stalled_a_second_after_its_longest_pause(
    line: Line, way_s: float, part: float
) -> None:
    whole = Avatar(way_s=way_s)
    began_at, ends_at = way_s, max(end for _, end in whole.sounds(line))
    frozen_at = began_at + 0.1 + part * (ends_at - began_at - 0.1)
    air = listen(line, Avatar(way_s=way_s, frozen_at=frozen_at), for_s=4.0)
    heard_at = air.ends_at
    missing_s = ends_at - heard_at
    if missing_s >= SWALLOWED_S + 0.05:
        pause_s = line.longest_pause_s
        assert heard_at + STALLED_S - 0.02 <= air.stalled_at <= heard_at + pause_s + STALLED_S + 0.05
    elif missing_s < SWALLOWED_S - 0.05:
        assert air.stalled_at == math.inf


@given(lines, ways, st.floats(0.0, 1.5))
def test_an_end_that_is_missing_is_missed_from_half_a_second_on(
    line: Line, way_s: float, swallows_s: float
) -> None:
    sounds = Avatar(way_s=way_s, swallows_s=swallows_s).sounds(line)
    if not sounds:
        return
    air = listen(line, Avatar(way_s=way_s, swallows_s=swallows_s))
    missing_s = max(end for _, end in Avatar(way_s=way_s).sounds(line)) - air.ends_at
    if abs(missing_s - SWALLOWED_S) > 0.05:
        assert (air.stalled_at < math.inf) == (missing_s > SWALLOWED_S)


@pytest.mark.parametrize(
    ("frozen_at", "stalled_at"),
    [(1.0, 2.0), (2.3, 2.3 + 3.0 + STALLED_S), (4.0, 2.3 + 3.0 + STALLED_S), (6.6, 6.6 + STALLED_S)],
    ids=["well before it", "with it", "in it", "well after it"],
)
def test_a_long_pause_explains_silence_that_is_as_long(frozen_at: float, stalled_at: float) -> None:
    line = Line([(100, 150), (150, 0)])
    assert listen(line, Avatar()).stalled_at == math.inf
    frozen = listen(line, Avatar(frozen_at=frozen_at))
    assert frozen.stalled_at == pytest.approx(stalled_at, abs=0.03)


def test_what_was_noticed_late_was_not_late() -> None:
    feed = ReturnFeed()
    for _ in range(100):
        feed.sent(0.0, loudness=LOUD)
    for _ in range(60):  # whoever was to listen was held up, and has it all at once
        feed.listened(0.9, PIECE_S, is_audible=True)
    assert feed.way_s == pytest.approx(0.3, abs=0.02)
    assert feed.out_at == pytest.approx(2.3, abs=0.02)


def test_what_is_quiet_or_short_does_not_have_to_be_heard() -> None:
    feed = ReturnFeed()
    for loudness in [LOUD] * 20 + [LOUD_PEAK - 1] * 100 + [0] * 20 + [LOUD] * 5:
        feed.sent(0.0, loudness=loudness)
    feed.listened(0.1, PIECE_S, is_audible=True)
    feed.listened(0.4, PIECE_S, is_audible=True)
    assert feed.out_at == pytest.approx(0.5)
    assert feed.unheard_s < SWALLOWED_S


def test_a_voice_that_was_late_leaves_a_pause() -> None:
    feed = ReturnFeed()
    for _ in range(50):
        feed.sent(0.0, loudness=LOUD)
    for step in range(101):
        feed.listened(0.1 + step * PIECE_S, PIECE_S, is_audible=True)
    assert feed.unheard_s < SWALLOWED_S, "nothing more was sent"
    for _ in range(50):
        feed.sent(4.0, loudness=LOUD)
    assert feed.silent_until(STALLED_S) == pytest.approx(1.1 + 3.0 + STALLED_S)
    assert feed.out_at == pytest.approx(5.1)


def test_of_nothing_nothing_is_missing() -> None:
    feed = ReturnFeed()
    assert feed.unheard_s == 0.0
    assert feed.silent_until(STALLED_S) == math.inf
    assert feed.listened(1.0, PIECE_S, is_audible=True) == 0.0
    feed.sent(1.0, loudness=LOUD)
    assert feed.unheard_s == 0.0
