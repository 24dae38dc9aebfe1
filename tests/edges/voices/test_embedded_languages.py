from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from libacli.config import Settings
from libacli.edges.voices.embedded_languages import SPEAKER_OF, EmbeddedVoice, embedded_voices, speakers
from libacli.speech.fakes import ScriptedVoice
from libacli.speech.ports import Style, Take, Voice
from tests.contracts import VoiceContract

GERMAN = "OK. Der Zug fährt um acht ab. Bitte einsteigen!"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def settings(**given: object) -> Settings:
    return Settings(**{"voice_name": "", **given})  # type: ignore[arg-type]


async def who_speaks(voice: Voice, text: str, style: Style = Style()) -> tuple[str, str]:  # noqa: B008
    take = Take()
    async with aclosing(voice.synthesize(text, style, take)) as pieces:
        await anext(pieces)
    assert take.provider == "embedded"
    return take.model, take.voice


@pytest.fixture
async def voice() -> AsyncGenerator[Voice]:
    voice = embedded_voices(settings())
    yield voice
    await voice.aclose()


class TestEmbeddedVoices(VoiceContract):
    @pytest.fixture
    def voice(self, voice: Voice) -> Voice:
        return voice


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("Hello there, how are you?", ("hibari", "heart")),
        ("Guten Tag, wie geht es Ihnen?", ("pico", "german")),
        ("Bonjour, comment allez-vous ?", ("pico", "french")),
        ("Hola, ¿cómo está usted?", ("pico", "spanish")),
        ("Buongiorno, come sta?", ("pico", "italian")),
        ("OK", ("hibari", "heart")),
    ],
)
async def test_the_language_of_a_text_decides_who_speaks(
    voice: Voice, text: str, who: tuple[str, str]
) -> None:
    assert voice.objection(text) is None
    assert await who_speaks(voice, text) == who


@pytest.mark.parametrize("speaker", speakers())
async def test_who_is_named_speaks_whatever_the_language(voice: Voice, speaker: str) -> None:
    assert (await who_speaks(voice, "Hello there.", Style(voice=speaker)))[1] == speaker


async def test_a_name_of_another_voice_is_passed_over(voice: Voice) -> None:
    assert (await who_speaks(voice, "Guten Tag, das ist gut.", Style(voice="alloy")))[1] == "german"


async def test_the_pieces_of_a_text_have_one_speaker(voice: Voice) -> None:
    assert voice.objection(GERMAN) is None
    assert voice.objection("Hello, this is another text.") is None
    for piece in ("OK. ", "Der Zug fährt um acht ab. ", "Bitte einsteigen!"):
        assert voice.objection(piece) is None
        assert (await who_speaks(voice, piece))[1] == "german"
    assert (await who_speaks(voice, "Hello, "))[1] == "heart"


@pytest.mark.parametrize(("language", "speaker"), SPEAKER_OF.items())
async def test_a_language_that_is_set_goes_before_that_of_the_text(language: str, speaker: str) -> None:
    voice = embedded_voices(settings(voice_language=language))
    assert voice.name == speaker
    assert (await who_speaks(voice, "Buongiorno, come sta?"))[1] == speaker
    await voice.aclose()


async def test_a_speaker_that_is_set_goes_before_the_language() -> None:
    voice = embedded_voices(settings(voice_name="french", voice_language="de"))
    assert (voice.name, voice.model) == ("french", "pico")
    assert (await who_speaks(voice, "Hello there."))[1] == "french"
    await voice.aclose()


@pytest.mark.parametrize("text", ["привет", "Hello, мир", "你好", "こんにちは", "مرحبا", "नमस्ते", "α and β"])
def test_for_other_scripts_nobody_is_there(text: str) -> None:
    assert embedded_voices(settings()).objection(text) == (
        "the embedded voice speaks English, German, French, Spanish and Italian only"
    )


@pytest.mark.parametrize("text", ["", "...", "🎉"])
def test_a_text_without_a_letter_or_digit_is_objected_to(text: str) -> None:
    assert embedded_voices(settings()).objection(text) == "there is no letter or digit in it to speak"


async def test_without_the_second_engine_it_is_hibari_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "py_nanotts", None)
    voice = embedded_voices(settings())
    assert speakers() == ("heart",)
    assert await who_speaks(voice, "Guten Tag, das ist gut.") == ("hibari", "heart")
    assert voice.objection("привет") == "the embedded voice speaks English only"
    await voice.aclose()


async def test_both_engines_are_closed() -> None:
    english, others = ScriptedVoice(), ScriptedVoice()
    await EmbeddedVoice(english, others).aclose()
    assert english.is_closed
    assert others.is_closed


def test_nothing_is_loaded_or_started_before_it_speaks() -> None:
    code = (
        "import sys; from libacli.config import Settings;"
        "from libacli.edges.voices.embedded_languages import embedded_voices;"
        "voice = embedded_voices(Settings(voice_name='')); voice.objection('Guten Tag');"
        "sys.exit(bool({'hibari', 'numpy', 'onnxruntime', 'py_nanotts', 'livekit'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
