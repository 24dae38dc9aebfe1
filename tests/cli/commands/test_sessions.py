"""`liba sessions`, against a `liba serve` that runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from libacli.cli.runs.sessions import serve_address
from libacli.config import Settings
from libacli.web.keys import new_key
from tests.cli.conftest import Shell
from tests.cli.runs.test_serve import Served, serving
from tests.twirp_server import TwirpServer, agent

pytestmark = pytest.mark.live

KEY, ENTRY = new_key("laptop")


@pytest.fixture
def served(shell: Shell) -> Iterator[Served]:
    with serving(shell, LIBA_SERVE_KEYS=ENTRY) as served:
        shell.env |= {"LIBA_SERVE_OWNER_KEY": KEY, "LIBA_SERVE_PUBLIC_URL": served.url}
        yield served
        assert served.end() == 0


def entered(served: Served) -> tuple[str, str]:
    """The session of somebody who came by a link, and who he is in the room."""
    with httpx2.Client(base_url=served.url, trust_env=False) as client:
        link = client.post("/api/link", headers={"Authorization": f"Bearer {KEY}"}).json()["url"]
        code = parse_qs(urlsplit(link).fragment)["code"][0]
        session = client.post("/api/session", json={"code": code}).json()["session"]
        token = client.post("/api/token", headers={"Authorization": f"Bearer {session}"}).json()
        return session, token["identity"]


def test_who_is_let_in_is_shown_and_ended_and_put_out_of_the_room(
    shell: Shell, server: TwirpServer, served: Served
) -> None:
    assert shell.run("sessions").stderr == "nobody was let in by a link\n"
    session, identity = entered(served)
    server.participants = [agent(), {"identity": identity}]
    shown = shell.run("sessions")
    assert (shown.code, shown.stdout.count("\n")) == (0, 1)
    assert f"room demo  watches  {identity}  1 live tokens  ends in 720 min" in shown.stdout
    (told,) = shell.run("sessions", "--json").json["sessions"]
    ended = shell.run("sessions", "--end", told["name"])
    assert (ended.code, ended.stdout, ended.stderr) == (0, f"ended  {identity}\n", "")
    assert [asked.body["identity"] for asked in server.asked("RemoveParticipant")] == [identity]
    assert shell.run("sessions", "--json").json == {"sessions": []}
    assert session not in shown.stdout + json.dumps(told)


def test_a_name_that_nobody_has_is_told(shell: Shell, served: Served) -> None:
    ended = shell.run("sessions", "--end", "session 00000000", "--address", served.url)
    assert (ended.code, ended.stdout) == (1, "")
    assert "there is no session of this name" in ended.stderr


def test_without_the_key_nothing_is_shown(shell: Shell, served: Served) -> None:
    for key in ("", "liba_wrong"):
        ended = shell.run("sessions", env={"LIBA_SERVE_OWNER_KEY": key})
        assert (ended.code, ended.stdout) == (3, "")
        assert "LIBA_SERVE_OWNER_KEY" in ended.stderr


def test_what_does_not_answer_and_what_is_something_else_is_told(shell: Shell, server: TwirpServer) -> None:
    nobody = shell.run("sessions", "--address", "http://127.0.0.1:9")
    assert (nobody.code, nobody.stdout) == (4, "")
    assert "no `liba serve` answers at http://127.0.0.1:9" in nobody.stderr
    other = shell.run("sessions", "--address", server.url.replace("ws", "http", 1))
    assert (other.code, other.stdout) == (1, "")
    assert shell.run("sessions", "--address", "ftp://x").code == 2


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"serve_host": "0.0.0.0", "serve_port": 9000}, "http://127.0.0.1:9000"),
        ({"serve_host": "::"}, "http://[::1]:8080"),
        ({"serve_host": "fe80::1"}, "http://[fe80::1]:8080"),
        ({"serve_tls_cert": "cert.pem", "serve_host": "speak.example"}, "https://speak.example:8080"),
        ({"serve_public_url": "https://speak.example/"}, "https://speak.example"),
    ],
)
def test_the_settings_say_where_it_is_reached(fields: dict[str, object], address: str) -> None:
    assert serve_address(Settings(**fields)) == address  # type: ignore[arg-type]
