"""What the demo hands over to the commands that it starts, which run in a folder of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from libacli.cli.runs.demo_services import DemoServices
from libacli.config import LiveKitCredentials
from tests.test_config import CANARY, Sources

CREDENTIALS = LiveKitCredentials("ws://127.0.0.1:7880", "key", SecretStr(CANARY))


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path)


def test_each_child_has_the_settings_of_the_folder_and_no_key_that_is_not_for_it(sources: Sources) -> None:
    sources.write(".env", "OPENAI_API_KEY=key-for-speech\nLIBA_VOICE_NAME=nova\nLIBA_SAY_QUEUE_LIMIT=7\n")
    settings = sources.load().settings
    services = DemoServices(settings, room="hall", config_file=Path("named.toml"))
    elsewhere = Sources(sources.write("elsewhere", "").with_name("user"))
    worker = elsewhere.load(services.worker_environment(CREDENTIALS)).settings
    assert worker.openai_api_key == settings.openai_api_key
    page = elsewhere.load(services.page_environment(CREDENTIALS)).settings
    assert (page.openai_api_key, page.voice_provider, page.say_room) == (None, "openai", "hall")
    avatar = elsewhere.load(services.avatar_environment(SecretStr("local"))).settings
    assert (avatar.openai_api_key, avatar.livekit_api_secret) == (None, None)
    for child in (worker, page):
        assert child.livekit() == CREDENTIALS
    for child in (worker, page, avatar):
        assert (child.voice_name, child.say_queue_limit) == ("nova", 7)
    assert services.page_environment(CREDENTIALS)["LIBA_CONFIG"] == str(Path("named.toml").absolute())
