from libacli.core.pace import longest_speech_s


def test_longer_text_may_take_longer_and_none_takes_no_time() -> None:
    assert longest_speech_s("") == 0
    assert longest_speech_s("x" * 50) == 10
    assert longest_speech_s("x" * 50 + " [pause 1.5s] " + "x" * 50) == 21.5
