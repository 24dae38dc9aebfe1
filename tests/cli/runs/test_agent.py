from __future__ import annotations

import pytest

from tests.cli.conftest import Shell


@pytest.mark.live
def test_what_others_can_read_or_guess_is_a_warning_of_the_workers_log(bare_shell: Shell) -> None:
    env = {
        "LIVEKIT_URL": "ws://livekit.invalid",
        "LIVEKIT_API_KEY": "key",
        "LIVEKIT_API_SECRET": "devsecret",
        "OPENAI_BASE_URL": "http://speech.invalid/v1",
    }
    ended = bare_shell.spawn("agent", "run", env=env)
    assert ended.code == 4
    assert "WARNING liba: livekit.api_secret is shorter than 32 characters: " in ended.stderr
    assert "WARNING liba: livekit.url is ws://livekit.invalid: " in ended.stderr
    assert "WARNING liba: openai.base_url is http://speech.invalid: " in ended.stderr
    assert "devsecret" not in ended.stderr
