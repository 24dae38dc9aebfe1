"""Bytes of something else, played as samples, are loud white noise: nobody's ears are to learn of them."""

from __future__ import annotations

from itertools import pairwise

from libacli.core.audio import samples

ENOUGH_BYTES = 512
"""10 ms; random bytes are known by then, and hardly anything has been heard."""

_LOUD = 8_000
"""Mean size of the samples, 16,384 for random ones. No voice is so loud while it hisses."""

_JUMP = 24_000
_MOST_JUMPS = 2
"""Within 10 ms. Samples of 8 bits, two of which are read as one, jump over most of the range wherever their
sign changes; a voice that is clipped at three times its size does not."""


def is_noise(pcm: bytes) -> bool:
    """Whether `pcm`, whole samples of s16le, are such bytes: loud, and each sample far from the one before.

    A sound of speech moves from sample to sample by far less than its own size, or it is a soft hiss. A tone
    is taken for noise from 4 kHz on, if it is close to full scale. Samples of 8 bits of any kind, unsigned,
    A-law or mu-law, are known by their jumps.
    """
    values = samples(pcm[:ENOUGH_BYTES])
    if len(values) < 2:
        return False
    size = sum(map(abs, values)) / len(values)
    steps = [abs(after - before) for before, after in pairwise(values)]
    is_hiss = size > _LOUD and sum(steps) / len(steps) > size
    return is_hiss or sum(step > _JUMP for step in steps) > _MOST_JUMPS
