from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

import httpx2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libacli.core.audio import AUDIBLE_PEAK, duration_s, first_audible_s, samples
from libacli.core.text import clean
from libacli.edges.voices import embedded
from libacli.edges.voices.embedded import EmbeddedSpeech, embedded_voice
from libacli.edges.voices.embedded_dictionaries import DICTIONARIES
from libacli.edges.voices.speech import SpeechApiVoice
from libacli.errors import ConfigError, VoiceError, VoiceRefusedError
from libacli.speech.ports import Style, Voice
from tests.contracts import VoiceContract, pcm_of, speak

LONG = "The quick brown fox jumps over the lazy dog, and then it goes on to do something else, all day."


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def voice() -> AsyncGenerator[SpeechApiVoice]:
    voice = embedded_voice()
    yield voice
    await voice.aclose()


class TestEmbeddedVoice(VoiceContract):
    @pytest.fixture
    def voice(self, voice: SpeechApiVoice) -> Voice:
        return voice


@pytest.mark.parametrize("text", ["Hi.", "OK", "Fine; see you.", LONG])
async def test_the_silence_around_the_words_is_cut_off(voice: SpeechApiVoice, text: str) -> None:
    pcm = await pcm_of(voice, text)
    begin = first_audible_s(pcm)
    assert begin is not None
    assert begin < 0.02
    values = samples(pcm)
    last = max(position for position, sample in enumerate(values) if abs(sample) >= AUDIBLE_PEAK)
    assert (len(values) - last) / 24_000 < 0.17


async def test_it_is_loud_and_not_clipped(voice: SpeechApiVoice) -> None:
    loudness = [abs(sample) for sample in samples(await pcm_of(voice, LONG))]
    assert max(loudness) > 12_000
    assert sum(loud >= 32_767 for loud in loudness) < 5


async def test_the_first_clause_sounds_before_the_rest_is_made(voice: SpeechApiVoice) -> None:
    async with aclosing(speak(voice, LONG)) as pieces:
        first = await anext(pieces)
        rest = b"".join([piece async for piece in pieces])
    assert len(first) < len(rest)


async def test_the_same_text_sounds_the_same_each_time(voice: SpeechApiVoice) -> None:
    assert await pcm_of(voice, LONG) == await pcm_of(voice, LONG)


async def test_a_text_longer_than_the_model_takes_is_spoken_to_its_end(voice: SpeechApiVoice) -> None:
    once = duration_s(len(await pcm_of(voice, LONG)))
    assert duration_s(len(await pcm_of(voice, " ".join([LONG] * 5)))) > 4.5 * once


async def test_speed_changes_the_pace_within_what_the_model_can_do(voice: SpeechApiVoice) -> None:
    slow, normal, fast, faster = [
        len(await pcm_of(voice, LONG, Style(speed=speed))) for speed in (0.5, 1.0, 2.0, 4.0)
    ]
    assert slow > 1.5 * normal > 2.2 * fast
    assert fast == faster


async def test_another_speaker_is_refused_with_the_name_of_the_one_there_is(voice: SpeechApiVoice) -> None:
    with pytest.raises(VoiceRefusedError, match="one speaker, 'heart'"):
        await pcm_of(voice, "Hello.", Style(voice="emma"))


async def test_the_loop_runs_on_while_speech_is_made(voice: SpeechApiVoice) -> None:
    await voice.warm_up()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.001)

    async with asyncio.TaskGroup() as tasks:
        counting = tasks.create_task(count())
        await pcm_of(voice, LONG)
        counting.cancel()
    assert turns > 5


async def test_two_loops_in_two_threads_can_share_the_model(voice: SpeechApiVoice) -> None:
    def elsewhere() -> bytes:
        async def main() -> bytes:
            other = embedded_voice()
            try:
                return await pcm_of(other, LONG)
            finally:
                await other.aclose()

        return asyncio.run(main())

    async with asyncio.TaskGroup() as tasks:
        there = tasks.create_task(asyncio.to_thread(elsewhere))
        here = tasks.create_task(pcm_of(voice, LONG))
    assert there.result() == here.result()


@pytest.mark.parametrize(
    "text",
    ["привет", "Hello, мир", "你好", "こんにちは", "안녕", "שלום", "مرحبا", "नमस्ते", "α and β"],
)
def test_other_scripts_are_objected_to(text: str) -> None:
    assert embedded_voice().objection(text) == "the embedded voice speaks English only"


@pytest.mark.parametrize("text", ["", " ", "...", "!?", "🎉", "—"])
def test_a_text_without_a_letter_or_digit_is_objected_to(text: str) -> None:
    assert embedded_voice().objection(text) == "there is no letter or digit in it to speak"


