from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from libacli.cli.options import seconds
from libacli.edges.livekit.say_permission import SayPermissions
from libacli.errors import UsageError
from tests.cli.conftest import Shell
from tests.cli.fake_browser import FakeBrowser
from tests.twirp_server import API_SECRET, TwirpServer


def claims(token: str) -> dict[str, Any]:
    decoded: dict[str, Any] = jwt.decode(token, API_SECRET, algorithms=["HS256"])
    return decoded


def test_the_token_comes_with_all_that_is_needed_to_join(shell: Shell, server: TwirpServer) -> None:
    ended = shell.run("token", "--identity", "vera")
    lines = dict(line.split(":", 1) for line in ended.stdout.splitlines())
    token = lines.pop("token").strip()
    assert {name: value.strip() for name, value in lines.items()} == {
        "url": server.url,
        "room": "demo",
        "identity": "vera",
        "valid for": "10m",
    }
    assert (claims(token)["sub"], ended.code, ended.stderr) == ("vera", 0, "")


def test_as_json_it_says_what_it_grants(shell: Shell, server: TwirpServer) -> None:
    made = shell.run("token", "-r", "news", "-i", "vera", "-n", "Vera", "--can-say", "--json").json
    token = made.pop("token")
    # What `lk token create --json` prints: https://github.com/livekit/livekit-cli, cmd/lk/token.go
    of_lk = {name: made.pop(name) for name in ("access_token", "project_url", "name", "grants")}
    assert (of_lk["access_token"], of_lk["project_url"], of_lk["name"]) == (token, server.url, "Vera")
    assert of_lk["grants"]["video"] == claims(token)["video"]
    assert made == {
        "url": server.url,
        "room": "news",
        "identity": "vera",
        "valid_for_s": 600,
        "can_say": True,
        "can_control": False,
        "can_publish": False,
    }
    SayPermissions([server.credentials], "news").read("vera", claims(token)["attributes"]["liba.say"])
    assert (claims(token)["name"], claims(token)["video"]["room"]) == ("Vera", "news")


def test_inside_outside_url_who_joins_is_told_the_address_for_others(shell: Shell) -> None:
    public = {"LIVEKIT_PUBLIC_URL": "https://lk.example.org"}
    assert "url:       wss://lk.example.org\n" in shell.run("token", env=public).stdout
    assert shell.run("token", "--json", env=public).json["url"] == "wss://lk.example.org"
    browser = FakeBrowser(shell.folder)
    shell.spawn("token", "--token-only", "--open", env=public | browser.env)
    assert parse_qs(urlsplit(browser.led_to()).query)["liveKitUrl"] == ["wss://lk.example.org"]


def test_the_token_alone_is_one_line(shell: Shell) -> None:
    ended = shell.run("token", "--token-only")
    assert claims(ended.stdout.removesuffix("\n"))["video"]["roomJoin"]


@pytest.mark.parametrize(
    ("flags", "rights"),
    [
        (["--can-say"], (True, False)),
        (["--can-say", "--can-control"], (True, True)),
        (["--can-control"], (False, True)),
    ],
    ids=str,
)
@pytest.mark.parametrize("printed", ["--token-only", "--permission-only"])
def test_it_gives_the_rights_that_were_asked_for_and_no_others(
    shell: Shell, server: TwirpServer, flags: list[str], rights: tuple[bool, bool], printed: str
) -> None:
    made = shell.run("token", "-i", "ann", *flags, printed).stdout.strip()
    permission = made if printed == "--permission-only" else claims(made)["attributes"]["liba.say"]
    given = SayPermissions([server.credentials], "demo").read("ann", permission)
    assert (given.may_say, given.may_control, given.on_behalf) == (*rights, "")


def test_the_permission_alone_is_one_line_and_lets_a_token_of_another_tool_speak(
    shell: Shell, server: TwirpServer
) -> None:
    ended = shell.run(
        "token", "--can-say", "--permission-only", "-r", "news", "-i", "ann", "--valid-for", "90s"
    )
    permission = SayPermissions([server.credentials], "news").read("ann", ended.stdout.removesuffix("\n"))
    assert permission.expires_at - time.time() == pytest.approx(90, abs=5)  # noqa: TID251
    assert ended.stderr == ""


@pytest.mark.parametrize("missing", ["--can-say", "--identity"])
def test_a_permission_is_for_somebody_and_to_do_something(shell: Shell, missing: str) -> None:
    given = {"--can-say": ["--can-say"], "--identity": ["--identity", "ann"]}
    arguments = [word for option, words in given.items() if option != missing for word in words]
    ended = shell.run("token", "--permission-only", *arguments)
    assert (ended.code, ended.stdout) == (2, "")
    assert "--identity ann" in ended.stderr


