from __future__ import annotations

from typing import Any

import pytest

from libacli.config import Settings
from libacli.config_values import pairs_of
from libacli.errors import ConfigError
from libacli.masking import secrets_of
from tests.test_config import CANARY, Sources


@pytest.fixture
def sources(tmp_path: Any) -> Sources:
    return Sources(tmp_path)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("api-key=abc", {"api-key": "abc"}),
        ("api-key=abc==, x-team = 7 ,", {"api-key": "abc==", "x-team": "7"}),
        ('{"a": "b,c", "d": 7}', {"a": "b,c", "d": "7"}),
        ("Authorization: Bearer a,b=c", {"Authorization": "Bearer a,b=c"}),
        ("A: 1\nB: two, three\n\n", {"A": "1", "B": "two, three"}),
        ({"a": "b", "c": 1.5}, {"a": "b", "c": "1.5"}),
        ("a=", {"a": ""}),
    ],
)
def test_headers_are_written_as_people_write_them(given: Any, expected: dict[str, str]) -> None:
    assert pairs_of(Settings(openai_headers=given).openai_headers) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("api-version=2025-03-01-preview", {"api-version": "2025-03-01-preview"}),
        ("?a=1&b=x%2By", {"a": "1", "b": "x+y"}),
        ("a=1,b=2", {"a": "1", "b": "2"}),
        ('{"a": "x%2By"}', {"a": "x%2By"}),
        ({"a": 1}, {"a": "1"}),
    ],
)
def test_parameters_are_written_as_people_copy_them(given: Any, expected: dict[str, str]) -> None:
    assert pairs_of(Settings(openai_query=given).openai_query) == expected


@pytest.mark.parametrize(
    "given",
    [
        CANARY,
        f"={CANARY}",
        f'{{"a": "{CANARY}"',
        f'["{CANARY}"]',
        {"a": [CANARY]},
        {"a": True},
        {"a b": CANARY},
        {"a": f"{CANARY}\r\nx: y"},
        f'{{"a": {{"b": "{CANARY}"}}}}',
    ],
)
def test_what_is_no_header_is_told_without_being_quoted(sources: Sources, given: Any) -> None:
    with pytest.raises(ConfigError, match=r"openai\.headers") as caught:
        sources.load(openai_headers=given)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("given", ["", None, {}])
def test_none_is_none(given: Any) -> None:
    assert Settings(openai_headers=given, openai_query=given).openai_headers is None


def test_the_variable_of_openai_s_own_client_counts_wherever_it_is_set(sources: Sources) -> None:
    sources.write(
        ".env", f'OPENAI_CUSTOM_HEADERS="x-key: {CANARY}"\nOPENAI_ORG_ID=org-1\nOPENAI_PROJECT_ID=p\n'
    )
    settings = sources.load().settings
    assert pairs_of(settings.openai_headers) == {"x-key": CANARY}
    assert (settings.openai_org_id, settings.openai_project_id) == ("org-1", "p")


def test_a_table_of_toml_holds_headers_parameters_and_fields(sources: Sources) -> None:
    sources.user_file.write_text(
        f'[openai.headers]\napi-key = "{CANARY}"\n[openai.query]\napi-version = "2025-03-01-preview"\n'
        "[voice.extra]\nlang_code = 'a'\nsample_rate = 24000\n[voice.extra.provider]\norder = ['x']\n"
    )
    settings = sources.load().settings
    assert pairs_of(settings.openai_headers) == {"api-key": CANARY}
    assert pairs_of(settings.openai_query) == {"api-version": "2025-03-01-preview"}
    assert settings.voice_extra == {"lang_code": "a", "sample_rate": 24_000, "provider": {"order": ["x"]}}


def test_fields_come_as_json_from_a_variable(sources: Sources) -> None:
    settings = sources.load({"LIBA_VOICE_EXTRA": '{"lang_code": "a", "instructions": null}'}).settings
    assert settings.voice_extra == {"lang_code": "a", "instructions": None}


@pytest.mark.parametrize("given", ["lang=a", "[1]", "{", "7"])
def test_what_is_no_object_is_told(sources: Sources, given: str) -> None:
    with pytest.raises(ConfigError, match=r"voice\.extra"):
        sources.load({"LIBA_VOICE_EXTRA": given})


def test_what_headers_and_parameters_hold_is_masked_everywhere() -> None:
    settings = Settings(openai_headers={"x-key": CANARY}, openai_query={"code": f"{CANARY}-2"})  # type: ignore[arg-type]
    assert {CANARY, f"{CANARY}-2"} <= set(secrets_of(settings, {}))
    assert CANARY not in f"{settings!r} {settings.model_dump_json()}"
