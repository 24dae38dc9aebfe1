"""liba say"""

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from libacli.cli.options import ApiKey, ApiSecret, AsJson, ConfigFile, Project, Room, Url, livekit_settings
from libacli.errors import UsageError


class Emotion(enum.StrEnum):
    neutral = "neutral"
    happiness = "happiness"
    sadness = "sadness"
    anger = "anger"
    fear = "fear"
    surprise = "surprise"
    disgust = "disgust"
    contempt = "contempt"


class Level(enum.StrEnum):
    accepted = "accepted"
    audible = "audible"
    done = "done"


class Markdown(enum.StrEnum):
    auto = "auto"
    on = "on"
    off = "off"


def say(
    text: Annotated[
        str | None, typer.Argument(help="What to say; - reads standard input as it comes")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Say what is in this file")] = None,
    audio: Annotated[
        Path | None,
        typer.Option(
            "--audio",
            metavar="FILE",
            help="Have this sound heard instead of a voice; - reads it from standard input",
        ),
    ] = None,
    shown: Annotated[
        str | None, typer.Option("--text", help="With --audio: what is shown while it is heard")
    ] = None,
    captions: Annotated[
        Path | None,
        typer.Option(
            "--captions",
            metavar="FILE",
            help="With --audio: WebVTT or SRT, shown in step [default: the .vtt or .srt beside it]",
        ),
    ] = None,
    room: Room = None,
    wait: Annotated[
        Level | None,
        typer.Option("--wait", help="What to wait for [default: audible on a terminal, else accepted]"),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", min=0.1, help="Seconds to wait, pauses aside [default: fits the text]"),
    ] = None,
    markdown: Annotated[
        Markdown | None,
        typer.Option(help="Read Markdown as prose [default: auto for standard input, else off]"),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(
            "--encoding", metavar="NAME", help="Of standard input or --file [default: UTF-8, or a guess]"
        ),
    ] = None,
    voice: Annotated[str | None, typer.Option("--voice", help="Voice for this utterance")] = None,
    speed: Annotated[
        float | None, typer.Option("--speed", min=0.25, max=4.0, help="Pace, 1 is normal")
    ] = None,
    instructions: Annotated[str | None, typer.Option("--instructions", help="Tone and manner")] = None,
    emotion: Annotated[
        Emotion | None, typer.Option("--emotion", help="What the avatar's face shows with it")
    ] = None,
    utterance_id: Annotated[str | None, typer.Option("--id", help="Id; the same id is spoken once")] = None,
    ttl: Annotated[
        float | None, typer.Option("--ttl", min=0.001, help="Drop it after so many seconds in the queue")
    ] = None,
    interrupt: Annotated[
        bool, typer.Option("--interrupt", help="Stop what is spoken, clear the queue, say this")
    ] = False,
    priority: Annotated[int, typer.Option("--priority", min=-100, max=100, help="Higher goes first")] = 0,
    require_avatar: Annotated[
        bool, typer.Option("--require-avatar", help="Exit 9 unless the avatar spoke it")
    ] = False,
    as_json: AsJson = False,
    project: Project = None,
    url: Url = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    config: ConfigFile = None,
) -> None:
    """Make the agent of a room say something.

    \b
    liba say "Hello." --room demo
    liba say "Hello." --wait done --json
    some-model | liba say -                sentence by sentence, as they come
    liba say "Ready? [pause 1.5s] Go."     with silence in between
    liba say --audio greeting.mp3          a sound that is there already
    """
    import asyncio
    import sys

    from libacli.cli.runs.say import SayRun
    from libacli.cli.runs.text_file import text_of

    if audio:
        of_voices = {"--file": file, "--markdown": markdown, "--voice": voice, "--speed": speed}
        _check_audio(text, of_voices | {"--instructions": instructions, "--encoding": encoding})
    elif shown is not None or captions:
        raise UsageError("--text and --captions are for --audio", hint='liba say "Hello."')
    elif (text is None) == (file is None):
        raise UsageError("give a text, or --file, or - for standard input", hint='liba say "Hello."')
    known_encoding = _known_encoding(encoding, is_read=text == "-" or file is not None)
    is_watched = wait is None and text != "-" and not as_json and sys.stdout.isatty()
    unasked = Level.audible if is_watched else Level.accepted
    settings = livekit_settings(config, url, api_key, api_secret, project)
    members = {
        "id": utterance_id,
        "voice": voice,
        "speed": speed,
        "instructions": instructions,
        "emotion": emotion and emotion.value,
        "interrupt": interrupt or None,
        "priority": priority or None,
        "ttl_ms": None if ttl is None else max(1, round(ttl * 1000)),
    }
    run = SayRun(
        settings,
        room=settings.say_room if room is None else room,
        members={name: value for name, value in members.items() if value is not None},
        markdown=(markdown or (Markdown.auto if text == "-" else Markdown.off)).value,
        level=(Level.done if require_avatar else wait or unasked).value,
        is_watched=is_watched and not require_avatar,
        timeout_s=timeout,
        require_avatar=require_avatar,
        as_json=as_json,
    )
    if audio:
        from libacli.cli.runs.say_audio import prepared

        sound = prepared(audio, text=shown, captions=captions, max_s=settings.say_max_sound)
        asyncio.run(run.sound(sound))
    elif text == "-":
        asyncio.run(run.stream(known_encoding))
    else:
        asyncio.run(run.once(text_of(file, known_encoding or "utf-8") if file else text or ""))


def _known_encoding(name: str | None, *, is_read: bool) -> str:
    """What Python calls it; empty: none is given. Raises UsageError."""
    from libacli.core.encoding_guess import python_name

    if name is None:
        return ""
    if not is_read:
        raise UsageError("--encoding is for standard input and --file", hint="leave it out")
    if not (known := python_name(name)):
        raise UsageError(
            f"there is no encoding {name!r}", hint="koi8-r, cp1251, iso8859-2, shift_jis, gb18030, euc-kr..."
        )
    return known


def _check_audio(text: str | None, of_voices: Mapping[str, object]) -> None:
    """Raises UsageError for what does not go with --audio."""
    if text is not None:
        raise UsageError("--audio has it heard as it is", hint="--text shows a text while it is heard")
    if given := [name for name, value in of_voices.items() if value is not None]:
        raise UsageError(
            f"{given[0]} does not go with --audio: no voice is asked", hint=f"leave {given[0]} out"
        )
