from __future__ import annotations

import asyncio
import logging
import os
import random
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

import pytest

from libacli.edges.voices.cache_files import SoundFiles, Usage, clear, sounds_path, usage
from libacli.edges.voices.sound_file import BLOCK_BYTES, file_bytes
from libacli.errors import VoiceTruncatedError
from libacli.speech.cache import CachedVoice
from libacli.speech.fakes import ScriptedVoice, tone
from libacli.speech.sound_store import SoundStore
from tests.contracts import PLAIN, SoundStoreContract, VoiceContract

ROOM = 4_000_000
LINE = b"The canary sings at midnight."
SOUND = tone(5000)
"""Several blocks long."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # files are read and written in threads


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "voice"


@pytest.fixture
async def files(folder: Path) -> AsyncIterator[SoundFiles]:
    files = await opened(folder)
    yield files
    await files.aclose()


async def opened(folder: Path, room: int = ROOM) -> SoundFiles:
    return await asyncio.to_thread(SoundFiles, folder, room)


async def put(files: SoundFiles, name: bytes, pcm: bytes) -> Path:
    """The file that it was put into."""
    files.put(name, pcm)
    await files.flush()
    return files._path_of(name)


def removed(folder: Path) -> None:
    for path in [*folder.iterdir(), folder]:
        path.rmdir() if path.is_dir() else path.unlink()


@contextmanager
def a_file_in_the_place_of(folder: Path) -> Iterator[None]:
    removed(folder)
    folder.write_text("")
    yield
    folder.unlink()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def heard(files: SoundFiles, name: bytes) -> bytes:
    async with aclosing(files.pieces(name)) as pieces:
        return b"".join([piece async for piece in pieces])


class TestSoundFiles(SoundStoreContract):
    @pytest.fixture
    async def store(self, folder: Path) -> AsyncIterator[SoundFiles]:
        store = await opened(folder, self.ROOM + 1000)
        yield store
        await store.aclose()

    async def settle(self, store: SoundStore) -> None:
        assert isinstance(store, SoundFiles)
        await store.flush()


class TestCachedVoiceOnDisk(VoiceContract):
    @pytest.fixture
    async def voice(self, files: SoundFiles) -> CachedVoice:
        voice = CachedVoice(ScriptedVoice(first_byte_s=0.01), [files])
        for text in ("Hello there, this is a test.", "Hello.", "One sentence."):
            voice.keep(text, PLAIN, tone(60 * len(text)))
        await files.flush()
        return voice


async def test_what_was_said_is_known_after_the_next_start(files: SoundFiles, folder: Path) -> None:
    await put(files, LINE, SOUND)
    await files.aclose()
    again = await opened(folder)
    assert again.holds(LINE)
    assert await heard(again, LINE) == SOUND
    await again.aclose()


async def test_it_is_read_in_blocks(files: SoundFiles) -> None:
    await put(files, LINE, SOUND)
    async with aclosing(files.pieces(LINE)) as pieces:
        lengths = [len(piece) async for piece in pieces]
    assert set(lengths[:-1]) == {BLOCK_BYTES}
    assert len(lengths) == 4


async def test_folder_and_files_are_this_users_alone_whatever_the_umask_is(folder: Path) -> None:
    before = os.umask(0)
    try:
        files = await opened(folder)
        await put(files, LINE, SOUND)
        await files.aclose()
    finally:
        os.umask(before)
    assert mode(folder) == 0o700
    assert {mode(folder / name) for name in names(folder)} == {0o600}


async def test_neither_names_nor_contents_tell_what_was_said(files: SoundFiles, folder: Path) -> None:
    path = await put(files, LINE, SOUND)
    assert path.stat().st_size == file_bytes(len(SOUND))
    for name in names(folder):
        assert b"canary" not in name.encode() + (folder / name).read_bytes()


async def test_who_has_the_files_and_not_the_key_cannot_tell_whether_something_was_said(
    files: SoundFiles, folder: Path, tmp_path: Path
) -> None:
    path = await put(files, LINE, SOUND)
    theirs = await opened(tmp_path / "theirs")
    assert theirs._path_of(LINE).name != path.name
    (tmp_path / "theirs" / path.name).write_bytes(path.read_bytes())
    assert not theirs.holds(LINE)
    await theirs.aclose()


@pytest.mark.parametrize("place", [0, 9, 16, 20_000, BLOCK_BYTES + 20, BLOCK_BYTES + 40, -1])
async def test_a_file_with_a_wrong_bit_is_never_played_from_there_on_and_removed(
    files: SoundFiles, place: int
) -> None:
    path = await put(files, LINE, SOUND)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    sound = b""
    try:
        async with aclosing(files.pieces(LINE)) as pieces:
            async for piece in pieces:
                sound += piece
    except VoiceTruncatedError:
        assert sound  # what was right was said
    else:
        assert not sound
    assert SOUND.startswith(sound) and sound != SOUND
    assert not files.holds(LINE)
    await put(files, LINE, SOUND)
    assert await heard(files, LINE) == SOUND


@pytest.mark.parametrize("rest", [0, 1, 15, 16, 17, 1000, file_bytes(BLOCK_BYTES), -1])
async def test_half_a_file_is_nothing(files: SoundFiles, rest: int) -> None:
    path = await put(files, LINE, SOUND)
    path.write_bytes(path.read_bytes()[:rest])
    assert await heard(files, LINE) == b""
    assert not path.exists()


async def test_a_sound_in_anothers_place_is_nothing(files: SoundFiles) -> None:
    one, two = await put(files, b"one", SOUND), await put(files, b"two", tone(5000, 880))
    two.write_bytes(one.read_bytes())
    assert await heard(files, b"two") == b""
    assert (one.exists(), two.exists()) == (True, False)


async def test_blocks_in_another_order_are_nothing(files: SoundFiles) -> None:
    path = await put(files, LINE, SOUND)
    data, step = path.read_bytes(), BLOCK_BYTES + 16
    path.write_bytes(
        data[:16] + data[16 + step : 16 + 2 * step] + data[16 : 16 + step] + data[16 + 2 * step :]
    )
    assert await heard(files, LINE) == b""


@pytest.mark.parametrize("kind", ["link", "link to nothing", "pipe", "open to others", "folder"])
async def test_what_is_no_file_of_this_users_alone_is_not_read_and_not_followed(
    files: SoundFiles, tmp_path: Path, kind: str
) -> None:
    path, precious = await put(files, LINE, SOUND), tmp_path / "precious"
    if kind == "open to others":
        path.chmod(0o644)
    else:
        path.rename(precious)
    if kind.startswith("link"):
        path.symlink_to(precious if kind == "link" else tmp_path / "nothing")
    elif kind == "pipe":
        os.mkfifo(path, 0o600)
    elif kind == "folder":
        path.mkdir(mode=0o700)
    async with asyncio.timeout(5):
        assert await heard(files, LINE) == b""
    if kind != "folder":
        await put(files, LINE, SOUND)
        assert await heard(files, LINE) == SOUND
    assert kind == "open to others" or precious.stat().st_size == file_bytes(len(SOUND))


async def test_a_link_in_the_place_of_a_file_is_replaced_and_not_written_through(
    files: SoundFiles, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    files._path_of(LINE).symlink_to(precious)
    await put(files, LINE, SOUND)
    assert (precious.read_text(), await heard(files, LINE)) == ("precious", SOUND)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of others")
async def test_a_file_of_another_user_is_not_read(files: SoundFiles) -> None:
    path = await put(files, LINE, SOUND)
    os.chown(path, 65534, 65534)
    assert await heard(files, LINE) == b""
    assert not path.exists()


@pytest.mark.parametrize("wrong", [b"", b"short", bytes(33), None])
async def test_a_key_that_is_none_is_made_anew_and_nothing_old_is_found(
    folder: Path, tmp_path: Path, wrong: bytes | None
) -> None:
    first = await opened(folder)
    await put(first, LINE, SOUND)
    await first.aclose()
    key = folder / "key"
    if wrong is None:
        (tmp_path / "theirs").write_bytes(key.read_bytes())
        key.unlink()
        key.symlink_to(tmp_path / "theirs")
    else:
        key.write_bytes(wrong)
    second = await opened(folder)
    assert not second.holds(LINE)
    await put(second, LINE, SOUND)
    await second.aclose()
    third = await opened(folder)
    assert await heard(third, LINE) == SOUND
    await third.aclose()
    assert (key.is_symlink(), mode(key)) == (False, 0o600)


async def test_what_lies_there_besides_is_left_alone_and_not_counted(files: SoundFiles, folder: Path) -> None:
    (folder / "letter.txt").write_text("precious")
    for number in range(10):
        await put(files, b"%d" % number, bytes(900_000))
    assert (folder / "letter.txt").read_text() == "precious"
    await asyncio.to_thread(clear, folder)
    assert names(folder) == {"key", "key.lock", "letter.txt"}


async def test_what_a_crash_left_half_written_is_removed_after_an_hour(
    files: SoundFiles, folder: Path
) -> None:
    for name, age_s in ((".0123456789abcdef.part", 3700), (".fedcba9876543210.part", 60)):
        (folder / name).write_bytes(bytes(1000))
        written = (folder / name).stat().st_mtime - age_s
        os.utime(folder / name, (written, written))
    await put(files, LINE, SOUND)
    assert {name for name in names(folder) if name.endswith(".part")} == {".fedcba9876543210.part"}


async def test_what_is_kept_can_be_counted_and_cleared_also_where_nothing_is(
    files: SoundFiles, folder: Path, tmp_path: Path
) -> None:
    def nothing() -> None:
        assert usage(tmp_path / "nothing") == clear(tmp_path / "nothing") == Usage(0, 0)
        assert not (tmp_path / "nothing").exists()

    await asyncio.to_thread(nothing)
    await put(files, b"one", tone(1000))
    await put(files, b"two", tone(1000))
    two = Usage(2, 2 * file_bytes(48_000))
    assert await asyncio.to_thread(usage, folder) == two
    assert await asyncio.to_thread(clear, folder) == two
    assert await asyncio.to_thread(usage, folder) == Usage(0, 0)
    await put(files, b"one", tone(1000))
    assert await heard(files, b"one") == tone(1000)


async def test_a_folder_that_was_removed_meanwhile_is_made_again(files: SoundFiles, folder: Path) -> None:
    await put(files, LINE, SOUND)
    removed(folder)
    assert await heard(files, LINE) == b""
    await put(files, LINE, SOUND)
    assert await heard(files, LINE) == SOUND
    assert mode(folder) == 0o700


async def test_a_disk_that_takes_nothing_costs_what_would_be_kept_and_is_told_once(
    files: SoundFiles, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with a_file_in_the_place_of(folder):
        for _ in range(3):
            await put(files, LINE, SOUND)
        assert (files.holds(LINE), await heard(files, LINE)) == (False, b"")
        assert isinstance(files.failure, OSError)
    await put(files, LINE, SOUND)
    assert await heard(files, LINE) == SOUND
    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == ["what is said is not kept on disk: File exists"]


async def test_a_reader_that_is_closed_while_it_reads_leaves_nothing_open(files: SoundFiles) -> None:
    await put(files, LINE, SOUND)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        async with aclosing(files.pieces(LINE)) as pieces:
            await anext(pieces)
    async with asyncio.TaskGroup() as tasks:
        reading = [tasks.create_task(heard(files, LINE)) for _ in range(50)]
        await asyncio.sleep(0)
        for task in reading:
            task.cancel()
    async with asyncio.timeout(5):
        while len(os.listdir("/proc/self/fd")) > before:  # noqa: ASYNC110 - threads end when they do
            await asyncio.sleep(0.01)
    assert files.holds(LINE)


SHARE = """
import asyncio, random, sys
from pathlib import Path
from libacli.edges.voices.cache_files import SoundFiles
from libacli.speech.fakes import tone
async def main():
    chance, wrong = random.Random(int(sys.argv[2])), 0
    files = await asyncio.to_thread(SoundFiles, Path(sys.argv[1]), 1_500_000)
    for _ in range(300):
        number = chance.randrange(12)
        sound = tone(1000 + 500 * number, 440 + number)
        found = b"".join([piece async for piece in files.pieces(b"%d" % number)])
        wrong += found not in (b"", sound)
        files.put(b"%d" % number, sound)
    await files.aclose()
    assert files.failure is None, files.failure
    sys.exit(wrong)
