"""`liba deploy`: what it prints, and what it writes."""

from __future__ import annotations

import os
import stat

import pytest
import yaml

from tests.cli.conftest import Shell
from tests.full_disk import full_disk
from tests.twirp_server import API_SECRET

TARGETS = ("dockerfile", "compose", "k8s", "systemd", "livekit-cloud")


@pytest.mark.parametrize("target", TARGETS)
def test_what_it_prints_holds_nothing_of_the_settings_here(bare_shell: Shell, target: str) -> None:
    secrets = {"LIVEKIT_API_SECRET": API_SECRET, "LIVEKIT_URL": "ws://of-mine", "OPENAI_API_KEY": "sk-mine"}
    ended = bare_shell.run("deploy", target, env=secrets | {"LIBA_AGENT_NAME": "mine"})
    assert (ended.code, ended.stderr) == (0, "")
    assert "mine" not in ended.stdout and API_SECRET not in ended.stdout


@pytest.mark.parametrize("target", TARGETS)
def test_as_json_it_is_the_same_files_by_their_names(bare_shell: Shell, target: str) -> None:
    files = bare_shell.run("deploy", target, "--json").json["files"]
    printed = bare_shell.run("deploy", target).stdout
    assert all(text in printed for text in files.values())


def test_a_single_file_is_printed_as_it_is(bare_shell: Shell) -> None:
    printed = bare_shell.run("deploy", "compose").stdout
    assert printed == bare_shell.run("deploy", "compose", "--json").json["files"]["compose.yaml"]
    assert printed.endswith("}\n")


def test_what_is_told_gets_into_the_file(bare_shell: Shell) -> None:
    ended = bare_shell.run(
        *("deploy", "k8s", "--image", "registry.example.org/liba:1", "--namespace", "digital-humans"),
        *("--url", "wss://x.livekit.cloud", "--agent-name", "ann", "--max-rooms", "20", "--replicas", "3"),
        *("--with", "openai"),
    )
    agent, _, scaler = yaml.safe_load_all(ended.stdout)
    (container,) = agent["spec"]["template"]["spec"]["containers"]
    env = {item["name"]: item["value"] for item in container["env"]}
    assert container["image"] == "registry.example.org/liba:1"
    assert agent["metadata"]["namespace"] == "digital-humans"
    assert (env["LIVEKIT_URL"], env["LIBA_AGENT_NAME"]) == ("wss://x.livekit.cloud", "ann")
    assert env["LIBA_AGENT_MAX_ROOMS"] == "20"
    assert env["OPENAI_API_KEY_FILE"] == "/run/secrets/liba/OPENAI_API_KEY"
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (3, 12)
    assert scaler["spec"]["metrics"][0]["pods"]["target"]["averageValue"] == "14000m"


@pytest.mark.parametrize(
    "arguments",
    [
        ("k8s", "--namespace", "a b"),
        ("k8s", "--image", "x\ny"),
        ("k8s", "--with", "livekit"),
        ("compose", "--agent-name", '"'),
        ("compose", "--url", "https://example.org"),
        ("systemd", "--program", "liba"),
        ("livekit-cloud", "--agent-id", "CA_x"),
        ("livekit-cloud", "--agent-id", 'CA"', "--url", "wss://x.livekit.cloud"),
    ],
)
def test_a_value_that_cannot_be_is_refused_in_a_line(bare_shell: Shell, arguments: tuple[str, ...]) -> None:
    ended = bare_shell.run("deploy", *arguments)
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.count("\n") == 1 and " - " in ended.stderr


def test_a_file_is_written_where_there_is_none(bare_shell: Shell) -> None:
    ended = bare_shell.run("deploy", "compose", "-o", "here/compose.yaml")
    assert (ended.code, ended.stdout) == (0, "here/compose.yaml\n")
    written = bare_shell.folder / "here" / "compose.yaml"
    assert written.read_text() == bare_shell.run("deploy", "compose").stdout
    assert not stat.S_IMODE(written.stat().st_mode) & 0o133


def test_a_file_that_is_there_is_overwritten_by_force_alone(bare_shell: Shell) -> None:
    file = bare_shell.folder / "Dockerfile"
    file.write_text("mine")
    ended = bare_shell.run("deploy", "dockerfile", "-o", "Dockerfile")
    assert ended.code == 3
    assert ended.stderr == "liba: Dockerfile is there already - --force overwrites it\n"
    assert file.read_text() == "mine"
    assert bare_shell.run("deploy", "dockerfile", "-o", "Dockerfile", "--force", "--json").json == {
        "written": ["Dockerfile"]
    }
    assert "ENTRYPOINT" in file.read_text()


@pytest.mark.parametrize("force", [(), ("--force",)], ids=["", "by force"])
def test_nothing_is_written_through_a_link(bare_shell: Shell, force: tuple[str, ...]) -> None:
    other = bare_shell.folder / "other"
    other.write_text("mine")
    os.symlink(other, bare_shell.folder / "Dockerfile")
    assert bare_shell.run("deploy", "dockerfile", "-o", "Dockerfile", *force).code == 3
    assert other.read_text() == "mine"


def test_of_several_files_all_are_written_or_none(bare_shell: Shell) -> None:
    folder = bare_shell.folder / "units"
    folder.mkdir()
    (folder / "liba-serve.service").write_text("mine")
    assert bare_shell.run("deploy", "systemd", "--output-dir", "units").code == 3
    assert [file.name for file in folder.iterdir()] == ["liba-serve.service"]
    ended = bare_shell.run("deploy", "systemd", "--output-dir", "units", "--force")
    assert sorted(ended.stdout.splitlines()) == [
        "units/liba-agent.service",
        "units/liba-serve.service",
        "units/liba.sysusers",
    ]


def test_a_folder_that_cannot_be_is_told(bare_shell: Shell) -> None:
    (bare_shell.folder / "file").write_text("")
    ended = bare_shell.run("deploy", "systemd", "--output-dir", "file/units")
    assert ended.code == 3 and ended.stderr.startswith("liba: cannot write file/units: ")


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_file_that_finds_no_room_is_told_by_its_path_and_not_left_in_part(
    bare_shell: Shell, force: list[str]
) -> None:
    with full_disk(after_bytes=100):
        ended = bare_shell.run("deploy", "dockerfile", "-o", "Dockerfile", *force)
    assert ended.code == 3 and ended.stderr.startswith("liba: cannot write Dockerfile: ")
    assert not (bare_shell.folder / "Dockerfile").exists()
