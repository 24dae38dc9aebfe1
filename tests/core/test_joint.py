from __future__ import annotations

from array import array
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.audio import as_pcm, duration_s, samples
from libacli.core.joint import SILENT_PEAK, Joint

MS = 24
"""Samples."""


def level(milliseconds: int, peak: int) -> bytes:
    """Samples of +peak and -peak by turns."""
    return as_pcm(array("h", [peak, -peak] * (milliseconds * MS // 2)))


def sound(milliseconds: int) -> bytes:
    return level(milliseconds, 5000)


def silence(milliseconds: int) -> bytes:
    return level(milliseconds, 0)


def trimmed(joint: Joint, pcm: bytes, sizes: Sequence[int] = (4800,)) -> bytes:
    """`pcm` through `joint`, in pieces of these lengths, over and over."""
    out, at, turn = b"", 0, 0
    while at < len(pcm):
        size = sizes[turn % len(sizes)]
        out += joint.push(pcm[at : at + size])
        at, turn = at + size, turn + 1
    return out + joint.end()


def milliseconds(pcm: bytes) -> float:
    return duration_s(len(pcm)) * 1000


def silence_around(pcm: bytes) -> tuple[float, float]:
    """Milliseconds of it before and after what sounds."""
    loud = [at for at, value in enumerate(samples(pcm)) if abs(value) >= SILENT_PEAK]
    return loud[0] / MS, (len(pcm) // 2 - 1 - loud[-1]) / MS


@given(
    st.integers(0, 400),
    st.lists(st.tuples(st.integers(12, 100), st.integers(1, 300)), min_size=1, max_size=4),
    st.integers(0, 400),
    st.lists(st.integers(1, 9999), min_size=1, max_size=5),
    st.sampled_from([0.03, 0.12, 0.25]),
)
def test_what_sounds_stays_whole_and_so_does_the_silence_in_its_middle(
    before: int, parts: list[tuple[int, int]], after: int, sizes: list[int], pause_s: float
) -> None:
    (first, _), *rest = parts
    middle = sound(first) + b"".join(silence(pause) + sound(length) for length, pause in rest)
    out = trimmed(Joint(pause_s=pause_s), silence(before) + middle + silence(after), sizes)
    assert middle in out
    lead_in, pause = silence_around(out)
    assert min(before, 20) <= lead_in <= min(before, 30)
    assert min(after, pause_s * 1000) - 1 <= pause <= min(after, pause_s * 1000 + 10)


@given(st.binary(max_size=3000), st.lists(st.integers(1, 500), min_size=1, max_size=4))
def test_nothing_is_longer_than_it_was_and_half_a_sample_is_never_played(
    pcm: bytes, sizes: list[int]
) -> None:
    out = trimmed(Joint(pause_s=0.03), pcm, sizes)
    assert len(out) <= len(pcm)
    assert len(out) % 2 == 0


def test_sound_without_silence_around_it_is_passed_on_as_it_comes() -> None:
    joint, piece = Joint(pause_s=0.03), sound(100)
    assert [joint.push(piece) for _ in range(3)] == [piece] * 3
    assert joint.end() == b""


def test_a_consonant_as_quiet_as_they_come_is_not_cut_off() -> None:
    """The -50 dBFS of an "f" in front and of a "th" behind."""
    word = level(60, 104) + sound(200) + level(60, 104)
    assert trimmed(Joint(pause_s=0.03), silence(300) + word + silence(300)).count(word) == 1


def test_the_hiss_of_a_server_is_silence_and_is_cut_without_a_click() -> None:
    hiss = level(300, 40)
    out = samples(trimmed(Joint(pause_s=0.03), hiss + sound(100) + hiss))
    assert 100 + 50 <= len(out) / MS <= 100 + 60
    assert abs(out[0]) <= 1
    assert abs(out[-1]) <= 1


def test_silence_that_may_be_the_end_is_held_as_far_as_it_would_be_cut() -> None:
    joint = Joint(pause_s=0.1)
    assert milliseconds(joint.push(sound(100))) == 100
    assert milliseconds(joint.push(silence(400))) == pytest.approx(95)
    assert joint.held_s == pytest.approx(0.305)
    assert milliseconds(joint.push(sound(10))) == pytest.approx(315)
    assert joint.held_s == 0


def test_silence_that_is_held_can_be_had_at_once_and_comes_but_once() -> None:
    joint = Joint(pause_s=0.1)
    joint.push(sound(100) + silence(400))
    assert milliseconds(joint.release(0.02)) == 20
    assert milliseconds(joint.push(sound(10))) == pytest.approx(400 - 95 - 20 + 10)


def test_before_the_first_sound_nothing_is_held_to_be_had() -> None:
    joint = Joint(pause_s=0.1)
    assert joint.push(silence(400)) == b""
    assert (joint.held_s, joint.release(0.02), joint.end()) == (0, b"", b"")


def test_silence_without_end_does_not_fill_the_memory() -> None:
    joint = Joint(pause_s=0.1)
    joint.push(sound(100))
    for _ in range(20):
        joint.push(silence(1000))
    assert joint.held_s == 10
