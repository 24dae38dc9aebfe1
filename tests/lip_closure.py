"""Whether lips meet where a text has an m, b or p: sentences, and what is counted in them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from libacli.core.audio import FRAME_BYTES, FRAME_MS
from libacli.core.mouth import MouthShape
from libacli.local.mouth_track import MouthTrack
from tests.timed_phonemes import Sound

SENTENCES = (
    "Mum bumped a bumper pump.",
    "Bob made my map.",
    "Peter Piper picked a peck of pickled peppers.",
    "People remember simple problems better than complex ones.",
    "Please bring the blue umbrella back by Monday.",
    "My computer stopped responding in the middle of the meeting.",
    "A number of members complained about the temperature.",
    "Welcome, and thank you for coming to our museum.",
    "The plumber replaced the broken pipe before breakfast.",
    "Tomorrow morning we begin the public part of the program.",
    "She bought a pound of butter, some bread and a bag of apples.",
    "It is not possible to predict what the company may become.",
    "Maybe both of them jumped from the boat.",
    "Remember to submit the completed form by September.",
    "The baby laughed at the big purple balloon.",
    "Our team improved the map in the past few months.",
    "Every player in the band played a memorable part.",
    "I am happy to be able to help you with that problem.",
    "The camera moved slowly past the empty platform.",
    "Good evening, and good luck to the whole crew.",
    "Most of the time he simply smiled.",
    "Climb up the ramp and stop at the top of the steps.",
    "Have you ever been to a museum of modern music?",
    "Perhaps the most important point comes at the beginning.",
    "From Paris to Berlin, the express stops in Mannheim.",
    "Keep your tempo, and mind the bumps in the pavement.",
    "The bulb above the lamp makes a humming sound.",
    "Nobody can remember the name of the first prime minister.",
    "A simple sample sums up the proposal.",
    "Stop, look, and listen before you jump.",
)

ORDINARY = (
    "The birch canoe slid on the smooth planks.",
    "Glue the sheet to the dark blue background.",
    "It's easy to tell the depth of a well.",
    "These days a chicken leg is a rare dish.",
    "Rice is often served in round bowls.",
    "The juice of lemons makes fine punch.",
    "The box was thrown beside the parked truck.",
    "The hogs were fed chopped corn and garbage.",
    "Four hours of steady work faced us.",
    "A large size in stockings is hard to sell.",
    "The boy was there when the sun rose.",
    "A rod is used to catch pink salmon.",
    "The source of the huge river is the clear spring.",
    "Kick the ball straight and follow through.",
    "Help the woman get back to her feet.",
    "A pot of tea helps to pass the evening.",
    "Smoky fires lack flame and heat.",
    "The soft cushion broke the man's fall.",
    "The salt breeze came across from the sea.",
    "The girl at the booth sold fifty bonds.",
    "The small pup gnawed a hole in the sock.",
    "The fish twisted and turned on the bent hook.",
    "Press the pants and sew a button on the vest.",
    "The swan dive was far short of perfect.",
    "The beauty of the view stunned the young boy.",
    "Two blue fish swam in the tank.",
    "Her purse was full of useless trash.",
    "The colt reared and threw the tall rider.",
    "It snowed, rained, and hailed the same morning.",
    "Read verse out loud for pleasure.",
)
"""Lists 1 to 3 of the Harvard sentences (IEEE Trans. Audio and Electroacoustics 17, 1969), whose sounds are
as frequent as in English: in the others lips meet so often that openness cannot go with loudness."""

NEAR_S = 0.06
"""Lips may meet so much before or after the sound."""


@dataclass
class Closures:
    """What lips did, in all sentences together."""

    asked: int = 0
    """Sounds at which lips have to meet."""

    closed: int = 0
    """Those at which they did."""

    others: int = 0
    """Sounds with open lips, away from such sounds and from pauses."""

    wrong: int = 0
    """Those at which they met none the less."""

    @property
    def share(self) -> float:
        return self.closed / self.asked

    @property
    def wrong_share(self) -> float:
        return self.wrong / self.others

    def count(self, sounds: Sequence[Sound], times: Sequence[float], openness: Sequence[float]) -> None:
        """Adds one sentence; `openness` is that of pictures at `times`."""
        shut = [at for at, value in zip(times, openness, strict=True) if value == 0]
        closings = [sound for sound in sounds if sound.viseme in ("PP", "sil")]
        for sound in sounds:
            if sound.viseme == "PP":
                self.asked += 1
                self.closed += any(sound.start - NEAR_S <= at <= sound.end + NEAR_S for at in shut)
            elif sound.viseme != "sil" and not any(_are_near(sound, other) for other in closings):
                self.others += 1
                self.wrong += any(sound.start <= at <= sound.end for at in shut)


def _are_near(one: Sound, other: Sound) -> bool:
    return one.start - NEAR_S < other.end and other.start < one.end + NEAR_S


def pcm_of(wave: NDArray[numpy.float32], *, peak: float = 0.5) -> bytes:
    """s16le of a wave in whole frames, as loud as a voice usually is."""
    scaled = wave * (peak / max(1e-6, float(numpy.abs(wave).max())))
    pcm = (scaled * 32767).astype("<i2").tobytes()
    return pcm + bytes(-len(pcm) % FRAME_BYTES)


def shapes_of(pcm: bytes, *, batch_frames: int = 10) -> list[MouthShape]:
    """The mouth of an utterance that comes in pieces."""
    track, shapes = MouthTrack(), list[MouthShape]()
    for start in range(0, len(pcm), batch_frames * FRAME_BYTES):
        piece = pcm[start : start + batch_frames * FRAME_BYTES]
        latest = track.push(piece)
        fresh = len(piece) // FRAME_BYTES
        del shapes[len(shapes) + fresh - len(latest) :]
        shapes += latest
    return shapes


def pictured(shapes: Sequence[MouthShape], *, fps: float = 25.0) -> tuple[list[float], list[MouthShape]]:
    """Times of pictures, and the mouth in each."""
    count = int(len(shapes) * FRAME_MS / 1000 * fps)
    times = [number / fps for number in range(count)]
    return times, [shapes[min(len(shapes) - 1, int(at * 1000 / FRAME_MS + 1e-6))] for at in times]


def openness_and_loudness(pcm: bytes, shapes: Sequence[MouthShape]) -> float:
    """Correlation of how far a mouth is open with how loud it is, frame by frame."""
    return statistics.correlation(loudness(pcm), [shape.openness for shape in shapes])


def loudness(pcm: bytes) -> list[float]:
    """Of each frame: its energy to the power of 0.3, as it seems."""
    samples = numpy.frombuffer(pcm, "<i2").astype(float).reshape(-1, FRAME_BYTES // 2)
    return [float(value) for value in (samples**2).mean(axis=1) ** 0.3]
