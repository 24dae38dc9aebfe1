"""While the umask is 0: what liba keeps is this user's alone, what the user keeps nobody else writes."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from platformdirs import user_cache_path, user_config_path, user_state_path

from libacli.cli.runs import page_link
from libacli.cli.runs.config import write_settings_file
from libacli.cli.runs.demo_recording import _write_wav, check_recording
from libacli.cli.runs.metrics_summary import Selection, export_store
from libacli.cli.runs.record_place import check_recording_place
from libacli.core.utterance_record import UtteranceRecord
from libacli.edges.avatars.ledger import Entry, Ledger, conversations_path
from libacli.edges.avatars.minutes import AvatarMinutes
from libacli.edges.metrics.store import MetricsStore, metrics_path
from libacli.edges.viewer.listener import AudioCapture
from libacli.edges.viewer.media_file import Mp4File, Picture, WavFile
from libacli.edges.voices.cache_files import SoundFiles, sounds_path
from libacli.errors import LibaError, UsageError
from libacli.local.log_files import new_log_file
from libacli.local.server_binary import SERVER_VERSION, install_server
from libacli.local.server_process import _run_directory, _write_private
from libacli.web.npm import _write
from tests.local.peers import ReleasePeer, says_version

PCM = b"\x01\x02" * 2400


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty home, an empty current folder, and a umask that takes nothing."""
    for name in ("STATE", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / "home" / name.lower()))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    before = os.umask(0)
    yield
    os.umask(before)


def note_a_conversation() -> None:
    ledger = Ledger(conversations_path())
    ledger.write(Entry("liba-1", "demo", "https://x", ledger.owner))
    check(user_state_path("liba"))
    ledger.close()


def count_avatar_minutes() -> None:
    minutes = AvatarMinutes(
        user_state_path("liba") / "avatar-minutes.json", max_minutes=1, clock=lambda: datetime.now(UTC)
    )
    asyncio.run(minutes.count(1))


def keep_a_record() -> None:
    async def put() -> None:
        store = MetricsStore(metrics_path(), keep_days=30, keep_mb=64)
        running = asyncio.get_running_loop().create_task(store.run())
        store.add(UtteranceRecord("u1", 1.0, "done"))
        await store.flush()
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(put())


def start_a_server() -> None:
    state = user_state_path("liba")
    new_log_file(state / "logs", "livekit-server").write_text("told")
    with _run_directory(state / "servers") as folder:
        _write_private(folder / "livekit.yaml", "secret")
        check(user_state_path("liba"))


def lead_a_browser() -> None:
    page_link._file_that_leads_to("http://127.0.0.1/#code=x")


def keep_a_sound() -> None:
    async def put() -> None:
        files = await asyncio.to_thread(SoundFiles, sounds_path(), 1_000_000)
        files.put(b"Hello.", PCM)
        await files.aclose()

    asyncio.run(put())


def write_settings() -> None:
    write_settings_file(user=True, force=False)
    write_settings_file(user=False, force=False)


KEPT: dict[str, Callable[[], None]] = {
    "ledger": note_a_conversation,
    "minutes": count_avatar_minutes,
    "records": keep_a_record,
    "server": start_a_server,
    "link": lead_a_browser,
    "sound": keep_a_sound,
    "settings": write_settings,
}


def check(folder: Path) -> None:
    """Nobody else reads, writes or enters anything in it."""
    found = [folder, *folder.rglob("*")]
    assert [(path, oct(path.stat().st_mode)) for path in found if path.stat().st_mode & 0o077] == []


@pytest.mark.parametrize("keep", KEPT.values(), ids=KEPT)
def test_what_liba_keeps_is_this_users_alone(keep: Callable[[], None], tmp_path: Path) -> None:
    keep()
    kept = list((tmp_path / "home").iterdir())
    assert kept
    for folder in kept:
        check(folder / "liba")
    assert all(path.stat().st_mode & 0o077 == 0 for path in Path().iterdir())  # a project's settings


def test_an_installed_server_is_this_users_alone(tmp_path: Path) -> None:
    with ReleasePeer(tmp_path / "releases") as peer:
        serving = threading.Thread(target=peer.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        peer.publish(says_version(SERVER_VERSION))
        installed = install_server(user_cache_path("liba"), releases_url=peer.url, pins=peer.pins)
        peer.shutdown()
        serving.join()
    check(user_cache_path("liba"))
    assert os.access(installed.path, os.X_OK)


def record_wav(path: Path) -> None:
    file = WavFile(path)
    file.sound(PCM)
    file.close()


def record_mp4(path: Path) -> None:
    file = Mp4File(path)
    file.sound(PCM)
    file.picture(Picture(16, 16, bytes(16 * 16 * 3 // 2), (16, 16)), 0.0)
    file.close()


def export(path: Path) -> None:
    keep_a_record()
    export_store(Selection(), "csv", path)


RECORDED: dict[str, Callable[[Path], None]] = {
    "liba-demo.wav": lambda path: _write_wav(path, AudioCapture(bytearray(PCM))),
    "out.wav": record_wav,
    "out.mp4": record_mp4,
    "out.csv": export,
}


@pytest.mark.parametrize("name", RECORDED)
def test_what_the_user_keeps_nobody_else_writes(name: str) -> None:
    RECORDED[name](Path(name))
    assert [path.name for path in Path().iterdir()] == [name]
    assert stat.S_IMODE(Path(name).stat().st_mode) == 0o644


@pytest.mark.parametrize("is_there", [False, True])
@pytest.mark.parametrize("name", RECORDED)
def test_a_link_in_the_current_folder_leads_nothing_elsewhere(
    name: str, is_there: bool, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    if is_there:
        target.write_text("precious")
    Path(name).symlink_to(target)
    with pytest.raises(LibaError):
        RECORDED[name](Path(name))
    assert target.exists() == is_there
    assert not is_there or target.read_text() == "precious"
    assert Path(name).is_symlink()


def test_a_link_is_told_before_anything_is_recorded(tmp_path: Path) -> None:
    Path("out.mp4").symlink_to(tmp_path / "target")
    with pytest.raises(LibaError, match="it is a link"):
        check_recording(Path("out.mp4"))
    with pytest.raises((LibaError, UsageError), match="it is a link"):
        check_recording_place(Path("out.mp4"), audio_only=False, force=True)
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("user", [False, True])
def test_settings_are_not_written_through_a_link(tmp_path: Path, user: bool) -> None:
    target = tmp_path / "target"
    place = user_config_path("liba") / "config.toml" if user else Path("liba.toml")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)
    with pytest.raises(LibaError):
        write_settings_file(user=user, force=False)
    assert not target.exists()


def test_files_of_the_page_are_for_all_to_read_and_for_nobody_else_to_write(tmp_path: Path) -> None:
    _write(tmp_path / "page.js", b"code")
    assert stat.S_IMODE((tmp_path / "page.js").stat().st_mode) == 0o644
