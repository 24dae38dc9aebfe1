from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from libacli.core.audio import BYTES_PER_SECOND
from libacli.core.held_sound import HeldSound

PIECE = bytes(BYTES_PER_SECOND // 10)
"""0.1 s."""


def held(pieces: int, *, speed: float = 1.0) -> HeldSound:
    sound = HeldSound(100, hold_s=0.5, speed=speed)
    for _ in range(pieces):
        sound.add(PIECE, 0.0)
    return sound


def taken(sound: HeldSound, now: float) -> int:
    count = 0
    while sound.take(now):
        count += 1
    return count


def test_nothing_goes_out_before_the_transcript_agrees() -> None:
    sound = held(3)
    assert taken(sound, 0.4) == 0
    assert sound.out_s == 0


def test_sound_goes_out_as_far_as_letters_account_for_it() -> None:
    sound = held(20)
    sound.vouch(15)  # 0.9 s
    assert taken(sound, 0.0) == 9
    sound.vouch(20)
    assert taken(sound, 0.0) == 3
    sound.vouch(13)  # it does not go back
    assert taken(sound, 0.0) == 0
    assert sound.out_s > 1.1


def test_the_first_sound_waits_for_a_few_words_or_for_all() -> None:
    sound = held(1)
    sound.vouch(11)
    assert taken(sound, 0.0) == 0
    sound.vouch(12)
    assert taken(sound, 0.0) == 1
    short = HeldSound(2, hold_s=0.5)
    short.add(PIECE, 0.0)
    short.vouch(2)
    assert taken(short, 0.0) == 1


def test_slow_speech_has_more_sound_to_a_letter() -> None:
    sound = held(30, speed=0.5)
    sound.vouch(15)
    assert taken(sound, 0.0) == 18


def test_what_has_waited_long_enough_goes_out_unvouched() -> None:
    sound = held(2)
    sound.add(PIECE, 0.3)
    assert sound.due_at == 0.5
    assert taken(sound, 0.5) == 2
    assert sound.due_at == 0.8
    assert taken(sound, 0.8) == 1
    assert sound.due_at is None


def test_at_the_end_all_goes_out() -> None:
    sound = held(7)
    sound.release()
    assert taken(sound, 0.0) == 7


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=9), st.integers(0, 20)), max_size=30))
def test_what_goes_out_is_what_came_in_its_order(steps: list[tuple[bytes, int]]) -> None:
    sound, out = HeldSound(20, hold_s=0.5), b""
    for turn, (pcm, letters) in enumerate(steps):
        sound.add(pcm, turn / 10)
        sound.vouch(letters)
        out += sound.take(turn / 10)
    sound.release()
    while piece := sound.take(0.0):
        out += piece
    assert out == b"".join(pcm for pcm, _ in steps)
