"""What a stack hands over to the commands that it starts, which run in a folder of their own."""

from __future__ import annotations

import hashlib
from pathlib import Path

import httpx2
import pytest
from pydantic import SecretStr

from libacli.cli.runs.local_stack import LocalStack
from libacli.config import LiveKitCredentials
from libacli.config_sources import load
from tests.cli.conftest import Shell
from tests.test_config import CANARY, Sources
from tests.twirp_server import API_KEY, API_SECRET, TwirpServer

ENTRY = f"laptop:{hashlib.sha256(b'liba_' + b'x' * 43).hexdigest()}"


@pytest.mark.live
@pytest.mark.parametrize("keys", ["", ENTRY])
def test_the_page_of_a_demo_lets_its_owner_in_and_no_more_of_the_link_is_logged(
    bare_shell: Shell, server: TwirpServer, monkeypatch: pytest.MonkeyPatch, keys: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(bare_shell.folder / "state"))
    settings = load(environment={"LIBA_SERVE_KEYS": keys}).settings
    credentials = LiveKitCredentials(server.url, API_KEY, SecretStr(API_SECRET))
    with LocalStack(settings, room="demo", config_file=None).page(credentials) as page:
        assert page.shown() == page.address
        assert bool(page.secret) == bool(keys)
        if keys:
            url, code = page.secret.split("/#room=demo&code=")
            answer = httpx2.post(f"{url}/api/session", json={"code": code}, trust_env=False)
            assert (answer.status_code, answer.json()["can_say"]) == (200, True)
    for log in (bare_shell.folder / "state").rglob("*.log"):
        assert "code=" not in log.read_text()


CREDENTIALS = LiveKitCredentials("ws://127.0.0.1:7880", "key", SecretStr(CANARY))


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path)


def test_each_child_has_the_settings_of_the_folder_and_no_key_that_is_not_for_it(sources: Sources) -> None:
    sources.write(".env", "OPENAI_API_KEY=key-for-speech\nLIBA_VOICE_NAME=nova\nLIBA_SAY_QUEUE_LIMIT=7\n")
    settings = sources.load().settings
    services = LocalStack(settings, room="hall", config_file=Path("named.toml"))
    elsewhere = Sources(sources.write("elsewhere", "").with_name("user"))
    worker = elsewhere.load(services.worker_environment(CREDENTIALS)).settings
    assert worker.openai_api_key == settings.openai_api_key
    page = elsewhere.load(services.page_environment(CREDENTIALS)).settings
    assert (page.openai_api_key, page.voice_providers, page.say_room) == (
        None,
        ("speech", "realtime", "embedded"),
        "hall",
    )
    avatar = elsewhere.load(services.avatar_environment(SecretStr("local"))).settings
    assert (avatar.openai_api_key, avatar.livekit_api_secret) == (None, None)
    for child in (worker, page):
        assert child.livekit() == CREDENTIALS
    for child in (worker, page, avatar):
        assert (child.voice_name, child.say_queue_limit) == ("nova", 7)
    assert services.page_environment(CREDENTIALS)["LIBA_CONFIG"] == str(Path("named.toml").absolute())
