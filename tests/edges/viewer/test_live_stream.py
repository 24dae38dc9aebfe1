"""What a server gets of a live stream: a receiver by RTMP on loopback, in threads, in real time."""

from __future__ import annotations

import queue
import socket
import threading
from contextlib import suppress
from pathlib import Path

import av
import pytest
from pydantic import SecretStr

from libacli.core.audio import BYTES_PER_SECOND
from libacli.edges.viewer.live_stream import LiveStream
from libacli.edges.viewer.media_file import Picture
from libacli.edges.viewer.stream_target import StreamTarget, is_stream
from libacli.errors import ConfigError, UsageError
from tests.film import DARK, LIGHT, beep, plain, read

KEY = "canary-stream-key"
TICK_S = 0.04
SIZE = (160, 120)


class Receiver:
    """Takes one stream by RTMP and puts what comes into `path`, until its sender or `most` packets end it."""

    def __init__(self, port: int, path: Path, *, most: int = 1_000_000) -> None:
        self._url, self._path, self._most = f"rtmp://127.0.0.1:{port}/live/{KEY}", path, most
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def join(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _receive(self) -> None:
        with (
            av.open(self._url, options={"listen": "1"}, timeout=60) as source,
            av.open(str(self._path), "w") as kept,
        ):
            streams = {one.index: kept.add_stream_from_template(one) for one in source.streams}
            with suppress(OSError, av.FFmpegError):  # how a sender says goodbye
                for number, packet in enumerate(source.demux()):
                    if packet.dts is None or number > self._most:
                        break
                    packet.stream = streams[packet.stream_index]
                    kept.mux(packet)


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


class Told(queue.Queue[str]):
    """What the user was told; each is waited for."""

    def until(self, words: str) -> str:
        while words not in (told := self.get(timeout=60)):
            pass
        return told


def stream(port: int, told: Told, *, audio_only: bool = False) -> LiveStream:
    target = StreamTarget.read(SecretStr(f"rtmp://127.0.0.1:{port}/live/{KEY}"))
    return LiveStream(target, audio_only=audio_only, tell=told.put)


def shoot(live: LiveStream, ticks: range, *, with_pictures: bool = True) -> None:
    """A film that flashes and beeps for 160 ms in the middle of each second."""
    for tick in ticks:
        is_on = 12 <= tick % 25 < 16
        if with_pictures:
            live.picture(Picture(*SIZE, plain(*SIZE, LIGHT if is_on else DARK), SIZE), tick * TICK_S)
        live.sound(beep(40) if is_on else bytes(round(BYTES_PER_SECOND * TICK_S)))


def test_what_arrives_has_all_pictures_and_flashes_when_it_beeps(port: int, tmp_path: Path) -> None:
    told = Told()
    receiver = Receiver(port, tmp_path / "got.mp4")
    live = stream(port, told)
    shoot(live, range(50))
    told.until("takes the stream")
    shoot(live, range(50, 250))
    live.close()
    receiver.join()
    film = read(tmp_path / "got.mp4")
    assert film.size == SIZE
    assert 198 <= len(film.pictures) <= 200  # all of the groups that began since
    assert len(film.flashes) == len(film.beeps) == 8
    assert max(abs(lag) for lag in film.lags) < 0.06
    assert (live.connections, live.dropped_groups) == (1, 0)


def test_pictures_that_stop_are_repeated_so_that_the_sound_goes_on(port: int, tmp_path: Path) -> None:
    told = Told()
    receiver = Receiver(port, tmp_path / "got.mp4")
    live = stream(port, told)
    shoot(live, range(25))
    told.until("takes the stream")
    shoot(live, range(25, 50))
    shoot(live, range(50, 250), with_pictures=False)
    live.close()
    receiver.join()
    film = read(tmp_path / "got.mp4")
    assert film.pictures[-1] > 5.0
    assert len(film.beeps) >= 6


def test_a_server_that_goes_away_is_tried_again_and_gets_a_stream_that_begins_anew(
    port: int, tmp_path: Path
) -> None:
    told = Told()
    live = stream(port, told)
    shoot(live, range(1))
    complaint = told.until("does not take the stream")
    assert KEY not in complaint
    first = Receiver(port, tmp_path / "first.mp4", most=20)
    tick = 1
    while first._thread.is_alive():
        shoot(live, range(tick, tick + 25))
        tick += 25
        first._thread.join(0.05)
    second = Receiver(port, tmp_path / "second.mp4")
    for _ in range(2):
        told.until("takes the stream")
    shoot(live, range(tick, tick + 100))
    live.close()
    second.join()
    film = read(tmp_path / "second.mp4")
    assert film.pictures[0] < 0.1
    assert film.flashes
    assert live.connections == 2
    assert all(KEY not in words for words in told.queue)


def test_nobody_who_takes_it_costs_no_memory_and_no_time(port: int) -> None:
    live = stream(port, Told())
    shoot(live, range(400))
    assert live._sender._waiting.bytes <= 6_000_000
    live.close()
    assert live.connections == 0


def test_sound_alone_is_sent_where_that_is_asked_for(port: int, tmp_path: Path) -> None:
    told = Told()
    receiver = Receiver(port, tmp_path / "got.mp4")
    live = stream(port, told, audio_only=True)
    shoot(live, range(2), with_pictures=False)
    told.until("takes the stream")
    shoot(live, range(2, 102), with_pictures=False)
    live.close()
    receiver.join()
    film = read(tmp_path / "got.mp4")
    assert (film.pictures, len(film.beeps)) == ([], 4)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"rtmp://live.example.org/app/{KEY}", "rtmp://live.example.org"),
        (f"rtmps://user:{KEY}@live.example.org:443/app?auth={KEY}", "rtmps://live.example.org:443"),
        (f"srt://[::1]:9000?passphrase={KEY}", "srt://[::1]:9000"),
    ],
)
def test_of_an_address_the_host_alone_is_told(url: str, shown: str) -> None:
    target = StreamTarget.read(SecretStr(url))
    assert target.shown == shown
    assert KEY not in repr(target)


@pytest.mark.parametrize(
    "url", ["rtmp:", "rtmp://", "rtmp:///app", "out.mp4", "http://a/b", "rtmp://a:99999/b", "rtmp://a\n/b"]
)
def test_what_is_no_address_of_a_stream_is_told_without_quoting_it(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        StreamTarget.read(SecretStr(url))
    assert str(caught.value) == "that is no address of a live stream"


@pytest.mark.parametrize(
    ("place", "is_one"), [("rtmp://h/a", True), ("SRT://h:1", True), ("out.mp4", False), ("rtmp", False)]
)
def test_a_file_is_no_stream(place: str, is_one: bool) -> None:
    assert is_stream(place) is is_one


def test_a_protocol_that_this_pyav_has_not_is_told_before_anything_begins() -> None:
    StreamTarget.read(SecretStr("rtmp://h/a")).check()
    try:
        StreamTarget.read(SecretStr("srt://h:1")).check()
    except ConfigError as error:
        assert "built without it" in str(error)
        assert "rtmp://" in error.hint
