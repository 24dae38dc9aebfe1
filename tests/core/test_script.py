from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.script import Pause, Script, is_ssml, pause_spans, read_script, without_pauses
from libacli.errors import RefusedError

WORDS = st.text(alphabet="ab <3>[].,\n é", max_size=12)
MARKS = st.sampled_from(["[pause 500ms]", "[pause: 1.5s]", '<break time="20ms"/>', "<break/>"])


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Hello.", ("Hello.",)),
        ("Ready? [pause 500ms] Go.", ("Ready?", Pause(0.5), "Go.")),
        ("Ready?[pause 1.5s]Go.", ("Ready?", Pause(1.5), "Go.")),
        ("[pause:2s] Go.", (Pause(2.0), "Go.")),
        ("[Pause: .5 seconds] Go.", (Pause(0.5), "Go.")),
        ('One <break time="500ms"/> two', ("One", Pause(0.5), "two")),
        ("One<BREAK time='2s'></BREAK>two", ("One", Pause(2.0), "two")),
        ('One <break strength="strong"/> two', ("One", Pause(1.0), "two")),
        ("One <break/> two", ("One", Pause(0.75), "two")),
        ('One <break strength="none"/> two', ("One", "two")),
        ("Stop [pause 10s] [pause 0ms] now", ("Stop", Pause(10.0), "now")),
        ("Ready? [pause 1,5s] Go.", ("Ready?", Pause(1.5), "Go.")),
        ("Ready? [ pause = 2 s ] Go.", ("Ready?", Pause(2.0), "Go.")),
        ("Ready? [pause 500 milliseconds] Go.", ("Ready?", Pause(0.5), "Go.")),
        ("Ready? [pause 0.1 min] Go.", ("Ready?", Pause(6.0), "Go.")),
        ("One <break time=500ms/> two", ("One", Pause(0.5), "two")),
        ("One <break time=“500ms”/> two", ("One", Pause(0.5), "two")),
    ],
)
def test_pauses_stand_between_the_words(text: str, script: Script) -> None:
    assert read_script(text) == script


@pytest.mark.parametrize(
    "text",
    [
        "a < b and c > d",
        "I <3 you",
        "Put your <token> here.",
        "a <b and c>",
        "List<str> is <b>bold</b>",
        "H<sub>2</sub>O",
        "Write to <ann@example.com> or <https://example.com>",
        "Press [pause] to stop, or [pause 3 times].",
        "<user:password>",
        "[12] [x]",
        "Tell the <break room, or < break even",
    ],
)
def test_ordinary_text_with_brackets_is_text(text: str) -> None:
    assert read_script(text) == (text,)
    assert without_pauses(text) == text


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("<speak>Hello.</speak>", "<speak>"),
        ('<?xml version="1.0"?><speak version="1.1" xml:lang="en">Hello.</speak>', "<speak>"),
        ('<prosody rate="slow">Hello.</prosody>', "<prosody>"),
        ('A <phoneme alphabet="ipa" ph="x">b</phoneme>', "<phoneme>"),
        ('<say-as interpret-as="date">1/2</say-as>', "<say-as>"),
        ('<emphasis level="strong">Now</emphasis>', "<emphasis>"),
        ('<sub alias="World Wide Web">WWW</sub>', "<sub>"),
        ('<audio src="x.mp3"/> Hello.', "<audio>"),
        ("<voice name='Ann'>Hello.</voice>", "<voice>"),
        ('<lang xml:lang="fr-FR">Bonjour</lang>', "<lang>"),
        ('Here <mark name="here"/> it is', "<mark>"),
        ("<p><s>Hello.</s></p>", "<p>"),
        ('<amazon:effect name="whispered">Hello.</amazon:effect>', "<amazon:effect>"),
        ('<mstts:express-as style="sad">Hello.</mstts:express-as>', "<mstts:express-as>"),
        ("Hello.</prosody>", "<prosody>"),
        ('Hello. <break time="soon"/> Bye.', "<break>"),
        ('Hello. <break strength="odd"/> Bye.', "<break>"),
        ('Hello. < break time="1s" /> Bye.', "<break>"),
        ('Hello. <break time="1s" Bye.', "<break>"),
    ],
)
def test_other_ssml_is_refused_by_its_name(text: str, name: str) -> None:
    with pytest.raises(RefusedError, match=name) as caught:
        read_script(text)
    assert (caught.value.reason, caught.value.exit_code) == ("unsupported_markup", 6)
    assert "pause 500ms" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Wait [pause 10.5s] now", "a pause may last 10 s, this one lasts 10.5 s"),
        ('Wait <break time="60s"/> now', "a pause may last 10 s, this one lasts 60 s"),
        ("Wait " + "[pause 10s]" * 7 + " now", "the pauses of one text may last 60 s together"),
    ],
)
def test_a_pause_that_holds_the_queue_up_is_refused(text: str, message: str) -> None:
    with pytest.raises(RefusedError) as caught:
        read_script(text)
    assert (caught.value.reason, str(caught.value)) == ("unsupported_markup", message)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ready? [pause 500ms] Go.", "Ready? Go."),
        ("Ready?[pause 500ms]Go.", "Ready? Go."),
        ("Well [pause 1s], no.", "Well, no."),
        ("[pause 1s] Go. [pause 1s]", "Go."),
        ("One.\n[pause 1s]\nTwo.", "One.\nTwo."),
        ("One.\n\n[pause 1s] <break/>\n\nTwo.", "One.\n\nTwo."),
        ("[pause 1s]", ""),
    ],
)
def test_what_is_shown_and_counted_has_no_marks_of_pauses(text: str, words: str) -> None:
    assert without_pauses(text) == words


@given(st.lists(WORDS | MARKS).map("".join))
def test_no_word_is_lost_and_no_pause_is_read(text: str) -> None:
    words = [item for item in read_script(text) if isinstance(item, str)]
    rest = text
    for start, end in reversed(pause_spans(text)):
        rest = rest[:start] + " " + rest[end:]
    assert "".join("".join(words).split()) == "".join(rest.split())
    assert "".join(without_pauses(text).split()) == "".join(rest.split())


@pytest.mark.parametrize(
    ("tag", "is_one"),
    [
        ("<speak>", True),
        ('<break time="1s"/>', True),
        ("</prosody>", True),
        ("<p>", False),
        ("<b>", False),
        ("</s>", False),
        ('<mark class="x">', False),
    ],
)
def test_what_html_has_too_is_not_taken_for_ssml(tag: str, is_one: bool) -> None:
    assert is_ssml(tag) is is_one


@pytest.mark.timeout(60)  # one that goes over it again and again takes minutes
@pytest.mark.parametrize("text", [" " * 16_000 + "[pause 1s]", "[pause " * 2_000, "<break " * 2_000])
def test_a_text_made_to_take_long_takes_no_longer(text: str) -> None:
    assert len(read_script(text)) == 1
    assert "".join(without_pauses(text).split()) in "".join(text.split())
