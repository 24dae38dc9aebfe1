from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from pydantic import SecretStr

from libacli.config import LiveKitCredentials, Settings
from libacli.config_sources import LoadedSettings, load
from libacli.edges.avatars.fakes import FakeAvatarService, ScriptedCreate
from libacli.edges.avatars.ledger import Entry, Ledger
from libacli.edges.avatars.vendors import TAVUS
from libacli.edges.checks import grants, machine, media, server, vendors, voices
from libacli.edges.checks.finding import Finding
from libacli.edges.livekit.say_permission import sign_permission
from libacli.edges.livekit.tokens import Permissions, join_token
from libacli.edges.voices.cache_files import SoundFiles
from libacli.errors import AvatarError, LibaError, UnreachableError
from libacli.local.pins import SOURCE_VERSION
from tests.faulty_avatar import Create, FaultyAvatar, Script
from tests.realtime_server import NO_QUOTA, RealtimeServer
from tests.speech_server import QUOTA_USED_UP, SpeechServer
from tests.speech_server import Script as Speech
from tests.twirp_server import TwirpServer

SECRET = "canary-secret-canary-secret-canary-secret"
CREDENTIALS = LiveKitCredentials("ws://127.0.0.1:7880", "key", SecretStr(SECRET))
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ANSWER = server.Answer("ws://host", 200, "OK", format_datetime(NOON, usegmt=True), NOON, took_s=0.0)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def settings_of(folder: Path, **environment: str) -> LoadedSettings:
    return load(environment=environment, folder=folder, user_file=folder / "none.toml")


# Settings and this machine


def test_settings_tell_which_secrets_there_are_and_not_what_they_are(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        f"LIVEKIT_URL=ws://a\nOPENAI_API_KEY={SECRET}\nLIVEKIT_API_SECRET={SECRET}"
    )
    finding = machine.settings(settings_of(tmp_path, LIBA_SAY_ROOM="hall"))
    assert finding.verdict == "ok"
    file = f"{tmp_path / '.env'} (livekit.url, livekit.api_secret, openai.api_key)"
    assert finding.message.startswith(f"4 given by {file}, environment (say.room); secrets among them: ")
    assert finding.message.endswith(": livekit.api_secret, openai.api_key")
    assert SECRET not in repr(finding)


def test_an_older_spelling_is_told_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "liba.toml").write_text("[tavus]\nready_timeout = 7\n[say]\nroom = 'hall'")
    finding = machine.settings(settings_of(tmp_path))
    assert f"2 given by {tmp_path / 'liba.toml'} (avatar.ready_timeout, say.room);" in finding.message


def test_what_a_folder_may_not_set_fails_with_what_it_is_and_the_next_step(tmp_path: Path) -> None:
    assert machine.folder(settings_of(tmp_path)).message == "it has no settings of its own"
    (tmp_path / ".env").write_text("LIBA_SAY_ROOM=hall")
    finding = machine.folder(settings_of(tmp_path))
    assert (finding.verdict, finding.fix) == ("ok", "")
    (tmp_path / "liba.toml").write_text("[server]\nbinary = './evil'\n[openai]\nbase_url = 'http://evil/v1'")
    finding = machine.folder(settings_of(tmp_path, OPENAI_API_KEY=SECRET))
    assert (finding.verdict, finding.exit_code, finding.fix) == (
        "fail",
        3,
        "read it, then: liba config trust",
    )
    assert "server.binary (a program that would run)" in finding.message
    assert "openai.base_url (an address that your keys would be used with)" in finding.message


@pytest.mark.parametrize(("mode", "verdict"), [(0o644, "warn"), (0o600, "ok"), (0o640, "ok")])
def test_a_file_with_secrets_that_all_can_read_is_told(tmp_path: Path, mode: int, verdict: str) -> None:
    file = tmp_path / ".env"
    file.write_text(f"OPENAI_API_KEY={SECRET}\n")
    file.chmod(mode)
    finding = machine.files(settings_of(tmp_path))
    assert finding.verdict == verdict
    assert finding.fix == (f"chmod 600 {file}" if verdict == "warn" else "")


