"""No program that we start finds a key in its environment, but for our own agent and page."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import libacli
from libacli.child_environment import environment_of, on_path
from libacli.cli.runs.child_process import running
from libacli.cli.runs.page_link import PageLink
from libacli.edges.checks import machine, media
from libacli.errors import InstallError, LibaError
from libacli.local import server_sources
from libacli.local.guard import GuardedProcess
from libacli.local.server_binary import find_server
from libacli.local.server_sources import Workshop
from libacli.web.npm import fetch
from tests.canaries import secret_settings, secrets_in
from tests.local.peers import Steps, script

PACKAGE = Path(libacli.__file__).parent
OTHERS = {
    "AWS_SECRET_ACCESS_KEY": "canary-of-somebody-1",
    "GOOGLE_API_KEY": "canary-of-somebody-2",
    "GITHUB_TOKEN": "canary-of-somebody-3",
    "UV_PUBLISH_TOKEN": "canary-of-somebody-4",
    "NPM_TOKEN": "canary-of-somebody-5",
    "PYPI_PASSWORD": "canary-of-somebody-6",
    "XDG_SECRET": "canary-of-somebody-7",
}
"""Secrets that are none of liba's, in variables that look like those that children need."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (secret_settings(openai="127.0.0.1:9", tavus="127.0.0.1:9") | OTHERS).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def printed(tmp_path: Path) -> Iterator[Path]:
    """Where a child of the test prints its environment; it must come to that, and hold no secret."""
    file = tmp_path / "printed"
    yield file
    told = file.read_text()
    assert "PATH=" in told
    assert not secrets_in(told, OTHERS), told


def prints(file: Path, then: str = "") -> str:
    """The body of a script that does, and then something else."""
    return f"env > {file}.part\nmv {file}.part {file}\n{then}"


def workshop(tmp_path: Path) -> Workshop:
    (tmp_path / "temp").mkdir()
    return Workshop(tmp_path / "temp", "http://127.0.0.1:9", Steps(), 1e12)


def test_a_server_that_is_asked_for_its_version(tmp_path: Path, printed: Path) -> None:
    named = script(tmp_path / "server", prints(printed, 'echo "livekit-server version 1.9.9"'))
    assert find_server(named, tmp_path / "cache")


def test_a_program_that_the_doctor_tries(tmp_path: Path, printed: Path) -> None:
    assert machine._trouble(script(tmp_path / "server", prints(printed))) == ""


def test_whatever_is_started_without_saying_what_it_may_have(tmp_path: Path, printed: Path) -> None:
    with GuardedProcess.start([script(tmp_path / "any", prints(printed))]) as process:
        assert process.wait(30) == 0


def test_npm(tmp_path: Path, printed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "bin" / "npm", prints(printed, "exit 1"))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    with pytest.raises(InstallError):
        fetch("page", "1.0.0", "sha512-", {"LICENSE": "page.LICENSE"}, tmp_path / "static")


def test_go(tmp_path: Path, printed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "bin" / "go", prints(printed, "echo go1.0"))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    with pytest.raises(InstallError, match="is needed"):
        server_sources.with_go_on_path(workshop(tmp_path))


def test_pip(tmp_path: Path, printed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "modules" / "pip").mkdir(parents=True)
    (tmp_path / "modules" / "pip" / "__main__.py").write_text(
        f"import os, sys\nopen({str(printed)!r}, 'w').write(repr(os.environ) + 'PATH=')\nsys.exit(1)\n"
    )
    (tmp_path / "modules" / "pip" / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}/modules:{PACKAGE.parent}")
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    monkeypatch.delitem(sys.modules, "pip", raising=False)
    with pytest.raises(InstallError):
        server_sources.with_go_from_pypi(workshop(tmp_path))


def test_a_browser(tmp_path: Path, printed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("BROWSER", f"{script(tmp_path / 'browser', prints(printed))} %s")
    PageLink("http://127.0.0.1:9", "http://127.0.0.1:9/#code=x").open(otherwise="look for yourself")


async def test_the_child_that_tries_media(
    tmp_path: Path, printed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(script(tmp_path / "python", prints(printed))))
    with pytest.raises(LibaError, match="its process ended"):
        await media.media("ws://127.0.0.1:9", "token")


@pytest.mark.live
def test_the_local_avatar_has_its_own_key_alone_and_the_agent_all_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    own = {"TAVUS_API_KEY": "its own"}
    for is_ours in (False, True):
        with running("it", ["avatar", "run", "--json"], own, inherits_settings=is_ours) as child:
            child.announced(timeout_s=30)
            has = psutil.Process(child.process.pid).environ()
        assert has["TAVUS_API_KEY"] == "its own"
        assert ("LIVEKIT_API_SECRET" in has, "OPENAI_API_KEY" in has) == (is_ours, is_ours)
        assert not OTHERS.keys() & has.keys()


@pytest.mark.parametrize("kind", ["program", "python", "liba", "pip", "go", "npm", "browser"])
def test_each_kind_has_what_it_needs_and_what_is_its_own(kind: str) -> None:
    has = environment_of(kind, {"OWN": "1"})  # type: ignore[arg-type]
    assert has["PATH"] == os.environ["PATH"]
    assert has["OWN"] == "1"
    assert not OTHERS.keys() & has.keys()
    assert ("LIVEKIT_API_SECRET" in has) == (kind == "liba")


STARTERS = {
    "subprocess": ("run", "Popen", "call", "check_call", "check_output"),
    "asyncio": ("create_subprocess_exec", "create_subprocess_shell"),
    "os": ("system", "popen", "execv", "execve", "execvp", "spawnv", "posix_spawn"),
    "webbrowser": ("open", "open_new", "open_new_tab"),
}
"""Functions that start another program, by module."""


def starts(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=module), attr=name)):
                if name in STARTERS.get(module, ()):
                    yield node


def test_whoever_starts_a_program_says_what_it_may_have() -> None:
    found = 0
    for file in sorted(PACKAGE.rglob("*.py")):
        for call in starts(ast.parse(file.read_text(encoding="utf-8"))):
            found += 1
            # The guard itself has no key: it was started without, and passes on what it has.
            is_told = file.name == "guard.py" or any(word.arg == "env" for word in call.keywords)
            assert is_told, (file, call.lineno)
    assert found >= 5


def test_the_search_for_starts_sees_them() -> None:
    code = "subprocess.run([1]); os.system('x'); os.execv('x', []); webbrowser.open('x'); os.path.join('x')"
    assert len(list(starts(ast.parse(code)))) == 4


@pytest.mark.parametrize("entry", ["", ".", "bin", "./bin"])
def test_a_program_of_the_current_folder_is_not_found_whatever_path_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    for folder in (tmp_path, tmp_path / "bin"):
        script(folder / "livekit-server", "echo livekit-server version 9.9.9")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{entry}:/nowhere:{entry}")
    assert on_path("livekit-server") is None
    assert environment_of("program")["PATH"] == "/nowhere"
    monkeypatch.setenv("PATH", entry)
    assert on_path("livekit-server") is None
    assert "PATH" not in environment_of("program")