asyncio.run(main())
"""


def test_processes_that_share_a_folder_spoil_nothing_for_each_other(folder: Path) -> None:
    command = [sys.executable, "-c", SHARE, str(folder)]
    sharing = [subprocess.Popen([*command, str(number)]) for number in range(3)]
    assert [process.wait(120) for process in sharing] == [0, 0, 0]
    assert usage(folder).bytes <= 1_500_000 * 1.2  # each may have measured before the others wrote
    assert not [name for name in names(folder) if name.endswith(".part")]


MAKE_KEY = """
import sys
from pathlib import Path
from libacli.edges.voices.cache_files import SoundFiles
sys.stdout.write(SoundFiles(Path(sys.argv[1]), 1_000_000)._path_of(b"name").name)
"""


def test_processes_that_begin_at_once_have_one_key(folder: Path) -> None:
    command = [sys.executable, "-c", MAKE_KEY, str(folder)]
    beginning = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(6)]
    assert len({process.communicate()[0] for process in beginning}) == 1


AS_SOMEBODY_ELSE = """
import os, sys
from pathlib import Path
from libacli.edges.voices.cache_files import SoundFiles
os.environ["HOME"] = sys.argv[1]
os.setuid(65534)
try:
    SoundFiles(Path(sys.argv[1], "theirs"), 1_000_000)
except OSError as error:
    sys.exit(f"refused: {error.strerror}")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_folder_of_another_user_is_not_used() -> None:
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        Path(place, "theirs").mkdir(mode=0o777)
        ended = subprocess.run(
            [sys.executable, "-c", AS_SOMEBODY_ELSE, place], capture_output=True, text=True, check=False
        )
    assert "belongs to another user" in ended.stderr


async def test_the_bound_holds_whatever_comes(folder: Path) -> None:
    files, chance = await opened(folder, 500_000), random.Random(13)
    for number in range(60):
        await put(files, b"%d" % number, bytes(2 * chance.randrange(1, 80_000)))
        assert (await asyncio.to_thread(usage, folder)).bytes <= 500_000
    await files.aclose()


def test_it_lies_in_this_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert sounds_path() == tmp_path / "liba" / "voice"
