"""What goes into a recording's file, read back from it."""

from __future__ import annotations

import resource
import threading
import wave
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from libacli.core.audio import BYTES_PER_SECOND, SAMPLE_RATE
from libacli.edges.viewer.file_writer import FileWriter, check_space
from libacli.edges.viewer.media_file import MediaFile, Mp4File, Picture, WavFile
from libacli.errors import FileError, LibaError
from tests.film import DARK, LIGHT, Film, beep, plain, read

TICK_S = 0.04
TICK_BYTES = round(BYTES_PER_SECOND * TICK_S)
SIZE = (320, 240)


def picture(light: int, size: tuple[int, int] = SIZE, full_size: tuple[int, int] | None = None) -> Picture:
    return Picture(*size, plain(*size, light), full_size or size)


def pattern(tick: int) -> tuple[bytes, Picture]:
    """40 ms of a film that flashes and beeps for 160 ms in the middle of each second."""
    is_on = 12 <= tick % 25 < 16
    return (beep(40) if is_on else bytes(TICK_BYTES)), picture(LIGHT if is_on else DARK)


def shoot(file: MediaFile, ticks: range, *, with_pictures: bool = True) -> None:
    for tick in ticks:
        sound, image = pattern(tick)
        file.sound(sound)
        if with_pictures:
            file.picture(image, tick * TICK_S)


def in_sync(film: Film) -> bool:
    return bool(film.lags) and max(abs(lag) for lag in film.lags) < 0.04


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.mp4"


def test_a_film_has_all_its_pictures_and_flashes_when_it_beeps(path: Path) -> None:
    file = Mp4File(path)
    shoot(file, range(250))
    file.close()
    film = read(path)
    assert film.size == file.size == SIZE
    assert len(film.pictures) == 250
    assert film.sound_s == pytest.approx(10, abs=0.05)
    assert film.pictures[-1] == pytest.approx(249 * TICK_S)
    assert len(film.flashes) == len(film.beeps) == 10
    assert in_sync(film)


def test_a_picture_that_comes_late_does_not_move_the_sound(path: Path) -> None:
    file = Mp4File(path)
    shoot(file, range(100), with_pictures=False)
    shoot(file, range(100, 200))
    file.close()
    film = read(path)
    assert len(film.pictures) == 100
    assert film.pictures[0] == pytest.approx(4.0)
    assert len(film.beeps) == 8
    assert len(film.flashes) == 4
    assert in_sync(film)
    assert list(path.parent.iterdir()) == [path]


def test_pictures_at_odd_times_are_shown_at_these_times(path: Path) -> None:
    times = [0.0, 0.031, 0.032, 0.5, 3.25]
    file = Mp4File(path)
    file.sound(bytes(4 * BYTES_PER_SECOND))
    for at_s in times:
        file.picture(picture(DARK), at_s)
    file.close()
    assert read(path).pictures == pytest.approx(times, abs=0.001)


def test_a_picture_that_is_older_than_the_last_one_comes_right_after_it(path: Path) -> None:
    file = Mp4File(path)
    file.sound(bytes(BYTES_PER_SECOND))
    file.picture(picture(DARK), 0.5)
    file.picture(picture(LIGHT), 0.4)
    file.close()
    assert read(path).pictures == pytest.approx([0.5, 0.5], abs=0.001)


def test_a_film_without_a_picture_is_sound_alone(path: Path) -> None:
    file = Mp4File(path)
    shoot(file, range(75), with_pictures=False)
    file.close()
    film = read(path)
    assert film.pictures == []
    assert film.sound_s == pytest.approx(3, abs=0.05)
    assert len(film.beeps) == 3


@pytest.mark.parametrize(
    ("first", "full", "later", "in_file"),
    [
        ((320, 240), (320, 240), (160, 120), (320, 240)),
        ((320, 240), (320, 240), (641, 479), (320, 240)),
        ((160, 120), (640, 480), (640, 480), (640, 480)),
        ((321, 241), (321, 241), (321, 241), (320, 240)),
        ((18, 18), (18, 18), (50, 20), (18, 18)),
    ],
)
def test_all_pictures_get_the_first_ones_size(
    path: Path,
    first: tuple[int, int],
    full: tuple[int, int],
    later: tuple[int, int],
    in_file: tuple[int, int],
) -> None:
    file = Mp4File(path)
    file.sound(bytes(BYTES_PER_SECOND))
    file.picture(picture(DARK, first, full), 0.0)
    file.picture(picture(DARK, later), 0.2)
    file.picture(picture(LIGHT, later), 0.4)
    file.close()
    film = read(path)
    assert film.size == file.size == in_file
    assert len(film.pictures) == 3
    assert film.flashes == pytest.approx([0.4], abs=0.001)


