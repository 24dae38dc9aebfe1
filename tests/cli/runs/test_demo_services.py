from __future__ import annotations

import hashlib

import httpx2
import pytest
from pydantic import SecretStr

from libacli.cli.runs.demo_services import DemoServices
from libacli.config import LiveKitCredentials
from libacli.config_sources import load
from tests.cli.conftest import Shell
from tests.twirp_server import API_KEY, API_SECRET, TwirpServer

ENTRY = f"laptop:{hashlib.sha256(b'liba_' + b'x' * 43).hexdigest()}"


@pytest.mark.parametrize("keys", ["", ENTRY])
def test_the_page_of_a_demo_lets_its_owner_in_and_no_more_of_the_link_is_logged(
    bare_shell: Shell, server: TwirpServer, monkeypatch: pytest.MonkeyPatch, keys: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(bare_shell.folder / "state"))
    settings = load(environment={"LIBA_SERVE_KEYS": keys}).settings
    credentials = LiveKitCredentials(server.url, API_KEY, SecretStr(API_SECRET))
    with DemoServices(settings, room="demo", config_file=None).page(credentials) as page:
        assert page.shown() == page.address
        assert bool(page.secret) == bool(keys)
        if keys:
            url, code = page.secret.split("/#room=demo&code=")
            answer = httpx2.post(f"{url}/api/session", json={"code": code}, trust_env=False)
            assert (answer.status_code, answer.json()["can_say"]) == (200, True)
    for log in (bare_shell.folder / "state").rglob("*.log"):
        assert "code=" not in log.read_text()
