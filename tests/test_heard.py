"""A listener that knows what each line sounds like: tests of what other tests rely on."""

from libacli.core.audio import silence
from libacli.speech.fakes import tone
from tests.live.heard import tones_in

TONES = range(400, 2400, 100)


def test_each_tone_is_heard_in_its_turn_and_for_its_time() -> None:
    lines = (1100, 400, 2300)
    heard = tones_in(silence(100) + b"".join(tone(1000, hertz) + silence(120) for hertz in lines), TONES)
    assert list(heard) == list(lines)
    assert all(0.75 < seconds < 0.85 for seconds in heard.values())


def test_what_is_cut_or_repeated_shows_and_silence_is_none() -> None:
    heard = tones_in(tone(400, 500) + tone(1000, 600) + silence(200) + tone(1000, 600), TONES)
    assert 0.25 < heard[500] < 0.4
    assert 1.5 < heard[600] < 1.7
    assert tones_in(silence(500), TONES) == {}