def test_what_is_there_of_a_film_can_be_played_at_any_moment(path: Path) -> None:
    file = Mp4File(path)
    for tick in range(200):
        shoot(file, range(tick, tick + 1), with_pictures=tick >= 100)
        if tick in {20, 60, 99, 100, 101, 110, 114, 130, 199}:
            film = read(path)  # as after a kill: nothing more comes
            assert film.sound_s > (tick + 1) * TICK_S - 0.8
            assert not film.lags or in_sync(film)
            if tick >= 130:
                assert film.pictures[-1] > tick * TICK_S - 0.8
    file.close()


def test_a_film_whose_pictures_have_gone_can_be_played_up_to_its_last_sound(path: Path) -> None:
    file = Mp4File(path)
    shoot(file, range(3))
    shoot(file, range(3, 200), with_pictures=False)
    film = read(path)
    assert film.sound_s > 200 * TICK_S - 2.2
    assert len(film.pictures) == 3
    file.close()
    assert read(path).sound_s == pytest.approx(8, abs=0.05)


def test_a_film_that_was_closed_has_one_index_over_all_and_a_player_can_jump_in_it(path: Path) -> None:
    file = Mp4File(path)
    shoot(file, range(250))
    file.close()
    with av.open(str(path)) as container:
        assert container.duration == pytest.approx(10 * av.time_base, rel=0.005)
        assert container.streams.video[0].frames == 250  # a file in fragments does not say
        container.seek(7 * av.time_base)
        assert 5 <= (next(container.decode(video=0)).time or 0) <= 7  # a key frame every two seconds
    assert b"moof" not in {kind for kind, _ in boxes(path)}


def boxes(path: Path) -> Iterator[tuple[bytes, int]]:
    """Kind and length of each box of an MP4 file, in order (ISO 14496-12)."""
    with path.open("rb") as file:
        while head := file.read(8):
            length, kind = int.from_bytes(head[:4]), head[4:]
            read_already = 8
            if length == 1:
                length, read_already = int.from_bytes(file.read(8)), 16
            yield kind, length
            file.seek(length - read_already, 1)


@pytest.mark.parametrize("limit", [9_000, 15_000, 16_300, 22_000, 25_000, 28_000, 30_000, 31_000])
def test_a_film_that_a_disk_has_no_room_for_is_told_and_can_be_played_as_far_as_it_went(
    path: Path, limit: int
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer, ended = FileWriter(path, Mp4File), Ended()
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        writer.start(ended.set)
        for tick in range(250):
            sound, image = pattern(tick)
            writer.sound(sound)
            if tick >= 100:
                writer.picture(image, tick * TICK_S)
        written(writer, ended)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "File too large" in str(writer.error)
    film = read(path)
    assert film.sound_s > min(4.0, writer.sound_s - 1.5)
    assert not film.lags or in_sync(film)
    assert list(path.parent.iterdir()) == [path]


def test_a_film_whose_pictures_find_no_place_keeps_its_sound(path: Path) -> None:
    path.with_name(f".{path.name}.new").mkdir()
    writer, ended = FileWriter(path, Mp4File), Ended()
    writer.start(ended.set)
    for tick in range(50):
        writer.sound(pattern(tick)[0])
    writer.picture(picture(DARK), 2.0)
    written(writer, ended)
    assert "it is no file" in str(writer.error)
    assert read(path).sound_s == pytest.approx(2, abs=0.15)  # AAC looks ahead


def test_sound_alone_is_kept_sample_by_sample(tmp_path: Path) -> None:
    file = WavFile(tmp_path / "out.wav")
    file.sound(beep(100))
    file.sound(bytes(100) + beep(40))
    file.close()
    with wave.open(str(tmp_path / "out.wav")) as read_back:
        assert read_back.getparams()[:4] == (1, 2, SAMPLE_RATE, 2400 + 50 + 960)
        assert read_back.readframes(10_000) == beep(100) + bytes(100) + beep(40)


def test_a_wav_file_that_was_never_closed_can_be_read(tmp_path: Path) -> None:
    file = WavFile(tmp_path / "out.wav")
    file.sound(beep(1000))
    with wave.open(str(tmp_path / "out.wav")) as read_back:
        assert read_back.getnframes() == SAMPLE_RATE
    file.close()


@pytest.mark.parametrize("kind", [Mp4File, WavFile])
def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, kind: type[Mp4File] | type[WavFile]) -> None:
    with pytest.raises(LibaError, match="No such file or directory"):
        kind(tmp_path / "nowhere" / "out")


class Ended(threading.Event):
    """Set when a writer's thread has done its work."""


