"""What a real subscriber of a real room hears."""

from __future__ import annotations

import asyncio

import pytest

from libacli.core.lifecycle import FINAL_STATES
from libacli.core.messages import SayRequest
from tests.hearing import words_in, words_of
from tests.live.conftest import ReadyRoom

pytestmark = pytest.mark.live

TAIL_S = 0.3
"""Sound that was played may still be on its way for this long."""

SENTENCES = [
    "The quick brown fox jumps over the lazy dog.",
    "Please bring your umbrella, because it will rain tomorrow.",
    "Every morning she walks along the river with her brother.",
    "A digital human can speak to people all around the world.",
    "Thank you very much for listening to my little speech today.",
]


async def spoken(ready_room: ReadyRoom, text: str, id: str) -> dict[str, object]:
    """Has `text` spoken and returns the final event, once its sound has arrived."""
    await ready_room.client.say(SayRequest(text, id=id))
    async with asyncio.timeout(60):
        event = await ready_room.listener.wait_for(id, *FINAL_STATES)
    await asyncio.sleep(TAIL_S)
    return event


async def test_every_word_of_five_sentences_is_heard(ready_room: ReadyRoom) -> None:
    for number, sentence in enumerate(SENTENCES):
        take = ready_room.listener.start_capture()
        event = await spoken(ready_room, sentence, f"s{number}")
        assert event["state"] == "done"
        assert words_in(bytes(take.pcm)) == words_of(sentence)


async def test_a_long_text_is_heard_to_its_last_word_without_a_gap_at_the_seams(
    ready_room: ReadyRoom,
) -> None:
    take = ready_room.listener.start_capture()
    event = await spoken(ready_room, " ".join(SENTENCES), "long")
    assert (event["state"], event.get("underruns", 0)) == ("done", 0)
    assert int(str(event["chunks"])) > 2
    assert words_in(bytes(take.pcm)) == words_of(" ".join(SENTENCES))
    assert max(take.gaps_s) < 0.6  # a pause of the voice, not a wait for it


async def test_two_lines_sent_at_once_come_in_order_and_not_together(ready_room: ReadyRoom) -> None:
    take = ready_room.listener.start_capture()
    await ready_room.client.say(SayRequest(SENTENCES[0], id="first"))
    second = await ready_room.client.say(SayRequest(SENTENCES[1], id="second"))
    assert second.acknowledgement and second.acknowledgement.position == 1
    async with asyncio.timeout(60):
        first_done = await ready_room.listener.wait_for("first", *FINAL_STATES)
        second_done = await ready_room.listener.wait_for("second", *FINAL_STATES)
    await asyncio.sleep(TAIL_S)
    assert first_done["state"] == second_done["state"] == "done"
    assert words_in(bytes(take.pcm)) == words_of(SENTENCES[0] + " " + SENTENCES[1])


async def test_the_marks_fit_what_was_heard(ready_room: ReadyRoom) -> None:
    take = ready_room.listener.start_capture()
    event = await spoken(ready_room, SENTENCES[0], "marks")
    assert event["route"] == "fallback"
    assert event["t3_source"] == "observed"
    played_s = float(str(event["d23"])) / 1000
    assert take.speech_s <= played_s <= take.speech_s + 2
    assert 0 <= float(str(event["d12"])) < float(str(event["total"]))


async def test_stop_is_heard_at_once(ready_room: ReadyRoom) -> None:
    take = ready_room.listener.start_capture()
    await ready_room.client.say(SayRequest(" ".join(SENTENCES), id="stopped"))
    async with asyncio.timeout(60):
        await ready_room.listener.wait_for("stopped", "audible")
    await asyncio.sleep(0.5)
    stopped_at = asyncio.get_running_loop().time()
    assert await ready_room.client.stop() == ["stopped"]
    async with asyncio.timeout(60):
        event = await ready_room.listener.wait_for("stopped", *FINAL_STATES)
    await asyncio.sleep(1)
    assert event["state"] == "interrupted"
    assert take.last_audible_at is not None
    assert take.last_audible_at - stopped_at < 0.5


async def test_the_text_is_sent_as_a_caption(ready_room: ReadyRoom) -> None:
    captions: asyncio.Queue[str] = asyncio.Queue()
    reading = []

    async def read(reader: object) -> None:
        captions.put_nowait(await reader.read_all())  # type: ignore[attr-defined]

    def on_stream(reader: object, identity: str) -> None:
        reading.append(asyncio.get_running_loop().create_task(read(reader)))

    ready_room.listener.room.register_text_stream_handler("lk.transcription", on_stream)
    await spoken(ready_room, "This is a caption.", "caption")
    async with asyncio.timeout(60):
        assert await captions.get() == "This is a caption."
    await asyncio.wait(reading)