@pytest.mark.parametrize(
    "text", ["1", "½", "5 µm at 20 °C", "Zürich café", "E=mc²", "100% 🎉", "don’t", "１２"]
)
async def test_what_meets_no_objection_can_be_heard(voice: SpeechApiVoice, text: str) -> None:
    assert voice.objection(text) is None
    assert await pcm_of(voice, text)


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"voice": "alloy"}, "voice"),
        ({"response_format": "mp3"}, "response_format"),
        ({"speed": 5}, "speed"),
        ({"input": ""}, "input"),
        ({"input": "a" * 4097}, "input"),
    ],
)
async def test_what_it_cannot_do_is_answered_as_openai_would(asked: dict[str, object], param: str) -> None:
    body = {"input": "Hi.", "model": "hibari", "voice": "heart", "response_format": "pcm"} | asked
    async with httpx2.AsyncClient(transport=EmbeddedSpeech()) as client:
        response = await client.post("http://embedded.invalid/v1/audio/speech", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


async def test_any_other_address_is_not_found() -> None:
    async with httpx2.AsyncClient(transport=EmbeddedSpeech()) as client:
        response = await client.get("http://embedded.invalid/v1/models")
    assert response.status_code == 404


def test_without_the_extra_the_way_to_install_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hibari", None)
    with pytest.raises(ConfigError) as caught:
        embedded_voice()
    assert caught.value.hint == "pip install 'libacli[local]'"


def test_neither_the_model_nor_numpy_is_loaded_before_it_speaks() -> None:
    code = (
        "import sys; from libacli.edges.voices.embedded import embedded_voice; embedded_voice();"
        "sys.exit(bool({'hibari', 'numpy', 'onnxruntime'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_the_model_reads_by_the_dictionaries_that_its_process_was_forked_with() -> None:
    assert embedded._model().g2p is DICTIONARIES


@pytest.mark.parametrize("text", ["¹X", "5²", "E=mc²", "① one", "H₂O", "⓵ two", "፩X"])
async def test_digits_of_all_kinds_are_spoken(voice: SpeechApiVoice, text: str) -> None:
    assert await pcm_of(voice, text)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("E=mc² on 5 m³", "E=mc² on 5 m³"),
        ("Note¹ is ½ of 2½", "Note is 1/2 of 2 and 1/2"),
        ("5 − 3, −7", "5  minus  3, -7"),
        ("Chapter Ⅳ of İzmir, ٣", "Chapter 4 of Izmir, 3"),
    ],
)
def test_what_the_model_reads_wrong_is_written_otherwise(text: str, read: str) -> None:
    assert embedded._readable(text) == read


async def test_an_abbreviation_does_not_end_a_sentence(
    voice: SpeechApiVoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentences: list[str] = []

    def wave(model: object, sentence: str, speed: float) -> object:
        sentences.append(sentence.strip())
        return np.ones(240_000, np.float32)

    monkeypatch.setattr(embedded, "_wave", wave)
    await pcm_of(voice, "It is in No. 5. Dr. A. Smith of the U.S. Army is there.")
    assert sentences == ["It is in No. 5.", "Dr. A. Smith of the U.S. Army is there."]


ODD = st.lists(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=4)
    | st.sampled_from(
        [
            *(
                "Note¹",
                "½",
                "Ⅳ",
                "ↄ",
                "①",
                "٣",
                "𝟏",
                "İ",
                "ŉ",
                "🎉",
                "1️⃣",
                "\u0301",
                "٪",
                "No. 5",
                "99:99",
                "1/0",
                "$1.2.3",
            ),
            *("[a](/b/)", "MMMM", "2025-99-99", "'s", "-", "1e10", "https://a.b", "\n\n", "- ", "Dr.", "x²"),
        ]
    ),
    min_size=1,
    max_size=8,
).map("".join)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ODD)
async def test_whatever_is_written_is_sound_or_an_error_of_the_voice(
    voice: SpeechApiVoice, text: str
) -> None:
    try:
        text = clean(text)
        async with aclosing(speak(voice, text[:60])) as pieces:
            assert await anext(pieces)
    except VoiceError:
        pass


@given(ODD)
def test_whatever_is_written_there_is_an_objection_or_none(text: str) -> None:
    assert embedded_voice().objection(text) in (
        None,
        "the embedded voice speaks English only",
        "there is no letter or digit in it to speak",
    )


async def test_what_the_model_fails_at_is_an_error_of_the_voice_that_does_not_tell_the_words(
    voice: SpeechApiVoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(text: str, speed: float) -> Iterator[bytes]:
        raise ValueError(f"invalid literal: {text!r}")
        yield b""

    monkeypatch.setattr(embedded, "_pieces", fail)
    with pytest.raises(VoiceError) as raised:
        await pcm_of(voice, "The canary sings.")
    assert "canary" not in str(raised.value)
