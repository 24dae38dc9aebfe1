"""Where a live stream goes: an address that is a secret, as it holds the key to somebody's channel."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from libacli.errors import ConfigError, UsageError

FORMATS = {"rtmp": "flv", "rtmps": "flv", "srt": "mpegts"}
"""What each protocol carries, as FFmpeg calls it."""


def is_stream(text: str) -> bool:
    """Whether that is the address of a live stream, and no file."""
    return text.partition("://")[0].lower() in FORMATS and "://" in text


@dataclass(frozen=True)
class StreamTarget:
    """An address to send to."""

    url: SecretStr

    @classmethod
    def read(cls, url: SecretStr) -> StreamTarget:
        """Raises UsageError, which does not quote it."""
        text = url.get_secret_value().strip()
        try:
            parts = urlsplit(text)
            is_whole = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            is_whole = False
        if not is_stream(text) or not is_whole or any(not letter.isprintable() for letter in text):
            raise UsageError(
                "that is no address of a live stream",
                hint="it is like rtmp://live.example.org/app/KEY or srt://live.example.org:9000",
            )
        return cls(SecretStr(text))

    @property
    def protocol(self) -> str:
        return urlsplit(self.url.get_secret_value()).scheme.lower()

    @property
    def shown(self) -> str:
        """What may be told: all that comes after the host may be the key, and so may a name before it."""
        parts = urlsplit(self.url.get_secret_value())
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{self.protocol}://{host}{f':{parts.port}' if parts.port else ''}"

    def check(self) -> None:
        """Raises ConfigError where this machine's PyAV does not speak its protocol."""
        import av

        if self.protocol != "srt":  # PyAV's own wheels have the others
            return
        try:
            with av.open("srt:", "w", format=FORMATS[self.protocol]) as container:
                container.add_stream("aac", rate=48_000)
                container.start_encoding()
        except av.ProtocolNotFoundError as error:
            raise ConfigError(
                f"the PyAV that is installed cannot send by {self.protocol}: its FFmpeg was built without it",
                hint="send to an rtmp:// address, or install PyAV from its source with an FFmpeg that can: "
                "pip install --no-binary av av",
            ) from error
        except (OSError, av.FFmpegError):
            pass  # it knows the protocol, and rightly asks for more of an address
