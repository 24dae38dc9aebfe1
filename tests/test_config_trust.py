"""What the files of a folder may set: the class of each setting, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.config import Settings, is_secret, toml_name, variable_name
from libacli.config_files import Given
from libacli.config_trust import _FIELDS, CLASSES, Trust, class_of, is_tighter
from libacli.errors import ConfigError
from libacli.folder_settings import Source, without_untrusted
from tests.test_config import CANARY, Sources

OF_THE_USER = {"OPENAI_API_KEY": CANARY}

ATTEMPTS: dict[str, Any] = {
    "livekit_url": "wss://evil.example",
    "livekit_public_url": "wss://evil.example",
    "livekit_api_key": "evil",
    "livekit_api_secret": "evil-secret-evil-secret-evil-secret",
    "livekit_previous_api_key": "evil",
    "livekit_previous_api_secret": "evil-secret-evil-secret-evil-secret",
    "livekit_e2ee_key": "evil",
    "openai_api_key": "evil",
    "openai_base_url": "https://evil.example/v1",
    "openai_headers": "authorization=evil",
    "openai_query": "code=evil",
    "openai_org_id": "evil",
    "openai_project_id": "evil",
    "tavus_api_key": "evil",
    "tavus_base_url": "https://evil.example",
    "avatar_join_timeout": 3600,
    "avatar_idle_timeout": 3600,
    "avatar_renew_before": 3600,
    "avatar_overlap": True,
    "avatar_max_minutes_per_day": 0,
    "voice_extra": '{"provider": "evil"}',
    "voice_pronounce_file": "evil.toml",
    "pronounce": {"yes": "no"},
    "say_accept": "anyone",
    "say_rate_per_minute": 0,
    "say_max_chars_per_hour": 0,
    "avatar_silent_timeout": 0,
    "avatar_can_subscribe": True,
    "avatar_check_public": False,
    "agent_max_rooms": 1000,
    "metrics_keep_days": 1,
    "metrics_keep_mb": 1,
    "agent_health_host": "0.0.0.0",
    "metrics_prometheus_port": 9090,
    "metrics_prometheus_host": "0.0.0.0",
    "metrics_room_names": True,
    "serve_host": "0.0.0.0",
    "serve_port": 9999,
    "serve_keys": ["evil:" + "0" * 64],
    "serve_origins": ["https://evil.example"],
    "record_url": "rtmp://evil.example/app/key",
    "serve_embed": ["https://evil.example"],
    "serve_public_url": "https://evil.example",
    "serve_trusted_proxies": ["203.0.113.0/24"],
    "serve_mcp": True,
    "serve_keep_alive": 3600,
    "serve_rate_per_minute": 0,
    "serve_token_ttl": 3600,
    "serve_owner_key": "liba_" + "x" * 43,
    "serve_tls_cert": "evil.pem",
    "serve_tls_key": "evil.pem",
    "redis_url": "redis://evil.example:6379/0",
    "redis_prefix": "evil",
    "say_journal": "file",
    "say_journal_key": "evil",
    "server_binary": "./evil",
    "voice_options": '{"livekit:openai": {"base_url": "https://evil.example/v1"}}',
    "log_level": "debug",
    "voice_cache_mb": 1000,
}
"""What a stranger's file would set, of all that is not harmless."""

LOOSEST = {
    "avatar_max_duration",
    "avatar_begin",
    "avatar_max_minutes_per_room",
    "avatar_max_conversations",
}
"""Limits whose default is the loosest that there may be."""

FILES = ("liba.toml", ".env", ".env.local")


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path)