def test_a_readable_file_without_secrets_is_nothing_to_tell(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LIVEKIT_URL=ws://a\n")
    assert machine.files(settings_of(tmp_path)).verdict == "ok"


def test_what_is_installed_is_what_liba_was_made_for() -> None:
    assert machine.packages().verdict == "ok"


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ("pytest>=1,<1000", "ok"),
        ("pytest<2,>=1", "fail"),
        ("pytest==1.0.0", "fail"),
        ("no-such-package>=1", "fail"),
        ('no-such-package>=1; extra == "local"', "ok"),
    ],
)
def test_a_package_outside_its_bounds_is_told_with_the_command_that_mends_it(line: str, verdict: str) -> None:
    finding = machine.packages([line])
    assert finding.verdict == verdict
    assert (f"'{line}'" in finding.fix) is (verdict == "fail")


@pytest.mark.parametrize(
    ("installed", "bounds", "fits"),
    [
        ("1.9", ">=1.9.0", True),
        ("1.9.0", "<1.9", False),
        ("1.10.2", ">=1.9,<2", True),
        ("2.0.0", "<2", False),
        ("10", ">=9.5", True),
    ],
)
def test_versions_are_compared_as_numbers(installed: str, bounds: str, fits: bool) -> None:
    finding = machine._fits(installed, bounds)
    assert finding is fits


