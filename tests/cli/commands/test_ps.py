from __future__ import annotations

from threading import Timer

import pytest

from libacli.running_stack import StackFile
from tests.cli.conftest import Shell


@pytest.mark.parametrize("command", ["ps", "down", "logs"])
def test_what_is_still_starting_is_not_called_nothing(bare_shell: Shell, command: str) -> None:
    state = bare_shell.folder / "state"
    bare_shell.env["XDG_STATE_HOME"] = str(state)
    assert "nothing runs on this machine" in bare_shell.run(command).stderr
    with StackFile(state / "liba").owned():
        assert "it is still starting" in bare_shell.run(command).stderr


def test_a_command_waits_for_what_is_just_starting(bare_shell: Shell) -> None:
    reach = {"livekit_url": "ws://127.0.0.1:7", "livekit_api_key": "key", "livekit_api_secret": "s" * 32}
    file = StackFile(bare_shell.folder / "state" / "liba")
    with file.owned():
        told = Timer(0.3, file.write, (reach, []))
        told.start()
        ended = bare_shell.run("token", "--token-only")
        told.join()
    assert ended.code == 0, ended.stderr
    assert ended.stderr.splitlines()[0] == "waiting for what is just starting on this machine..."
