"""liba say"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from libacli.cli.options import (
    ApiKey,
    ApiSecret,
    AsJson,
    ConfigFile,
    Instructions,
    Project,
    Room,
    Speed,
    Url,
    livekit_settings,
)

Text = Annotated[str | None, typer.Argument(help="What to say; - reads standard input as it comes")]
TextFile = Annotated[Path | None, typer.Option("--file", "-f", help="Say what is in this file")]
Audio = Annotated[
    Path | None,
    typer.Option(
        "--audio",
        metavar="FILE",
        help="Have this sound heard instead of a voice; - reads it from standard input",
    ),
]
ShownText = Annotated[
    str | None, typer.Option("--text", help="With --audio: what is shown while it is heard")
]
Captions = Annotated[
    Path | None,
    typer.Option(
        "--captions",
        metavar="FILE",
        help="With --audio: WebVTT or SRT, shown in step [default: the .vtt or .srt beside it]",
    ),
]
WaitFor = Annotated[
    Literal["accepted", "audible", "done"] | None,
    typer.Option("--wait", help="What to wait for [default: audible on a terminal, else accepted]"),
]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", min=0.1, help="Seconds to wait, pauses aside [default: fits the text]"),
]
Markdown = Annotated[
    Literal["auto", "on", "off"] | None,
    typer.Option(help="Read Markdown as prose [default: auto for standard input, else off]"),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        "--encoding", metavar="NAME", help="Of standard input or --file [default: UTF-8, or a guess]"
    ),
]
Voice = Annotated[str | None, typer.Option("--voice", help="Voice for this utterance")]
Emotion = Annotated[
    Literal["neutral", "happiness", "sadness", "anger", "fear", "surprise", "disgust", "contempt"] | None,
    typer.Option("--emotion", help="What the avatar's face shows with it"),
]
UtteranceId = Annotated[str | None, typer.Option("--id", help="Id; the same id is spoken once")]
Ttl = Annotated[
    float | None,
    typer.Option("--ttl", min=0.001, max=86_400, help="Drop it after so many seconds in the queue"),
]
Interrupt = Annotated[
    bool, typer.Option("--interrupt", help="Stop what is spoken, clear the queue, say this")
]
Priority = Annotated[int, typer.Option("--priority", min=-100, max=100, help="Higher goes first")]
RequireAvatar = Annotated[bool, typer.Option("--require-avatar", help="Exit 9 unless the avatar spoke it")]


def say(
    text: Text = None,
    file: TextFile = None,
    audio: Audio = None,
    shown: ShownText = None,
    captions: Captions = None,
    room: Room = None,
    wait: WaitFor = None,
    timeout: Timeout = None,
    markdown: Markdown = None,
    encoding: Encoding = None,
    voice: Voice = None,
    speed: Speed = None,
    instructions: Instructions = None,
    emotion: Emotion = None,
    utterance_id: UtteranceId = None,
    ttl: Ttl = None,
    interrupt: Interrupt = False,
    priority: Priority = 0,
    require_avatar: RequireAvatar = False,
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
    from libacli.cli.runs.say_given import SayGiven

    given = SayGiven(text, file, audio, shown, captions, encoding)
    given.check(markdown=markdown, voice=voice, speed=speed, instructions=instructions)
    settings = livekit_settings(config, url, api_key, api_secret, project, say_room=room)
    manner = {"voice": voice, "speed": speed, "instructions": instructions, "emotion": emotion}
    turn = {"id": utterance_id, "interrupt": interrupt, "priority": priority, "ttl": ttl}

    from libacli.cli.runs.say import SayRun

    run = SayRun.asked(
        settings,
        manner | turn,
        markdown=markdown or given.usual_markdown,
        wait=wait,
        may_be_watched=not given.is_stream,
        timeout_s=timeout,
        require_avatar=require_avatar,
        as_json=as_json,
    )
    given.hand_to(run)