def test_a_folder_that_is_not_there_yet_can_be_written_to_if_its_parent_can(tmp_path: Path) -> None:
    finding = machine.disk({"records": tmp_path / "a" / "b"})
    assert finding.verdict == "ok"
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_a_folder_fails(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    finding = machine.disk({"records": tmp_path / "state"})
    assert finding.verdict == "fail"
    assert str(tmp_path / "state") in finding.fix


async def test_what_is_kept_of_the_voice_is_told(tmp_path: Path) -> None:
    def found() -> Finding:
        return machine.voice_cache(tmp_path / "voice", 50)

    assert (await asyncio.to_thread(found)).message == f"0 lines, 0.0 of 50 MB, in {tmp_path / 'voice'}"
    assert not (tmp_path / "voice").exists()
    files = await asyncio.to_thread(SoundFiles, tmp_path / "voice", 50_000_000)
    files.put(b"line", bytes(480_000))
    await files.aclose()
    assert (await asyncio.to_thread(found)).message.startswith("1 lines, 0.5 of 50 MB")


def test_a_file_in_the_place_of_the_voices_cache_fails(tmp_path: Path) -> None:
    (tmp_path / "voice").write_text("")
    finding = machine.voice_cache(tmp_path / "voice", 50)
    assert (finding.verdict, str(tmp_path / "voice") in finding.fix) == ("fail", True)


def test_conversations_of_crashed_agents_are_told(tmp_path: Path) -> None:
    living, crashed = Ledger(tmp_path), Ledger(tmp_path)
    living.write(Entry("a", "room", "http://tavus", living.owner, "id-1"))
    assert machine.conversations(tmp_path).verdict == "ok"
    crashed.write(Entry("b", "room", "http://tavus", crashed.owner, "id-2"))
    crashed.close()
    finding = machine.conversations(tmp_path)
    assert (finding.verdict, finding.fix) == ("warn", "liba reap")
    assert finding.message.startswith("1 left behind")
    living.close()


def test_conversations_with_a_local_avatar_cost_nothing_and_end_with_it(tmp_path: Path) -> None:
    crashed = Ledger(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as service:
        url = f"http://127.0.0.1:{service.getsockname()[1]}"
        crashed.write(Entry("a", "room", url, crashed.owner, "id-1", is_local=True))
        crashed.close()
        finding = machine.conversations(tmp_path)
        assert (finding.verdict, "money" in finding.message) == ("ok", False)
        assert "1 with a local avatar" in finding.message
    assert machine.conversations(tmp_path).message == "none left behind; 0 running"
    assert Ledger(tmp_path).entries() == [], "the service is gone, and its conversations with it"


def test_a_conversation_beyond_a_proxy_of_this_machine_is_not_forgotten_when_that_is_gone(
    tmp_path: Path,
) -> None:
    crashed = Ledger(tmp_path)
    crashed.write(Entry("a", "room", "http://127.0.0.1:1", crashed.owner, "id-1"))
    crashed.close()
    assert machine.conversations(tmp_path).fix == "liba reap"
    assert len(Ledger(tmp_path).entries()) == 1


def test_a_conversation_whose_note_cannot_be_read_may_still_cost_money(tmp_path: Path) -> None:
    (tmp_path / "liba-1.json").write_text('{"name": "lib')
    finding = machine.conversations(tmp_path)
    assert (finding.verdict, finding.fix) == ("warn", "liba reap --all; then remove the file")
    assert str(tmp_path / "liba-1.json") in finding.message


def test_fault_54_a_port_that_is_taken_is_told_with_who_has_it_and_what_to_set() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finding = machine.ports({"agent.health_port": ("127.0.0.1", port)})
    assert finding.verdict == "fail"
    assert f"agent.health_port: 127.0.0.1:{port} is taken by" in finding.message
    assert f"process {os.getpid()}" in finding.fix
    assert "LIBA_AGENT_HEALTH_PORT=0" in finding.fix
    assert machine.ports({"agent.health_port": ("127.0.0.1", port)}).verdict == "ok"


def test_an_address_that_is_not_of_this_machine_cannot_be_bound() -> None:
    finding = machine.ports({"metrics.prometheus_port": ("203.0.113.1", 9100)})
    assert finding.verdict == "fail"
    assert "cannot be bound" in finding.message


def test_ports_of_which_any_will_do_are_never_taken() -> None:
    assert machine.ports({"agent.health_port": ("127.0.0.1", 0)}).verdict == "ok"


FOREIGN_PROGRAM = b"\x7fELF\x02\x01\x01" + b"\0" * 9 + b"\x02\x00\xf7\x00" + b"\0" * 44
"""Head of a program for BPF, a machine that nobody sits at."""


def test_fault_54_a_server_for_another_machine_is_told_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "livekit-server"
    program.write_bytes(FOREIGN_PROGRAM)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = machine.local_server(None, lambda: None)
    assert finding.verdict == "warn"
    assert "is no program for this machine" in finding.message
    assert finding.fix == f"remove {program}, then: liba server install"
    used = machine.local_server(None, lambda: (Path("/other"), "1.13.5"))
    assert used.message.endswith("; /other is used")


def test_a_machine_without_a_server_is_told_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    finding = machine.local_server(None, lambda: None)
    assert (finding.verdict, finding.fix) == ("warn", "liba server install")


# LiveKit


@pytest.mark.parametrize(
    ("ahead_s", "verdict", "words"),
    [
        (0.0, "ok", "the same"),
        (-4.0, "ok", "behind"),
        (20.0, "warn", "20 s ahead of"),
        (-20.0, "warn", "behind"),
        (90.0, "fail", "are refused"),
        (-3600.0, "fail", "behind"),
    ],
)
def test_fault_56_a_clock_that_is_wrong_is_told_with_its_direction(
    ahead_s: float, verdict: str, words: str
) -> None:
    finding = server.clock(replace(ANSWER, arrived_at=NOON + timedelta(seconds=ahead_s + 0.5)))
    assert finding.verdict == verdict
    assert words in finding.message


@pytest.mark.parametrize("date", [None, "yesterday"])
def test_a_server_that_does_not_tell_its_time_is_not_judged_by_it(date: str | None) -> None:
    assert server.clock(replace(ANSWER, date=date)).verdict == "skip"


@pytest.mark.parametrize(
    ("status", "text", "verdict", "code"),
    [
        (200, "OK", "ok", 1),
        (200, "<html>Welcome</html>", "warn", 1),
        (502, "Bad Gateway", "fail", 4),
        (400, "Client sent an HTTP request to an HTTPS server.", "fail", 3),
    ],
)
def test_what_answers_need_not_be_livekit(status: int, text: str, verdict: str, code: int) -> None:
    finding = server.reached(replace(ANSWER, status=status, text=text))
    assert (finding.verdict, finding.exit_code) == (verdict, code)


@pytest.mark.parametrize(
    ("version", "is_cloud", "verdict"),
    [
        ("1.13.7", False, "ok"),
        ("1.20.0-rc1", False, "ok"),
        ("1.13.6", False, "warn"),
        ("1.9.1", False, "fail"),
        ("", False, "warn"),
        ("1.8.0", True, "ok"),
    ],
)
def test_a_server_that_is_too_old_is_told(version: str, is_cloud: bool, verdict: str) -> None:
    assert server.version(server.Welcome(version, is_cloud, ())).verdict == verdict


def test_the_server_that_liba_itself_has_built_is_not_complained_of() -> None:
    found = server.version(server.Welcome(SOURCE_VERSION, False, ()), is_loopback=True)
    assert (found.verdict, found.fix) == ("ok", "")
    assert server.version(server.Welcome("1.9.1", False, ()), is_loopback=True).verdict == "fail"


def test_a_server_that_grants_more_than_the_token_fails() -> None:
    finding = server.token_round_trip(server.Welcome("1.13.7", False, ("publish data",)))
    assert finding.verdict == "fail"
    assert "publish data" in finding.message


@pytest.mark.parametrize(
    ("url", "words", "fix"),
    [
        ("ws://127.0.0.1:1", "nothing listens there", "liba server run"),
        ("wss://nohost.invalid", "there is no host of that name", "check LIVEKIT_URL"),
    ],
)
async def test_what_is_in_the_way_to_the_server_is_told(url: str, words: str, fix: str) -> None:
    with pytest.raises(UnreachableError, match=words) as caught:
        await server.first_answer(replace(CREDENTIALS, url=url))
    assert fix in caught.value.hint


async def test_a_server_without_tls_is_told_from_one_that_is_not_there() -> None:
    async with serving({}) as url:
        with pytest.raises(UnreachableError, match="does not speak TLS") as caught:
            await server.first_answer(replace(CREDENTIALS, url=url.replace("http", "wss")))
    assert "ws://" in caught.value.hint


async def test_a_proxy_that_lets_no_websockets_through_is_told() -> None:
    async with serving({}) as url:
        with pytest.raises(Exception, match="joined: status 404") as caught:
            await server.welcome(replace(CREDENTIALS, url=url), "token")
    assert "proxy" in caught.value.hint  # type: ignore[attr-defined]


def test_media_that_came_is_ok_even_where_the_sdk_crashes_on_its_way_out() -> None:
    assert media.read(b'{"protocol": "udp", "took_s": 0.1}', -11).verdict == "ok"


@pytest.mark.parametrize(
    ("told", "code", "why"),
    [(b"", -6, "ended with -6"), (b'{"failure": "LiveKit refused the token"}', 0, "refused the token")],
)
def test_media_that_did_not_come_is_told_with_its_reason(told: bytes, code: int, why: str) -> None:
    with pytest.raises(LibaError, match=why):
        media.read(told, code)


def test_media_over_tcp_is_a_warning() -> None:
    assert media.judged("udp", 0.1).verdict == "ok"
    assert media.judged("tcp", 0.1).verdict == "warn"
    assert media.judged("", 0.1).message == "connected in 100 ms"


# Tokens


def minted(video: dict[str, Any], *, secret: str = SECRET, shift_s: float = 0.0, **claims: Any) -> str:
    now = int(datetime.now(UTC).timestamp() + shift_s)
    times = {"nbf": now, "exp": now + 600}
    return jwt.encode({"iss": "key", "sub": "me", "video": video} | times | claims, secret, algorithm="HS256")


WATCHING = {
    "roomJoin": True,
    "room": "demo",
    "canSubscribe": True,
    "canPublish": False,
    "canPublishData": False,
    "canUpdateOwnMetadata": False,
}


def given(token: str) -> Any:
    return grants.given_token(token, CREDENTIALS, room="demo")


def test_a_viewers_token_of_ours_is_the_least() -> None:
    assert given(join_token(CREDENTIALS, room="demo", identity="viewer")).verdict == "ok"
    brings_an_agent = join_token(CREDENTIALS, room="demo", identity="viewer", brings="liba")
    assert "roomConfig" in given(brings_an_agent).message


def test_who_may_send_data_is_named_by_its_token() -> None:
    may_send: list[dict[str, Any]] = [
        {"canPublishData": True},
        {"canPublishData": None, "canPublish": True},
        {"canPublishData": None, "canPublish": None},
    ]
    may_not: list[dict[str, Any]] = [{}, {"canPublishData": None}, {"canPublish": True}]
    for video in may_send:
        assert "sending data, which can slow speech" in given(minted(WATCHING | video)).message
    for video in may_not:
        assert "sending data" not in given(minted(WATCHING | video)).message
    say = join_token(CREDENTIALS, room="demo", identity="guest", permissions=Permissions(can_say=True))
    assert "send data" in given(say).message


@pytest.mark.parametrize(
    ("people", "verdict", "words"),
    [
        ([], "ok", "nobody"),
        (["viewer", "guest", "agent"], "ok", "nobody"),
        (["viewer", "loud"], "warn", "'loud' may send data in room 'demo'"),
        (["loud"] * 7, "warn", "and 2 more may send data"),
    ],
)
async def test_who_may_send_data_in_a_room_and_need_not_is_named(
    people: list[str], verdict: str, words: str
) -> None:
    known: dict[str, dict[str, Any]] = {
        "viewer": {"permission": {"can_subscribe": True}},
        "guest": {"permission": {"can_publish_data": True}, "attributes": {"liba.say": "given"}},
        "agent": {"permission": {"can_publish_data": True}, "kind": "AGENT"},
        "loud": {"permission": {"can_subscribe": True, "can_publish_data": True}},
    }
    with TwirpServer() as twirp:
        twirp.participants = [{"identity": name, "state": "ACTIVE"} | known[name] for name in people]
        finding = await server.data_senders(twirp.credentials, "demo")
    assert (finding.verdict, words in finding.message) == (verdict, True), finding.message


@pytest.mark.parametrize(
    ("video", "claims", "words"),
    [
        ({"canPublish": None, "canPublishData": None}, {}, "canPublish is not set"),
        ({"canPublishData": True}, {}, "sending data"),
        ({"canUpdateOwnMetadata": True}, {}, "canUpdateOwnMetadata"),
        ({"roomAdmin": True}, {}, "roomAdmin"),
        ({"hidden": True}, {}, "hidden"),
        ({"somethingNew": True}, {}, "somethingNew"),
        ({"room": ""}, {}, "any room"),
        ({}, {"kind": "agent"}, "kind"),
        ({}, {"sip": {"admin": True}}, "sip"),
    ],
)
def test_fault_04_a_broad_token_fails_and_its_rights_are_named(
    video: dict[str, Any], claims: dict[str, Any], words: str
) -> None:
    finding = given(minted(WATCHING | video, **claims))
    assert (finding.verdict, finding.exit_code) == ("fail", 3)
    assert words in finding.message


@pytest.mark.parametrize(
    ("permissions", "words"),
    [
        (Permissions(can_say=True), "make the agent speak"),
        (Permissions(can_say=True, can_control=True), "make the agent speak, and stop it"),
        (Permissions(can_publish=True), "publish sound and picture"),
    ],
)
def test_rights_that_were_given_on_purpose_are_a_warning(permissions: Permissions, words: str) -> None:
    finding = given(join_token(CREDENTIALS, room="demo", identity="viewer", permissions=permissions))
    assert finding.verdict == "warn"
    assert words in finding.message


def test_a_permission_that_no_agent_would_take_is_told() -> None:
    may_send = WATCHING | {"canPublishData": True}

    def holding(value: str) -> Any:
        return given(minted(may_send, attributes={"liba.say": value}))

    def permission(**changes: Any) -> str:
        wanted: dict[str, Any] = {"room": "demo", "identity": "me", "valid_for_s": 60} | changes
        return sign_permission(CREDENTIALS, **wanted)

    assert (holding("true").verdict, "say.accept = attribute" in holding("true").message) == ("warn", True)
    assert holding(permission()).verdict == "warn"
    for words, value in {
        "another participant's": permission(identity="vera"),
        "for another room": permission(room="lobby"),
        "has expired": permission(valid_for_s=-1),
        "is not valid": "yes",
    }.items():
        assert (holding(value).verdict, holding(value).exit_code) == ("fail", 3), words
        assert words in holding(value).message
    assert grants.given_token(minted(may_send, attributes={"liba.say": "yes"}), None, room="demo")


def test_fault_56_each_thing_that_is_wrong_with_a_token_has_its_own_words() -> None:
    wrong = {
        "expired 10 min ago": minted(WATCHING, shift_s=-1200),
        "not valid yet": minted(WATCHING, shift_s=3600),
        "another API secret": minted(WATCHING, secret="x" * 32),
        "another API key": minted(WATCHING, iss="other"),
        "for room 'other', not 'demo'": minted(WATCHING | {"room": "other"}),
        "does not allow to join": minted(WATCHING | {"roomJoin": False}),
        "not a token": "what is this",
    }
    found = {words: given(token) for words, token in wrong.items()}
    for words, finding in found.items():
        assert (finding.verdict, finding.exit_code) == ("fail", 3), words
        assert words in finding.message
        assert finding.fix
    assert len({finding.message for finding in found.values()}) == len(wrong)


# Vendors


def settings(**fields: Any) -> Settings:
    return Settings(**fields)


@pytest.mark.parametrize("host", ["127.0.0.1", "192.168.1.5", "10.0.0.1", "localhost", "[::1]"])
async def test_fault_11_a_private_livekit_with_tavus_in_the_cloud_is_told(host: str) -> None:
    finding = await vendors.public(settings(), replace(CREDENTIALS, url=f"ws://{host}:7880"))
    assert (finding.verdict, finding.exit_code) == ("fail", 3)
    assert "livekit not public" in finding.message
    assert "liba avatar run" in finding.fix


async def test_f5_what_others_reach_is_looked_at_and_what_nobody_can_tell_is_no_fault() -> None:
    inside = replace(CREDENTIALS, url="ws://10.0.0.1:7880")
    assert (await vendors.public(settings(), replace(inside, public_url="wss://8.8.8.8"))).verdict == "ok"
    fake = replace(inside, public_url="wss://198.18.0.5")
    assert (await vendors.public(settings(), fake)).verdict == "warn"
    private = await vendors.public(settings(), replace(inside, public_url="wss://10.0.0.2"))
    assert private.verdict == "fail"
    assert "LIVEKIT_PUBLIC_URL" in private.fix
    assert (await vendors.public(settings(avatar_check_public=False), inside)).verdict == "skip"


async def test_a_public_livekit_and_a_local_avatar_are_fine() -> None:
    assert (await vendors.public(settings(), replace(CREDENTIALS, url="wss://8.8.8.8"))).verdict == "ok"
    local = settings(tavus_base_url="http://127.0.0.1:1")
    assert (await vendors.public(local, CREDENTIALS)).verdict == "ok"


@pytest.mark.parametrize(
    ("create", "verdict", "code", "words"),
    [
        ("ok", "ok", 1, "takes the key"),
        (401, "fail", 3, "refuses the key"),
        (402, "fail", 1, "no credit"),
        ("too many", "warn", 1, "no more conversations"),
        (429, "warn", 1, "no more conversations"),
        (500, "fail", 1, "in trouble"),
        ("lost", "fail", 1, "not reachable"),
    ],
)
async def test_what_tavus_says_is_told_apart_and_costs_nothing(
    create: Create, verdict: str, code: int, words: str
) -> None:
    async with FaultyAvatar() as tavus:
        tavus.play(Script(create=create))
        of_tavus = settings(tavus_api_key=tavus.api_key, tavus_base_url=tavus.base_url, tavus_pal_id="pal")
        finding = await vendors.avatar(of_tavus, CREDENTIALS)
        assert [body["test_mode"] for body in tavus.bodies] == [True]
        assert tavus.active == []
    assert (finding.verdict, finding.exit_code) == (verdict, code)
    assert words in finding.message


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({}, "skip"),
        ({"tavus_api_key": SecretStr("k")}, None),
        ({"tavus_face_id": "f"}, "fail"),
    ],
)
def test_half_an_avatar_in_the_settings_is_told(fields: dict[str, Any], verdict: str | None) -> None:
    finding = vendors.avatar_settings(settings(**fields))
    assert (finding and finding.verdict) == verdict


