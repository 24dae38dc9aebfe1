"""How long avatars are waited for and kept."""

from __future__ import annotations

from dataclasses import dataclass

from libacli.config import Settings, is_loopback
from libacli.edges.avatars.choose import avatar_base_url
from libacli.edges.avatars.vendors import LOCAL_KEY_PREFIX


@dataclass(frozen=True)
class AvatarPolicy:
    """What holds for the avatar of any vendor; the settings `avatar.*` explain each."""

    ready_timeout_s: float = 5.0
    join_timeout_s: float = 45.0
    idle_timeout_s: float = 120.0
    max_duration_s: int = 3600
    renew_before_s: float = 60.0
    may_overlap: bool = False
    """The newer of two comes before the older one goes."""

    can_subscribe: bool = False
    waits_for_line: bool = False
    silent_timeout_s: float = 3600.0
    """0: it may be silent for as long as somebody watches."""

    check_public: bool = True
    max_conversations: int = 0
    """Of the account, that run at a time; 0: as many as it allows."""

    is_local: bool = False
    """It is that of `liba avatar run` on this machine: it costs nothing, and ends with its service."""


def avatar_policy(settings: Settings) -> AvatarPolicy:
    return AvatarPolicy(
        ready_timeout_s=settings.avatar_ready_timeout,
        join_timeout_s=settings.avatar_join_timeout,
        idle_timeout_s=settings.avatar_idle_timeout,
        max_duration_s=settings.avatar_max_duration,
        renew_before_s=settings.avatar_renew_before,
        may_overlap=settings.avatar_overlap,
        waits_for_line=settings.avatar_begin == "line",
        silent_timeout_s=settings.avatar_silent_timeout,
        can_subscribe=settings.avatar_can_subscribe,
        check_public=settings.avatar_check_public,
        max_conversations=settings.avatar_max_conversations,
        is_local=is_local_avatar(settings),
    )


def is_local_avatar(settings: Settings) -> bool:
    """Whether it is `liba avatar run` on this machine; what answers here otherwise may be a proxy."""
    key = settings.tavus_api_key
    is_made_here = key is not None and key.get_secret_value().startswith(LOCAL_KEY_PREFIX)
    return is_made_here and is_loopback(avatar_base_url(settings))
