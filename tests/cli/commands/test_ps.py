from __future__ import annotations

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