def refused(status: int, said: str, **fields: Any) -> AvatarError:
    return AvatarError(str(status), status=status, said=said, is_permanent=False, **fields)


@pytest.mark.parametrize(
    ("error", "words", "fix"),
    [
        (refused(400, "please reach out to support"), "did not take it (400: please reach", "in a while"),
        (
            refused(402, "out of credits"),
            "no credit left on this account (402: out of credits)",
            "add credit",
        ),
        (
            AvatarError("400", status=400, said="Invalid face_id", is_permanent=True),
            "does not accept this face or pal (400: Invalid face_id)",
            "TAVUS_FACE_ID",
        ),
    ],
)
async def test_f10_what_tavus_says_itself_is_told(error: AvatarError, words: str, fix: str) -> None:
    service = FakeAvatarService(vendor=TAVUS)
    service.play(ScriptedCreate(error=error, is_begun=False))
    finding = await vendors.avatar(settings(), CREDENTIALS, service)
    assert words in finding.message
    assert fix in finding.fix


async def test_f11_a_pal_that_joins_no_livekit_room_is_told() -> None:
    service = FakeAvatarService()
    service.pal_misfit = "the pal p1 joins no LiveKit room: its pipeline_mode is 'full', not 'echo'"
    finding = await vendors.avatar(settings(), CREDENTIALS, service)
    assert (finding.verdict, finding.message, finding.fix) == (
        "fail",
        service.pal_misfit,
        "liba avatar create-pal",
    )


