from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from libacli.config import Settings, example, is_secret, toml_name, variable_name
from libacli.config_sources import CONFIG_VARIABLE, LoadedSettings, load
from libacli.errors import ConfigError, CredentialsError
from libacli.running_stack import StackFile
from libacli.trusted_files import TrustedFiles
from tests.privileges import held_to_file_modes

CANARY = "canary-secret-of-a-user"


class Sources:
    """All the places that settings come from, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.user_file = folder / "user" / "config.toml"
        self.user_file.parent.mkdir()
        self.projects_file = folder / "lk" / "cli-config.yaml"
        self.trusted = TrustedFiles(folder / "state" / "trusted.json")
        self.running = StackFile(folder / "state")

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def load(
        self,
        environment: Mapping[str, str] | None = None,
        *,
        config_file: Path | None = None,
        project: str | None = None,
        **flags: Any,
    ) -> LoadedSettings:
        return load(
            flags=flags,
            config_file=config_file,
            project=project,
            environment=environment or {},
            folder=self.folder,
            user_file=self.user_file,
            projects_file=self.projects_file,
            running=self.running,
            trusted=self.trusted,
        )


def a_secret(field: str) -> str:
    """A value for a setting that is secret."""
    if field == "voice_options":
        return json.dumps({"livekit:plugin": {"api_key": CANARY}})
    return f"a-name={CANARY}" if field in ("openai_headers", "openai_query") else CANARY


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path)


def test_without_any_source_every_setting_has_its_default(sources: Sources) -> None:
    loaded = sources.load()
    assert loaded.settings == Settings()
    assert set(loaded.origins.values()) == {"default"}


def test_each_source_goes_before_the_next(sources: Sources) -> None:
    named = sources.write("named.toml", '[say]\nroom = "named"')
    rooms, origins = [], []

    def look(environment: Mapping[str, str] | None = None, **options: Any) -> None:
        loaded = sources.load(environment, **options)
        rooms.append(loaded.settings.say_room)
        origins.append(loaded.origins["say_room"])

    sources.user_file.write_text('[say]\nroom = "user"')
    look()
    sources.write("liba.toml", '[say]\nroom = "project"')
    look()
    look(config_file=named)
    dotenv = sources.write(".env", "LIBA_SAY_ROOM=dotenv")
    look()
    local = sources.write(".env.local", "LIBA_SAY_ROOM=local")
    look()
    look({"LIBA_SAY_ROOM": "environment"})
    look({"LIBA_SAY_ROOM": "environment"}, say_room="flag")
    assert rooms == ["user", "project", "named", "dotenv", "local", "environment", "flag"]
    assert origins == [
        str(sources.user_file),
        str(sources.folder / "liba.toml"),
        str(named),
        f"{dotenv} LIBA_SAY_ROOM",
        f"{local} LIBA_SAY_ROOM",
        "environment LIBA_SAY_ROOM",
        "flag",
    ]


@pytest.mark.parametrize(
    ("told", "level"),
    [("DEBUG", "debug"), ("TRACE", "debug"), ("INFO", "info"), ("WARN", "warning"), ("CRITICAL", "error")],
)
def test_what_livekit_agents_reads_is_read_and_our_own_variables_go_before_it(
    sources: Sources, told: str, level: str
) -> None:
    of_agents = {"LIVEKIT_AGENT_NAME": "theirs", "LIVEKIT_LOG_LEVEL": told}
    loaded = sources.load(of_agents)
    assert (loaded.settings.agent_name, loaded.settings.log_level) == ("theirs", level)
    assert loaded.origins["agent_name"] == "environment LIVEKIT_AGENT_NAME"
    settings = sources.load(of_agents | {"LIBA_AGENT_NAME": "ours", "LIBA_LOG_LEVEL": "error"}).settings
    assert (settings.agent_name, settings.log_level) == ("ours", "error")


def test_a_level_that_nobody_has_is_an_error_that_names_the_variable(sources: Sources) -> None:
    with pytest.raises(ConfigError, match=r"^log.level: .* \(from environment LIVEKIT_LOG_LEVEL\)"):
        sources.load({"LIVEKIT_LOG_LEVEL": "loud"})


def test_sources_add_up(sources: Sources) -> None:
    sources.user_file.write_text(f'[livekit]\napi_secret = "{CANARY}"')
    sources.write("liba.toml", '[say]\nroom = "hall"')
    settings = sources.load({"LIVEKIT_URL": "ws://127.0.0.1:7880"}, livekit_api_key="key").settings
    credentials = settings.livekit()
    assert (credentials.url, credentials.api_key) == ("ws://127.0.0.1:7880", "key")
    assert credentials.api_secret.get_secret_value() == CANARY
    assert settings.say_room == "hall"


def test_a_named_file_is_read_instead_of_the_projects_own(sources: Sources) -> None:
    sources.write("liba.toml", '[log]\nlevel = "debug"')
    named = sources.write("named.toml", '[say]\nroom = "named"')
    assert sources.load(config_file=named).settings.log_level == "info"


def test_an_empty_value_is_none_at_all(sources: Sources) -> None:
    sources.write("liba.toml", '[livekit]\nurl = "ws://file"\napi_key = ""')
    sources.write(".env", "LIVEKIT_URL=\n")
    loaded = sources.load({"LIVEKIT_URL": ""})
    assert loaded.settings.livekit_url == "ws://file"
    assert loaded.origins["livekit_api_key"] == "default"


@pytest.mark.parametrize(
    ("variables", "face"),
    [
        ({"TAVUS_FACE_ID": "new"}, "new"),
        ({"TAVUS_REPLICA_ID": "old"}, "old"),
        ({"TAVUS_REPLICA_ID": "old", "TAVUS_FACE_ID": "new"}, "new"),
        ({"TAVUS_FACE_ID": "new", "TAVUS_REPLICA_ID": "old"}, "new"),
    ],
)
def test_both_spellings_of_tavus_work_and_the_newer_one_wins(
    sources: Sources, variables: dict[str, str], face: str
) -> None:
    assert sources.load(variables).settings.tavus_face_id == face
    sources.write(".env", "\n".join(f"{name}={value}" for name, value in variables.items()))
    assert sources.load().settings.tavus_face_id == face


@pytest.mark.parametrize(
    "keys", ['face_id = "new"\nreplica_id = "old"', 'replica_id = "old"\nface_id = "new"']
)
def test_both_spellings_work_in_a_file_too(sources: Sources, keys: str) -> None:
    sources.write("liba.toml", f'[tavus]\n{keys}\npersona_id = "p"')
    settings = sources.load().settings
    assert (settings.tavus_face_id, settings.tavus_pal_id) == ("new", "p")


POLICIES = [
    ("ready_timeout", 7.0),
    ("join_timeout", 7.0),
    ("audible_timeout", 7.0),
    ("idle_timeout", 7.0),
    ("max_duration", 240),
    ("renew_before", 7.0),
    ("max_minutes_per_day", 7.0),
]


@pytest.mark.parametrize(("key", "value"), POLICIES)
def test_a_policy_of_avatars_that_is_written_as_one_of_tavus_still_holds(
    sources: Sources, key: str, value: float
) -> None:
    field, variable = f"avatar_{key}", f"TAVUS_{key.upper()}"
    file = sources.write("liba.toml", f"[tavus]\n{key} = {value}")
    loaded = sources.load()
    assert (getattr(loaded.settings, field), loaded.origins[field]) == (value, f"{file} tavus.{key}")
    dotenv = sources.write(".env", f"{variable}={value + 1}")
    loaded = sources.load()
    assert (getattr(loaded.settings, field), loaded.origins[field]) == (value + 1, f"{dotenv} {variable}")
    loaded = sources.load({variable: str(value + 2)})
    assert (getattr(loaded.settings, field), loaded.origins[field]) == (value + 2, f"environment {variable}")


@pytest.mark.parametrize("tables", ["tavus avatar", "avatar tavus"])
@pytest.mark.parametrize(("key", "value"), POLICIES)
def test_a_policy_of_avatars_that_is_spelled_both_ways_is_the_newer_one(
    sources: Sources, key: str, value: float, tables: str
) -> None:
    field, older, newer = f"avatar_{key}", f"TAVUS_{key.upper()}", f"LIBA_AVATAR_{key.upper()}"
    values = {"tavus": value, "avatar": value + 1}
    file = sources.write(
        "liba.toml", "\n".join(f"[{name}]\n{key} = {values[name]}" for name in tables.split())
    )
    loaded = sources.load()
    assert (getattr(loaded.settings, field), loaded.origins[field]) == (value + 1, str(file))
    loaded = sources.load({older: str(value), newer: str(value + 2)})
    assert (getattr(loaded.settings, field), loaded.origins[field]) == (value + 2, f"environment {newer}")


def test_an_older_spelling_in_the_environment_goes_before_a_newer_one_in_a_file(sources: Sources) -> None:
    sources.write("liba.toml", "[avatar]\nidle_timeout = 7")
    assert sources.load({"TAVUS_IDLE_TIMEOUT": "9"}).settings.avatar_idle_timeout == 9


def test_a_value_that_is_not_valid_is_told_with_the_spelling_that_it_came_from(sources: Sources) -> None:
    sources.write("liba.toml", "[tavus]\nmax_duration = 7")
    with pytest.raises(
        ConfigError, match=r"avatar\.max_duration: .* \(from .*liba\.toml tavus\.max_duration\)"
    ):
        sources.load()


def test_the_table_of_pronunciations_has_any_keys_and_is_json_as_a_variable(sources: Sources) -> None:
    file = sources.write("liba.toml", '[pronounce]\ngif = "jif"\n"C++" = "see plus plus"')
    loaded = sources.load()
    assert loaded.settings.pronounce == {"gif": "jif", "C++": "see plus plus"}
    assert loaded.origins["pronounce"] == str(file)
    loaded = sources.load({"LIBA_PRONOUNCE": '{"SQL": "sequel"}'})
    assert loaded.settings.pronounce == {"SQL": "sequel"}
    assert loaded.origins["pronounce"] == "environment LIBA_PRONOUNCE"


@pytest.mark.parametrize("value", ["gif=jif", "[1]", '{"gif": 5}', '"jif"', "[" * 100_000])
def test_a_variable_that_is_no_table_is_an_error_that_repeats_none_of_it(
    sources: Sources, value: str
) -> None:
    with pytest.raises(ConfigError, match=r"^pronounce: .* \(from environment LIBA_PRONOUNCE\)$") as caught:
        sources.load({"LIBA_PRONOUNCE": value})
    assert value not in str(caught.value)


def test_an_unknown_variable_names_the_nearest(sources: Sources) -> None:
    with pytest.raises(ConfigError, match="LIBA_SAY_ROOMS is not a setting") as caught:
        sources.load({"LIBA_SAY_ROOMS": CANARY})
    assert caught.value.hint == "did you mean LIBA_SAY_ROOM?"
    assert CANARY not in str(caught.value)


def test_an_unknown_variable_in_the_dotenv_file_is_told_too(sources: Sources) -> None:
    sources.write(".env", "LIBA_LOG_LEVLE=debug")
    with pytest.raises(ConfigError) as caught:
        sources.load()
    assert caught.value.hint == "did you mean LIBA_LOG_LEVEL?"


@pytest.mark.parametrize("line", ['LIVEKIT_API_KEY="abc', "LIVEKIT_URL ws://x", "export LIBA_SAY_ROOM: hall"])
def test_a_line_of_the_dotenv_file_that_sets_ours_and_cannot_be_read_is_told(
    sources: Sources, line: str
) -> None:
    file = sources.write(".env", f"OTHER=1\n\n{line}{CANARY}\nLIBA_LOG_LEVEL=debug\n")
    with pytest.raises(ConfigError, match=rf"^{file}:3: LI\w+ cannot be read$") as caught:
        sources.load()
    assert caught.value.hint == "write NAME=value, and end a quotation that begins"


def test_a_line_of_another_program_that_cannot_be_read_is_passed_over_and_told_by_its_place(
    sources: Sources, caplog: pytest.LogCaptureFixture
) -> None:
    file = sources.write(".env", f"not an assignment: {CANARY}\nLIBA_SAY_ROOM=hall\n")
    assert sources.load().settings.say_room == "hall"
    assert caplog.messages == [f"{file}:1: passed over, it is not NAME=value"]


def test_variables_of_others_are_let_be(sources: Sources) -> None:
    sources.load({"OPENAI_ORG_ID": "x", "LIVEKIT_SIP": "x", "PATH": "x", CONFIG_VARIABLE: "x"})


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('[livekt]\nurl = "x"', r"unknown table \[livekt\]", "did you mean livekit?"),
        ('[say]\nromo = "x"', "unknown setting say.romo", "did you mean say.room?"),
        (
            '[livekit]\napi_secert = "x"',
            "unknown setting livekit.api_secert",
            "did you mean livekit.api_secret?",
        ),
        (
            "[avatar]\nredy_timeout = 1",
            "unknown setting avatar.redy_timeout",
            "did you mean avatar.ready_timeout?",
        ),
        (
            "[tavus]\nredy_timeout = 1",
            "unknown setting tavus.redy_timeout",
            "did you mean avatar.ready_timeout?",
        ),
        ('[zzz]\nq = "x"', r"unknown table \[zzz\]", "`liba config show` lists all settings"),
    ],
)
def test_an_unknown_key_names_the_nearest(sources: Sources, text: str, message: str, hint: str) -> None:
    sources.write("liba.toml", text)
    with pytest.raises(ConfigError, match=message) as caught:
        sources.load()
    assert caught.value.hint == hint


def test_a_key_outside_of_its_table_is_told_as_that(sources: Sources) -> None:
    sources.write("liba.toml", 'agent = "liba"')
    with pytest.raises(ConfigError, match="agent must be a table"):
        sources.load()


@pytest.mark.parametrize(
    "content",
    [f"[livekit]\napi_secret = {CANARY}", f'[livekit]\napi_secret = "{CANARY}', f'api_secret "{CANARY}"'],
)
def test_bad_toml_is_told_with_its_line_and_without_its_words(sources: Sources, content: str) -> None:
    sources.write("liba.toml", content)
    with pytest.raises(ConfigError, match=r"liba\.toml is not valid TOML: .*(line|end)") as caught:
        sources.load()
    assert "canary" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_told(sources: Sources) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*nowhere\.toml: No such file"):
        sources.load(config_file=sources.folder / "nowhere.toml")
    with pytest.raises(ConfigError, match=r"cannot read .*: Is a directory"):
        sources.load(config_file=sources.folder)


@pytest.mark.parametrize("name", ["liba.toml", ".env"])
def test_a_file_that_is_not_utf_8_is_told(sources: Sources, name: str) -> None:
    sources.write(name, b"\xff\xfe LIVEKIT_URL=x")
    with pytest.raises(ConfigError, match=f"cannot read .*{name}"):
        sources.load()


@pytest.mark.parametrize("name", ["liba.toml", ".env"])
def test_a_file_that_may_not_be_read_is_told(sources: Sources, name: str) -> None:
    sources.write(name, "").chmod(0)
    with held_to_file_modes(), pytest.raises(ConfigError, match="Permission denied"):
        sources.load()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"LIBA_VOICE_SPEED": "9"}, r"voice\.speed: input should be less than or equal to 4"),
        ({"LIBA_VOICE_SPEED": "fast"}, r"voice\.speed: input should be a valid number"),
        ({"LIBA_VOICE_SPEED": "nan"}, r"voice\.speed: input should be"),
        ({"LIBA_SAY_ACCEPT": "everyone"}, r"say\.accept: input should be 'signed', 'attribute' or 'anyone'"),
        ({"LIBA_SAY_QUEUE_LIMIT": "0"}, r"say\.queue_limit: .* \(from environment LIBA_SAY_QUEUE_LIMIT\)"),
        ({"LIBA_SPEECH_CAPTIONS": "perhaps"}, r"speech\.captions: input should be a valid boolean"),
        ({"LIBA_VOICE_STALL_TIMEOUT": "0"}, r"voice\.stall_timeout: input should be greater than 0"),
    ],
)
def test_a_value_that_is_not_valid_is_told_with_its_origin(
    sources: Sources, variables: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        sources.load(variables)
    assert caught.value.exit_code == 3


def test_a_secret_of_the_wrong_type_is_told_without_it(sources: Sources) -> None:
    sources.write("liba.toml", '[livekit]\napi_secret = ["canary-secret-of-a-user"]')
    with pytest.raises(ConfigError, match=r"livekit\.api_secret: input should be a valid string") as caught:
        sources.load()
    assert "canary" not in str(caught.value)


def test_values_of_the_environment_become_what_they_mean(sources: Sources) -> None:
    settings = sources.load(
        {"LIBA_SPEECH_CAPTIONS": "off", "LIBA_VOICE_SPEED": "1.5", "LIBA_SERVER_BINARY": "/opt/server"}
    ).settings
    assert (settings.speech_captions, settings.voice_speed) == (False, 1.5)
    assert settings.server_binary == Path("/opt/server")


def test_no_secret_is_in_any_representation(sources: Sources) -> None:
    secrets = {variable_name(field): a_secret(field) for field in Settings.model_fields if is_secret(field)}
    keys = {"LIVEKIT_URL": "ws://x", "LIVEKIT_API_KEY": "key", "LIVEKIT_PREVIOUS_API_KEY": "old"}
    loaded = sources.load(secrets | keys)
    shown = [loaded, loaded.settings, loaded.settings.livekit(), loaded.settings.model_dump()]
    assert "canary" not in f"{shown!r} {shown} {loaded.settings.model_dump_json()}"
    named = {"LIVEKIT_API_SECRET", "LIVEKIT_PREVIOUS_API_SECRET", "OPENAI_API_KEY", "TAVUS_API_KEY"}
    others = {
        "LIBA_SERVE_OWNER_KEY",
        "OPENAI_HEADERS",
        "OPENAI_QUERY",
        "LIBA_VOICE_OPTIONS",
        "LIVEKIT_E2EE_KEY",
        "LIBA_REDIS_URL",
        "LIBA_SAY_JOURNAL_KEY",
        "LIBA_RECORD_URL",
    }
    assert secrets.keys() == named | others


def test_a_key_that_is_being_replaced_is_known_with_its_secret_or_not_at_all(sources: Sources) -> None:
    assert sources.load().settings.livekit_previous() is None
    both = {"LIVEKIT_PREVIOUS_API_KEY": "old", "LIVEKIT_PREVIOUS_API_SECRET": CANARY}
    previous = sources.load(both).settings.livekit_previous()
    assert previous and (previous.api_key, previous.api_secret.get_secret_value()) == ("old", CANARY)
    for half in both:
        with pytest.raises(ConfigError, match="only one is set"):
            sources.load({half: both[half]})


def test_settings_do_not_change_once_made() -> None:
    with pytest.raises(ValidationError):
        Settings().say_room = "other"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "LIVEKIT_URL and LIVEKIT_API_KEY and LIVEKIT_API_SECRET are not set"),
        ({"LIVEKIT_URL": "ws://x", "LIVEKIT_API_KEY": "key"}, "LIVEKIT_API_SECRET is not set"),
    ],
)
def test_missing_credentials_are_named_with_a_way_out(
    sources: Sources, variables: dict[str, str], message: str
) -> None:
    with pytest.raises(CredentialsError, match=message) as caught:
        sources.load(variables).settings.livekit()
    assert "liba up" in caught.value.hint


def test_an_address_of_another_kind_is_told(sources: Sources) -> None:
    variables = {"LIVEKIT_URL": "demo.livekit", "LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": CANARY}
    with pytest.raises(ConfigError, match=r"must begin with ws:// or wss://, it is 'demo\.livekit'"):
        sources.load(variables).settings.livekit()


@pytest.mark.parametrize(
    ("url", "http", "ws", "is_loopback"),
    [
        ("ws://127.0.0.1:7880", "http://127.0.0.1:7880", "ws://127.0.0.1:7880", True),
        ("ws://localhost:7880/", "http://localhost:7880", "ws://localhost:7880", True),
        ("http://[::1]:7880", "http://[::1]:7880", "ws://[::1]:7880", True),
        ("wss://news.livekit.cloud", "https://news.livekit.cloud", "wss://news.livekit.cloud", False),
        ("https://http.example/ws", "https://http.example/ws", "wss://http.example/ws", False),
        (
            "wss://localhost.example.com",
            "https://localhost.example.com",
            "wss://localhost.example.com",
            False,
        ),
    ],
)
def test_one_address_serves_calls_and_media(
    sources: Sources, url: str, http: str, ws: str, is_loopback: bool
) -> None:
    variables = {"LIVEKIT_URL": url, "LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": CANARY}
    credentials = sources.load(variables).settings.livekit()
    assert (credentials.http_url, credentials.ws_url) == (http, ws)
    assert credentials.is_loopback is is_loopback


def test_f5_livekit_may_have_another_address_for_others(sources: Sources) -> None:
    variables = {
        "LIVEKIT_URL": "ws://livekit:7880",
        "LIVEKIT_PUBLIC_URL": "wss://lk.example.org/",
        "LIVEKIT_API_KEY": "key",
        "LIVEKIT_API_SECRET": CANARY,
    }
    credentials = sources.load(variables).settings.livekit()
    assert (credentials.ws_url, credentials.outside.ws_url) == ("ws://livekit:7880", "wss://lk.example.org")
    assert credentials.outside.outside == credentials.outside
    assert (credentials.outside.api_key, CANARY not in repr(credentials)) == ("key", True)
    del variables["LIVEKIT_PUBLIC_URL"]
    credentials = sources.load(variables).settings.livekit()
    assert credentials.outside is credentials


@pytest.mark.parametrize("url", ["lk.example.org", "ftp://lk.example.org", "wss://ann:pass@lk.example.org"])
def test_an_address_for_others_that_nobody_can_use_is_told(sources: Sources, url: str) -> None:
    variables = {"LIVEKIT_URL": "ws://livekit:7880", "LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": CANARY}
    with pytest.raises(ConfigError, match="LIVEKIT_PUBLIC_URL") as caught:
        sources.load(variables | {"LIVEKIT_PUBLIC_URL": url}).settings.livekit()
    assert "pass@" not in str(caught.value)


def test_every_setting_has_a_variable_of_its_own() -> None:
    assert len({variable_name(field) for field in Settings.model_fields}) == len(Settings.model_fields)


def test_the_example_holds_every_setting_with_its_default(sources: Sources) -> None:
    uncommented = "\n".join(
        line.removeprefix("# ") for line in example().splitlines() if line.startswith("[") or " = " in line
    )
    tables = tomllib.loads(uncommented)
    own_tables = {section for section, table in tables.items() if not table}
    named = {f"{section}.{key}" for section, table in tables.items() for key in table} | own_tables
    assert named == {toml_name(field) for field in Settings.model_fields}
    sources.write("liba.toml", uncommented)
    assert sources.load().settings == Settings()
