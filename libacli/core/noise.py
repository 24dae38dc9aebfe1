"""Bytes of something else, played as samples, are loud white noise: nobody's ears are to learn of them."""

from __future__ import annotations

from itertools import pairwise

from libacli.core.audio import samples

ENOUGH_BYTES = 512
"""10 ms; random bytes are known by then, and hardly anything has been heard."""

_LOUD = 8_000
"""Mean size of the samples, 16,384 for random ones. No voice is so loud while it hisses."""


def is_noise(pcm: bytes) -> bool:
    """Whether `pcm`, whole samples of s16le, are such bytes: loud, and each sample far from the one before.

    A sound of speech moves from sample to sample by far less than its own size, or it is a soft hiss. A tone
    is taken for noise from 4 kHz on, if it is close to full scale.
    """
    values = samples(pcm[:ENOUGH_BYTES])
    if len(values) < 2:
        return False
    size = sum(map(abs, values)) / len(values)
    step = sum(abs(after - before) for before, after in pairwise(values))
    return size > _LOUD and step / (len(values) - 1) > size
