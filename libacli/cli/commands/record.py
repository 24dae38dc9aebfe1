"""liba record"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from libacli.cli.options import (
    ApiKey,
    ApiSecret,
    AsJson,
    ConfigFile,
    Project,
    Room,
    Url,
    livekit_settings,
    seconds,
)
from libacli.errors import UsageError

Place = Annotated[
    str | None,
    typer.Argument(
        metavar="FILE|URL",
        help="Where it goes: .mp4, or .wav with --audio-only; rtmp://, srt:// [setting: record.url]",
    ),
]
Duration = Annotated[
    str | None, typer.Option("--for", help="Stop after this long: 30s, 5m [default: at Ctrl-C]")
]
AudioOnly = Annotated[bool, typer.Option("--audio-only", help="Sound alone: WAV, 24 kHz mono 16 bit")]
Captions = Annotated[
    Literal["vtt", "srt"] | None,
    typer.Option("--captions", help="Write what was said beside it, in step: .vtt (WebVTT) or .srt"),
]
ForceFile = Annotated[bool, typer.Option("--force", help="Overwrite a file that is there")]


def record(
    place: Place = None,
    room: Room = None,
    duration: Duration = None,
    audio_only: AudioOnly = False,
    captions: Captions = None,
    force: ForceFile = False,
    as_json: AsJson = False,
    project: Project = None,
    url: Url = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    config: ConfigFile = None,
) -> None:
    """Record a room's speaker to a file, or to a live service.

    It begins with the first sound or picture of an agent. Ctrl-C is the usual end: the file is completed and
    the exit code is 0; it is 5 when no agent published anything, and then there is no file.

    A stream begins with the first picture, and is tried again for ever where its server goes away. Its
    address holds the key to your channel, and everybody on this machine can read a command line: put it into
    LIBA_RECORD_URL, or a file that LIBA_RECORD_URL_FILE names, and leave it out here.

    \b
    liba record --room demo out.mp4
    liba record --room demo --for 30s --audio-only out.wav
    liba record --room demo --captions vtt out.mp4       and out.vtt
    LIBA_RECORD_URL=rtmp://live.example.org/app/KEY liba record --room demo
    """
    from libacli.cli.runs.record_place import RecordPlace

    for_s = None if duration is None else seconds(duration)
    if for_s == 0:
        raise UsageError("--for must be 1s at least", hint="for example: --for 30s")
    wanted = RecordPlace.read(place)
    wanted.check(audio_only=audio_only, captions=captions, force=force)
    settings = livekit_settings(config, url, api_key, api_secret, project, say_room=room)
    target = wanted.target(settings.record_url)
    settings.livekit()  # what is missing is told before the rest is loaded

    from libacli.cli.runs.record import RecordRun

    RecordRun(
        settings,
        wanted.path or Path("the stream"),
        target=target,
        for_s=for_s,
        audio_only=audio_only,
        as_json=as_json,
        captions=captions,
    ).run()