def write(sources: Sources, name: str, fields: Mapping[str, Any]) -> Path:
    if name.startswith(".env"):
        lines = [f"{variable_name(field)}={_variable(value)}" for field, value in fields.items()]
    else:
        lines = [f"{toml_name(field)} = {_toml(value)}" for field, value in fields.items()]
    return sources.write(name, "\n".join(lines))


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {json.dumps(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value)


def _variable(value: Any) -> str:
    if isinstance(value, dict):
        return json.dumps(value)
    return ",".join(value) if isinstance(value, list) else str(value)


def test_every_setting_has_one_class_of_trust() -> None:
    classed = [field for fields in _FIELDS.values() for field in fields]
    assert sorted(classed) == sorted(Settings.model_fields), "a new setting needs a class in config_trust.py"
    assert set(_FIELDS) == set(Trust)


def test_a_setting_that_nobody_has_classed_is_taken_for_the_worst() -> None:
    assert class_of("new_setting") is Trust.PROGRAM


def test_no_secret_address_or_path_is_harmless() -> None:
    for field, info in Settings.model_fields.items():
        if is_secret(field):
            assert CLASSES[field] in (Trust.CREDENTIAL, Trust.PROGRAM)
        if field.endswith("_url") or "Path" in str(info.annotation) or field.endswith("_host"):
            assert CLASSES[field] is not Trust.HARMLESS, field


def test_there_is_an_attempt_at_everything_that_is_not_harmless() -> None:
    endangered = {field for field, trust in CLASSES.items() if trust is not Trust.HARMLESS}
    assert ATTEMPTS.keys() == endangered - LOOSEST


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("field", sorted(ATTEMPTS))
def test_what_is_not_harmless_is_left_out_where_the_user_has_a_secret(
    sources: Sources, field: str, name: str
) -> None:
    file = write(sources, name, {field: ATTEMPTS[field], "say_room": "hall"})
    user = {"LIVEKIT_API_SECRET": CANARY} if field == "openai_api_key" else OF_THE_USER
    loaded = sources.load(user)
    assert getattr(loaded.settings, field) == Settings.model_fields[field].default
    assert (loaded.origins[field], loaded.settings.say_room) == ("default", "hall")
    assert [one.field for one in loaded.left_out] == [field]
    spelled = variable_name(field) if name.startswith(".env") else toml_name(field)
    with pytest.raises(ConfigError, match=f"{file} sets {spelled} \\(.*you have not trusted it") as caught:
        loaded.check_nothing_is_left_out()
    assert caught.value.hint == "read it, then: liba config trust"
    assert caught.value.exit_code == 3
    assert "evil" not in str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_what_is_harmless_counts_beside_the_users_secrets(sources: Sources, name: str) -> None:
    fields = {
        "say_room": "hall",
        "voice_name": "nova",
        "voice_speed": 1.5,
        "voice_instructions": "softly",
        "voice_language": "de",
        "speech_captions": False,
        "tavus_face_id": "face",
        "speech_max_chunk_chars": 80,
    }
    write(sources, name, fields)
    loaded = sources.load(OF_THE_USER)
    assert {field: getattr(loaded.settings, field) for field in fields} == fields
    loaded.check_nothing_is_left_out()


OWN_SET = {
    "livekit_url": "wss://own.example",
    "livekit_api_key": "own",
    "livekit_api_secret": "own-secret-own-secret-own-secret-own",
    "openai_api_key": "own-openai-key",
    "openai_base_url": "https://own.example/v1",
    "tavus_api_key": "own-tavus-key",
    "tavus_face_id": "face",
    "say_max_chars_per_hour": 200_000,
}
"""What a beginner writes into one file."""


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_brings_all_addresses_and_secrets_that_are_in_use_counts(
    sources: Sources, name: str
) -> None:
    write(sources, name, OWN_SET)
    loaded = sources.load()
    loaded.check_nothing_is_left_out()
    assert loaded.settings.livekit().url == OWN_SET["livekit_url"]
    assert loaded.settings.say_max_chars_per_hour == OWN_SET["say_max_chars_per_hour"]


@pytest.mark.parametrize("place", ["environment", "flag", "user", "named", "other file of the folder"])
def test_one_secret_from_elsewhere_and_what_the_file_brings_is_left_out(sources: Sources, place: str) -> None:
    own = {field: value for field, value in OWN_SET.items() if field != "tavus_api_key"}
    write(sources, ".env", own)
    environment, flags, named = {}, {}, None
    if place == "environment":
        environment = {"TAVUS_API_KEY": CANARY}
    elif place == "flag":
        flags = {"tavus_api_key": CANARY}
    elif place == "user":
        sources.user_file.write_text(f'[tavus]\napi_key = "{CANARY}"')
    elif place == "named":
        named = sources.write("named.toml", f'[tavus]\napi_key = "{CANARY}"')
    else:
        write(sources, "liba.toml", {"tavus_api_key": CANARY})
    loaded = sources.load(environment, config_file=named, **flags)
    assert not loaded.settings.livekit_url and not loaded.settings.openai_base_url
    assert {one.field for one in loaded.left_out} >= own.keys() - {"tavus_face_id"}


def test_the_keys_that_the_user_has_put_into_env_go_nowhere_that_a_strangers_toml_names(
    sources: Sources,
) -> None:
    keys = {"OPENAI_API_KEY": CANARY, "LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": CANARY}
    sources.write(".env", "\n".join(f"{name}={value}" for name, value in keys.items()))
    write(sources, "liba.toml", {"openai_base_url": "https://evil.example/v1"})
    loaded = sources.load()
    assert loaded.settings.openai_api_key and not loaded.settings.openai_base_url
    assert [one.field for one in loaded.left_out] == ["openai_base_url"]


def test_a_password_in_an_address_of_the_users_is_a_secret_too(sources: Sources) -> None:
    write(sources, "liba.toml", {"tavus_base_url": "https://evil.example"})
    assert not sources.load({"OPENAI_BASE_URL": "http://host/v1"}).left_out
    assert sources.load({"OPENAI_BASE_URL": "http://user:password@host/v1"}).left_out


def test_a_program_counts_only_once_the_file_is_trusted(sources: Sources) -> None:
    file = write(sources, "liba.toml", {"server_binary": "./evil"})
    assert sources.load().settings.server_binary is None
    sources.trusted.add(file, file.read_bytes())
    loaded = sources.load(OF_THE_USER)
    assert loaded.settings.server_binary == Path("./evil")
    loaded.check_nothing_is_left_out()


def test_what_goes_before_the_folder_goes_before_what_would_be_left_out(sources: Sources) -> None:
    write(sources, "liba.toml", {"openai_base_url": "https://evil.example/v1", "server_binary": "./evil"})
    loaded = sources.load(OF_THE_USER | {"OPENAI_BASE_URL": "http://mine/v1", "LIBA_SERVER_BINARY": "/mine"})
    assert (loaded.settings.openai_base_url, loaded.left_out) == ("http://mine/v1", ())


def test_what_stands_below_something_that_is_left_out_is_left_out_as_well(sources: Sources) -> None:
    sources.user_file.write_text('[openai]\nbase_url = "http://mine/v1"')
    for name in FILES:
        write(sources, name, {"openai_base_url": f"https://evil.example/{name}"})
    loaded = sources.load(OF_THE_USER)
    assert loaded.settings.openai_base_url == "http://mine/v1"
    assert [Path(one.file).name for one in loaded.left_out] == [".env.local", ".env", "liba.toml"]


def test_a_limit_may_be_made_tighter_by_anybody(sources: Sources) -> None:
    sources.user_file.write_text("[say]\nmax_chars_per_hour = 5000")
    for chars, counts in ((4000, True), (5000, True), (6000, False), (0, False)):
        write(sources, "liba.toml", {"say_max_chars_per_hour": chars})
        loaded = sources.load(OF_THE_USER)
        assert loaded.settings.say_max_chars_per_hour == (chars if counts else 5000)
    # Not measured by what another file of the folder says.
    write(sources, ".env", {"say_max_chars_per_hour": 500_000})
    assert sources.load(OF_THE_USER).settings.say_max_chars_per_hour == 5000


@pytest.mark.parametrize(
    ("value", "than", "holds"),
    [
        (1, 2, True),
        (2, 2, True),
        ("1.5", 2, True),
        (3, 2, False),
        (3, 0, True),
        (0, 3, False),
        (0, 0, False),
        (-1, 3, False),
        ("nan", 3, False),
        ("inf", 0, True),
        ([1], 3, False),
        ("", 3, False),
    ],
)
def test_of_two_limits_0_is_the_loosest(value: object, than: object, holds: bool) -> None:
    assert is_tighter(value, than) is holds


def test_a_value_that_changes_nothing_needs_no_trust(sources: Sources) -> None:
    write(sources, "liba.toml", {"serve_host": "127.0.0.1", "tavus_base_url": "https://tavusapi.com"})
    sources.load(OF_THE_USER).check_nothing_is_left_out()


def test_an_untrusted_env_takes_nothing_out_of_the_environment(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET_OF_THE_USER", CANARY)
    own = "LIVEKIT_URL=wss://evil/${A_SECRET_OF_THE_USER}\nLIVEKIT_API_KEY=k\nLIVEKIT_API_SECRET=s\n"
    file = sources.write(".env", f"{own}LIBA_SAY_ROOM=${{A_SECRET_OF_THE_USER:-x}}\n")
    loaded = sources.load()
    assert CANARY not in loaded.settings.livekit_url + loaded.settings.say_room
    assert {one.field for one in loaded.left_out} == {"livekit_url", "say_room"}
    sources.trusted.add(file, file.read_bytes())
    assert sources.load().settings.livekit_url == f"wss://evil/{CANARY}"


@pytest.mark.parametrize("level", ["INFO", "warning", "CRITICAL"])
def test_a_log_without_the_spoken_text_may_be_asked_for_by_anybody(sources: Sources, level: str) -> None:
    sources.write(".env.local", f"LIVEKIT_LOG_LEVEL={level}")
    sources.load(OF_THE_USER).check_nothing_is_left_out()


def test_many_settings_are_told_in_one_line(sources: Sources) -> None:
    write(sources, "liba.toml", ATTEMPTS)
    with pytest.raises(ConfigError, match=r"^\S+liba.toml sets .*, .* and \d+ more, and you have") as caught:
        sources.load({"LIVEKIT_URL": "ws://mine", "OPENAI_API_KEY": CANARY}).check_nothing_is_left_out()
    assert len(str(caught.value)) < 400


PLACES = ("flag", "environment", ".env.local", ".env", "liba.toml", "user", "lk")
UNTRUSTED = (".env.local", ".env", "liba.toml")

FIELDS = (
    "livekit_url",
    "livekit_api_secret",
    "openai_api_key",
    "openai_base_url",
    "tavus_base_url",
    "say_room",
    "say_max_chars_per_hour",
    "server_binary",
)
VALUES = ("http://u:p@a", "http://b", "7", "200000")


@given(st.tuples(*[st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(VALUES)) for _ in PLACES]))
def test_nothing_of_a_folder_is_ever_in_use_with_a_secret_from_elsewhere(
    given_by: tuple[dict[str, str], ...],
) -> None:
    sources = [
        Source({field: Given(value, place) for field, value in found.items()}, place not in UNTRUSTED, place)
        for place, found in zip(PLACES, given_by, strict=True)
    ]
    kept, left_out = without_untrusted(sources)
    in_use: dict[str, Source] = {}
    for source in reversed(kept):
        in_use |= dict.fromkeys(source.values, source)
    for field, source in in_use.items():
        value = source.values[field].value
        others = [
            name
            for name, other in in_use.items()
            if other is not source and (is_secret(name) or ":p@" in other.values[name].value)
        ]
        if source.is_trusted or class_of(field) is Trust.HARMLESS or value == _beside(sources, field):
            continue
        assert class_of(field) is not Trust.PROGRAM
        assert not others or (class_of(field) is Trust.LIMIT and 0 < float(value) <= 100_000)
    whole = [(source.file, field) for source in kept for field in source.values]
    assert sorted(whole + [(one.file, one.field) for one in left_out]) == sorted(
        (source.file, field) for source in sources for field in source.values
    )
    assert all(one.file in UNTRUSTED for one in left_out)


def _beside(sources: list[Source], field: str) -> Any:
    own = [one.values[field].value for one in sources if one.is_trusted and field in one.values]
    return own[0] if own else Settings.model_fields[field].default


def test_a_folder_without_files_of_settings_costs_no_look_at_what_is_trusted(sources: Sources) -> None:
    sources.trusted._path.parent.mkdir()
    sources.trusted._path.write_text("spoilt")
    sources.load(OF_THE_USER)
