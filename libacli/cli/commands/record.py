"""liba record"""

import enum
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

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
    place: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE|URL",
            help="Where it goes: .mp4, or .wav with --audio-only; rtmp://, srt:// [setting: record.url]",
        ),
    ] = None,
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
    from libacli.cli.runs.record_place import check_captions_place, check_recording_place
    from libacli.edges.viewer.stream_target import StreamTarget, is_stream

    for_s = None if duration is None else seconds(duration)
    if for_s == 0:
        raise UsageError("--for must be 1s at least", hint="for example: --for 30s")
    to_file = place is not None and not is_stream(place)
    if place is not None and to_file:
        check_recording_place(Path(place), audio_only=audio_only, force=force)
        if captions:
            check_captions_place(Path(place).with_suffix(f".{captions.value}"), force=force)
    elif captions:
        raise UsageError("--captions are written beside a file", hint="liba record --captions vtt out.mp4")
    given = SecretStr(place) if place is not None and not to_file else None
    settings = livekit_settings(config, url, api_key, api_secret, project)
    target = None if to_file else StreamTarget.read(given or settings.record_url or _no_place())
    credentials = settings.livekit()  # what is missing is told before the rest is loaded

    from libacli.cli.runs.record import RecordRun

    RecordRun(
        credentials,
        room=settings.say_room if room is None else room,
        path=Path(place) if place is not None and to_file else Path("the stream"),
        target=target,
        for_s=for_s,
        audio_only=audio_only,
        as_json=as_json,
        captions=captions.value if captions else None,
        agent_name=settings.agent_name,
        previous=settings.livekit_previous(),
    ).run()


def _no_place() -> SecretStr:
    raise UsageError(
        "nothing says where it goes", hint="name a file: liba record out.mp4; or set LIBA_RECORD_URL"
    )
