"""Each kind of file is looked at by the tool of its field."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
from compose_spec import PyCompose

from tests.deploy.printed import COMPOSE, DOCKERFILES, K8S, UNITS, documents
from tests.programs import program

OLDEST, NEWEST = "1.25", "1.37"


def ran(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """A tool that has ended."""
    return subprocess.run(command, capture_output=True, text=True, check=False)


def hadolint(text: str, folder: Path) -> str:
    """What it complains of, of any weight."""
    (folder / "Dockerfile").write_text(text)
    ended = ran(
        Path(sys.executable).parent / "hadolint",
        "--no-color",
        "--failure-threshold",
        "style",
        folder / "Dockerfile",
    )
    return ended.stdout + ended.stderr


@pytest.mark.parametrize("name", DOCKERFILES)
def test_hadolint_has_nothing_to_say_of_a_dockerfile(name: str, tmp_path: Path) -> None:
    assert hadolint(DOCKERFILES[name], tmp_path) == ""


def test_hadolint_sees_what_is_wrong(tmp_path: Path) -> None:
    assert "DL3007" in hadolint("FROM python:latest\n", tmp_path)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("words", K8S)
def test_manifests_are_what_kubernetes_takes(words: str, version: str) -> None:
    for document in documents(K8S[words]):
        kubernetes_validate.validate(document, version, strict=True)


def test_a_member_that_kubernetes_does_not_know_is_seen() -> None:
    document = documents(K8S["serve"])[0]
    document["spec"]["template"]["spec"]["enableServiceLink"] = False
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, NEWEST, strict=True)


@pytest.mark.parametrize("words", COMPOSE)
def test_a_compose_file_is_one_by_the_specification(words: str) -> None:
    PyCompose.from_yaml(COMPOSE[words]).validate()


def test_a_member_that_compose_does_not_know_is_seen() -> None:
    with pytest.raises(ValueError, match="read_olny"):
        PyCompose.from_yaml(COMPOSE["serve,redis"].replace("read_only", "read_olny"))


def verified(units: dict[str, str], folder: Path) -> str:
    """What systemd complains of."""
    for name, text in units.items():
        (folder / name).write_text(text)
    ended = ran(program("systemd-analyze"), "verify", "--man=no", *(folder / name for name in units))
    return ended.stdout + ended.stderr + ("" if ended.returncode == 0 else f"exit code {ended.returncode}")


SERVICES = {name: text for name, text in UNITS.items() if name.endswith(".service")}


def test_systemd_has_nothing_to_say_of_the_units(tmp_path: Path) -> None:
    assert verified(SERVICES, tmp_path) == ""


def test_systemd_sees_what_is_wrong(tmp_path: Path) -> None:
    units = {name: text.replace("NoNewPrivileges", "NoNewPriviliges") for name, text in SERVICES.items()}
    assert "NoNewPriviliges" in verified(units, tmp_path)


@pytest.mark.parametrize("name", SERVICES)
def test_systemd_finds_the_units_hardly_exposed(name: str, tmp_path: Path) -> None:
    """Below 2 of 10; a service without a word about it has 9.6."""
    (tmp_path / name).write_text(SERVICES[name])
    analyze = (program("systemd-analyze"), "security", "--offline=true", "--no-pager", "--threshold=20")
    assert ran(*analyze, tmp_path / name).returncode == 0


def test_the_user_is_one_that_systemd_can_make(tmp_path: Path) -> None:
    file = tmp_path / "liba.conf"
    file.write_text(UNITS["liba.sysusers"])
    ended = ran(program("systemd-sysusers"), f"--root={tmp_path}", "--dry-run", file)
    assert ended.returncode == 0, ended.stderr
    assert "liba" in ended.stdout + ended.stderr
