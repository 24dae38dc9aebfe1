from __future__ import annotations

from libacli.core.unasked_speech import UnaskedSpeech

PIECE_S = 0.01


def hear(speech: UnaskedSpeech, seconds: float, *, from_s: float) -> list[float]:
    """Sound for so long; when it became known."""
    known = []
    for number in range(round(seconds / PIECE_S)):
        now = from_s + number * PIECE_S
        if speech.heard(PIECE_S, now):
            known.append(now)
    return known


def test_f12_speech_of_an_avatar_to_which_nothing_was_sent_is_unasked_and_told_once() -> None:
    speech = UnaskedSpeech()
    assert len(hear(speech, 2.0, from_s=1.0)) == 1
    assert speech.is_speaking(3.0)
    assert not speech.is_speaking(3.7)
    assert speech.is_known


def test_f12_a_click_is_no_speech() -> None:
    speech = UnaskedSpeech()
    assert hear(speech, 0.1, from_s=1.0) == []
    assert not speech.is_speaking(1.1)


def test_f12_what_is_heard_of_a_line_and_shortly_after_it_was_sent() -> None:
    speech = UnaskedSpeech()
    speech.sent(10.0)
    assert hear(speech, 4.0, from_s=10.0) == []
    assert not speech.is_known


def test_f12_speech_long_after_a_line_is_unasked() -> None:
    speech = UnaskedSpeech()
    speech.sent(10.0)
    assert len(hear(speech, 1.0, from_s=16.0)) == 1


def test_f12_after_the_next_line_it_would_be_told_again() -> None:
    speech = UnaskedSpeech()
    hear(speech, 1.0, from_s=1.0)
    speech.sent(10.0)
    assert not speech.is_known
    assert len(hear(speech, 1.0, from_s=20.0)) == 1
