"""What is heard of texts as people write them: the way that liba cuts and reads them costs no word."""

from __future__ import annotations

import asyncio
import re

import numpy
import pytest

from libacli.config import Settings
from libacli.core.chunks import split_chunks
from libacli.core.markdown import as_prose
from libacli.core.messages import read_say
from libacli.edges.voices.embedded import _model, embedded_voice
from libacli.edges.voices.embedded_languages import embedded_voices
from libacli.speech.fakes import RecordingSink
from libacli.speech.ports import Playback
from libacli.speech.speaker import Speaker
from tests.contracts import pcm_of
from tests.hearing import distance, language_and_words_in, word_errors

pytestmark = pytest.mark.live

SENTENCES = [
    ("Meet at 5 p.m. tomorrow in the U.S. office of Acme Inc. on the river.", ""),
    ("Dr. Smith and Mrs. Jones paid $1,250 for 16 chairs, e.g. for the kitchen.", ""),
    ("The train leaves at 10:30 and arrives at 12:45, about 3.5 hours later.", ""),
    ("On January 5, 2024 there were 1,000 people in room No. 7 of the house.", ""),
    ("She ran 26 miles in 4 hours, which is 50% more than last year.", ""),
    (
        "## Shopping list for the week\n\nBuy **milk** and *fresh* bread.",
        "Shopping list for the week. Buy milk and fresh bread.",
    ),
    (
        "- Wash the car\n- Feed the cat\n- Call your mother",
        "Wash the car. Feed the cat. Call your mother.",
    ),
    (
        "See [the manual](https://a.b/c?d=1) for `more` details about it.",
        "See the manual for more details about it.",
    ),
    (
        "|Day|Weather|\n|--|--|\n|Monday|sunny and warm|\n|Tuesday|cold and wet|",
        "Day: Monday, Weather: sunny and warm. Day: Tuesday, Weather: cold and wet.",
    ),
    (
        "1. Mix the flour with water.\n2. Bake it for 20 minutes.",
        "1. Mix the flour with water. 2. Bake it for 20 minutes.",
    ),
    (
        "Ready? [pause 800ms] Then we begin with the first lesson of today.",
        "Ready? Then we begin with the first lesson of today.",
    ),
    (
        'Please wait. <break time="500ms"/> Your order number is 4711.',
        "Please wait. Your order number is 4711.",
    ),
    (
        "The winner is, [pause 1s] after a long and hard race, the blue team!",
        "The winner is, after a long and hard race, the blue team!",
    ),
    (
        "Great work! 🎉🎉 The whole team 👍🏽 should be proud of this.",
        "Great work! The whole team should be proud of this.",
    ),
    (
        "The first note¹ is about money[12], and the second one is about time.",
        "The first note is about money, and the second one is about time.",
    ),
    (
        "Add ½ a cup of sugar; −5 degrees outside will not hurt it.",
        "Add one half a cup of sugar; minus five degrees outside will not hurt it.",
    ),
    ("This line was wrapped by an editor\nin the middle of a sentence\nand goes on to here.", ""),
    (
        "Chapter Ⅳ begins with the ﬁrst ﬂight over the ocean.",
        "Chapter 4 begins with the first flight over the ocean.",
    ),
    ('He said: "I came. I saw. I won." Nobody believed him, of course.', ""),
    ("The U.K. and the U.S.A. won 3.5 times as many, i.e. 35 instead of 10 games.", ""),
]
"""As somebody writes it, and what is to be heard of it, where that is something else."""


IN_OTHER_LANGUAGES = {
    "de": "Guten Tag, morgen fahren wir mit dem Zug nach Hamburg. Dort besuchen wir unsere Großmutter. "
    "Am Abend essen wir zusammen eine warme Suppe.",
    "fr": "Demain nous prenons le train pour aller à Paris. Le chat est sur la table. "
    "Il dort depuis ce matin.",
    "es": "Mañana vamos en tren a Madrid para visitar a nuestra abuela. El gato está en la mesa. "
    "Duerme desde esta mañana.",
    "it": "Domani andiamo in treno a Roma per visitare la nostra nonna. Il gatto è sul tavolo. "
    "Dorme da questa mattina.",
}
MOST_WRONG = 0.15
"""Share of the words that so small a recogniser may take for others, of a voice as plain as this."""


class QuickSink(RecordingSink):
    """Takes all at once, as nobody listens."""

    def __init__(self) -> None:
        super().__init__(queue_ms=1e9)

    async def finish(self) -> Playback:
        return Playback("observed")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.timeout(900)  # up to forty recognitions: a minute of a processor, and more of one that is busy
async def test_numbers_markdown_and_pauses_are_heard_as_well_as_in_the_voices_own_file() -> None:
    meant = [said or written for written, said in SENTENCES]
    spoken = await by_liba([written for written, _ in SENTENCES])
    ours = [word_errors([text], [sound]) for text, sound in zip(meant, spoken, strict=True)]
    worst_first = [text for _, text in sorted(zip(ours, meant, strict=True), reverse=True)]
    assert sum(ours) <= wrong_by_the_voice(worst_first, enough=sum(ours))


@pytest.mark.timeout(600)  # four recognitions: ten seconds of a processor, and more of one that is busy
@pytest.mark.parametrize("language", IN_OTHER_LANGUAGES)
async def test_a_text_of_another_language_is_heard_in_it_and_to_its_end(language: str) -> None:
    text = IN_OTHER_LANGUAGES[language]
    voice = embedded_voices(Settings(voice_name="", voice_language="auto"))
    assert voice.objection(text) is None
    pcm = b"".join([await pcm_of(voice, chunk) for chunk in split_chunks(text, max_chars=80, first_chars=60)])
    await voice.aclose()
    heard_as, heard = language_and_words_in(pcm)
    meant = re.findall(r"\w+", text.casefold())
    assert heard_as == language
    assert distance(meant, heard) <= MOST_WRONG * len(meant), heard
    assert heard[-1] == meant[-1]


async def by_liba(texts: list[str]) -> list[bytes]:
    voice, sink = embedded_voice(), QuickSink()
    speaker = Speaker(voice, sink, on_change=lambda utterance: None)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(speaker.run())
        for number, text in enumerate(texts):
            speaker.say(read_say({"id": str(number), "text": as_prose(text, "auto")}, max_text_chars=4000))
        await speaker.drain()
        running.cancel()
    await voice.aclose()
    return sink.segments


def wrong_by_the_voice(texts: list[str], *, enough: int) -> int:
    """Words that are wrong in what it makes of `texts`, which are read as far as there are not `enough`."""
    wrong = 0
    for text in texts:
        if wrong >= enough:
            break
        wrong += word_errors([text], by_the_voice([text]))
    return wrong


def by_the_voice(texts: list[str]) -> list[bytes]:
    """What it makes of each whole text, as in a file of its own."""
    waves = [_model()(text, seed=0) for text in texts]
    return [(numpy.clip(wave, -1, 1) * 32_767).astype("<i2").tobytes() for wave in waves]
