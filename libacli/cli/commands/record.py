"""liba record"""

from pathlib import Path
from typing import Annotated

import typer

from libacli.cli.options import ApiKey, ApiSecret, AsJson, ConfigFile, Room, Url, seconds, settings_from
from libacli.errors import LibaError, UsageError


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
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there")] = False,
    as_json: AsJson = False,
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
    """
    import asyncio

    for_s = None if duration is None else seconds(duration)
    if for_s == 0:
        raise UsageError("--for must be 1s at least", hint="for example: --for 30s")
    _check_place(path, audio_only=audio_only, force=force)
    settings = settings_from(
        config, livekit_url=url, livekit_api_key=api_key, livekit_api_secret=api_secret
    ).settings
    credentials = settings.livekit()

    from libacli.cli.runs.record import Recording

    recording = Recording(
        credentials,
        room=settings.say_room if room is None else room,
        path=path,
        for_s=for_s,
        audio_only=audio_only,
    )
    try:
        asyncio.run(recording.run())
    except LibaError:
        recording.show(as_json=as_json)  # what came before it is kept
        raise
    recording.show(as_json=as_json)


def _check_place(path: Path, *, audio_only: bool, force: bool) -> None:
    """Raises UsageError or LibaError when nothing can be recorded to `path`."""
    import tempfile

    wanted = ".wav" if audio_only else ".mp4"
    if path.suffix.lower() != wanted:
        other = "" if audio_only else "; --audio-only makes a .wav"
        raise UsageError(f"{path} must end in {wanted}", hint=f"for example: out{wanted}{other}")
    if path.is_dir():
        raise UsageError(f"{path} is a folder", hint="name a file in it")
    if path.exists() and not force:
        raise UsageError(f"{path} is there already", hint="overwrite it with --force, or choose another name")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
        if path.exists():
            with path.open("ab"):
                pass
    except OSError as error:
        raise LibaError(f"cannot write {path}: {error.strerror}", hint="choose another place") from error
