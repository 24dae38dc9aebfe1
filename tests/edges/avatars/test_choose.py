from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from libacli.config import Settings
from libacli.edges.avatars.choose import avatar_base_url, avatar_vendor, half_an_avatar, make_avatar_service
from libacli.edges.avatars.policy import AvatarPolicy, avatar_policy
from libacli.edges.avatars.vendors import TAVUS

KEY = SecretStr("key-canary")


async def test_with_a_key_there_is_the_service_of_the_settings() -> None:
    settings = Settings(tavus_api_key=KEY, tavus_base_url="http://127.0.0.1:1")
    service = make_avatar_service(settings)
    assert service
    assert (service.vendor, service.base_url) == (TAVUS, "http://127.0.0.1:1")
    assert (avatar_vendor(settings), avatar_base_url(settings)) == (TAVUS, "http://127.0.0.1:1")
    assert "canary" not in repr(service)


def test_without_a_key_there_is_none() -> None:
    assert make_avatar_service(Settings(tavus_face_id="face")) is None


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({}, None),
        ({"tavus_api_key": KEY, "tavus_face_id": "face"}, None),
        ({"tavus_api_key": KEY, "tavus_pal_id": "pal"}, None),
        ({"tavus_api_key": KEY}, None),
        ({"tavus_face_id": "face"}, "TAVUS_API_KEY"),
        ({"tavus_pal_id": "pal"}, "TAVUS_API_KEY"),
    ],
)
def test_f14_a_key_alone_is_a_whole_avatar_and_a_face_alone_is_half_of_one(
    fields: dict[str, Any], missing: str | None
) -> None:
    half = half_an_avatar(Settings(**fields))
    assert (half and half.missing) == missing


def test_the_defaults_of_the_policy_are_those_of_the_settings() -> None:
    assert avatar_policy(Settings()) == AvatarPolicy()


def test_the_policy_is_what_the_settings_say() -> None:
    settings = Settings(
        avatar_ready_timeout=1.5,
        avatar_join_timeout=2.5,
        avatar_idle_timeout=3.5,
        avatar_max_duration=240,
        avatar_renew_before=4.5,
        avatar_overlap=True,
        avatar_can_subscribe=True,
        avatar_begin="line",
        avatar_silent_timeout=5.5,
    )
    assert avatar_policy(settings) == AvatarPolicy(
        ready_timeout_s=1.5,
        join_timeout_s=2.5,
        idle_timeout_s=3.5,
        max_duration_s=240,
        renew_before_s=4.5,
        may_overlap=True,
        can_subscribe=True,
        waits_for_line=True,
        silent_timeout_s=5.5,
    )