@pytest.mark.parametrize(("kind", "name"), [(Mp4File, "out.mp4"), (WavFile, "out.wav")])
def test_a_file_that_is_removed_ends_its_recording_and_one_that_is_renamed_does_not(
    tmp_path: Path, kind: type[Mp4File] | type[WavFile], name: str
) -> None:
    path, elsewhere = tmp_path / name, tmp_path / f"elsewhere-{name}"
    file = kind(path)
    shoot(file, range(25), with_pictures=kind is Mp4File)
    path.rename(elsewhere)
    shoot(file, range(25, 50), with_pictures=kind is Mp4File)
    elsewhere.unlink()
    with pytest.raises(FileError, match="somebody has removed it"):
        file.sound(beep(40))
    with pytest.raises(FileError, match="somebody has removed it"):
        file.close()


def written(writer: FileWriter, ended: Ended) -> None:
    """Closes the writer and waits for its file."""
    writer.close()
    assert ended.wait(20)


def test_a_writer_makes_the_file_on_a_thread_of_its_own(path: Path) -> None:
    writer, ended = FileWriter(path, Mp4File), Ended()
    writer.start(ended.set)
    for tick in range(50):
        sound, image = pattern(tick)
        writer.sound(sound)
        assert writer.picture(image, tick * TICK_S)
    written(writer, ended)
    assert (writer.error, writer.dropped, writer.frames, writer.size) == (None, 0, 50, SIZE)
    assert in_sync(read(path))


def test_a_writer_that_was_given_nothing_makes_no_file(path: Path) -> None:
    writer, ended = FileWriter(path, Mp4File), Ended()
    writer.start(ended.set)
    written(writer, ended)
    assert not path.exists()


def test_a_disk_that_is_nearly_full_ends_a_recording_that_can_be_read(path: Path) -> None:
    with pytest.raises(LibaError, match="nearly full"):
        check_space(path, least_free_bytes=1 << 62)
    writer, ended = FileWriter(path, _Filling, least_free_bytes=0), Ended()
    writer.start(ended.set)
    for tick in range(50):
        sound, image = pattern(tick)
        writer.sound(sound)
        writer.picture(image, tick * TICK_S)
    assert ended.wait(20)
    assert "nearly full" in str(writer.error)
    assert len(read(path).pictures) == writer.frames == 30


class _Filling(Mp4File):
    """An MP4 file on a disk that is full after 30 pictures."""

    left = 30

    def picture(self, picture: Picture, at_s: float) -> None:
        if not self.left:
            raise LibaError("the disk is nearly full")
        self.left -= 1
        super().picture(picture, at_s)


class _Stuck:
    """A file that takes nothing before it is let."""

    size = SIZE
    sounds = 0
    pictures = 0

    def __init__(self) -> None:
        self.let = threading.Event()
        self.entered = threading.Event()

    def sound(self, pcm: bytes) -> None:
        self.entered.set()
        assert self.let.wait(20)
        self.sounds += len(pcm)

    def picture(self, picture: Picture, at_s: float) -> None:
        self.pictures += 1

    def close(self) -> None:
        pass


@pytest.fixture
def stuck() -> Iterator[_Stuck]:
    file = _Stuck()
    yield file
    file.let.set()


def test_an_encoder_that_is_behind_costs_pictures_and_no_sound(path: Path, stuck: _Stuck) -> None:
    writer, ended = FileWriter(path, lambda _: stuck), Ended()
    writer.start(ended.set)
    writer.sound(bytes(TICK_BYTES))
    assert stuck.entered.wait(20)
    image = picture(DARK, (1280, 720))
    taken = [writer.picture(image, tick * TICK_S) for tick in range(100)]
    for _ in range(99):
        writer.sound(bytes(TICK_BYTES))
    stuck.let.set()
    written(writer, ended)
    room_for = 32_000_000 // len(image.i420)
    assert taken == [True] * room_for + [False] * (100 - room_for)
    assert (writer.frames, writer.dropped) == (stuck.pictures, 100 - room_for)
    assert stuck.sounds == 100 * TICK_BYTES
    assert writer.error is None


def test_a_disk_that_hangs_for_minutes_ends_the_recording(path: Path, stuck: _Stuck) -> None:
    writer, ended = FileWriter(path, lambda _: stuck), Ended()
    writer.start(ended.set)
    for _ in range(800):
        writer.sound(bytes(BYTES_PER_SECOND))
    stuck.let.set()
    assert ended.wait(20)
    assert "its disk hangs" in str(writer.error)


def test_a_defect_in_the_encoder_is_told_and_the_file_closed(path: Path) -> None:
    class Broken(_Stuck):
        closed = False

        def sound(self, pcm: bytes) -> None:
            raise ZeroDivisionError("oops")

        def close(self) -> None:
            self.closed = True

    broken, ended = Broken(), Ended()
    writer = FileWriter(path, lambda _: broken)
    writer.start(ended.set)
    writer.sound(bytes(TICK_BYTES))
    assert ended.wait(20)
    assert "oops" in str(writer.error)
    assert isinstance(writer.error, LibaError)
    assert broken.closed