@pytest.mark.parametrize(
    ("script", "verdict", "code", "words"),
    [
        (Speech(), "ok", 1, "says one word"),
        (Speech(status=401), "fail", 3, "refused the API key"),
        (Speech(status=404), "fail", 3, "knows no such model"),
        (QUOTA_USED_UP, "fail", 1, "no quota"),
        (Speech(status=400, param="voice", message="No voice (429)."), "fail", 3, "No voice (429)."),
    ],
)
async def test_what_the_speech_service_says_is_told_apart(
    script: Speech, verdict: str, code: int, words: str
) -> None:
    async with SpeechServer(script) as speech:
        finding = await voices.one_word(settings(openai_base_url=speech.base_url), "speech", is_paid=False)
        assert speech.calls == 1
    assert (finding.verdict, finding.exit_code) == (verdict, code)
    assert words in finding.message


async def test_a_voice_that_costs_is_not_heard_unless_the_user_agrees() -> None:
    finding = await voices.one_word(
        settings(openai_base_url="https://speech.invalid/v1"), "speech", is_paid=False
    )
    assert (finding.verdict, finding.fix) == ("skip", "liba doctor --paid")


async def test_the_door_of_a_realtime_voice_is_tried_without_cost() -> None:
    async with RealtimeServer() as server:
        finding = await voices.one_word(realtime_settings(server), "realtime", is_paid=False)
    assert (finding.verdict, server.handshakes, server.requests) == ("skip", 1, [])
    assert "takes key, model and speaker" in finding.message


