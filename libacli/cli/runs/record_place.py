"""Where a recording goes, and whether one can be made there; loads little, so that this is told at once."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from libacli.core.subtitles import SubtitleFormat
from libacli.edges.viewer.stream_target import StreamTarget
from libacli.errors import FileError, UsageError
from libacli.private_files import check_replaceable


@dataclass(frozen=True)
class RecordPlace:
    """A file, or the address of a live stream; or neither, where the settings have an address."""

    path: Path | None = None
    address: SecretStr | None = None

    @classmethod
    def read(cls, place: str | None) -> RecordPlace:
        """As it stands on the command line."""
        if place is None:
            return cls()
        return cls(address=SecretStr(place)) if "://" in place else cls(path=Path(place))

    def check(self, *, audio_only: bool, captions: SubtitleFormat | None, force: bool) -> None:
        """Raises UsageError or FileError when that cannot be recorded there."""
        if self.path is None:
            if captions:
                raise UsageError(
                    "--captions are written beside a file", hint="liba record --captions vtt out.mp4"
                )
            return
        check_recording_place(self.path, audio_only=audio_only, force=force)
        if captions:
            check_captions_place(self.path.with_suffix(f".{captions}"), force=force)

    def target(self, usual: SecretStr | None) -> StreamTarget | None:
        """Where a stream is sent, `usual` where the command line names nothing; None: it goes to a file.

        Raises UsageError for what is no address, or where there is none.
        """
        if self.path is not None:
            return None
        if not (address := self.address or usual):
            raise UsageError(
                "nothing says where it goes",
                hint="name a file: liba record out.mp4; or set LIBA_RECORD_URL",
            )
        return StreamTarget.read(address)


def check_recording_place(path: Path, *, audio_only: bool, force: bool) -> None:
    """Raises UsageError or FileError when nothing can be recorded to `path`."""
    wanted = ".wav" if audio_only else ".mp4"
    if path.suffix.lower() != wanted:
        other = "" if audio_only else "; --audio-only makes a .wav"
        raise UsageError(f"{path} must end in {wanted}", hint=f"for example: out{wanted}{other}")
    _check_place(path, force=force)


def check_captions_place(path: Path, *, force: bool) -> None:
    """The same for the captions that are written beside it."""
    _check_place(path, force=force)


def _check_place(path: Path, *, force: bool) -> None:
    if path.is_dir():
        raise UsageError(f"{path} is a folder", hint="name a file in it")
    if path.exists() and not force:
        raise UsageError(f"{path} is there already", hint="overwrite it with --force, or choose another name")
    try:
        check_replaceable(path)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
        if path.exists():
            with path.open("ab"):
                pass
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}", hint="choose another place") from error
