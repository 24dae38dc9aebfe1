"""liba record"""

import enum
from pathlib import Path
from typing import Annotated

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


class CaptionFormat(enum.StrEnum):
    vtt = "vtt"
    srt = "srt"


def record(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="Where it goes: .mp4, or .wav with --audio-only")
    ],
    room: Room = None,
    duration: Annotated[
        str | None, typer.Option("--for", help="Stop after this long: 30s, 5m [default: at Ctrl-C]")
    ] = None,
    audio_only: Annotated[
        bool, typer.Option("--audio-only", help="Sound alone: WAV, 24 kHz mono 16 bit")
    ] = False,
    captions: Annotated[
        CaptionFormat | None,
        typer.Option(
            "--captions",
            help="Write what was said beside it, in step: .vtt (WebVTT) or .srt",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there")] = False,
    as_json: AsJson = False,
    project: Project = None,
    url: Url = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    config: ConfigFile = None,
) -> None:
    """Record a room's speaker, picture and sound, until Ctrl-C.

    It begins with the first sound or picture of an agent. Ctrl-C is the usual end: the file is completed and
    the exit code is 0; it is 5 when no agent published anything, and then there is no file.

    \b
    liba record --room demo out.mp4
    liba record --room demo --for 30s --audio-only out.wav
    liba record --room demo --captions vtt out.mp4       and out.vtt
    """
    from libacli.cli.runs.record_place import check_captions_place, check_recording_place

    for_s = None if duration is None else seconds(duration)
    if for_s == 0:
        raise UsageError("--for must be 1s at least", hint="for example: --for 30s")
    check_recording_place(path, audio_only=audio_only, force=force)
    if captions:
        check_captions_place(path.with_suffix(f".{captions.value}"), force=force)
    settings = livekit_settings(config, url, api_key, api_secret, project)
    credentials = settings.livekit()  # what is missing is told before the rest is loaded

    from libacli.cli.runs.record import RecordRun

    RecordRun(
        credentials,
        room=settings.say_room if room is None else room,
        path=path,
        for_s=for_s,
        audio_only=audio_only,
        as_json=as_json,
        captions=captions.value if captions else None,
        agent_name=settings.agent_name,
        previous=settings.livekit_previous(),
    ).run()
