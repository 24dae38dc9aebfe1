"""Checks of the service that shows a face. None of them costs anything."""

from __future__ import annotations

import uuid
from urllib.parse import urlsplit

from libacli.config import LiveKitCredentials, Settings, is_loopback
from libacli.edges.avatars.choose import avatar_base_url, avatar_vendor, half_an_avatar, make_avatar_service
from libacli.edges.avatars.port import AvatarService, AvatarVendor, Invitation
from libacli.edges.avatars.reachability import reach_of
from libacli.edges.checks.finding import WRONG_SETTING, Finding
from libacli.edges.livekit.tokens import avatar_token
from libacli.errors import AvatarError

_TOKEN_VALID_S = 120
_WRONG_SETTINGS = (400, 401, 403, 404)


async def avatar(
    settings: Settings, credentials: LiveKitCredentials, service: AvatarService | None = None
) -> Finding:
    """Asks for an unbilled conversation, which nobody joins, and reads the pal. Raises AvatarError.

    `service` is the one that the settings name, if it is not given.
    """
    service = service or make_avatar_service(settings)
    assert service
    where, vendor = _host(service.base_url), service.vendor
    room = name = f"liba-doctor-{uuid.uuid4().hex[:8]}"
    token = avatar_token(credentials, room=room, identity=name, on_behalf_of=name, valid_for_s=_TOKEN_VALID_S)
    invitation = Invitation(
        name=name,
        room_url=credentials.outside.ws_url,
        identity=name,
        token=token,
        max_duration_s=_TOKEN_VALID_S,
        is_trial=True,
    )
    async with service:
        try:
            conversation_id = await service.create(invitation)
        except AvatarError as error:
            return _unfit(where, vendor, error)
        if vendor.can_end:
            await service.end(conversation_id)  # in case that the service knows no test mode
        if wrong := await service.misfit():  # which it takes all the same
            return Finding(vendor.name, "fail", wrong, "liba avatar create-pal", WRONG_SETTING)
    return Finding(vendor.name, "ok", f"{where} takes {vendor.accepted}")


def avatar_settings(settings: Settings) -> Finding | None:
    """What is wrong with the settings of the avatar, or None where it can be asked for."""
    if settings.has_avatar:
        return None
    name = avatar_vendor(settings).name
    if half := half_an_avatar(settings):
        message = f"there is {half.what}: speech goes without it"
        return Finding(name, "fail", message, f"set {half.missing}", WRONG_SETTING)
    return Finding(name, "skip", "not configured: speech goes without an avatar", "liba config init")


async def public(settings: Settings, credentials: LiveKitCredentials) -> Finding:
    """Whether an avatar in the cloud can reach the LiveKit server, as far as addresses tell."""
    if is_loopback(avatar_base_url(settings)):
        return Finding("public", "ok", "the avatar is a local one, and need not come from outside")
    outside = credentials.outside
    host, title = urlsplit(outside.url).hostname or "", avatar_vendor(settings).title
    variable = "LIVEKIT_PUBLIC_URL" if credentials.public_url else "LIVEKIT_URL"
    if not settings.avatar_check_public:
        return Finding("public", "skip", f"whether {title} can reach {host} is not looked at, as set")
    reach = await reach_of(outside.url)
    if reach == "private":
        message = f"livekit not public: {title} is in the cloud and cannot reach {host}"
        fix = (
            f"use LiveKit Cloud or a public address for {variable}, or a local avatar: liba avatar run; "
            "if it can be reached all the same, set avatar.check_public = false"
        )
        return Finding("public", "fail", message, fix, WRONG_SETTING)
    if reach == "unknown":
        message = f"whether {title} can reach {host} cannot be told from here"
        return Finding("public", "warn", message, "if no avatar ever joins, set livekit.public_url")
    return Finding("public", "ok", f"{host} has a public address, so {title} can reach it")


def _unfit(where: str, vendor: AvatarVendor, error: AvatarError) -> Finding:
    """What the service's refusal means."""
    name, status = vendor.name, error.status or 0
    told = f"{error.reason}: {error.said}" if error.said else error.reason
    if status >= 500:
        return Finding(name, "fail", f"{where} is in trouble ({told})", "try again in a while")
    if status == 429 or (status and error.reason != str(status)):
        message = f"{where} takes no more conversations now ({told})"
        return Finding(name, "warn", message, error.hint or "try again in a while")
    if status == 400 and not error.is_permanent:
        return Finding(
            name, "fail", f"{where} did not take it ({told})", error.hint or "try again in a while"
        )
    if status not in vendor.refusals:
        fix = error.hint or f"check {vendor.url_variable} and the network"
        return Finding(name, "fail", f"{where}: {told}", fix)
    what, fix = vendor.refusals[status]
    code = WRONG_SETTING if status in _WRONG_SETTINGS else 1
    return Finding(name, "fail", f"{where} {what} ({told})", fix, code)


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2] or url
