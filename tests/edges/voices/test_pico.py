from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.audio import AUDIBLE_PEAK, duration_s, first_audible_s, is_audible, level_dbfs, samples
from libacli.edges.voices import pico, pico_process
from libacli.edges.voices.embedded import embedded_voice
from libacli.edges.voices.pico import SPEAKERS, PicoVoice, pieces
from libacli.edges.voices.pico_process import PicoProcess
from libacli.errors import ConfigError, VoiceRefusedError
from libacli.speech.ports import Style, Voice
from tests.contracts import VoiceContract, pcm_of, speak

TEXTS = {
    "british": "Hello there, this is a small test of the voice.",
    "french": "Bonjour, ceci est un petit essai, à bientôt j'espère.",
    "german": "Guten Tag, das ist ein kleiner Versuch mit Umlauten: schöne Grüße.",
    "italian": "Buongiorno, questa è una piccola prova della voce, perché no?",
    "spanish": "Buenos días, esto es una pequeña prueba de la voz.",
}
HANGS = "ß" * 2217
"""py-nanotts 0.1.1 holds on for ever to this in French."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def voice() -> AsyncGenerator[PicoVoice]:
    voice = PicoVoice()
    yield voice
    await voice.aclose()


@pytest.fixture
async def process() -> AsyncGenerator[PicoProcess]:
    process = PicoProcess()
    yield process
    await process.aclose()


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "pico_child.py" in " ".join(child.cmdline())]


class TestPicoVoice(VoiceContract):
    @pytest.fixture
    def voice(self, voice: PicoVoice) -> Voice:
        return voice


@pytest.mark.parametrize("speaker", SPEAKERS)
async def test_each_speaker_is_as_loud_as_hibari_and_without_silence_around(
    voice: PicoVoice, speaker: str
) -> None:
    pcm = await pcm_of(voice, TEXTS[speaker], Style(voice=speaker))
    begin = first_audible_s(pcm)
    assert begin is not None
    assert begin < 0.02
    values = samples(pcm)
    assert (
        len(values) - max(at for at, value in enumerate(values) if abs(value) >= AUDIBLE_PEAK)
    ) / 24_000 < 0.17
    assert max(abs(value) for value in values) < 32_000
    hibari = embedded_voice()
    assert abs(level_dbfs(pcm) - level_dbfs(await pcm_of(hibari, TEXTS["british"]))) < 4
    await hibari.aclose()


async def test_a_long_text_sounds_before_it_is_made_to_its_end(voice: PicoVoice) -> None:
    async with aclosing(speak(voice, " ".join([TEXTS["british"]] * 20))) as stream:
        first = await anext(stream)
        rest = b"".join([piece async for piece in stream])
    assert duration_s(len(first)) < 7
    assert duration_s(len(rest)) > 40


async def test_pace_changes_within_what_the_engine_does_well(voice: PicoVoice) -> None:
    slow, normal, fast, faster = [
        len(await pcm_of(voice, TEXTS["british"], Style(speed=speed))) for speed in (0.5, 1.0, 2.0, 4.0)
    ]
    assert slow > 1.5 * normal > 2 * fast
    assert fast == faster


@pytest.mark.parametrize("rate", [300.0, 3_000.0, 6_000.0])
def test_what_is_below_8_khz_is_resampled_as_it_was(rate: float) -> None:
    import numpy

    wave = numpy.sin(2 * numpy.pi * rate * numpy.arange(16_000) / 16_000).astype(numpy.float32)
    wanted = numpy.sin(2 * numpy.pi * rate * numpy.arange(24_000) / 24_000)
    made = pico._resampled(wave)
    assert len(made) == 24_000
    assert float(numpy.abs(made - wanted)[100:-100].max()) < 0.05


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("„Das“ ist *gut*", ["Das ist gut"]),
        ("a – b", ["a , b"]),
        ("[see] <b>this</b>", ["(see) b this /b"]),
        ("it’s 'quoted'", ["it's quoted"]),
        ("¿Qué? ¡Sí!", ["Qué? Sí!"]),
        ("Dvořák, Łódź", ["Dvorák, ódz"]),
        ("x" * 90, ["xxx xxx xxx"]),
        ("one\0two", ["one two"]),
        ("...", []),
        ("1" * 30, ["111111111111 111111111111 111111"]),
    ],
)
def test_the_engine_gets_what_it_knows(text: str, said: list[str]) -> None:
    assert list(pieces(text)) == said


@given(st.text(max_size=800))
def test_no_piece_is_longer_than_the_engine_takes(text: str) -> None:
    for piece in pieces(text):
        assert 0 < len(piece) <= 220
        assert not set(piece) & set("<>\\*\0")


async def test_what_the_engine_hangs_at_is_given_up_and_the_next_text_is_spoken(
    process: PicoProcess,
) -> None:
    assert await process.say("Hallo.", "de-DE", None)
    with pytest.raises(VoiceRefusedError, match="gave up"):
        await process.say(HANGS, "fr-FR", None)
    assert await process.say("Hallo.", "de-DE", None)


async def test_what_the_engine_fails_at_is_an_error_that_does_not_tell_the_words(
    process: PicoProcess,
) -> None:
    with pytest.raises(VoiceRefusedError) as caught:
        await process.say("Hallo.", "xx-XX", None)
    assert "Hallo" not in str(caught.value)
    assert await process.say("Hallo.", "de-DE", None)


async def test_a_process_that_was_killed_is_started_anew(process: PicoProcess) -> None:
    assert await process.say("Hallo.", "de-DE", None)
    children()[0].kill()
    with pytest.raises(VoiceRefusedError):
        await process.say("Hallo.", "de-DE", None)
    assert await process.say("Hallo.", "de-DE", None)


async def test_what_is_given_up_in_the_middle_leaves_nothing_behind(process: PicoProcess) -> None:
    await process.say("Hallo.", "de-DE", None)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await process.say(HANGS, "fr-FR", None)
    assert children() == []
    first, second = await process.say("Eins.", "de-DE", None), await process.say("Eins.", "de-DE", None)
    assert first == second


async def test_there_is_one_process_and_it_ends_with_the_voice() -> None:
    voice = PicoVoice()
    async with asyncio.TaskGroup() as tasks:
        for speaker, text in TEXTS.items():
            tasks.create_task(pcm_of(voice, text, Style(voice=speaker)))
    assert len(children()) == 1
    await voice.aclose()
    assert children() == []


async def test_the_process_ends_when_nobody_is_there_to_ask_it() -> None:
    code = (
        "import asyncio, os\n"
        "from libacli.edges.voices.pico_process import PicoProcess\n"
        "async def main():\n"
        "    process = PicoProcess()\n"
        "    await process.say('Hallo.', 'de-DE', None)\n"
        "    print(process._process.pid, flush=True)\n"
        "    os._exit(1)\n"
        "asyncio.run(main())\n"
    )
    ended = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True
    )
    child = int(ended.stdout)
    async with asyncio.timeout(5):
        while psutil.pid_exists(child):  # noqa: ASYNC110 - it is nobody's child any more
            await asyncio.sleep(0.01)


async def test_without_the_engine_the_way_to_install_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pico_process, "_PYTHON", [sys.executable, "-I", "-S"])  # no site-packages
    process = PicoProcess()
    with pytest.raises(ConfigError) as caught:
        await process.say("Hallo.", "de-DE", None)
    await process.aclose()
    assert caught.value.hint == "pip install 'libacli[local]'"
    monkeypatch.setitem(sys.modules, "py_nanotts", None)
    with pytest.raises(ConfigError):
        PicoVoice()


async def test_an_unknown_speaker_is_refused(voice: PicoVoice) -> None:
    with pytest.raises(VoiceRefusedError, match="no speaker 'emma'"):
        await pcm_of(voice, "Hello.", Style(voice="emma"))


async def test_the_loop_runs_on_while_speech_is_made(voice: PicoVoice) -> None:
    await voice.warm_up()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.001)

    async with asyncio.TaskGroup() as tasks:
        counting = tasks.create_task(count())
        assert is_audible(await pcm_of(voice, " ".join([TEXTS["british"]] * 10)))
        counting.cancel()
    assert turns > 20