@pytest.mark.parametrize("status", [401, 403, 404, 429])
async def test_a_realtime_voice_whose_door_stays_closed_fails_the_check(status: int) -> None:
    async with RealtimeServer() as server:
        server.status = status
        finding = await voices.one_word(realtime_settings(server), "realtime", is_paid=False)
    assert finding.verdict == "fail"
    assert finding.fix


async def test_a_realtime_voice_that_is_turned_away_behind_its_door_fails_the_check() -> None:
    async with RealtimeServer() as server:
        server.farewell = (NO_QUOTA, 1000, "")
        finding = await voices.one_word(realtime_settings(server), "realtime", is_paid=False)
    assert finding.verdict == "fail"
    assert "add credit" in finding.fix


def realtime_settings(server: RealtimeServer) -> Settings:
    return settings(
        openai_base_url=server.base_url, openai_api_key=SecretStr("sk-key"), voice_providers=["realtime"]
    )


@pytest.mark.parametrize(("status", "verdict"), [(200, "ok"), (401, "fail"), (404, "skip"), (403, "skip")])
async def test_the_key_of_a_paid_voice_is_tried_without_cost(status: int, verdict: str) -> None:
    asked: list[str] = []

    async def model(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"id": "m", "object": "model"}, status=status)

    async with serving({"/v1/models/{model}": model}) as url:
        finding = await voices.openai(settings(openai_base_url=f"{url}/v1", openai_api_key=SecretStr("k")))
    assert asked == ["/v1/models/gpt-4o-mini-tts"]
    assert finding.verdict == verdict