def test_no_permission_is_given_to_an_identity_of_an_agent(shell: Shell) -> None:
    ended = shell.run("token", "--permission-only", "--can-say", "--identity", "agent-x")
    assert (ended.code, ended.stdout) == (6, "")


def test_without_an_identity_everybody_gets_another_one(shell: Shell) -> None:
    identities = {shell.run("token", "--json").json["identity"] for _ in range(5)}
    assert len(identities) == 5
    assert all(identity.startswith("viewer-") for identity in identities)


def test_the_room_of_the_settings_is_used_where_none_is_named(shell: Shell) -> None:
    assert shell.run("token", "--json", env={"LIBA_SAY_ROOM": "lobby"}).json["room"] == "lobby"


def test_flags_go_before_the_environment(shell: Shell) -> None:
    made = shell.run("token", "--json", "--url", "wss://x.example", "--api-key", "other").json
    assert made["url"] == "wss://x.example"
    assert claims(made["token"])["iss"] == "other"


@pytest.mark.parametrize("identity", ["liba-agent-1", "agent-x", "agent-42", "tavus-avatar-agent"])
def test_reserved_agent_an_identity_of_an_agent_is_refused(shell: Shell, identity: str) -> None:
    ended = shell.run("token", "--identity", identity)
    assert (ended.code, ended.stdout) == (6, "")
    assert ended.stderr == (
        f"liba: the identity '{identity}' is reserved: liba-*, agent-* and tavus-avatar-agent belong to"
        " agents - choose another one, or leave --identity out\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("--identity", ""),
        ("--room", ""),
        ("--room", " "),
        ("--room", "x" * 129),
        ("--identity", "a\x1b[2Jb"),
        ("--valid-for", "0"),
        ("--valid-for", "25h"),
        ("--valid-for", "1w"),
        ("--valid-for", ""),
        ("--unknown",),
    ],
)
def test_a_mistake_on_the_command_line_is_one_of_usage(shell: Shell, arguments: tuple[str, ...]) -> None:
    ended = shell.run("token", *arguments)
    assert (ended.code, ended.stdout) == (2, "")
    assert "\x1b" not in ended.stderr


def test_what_is_missing_is_named_in_one_line(bare_shell: Shell) -> None:
    ended = bare_shell.run("token")
    assert (ended.code, ended.stdout) == (3, "")
    assert ended.stderr.startswith("liba: LIVEKIT_URL and LIVEKIT_API_KEY and LIVEKIT_API_SECRET are not set")
    assert ended.stderr.count("\n") == 1


def test_the_secret_of_a_development_server_raises_no_warning(shell: Shell) -> None:
    ended = shell.spawn("token", "--token-only", env={"LIVEKIT_API_SECRET": "secret"})
    assert (ended.code, ended.stderr) == (0, "")


def test_open_shows_livekits_own_page_joined_to_the_room(shell: Shell, server: TwirpServer) -> None:
    browser = FakeBrowser(shell.folder)
    token = shell.spawn("token", "--token-only", "--open", env=browser.env).stdout.strip()
    link = urlsplit(browser.led_to())
    assert (link.scheme, link.netloc, link.path) == ("https", "meet.livekit.io", "/custom")
    assert parse_qs(link.query) == {"liveKitUrl": [server.url], "token": [token]}
    assert "eyJ" not in browser.arguments()
    assert browser.file_modes() == (0o700, 0o600)


@pytest.mark.parametrize(
    ("duration", "expected"),
    [("90s", 90), ("90", 90), ("5m", 300), ("1h30m", 5400), ("1h", 3600), ("1h1s", 3601), (" 10m ", 600)],
)
def test_durations_are_read_as_they_are_written(duration: str, expected: int) -> None:
    assert seconds(duration) == expected


@pytest.mark.parametrize("duration", ["", "s", "1w", "-5", "1.5h", "30m1h", "1h30", "٣m", "9" * 5000])
def test_what_is_no_duration_is_told(duration: str) -> None:
    with pytest.raises(UsageError, match="is not a duration"):
        seconds(duration)


def test_it_brings_the_agent_where_that_is_asked_for(shell: Shell) -> None:
    made = shell.run("token", "--agent", "--json", env={"LIBA_AGENT_NAME": "host"}).json
    assert made["agent"] == "host"
    brings = {"syncStreams": True, "agents": [{"agentName": "host"}]}
    assert claims(made["token"])["roomConfig"] == brings
    assert "agent:     liba" in shell.run("token", "--agent").stdout.splitlines()
    assert claims(shell.run("token", "--token-only").stdout.strip())["roomConfig"] == {"syncStreams": True}
