from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from libacli.config import Settings, is_secret
from libacli.config_variables import as_variables
from tests.test_config import CANARY, Sources, a_secret
from tests.test_config_trust import ATTEMPTS, OWN_SET

UNUSUAL: dict[str, Any] = OWN_SET | {
    "serve_keys": ["a:1", "b:2"],
    "serve_tls_key": "key.pem",
    "speech_captions": False,
    "voice_instructions": "slowly, please",
    "agent_isolation": "thread",
    "say_ttl": 0,
    "openai_headers": {"api-key": "own-key-of-azure, the second", "x-team": 7},
    "openai_query": "?api-version=2025-03-01-preview&code=a%2Bb",
    "voice_extra": {"provider": {"order": ["a", "b"]}, "instructions": None},
    "pronounce": {"gif": "jif", "C++": 'see "plus plus"'},
}


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path)


def test_a_process_in_another_folder_has_the_same_settings(sources: Sources) -> None:
    settings = sources.load(**UNUSUAL).settings
    again = sources.load(as_variables(settings, with_credentials=True)).settings
    assert again == settings.model_copy(update={"serve_tls_key": Path("key.pem").absolute()})


def test_every_setting_that_can_do_harm_comes_through(sources: Sources) -> None:
    settings = sources.load(**ATTEMPTS).settings
    again = sources.load(as_variables(settings, with_credentials=True)).settings
    paths = {"serve_tls_key", "serve_tls_cert", "server_binary", "voice_pronounce_file"}
    assert again.model_dump(exclude=paths) == settings.model_dump(exclude=paths)


def test_without_credentials_there_is_no_secret_and_no_project() -> None:
    secrets = {field: a_secret(field) for field in Settings.model_fields if is_secret(field)}
    settings = Settings(livekit_url="ws://a", livekit_api_key="k", livekit_previous_api_key="p", **secrets)  # type: ignore[arg-type]
    variables = as_variables(settings, with_credentials=False)
    assert CANARY not in " ".join(variables.values())
    assert not [name for name in variables if name.startswith("LIVEKIT_")]
    assert variables["LIBA_SAY_ROOM"] == "demo"


def test_what_no_environment_can_hold_is_left_out() -> None:
    assert "LIBA_VOICE_NAME" not in as_variables(Settings(voice_name="a\0b"), with_credentials=True)