@pytest.mark.parametrize(
    ("shutdown_date", "providers", "verdict", "words"),
    [
        (None, "speech,embedded", "ok", "takes the key and has"),
        ("2027-01-06", "speech,embedded", "warn", "shuts down on 2027-01-06: embedded will speak then"),
        ("2027-01-06T00:00:00Z", "speech", "warn", "2027-01-06: every text will be refused then"),
        ("some day", "speech", "ok", "takes the key and has"),
    ],
)
async def test_a_model_that_will_be_shut_down_is_told_with_who_speaks_then(
    shutdown_date: str | None, providers: str, verdict: str, words: str
) -> None:
    async def model(request: web.Request) -> web.Response:
        told = {"id": "m", "object": "model", "created": 1, "owned_by": "o", "shutdown_date": shutdown_date}
        return web.json_response(told)

    async with serving({"/v1/models/{model}": model}) as url:
        finding = await voices.openai(
            settings(
                openai_base_url=f"{url}/v1",
                openai_api_key=SecretStr("k"),
                voice_providers=tuple(providers.split(",")),
            )
        )
    assert finding.verdict == verdict
    assert words in finding.message
    assert bool(finding.fix) == ("refused" in words)


@pytest.mark.parametrize(
    ("providers", "verdict", "words"),
    [
        (("speech", "embedded"), "ok", "if speech were gone: embedded would speak"),
        (("speech",), "warn", "if speech were gone every text would be refused"),
        (("embedded",), "ok", "no service can take it away"),
    ],
)
def test_what_happens_when_the_first_voice_is_gone_is_told(
    providers: tuple[str, ...], verdict: str, words: str
) -> None:
    finding = voices.after_the_first(settings(voice_providers=providers, openai_api_key=SecretStr("k")))
    assert finding.verdict == verdict
    assert words in finding.message


class serving:
    """A web server with these handlers of GET, on loopback."""

    def __init__(self, routes: dict[str, Callable[[web.Request], Any]]) -> None:
        app = web.Application()
        for path, handler in routes.items():
            app.router.add_get(path, handler)
        self._runner = web.AppRunner(app, access_log=None)

    async def __aenter__(self) -> str:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
