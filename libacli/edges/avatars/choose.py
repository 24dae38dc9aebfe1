"""Which avatar service the settings ask for. Another vendor is chosen here, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from libacli.config import Settings
from libacli.edges.avatars.port import AvatarService, AvatarVendor
from libacli.edges.avatars.vendors import TAVUS

if TYPE_CHECKING:
    from libacli.edges.avatars.tavus import Tavus


@dataclass(frozen=True)
class HalfAnAvatar:
    """Settings that do not suffice for an avatar."""

    what: str
    """What is there and what is not."""

    missing: str
    """Names of the variables to set."""


def make_avatar_service(settings: Settings) -> AvatarService | None:
    """The service that brings the avatars, to be used with `async with`; None without a key for it.

    Needs no event loop. A key alone suffices: the service has a face for whoever names none.
    """
    return make_tavus(settings)


def make_tavus(settings: Settings) -> Tavus | None:
    """The same for what Tavus alone can do."""
    if settings.tavus_api_key is None:
        return None
    from libacli.edges.avatars.tavus import Tavus  # loads livekit-agents: a second for whoever needs it not

    return Tavus(
        settings.tavus_api_key,
        settings.tavus_base_url,
        face_id=settings.tavus_face_id,
        pal_id=settings.tavus_pal_id,
    )


def avatar_vendor(settings: Settings) -> AvatarVendor:
    """Whose avatars they are, or would be."""
    return TAVUS


def avatar_base_url(settings: Settings) -> str:
    """Where that service is asked."""
    return settings.tavus_base_url


def half_an_avatar(settings: Settings) -> HalfAnAvatar | None:
    """What the settings lack when they name an avatar in part; None when they name one, or none at all."""
    if settings.tavus_api_key or not (settings.tavus_face_id or settings.tavus_pal_id):
        return None
    return HalfAnAvatar("a face but no key", TAVUS.key_variable)
