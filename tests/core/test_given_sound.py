"""What a say request tells of a sound that is given."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.caption_cue import CaptionCue
from libacli.core.given_sound import MOST_CAPTION_CHARS, MOST_SECONDS, GivenSound, most_bytes
from libacli.core.messages import SayRequest, read_say
from libacli.core.pace import longest_s
from libacli.errors import RefusedError

SHA = "ab" * 32
SOUND = GivenSound(SHA, 1500, (CaptionCue(0, 700, "One"), CaptionCue(700, 1500, "two.")))
MEMBERS: dict[str, Any] = SOUND.encode()


def read(**members: Any) -> SayRequest:
    return read_say(members, max_text_chars=10)


def test_a_request_with_a_sound_is_read_as_it_was_written() -> None:
    request = SayRequest("", id="u1", emotion="happiness", priority=3, sound=SOUND)
    encoded = json.loads(json.dumps(request.encode()))
    assert read_say(encoded, max_text_chars=1) == request
    assert (request.words, longest_s(request)) == ("One\ntwo.", 1.5)


def test_it_has_no_text_so_that_an_older_agent_refuses_it_and_reads_nothing_aloud() -> None:
    assert "text" not in SayRequest("", sound=SOUND).encode()


def test_other_captions_or_another_sound_are_another_utterance() -> None:
    sounds = (SOUND, replace(SOUND, captions=()), replace(SOUND, sha256="cd" * 32))
    assert len({SayRequest("", id="u1", sound=sound).fingerprint for sound in sounds}) == 3


@pytest.mark.parametrize(
    "members",
    [
        {"text": "Hello."},
        {"voice": "nova"},
        {"speed": 1.5},
        {"instructions": "gently"},
    ],
    ids=lambda members: "".join(members),
)
def test_what_is_for_a_voice_is_refused_with_a_sound(members: dict[str, Any]) -> None:
    with pytest.raises(RefusedError, match="no voice is asked") as caught:
        read(sound=MEMBERS, **members)
    assert caught.value.reason == "malformed"


WRONG: dict[str, Any] = {
    "no object": "file.mp3",
    "no digest": {"ms": 10},
    "no digits": {"sha256": "x" * 64, "ms": 10},
    "no length": {"sha256": SHA},
    "a length of nothing": {"sha256": SHA, "ms": 0},
    "hours": {"sha256": SHA, "ms": MOST_SECONDS * 1000 + 1},
    "half a millisecond": {"sha256": SHA, "ms": 0.5},
    "captions that are text": MEMBERS | {"captions": "One"},
    "a caption behind the end": MEMBERS | {"captions": [[0, 1501, "One"]]},
    "a caption backwards": MEMBERS | {"captions": [[10, 10, "One"]]},
    "a caption before the beginning": MEMBERS | {"captions": [[-1, 10, "One"]]},
    "captions out of order": MEMBERS | {"captions": [[10, 20, "a"], [0, 5, "b"]]},
    "a caption without text": MEMBERS | {"captions": [[0, 5, " \u200b"]]},
    "half a character": MEMBERS | {"captions": [[0, 5, "\ud83d"]]},
}


@pytest.mark.parametrize("sound", WRONG.values(), ids=WRONG)
def test_a_sound_that_is_described_wrongly_is_malformed(sound: object) -> None:
    with pytest.raises(RefusedError) as caught:
        read(sound=sound)
    assert caught.value.reason == "malformed"


def test_captions_have_a_bound() -> None:
    captions = [[at, at + 1, "x" * 1000] for at in range(MOST_CAPTION_CHARS // 1000 + 1)]
    with pytest.raises(RefusedError) as caught:
        read(sound=MEMBERS | {"captions": captions})
    assert caught.value.reason == "too_large"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(JSON | st.fixed_dictionaries({"sha256": st.just(SHA), "ms": JSON, "captions": JSON}))
def test_whatever_it_is_it_is_read_or_refused(sound: object) -> None:
    try:
        request = read(sound=sound, text=None)
    except RefusedError:
        return
    assert request.sound or sound is None


def test_flac_of_so_many_seconds_is_never_larger() -> None:
    assert most_bytes(600) > 600 * 48_000
