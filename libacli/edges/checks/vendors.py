"""Checks of the services that speak and show a face. None of them costs anything unless the user agrees."""

from __future__ import annotations

import time
import uuid
from contextlib import aclosing
from urllib.parse import urlsplit

from libacli.config import LiveKitCredentials, Settings, is_loopback
from libacli.core.audio import duration_s
from libacli.edges.avatars.choose import avatar_base_url, avatar_vendor, half_an_avatar, make_avatar_service
from libacli.edges.avatars.port import AvatarVendor, Invitation
from libacli.edges.avatars.reachability import private_addresses
from libacli.edges.checks.finding import WRONG_SETTING, Finding
from libacli.edges.livekit.tokens import avatar_token
from libacli.edges.voices.choose import make_voice, uses_openai
from libacli.errors import AvatarError, VoiceRefusedError
from libacli.speech.ports import Style

_WORD = "Ready."
_TOKEN_VALID_S = 120
_WRONG_SETTINGS = (400, 401, 403, 404)


async def voice(settings: Settings, *, is_paid: bool) -> Finding:
    """Has the voice say one word, unless that costs and `is_paid` is not set. Raises LibaError."""
    if uses_openai(settings) and not is_loopback(settings.openai_base_url) and not is_paid:
        return Finding("voice", "skip", "one word was not spoken, as that costs", "liba doctor --paid")
    voice = make_voice(settings)
    began_at, first_at, heard = time.monotonic(), 0.0, 0
    try:
        async with aclosing(voice.synthesize(_WORD, Style())) as pieces:
            async for piece in pieces:
                first_at = first_at or time.monotonic()
                heard += len(piece)
    except VoiceRefusedError as error:
        return _refused("voice", error)
    finally:
        await voice.aclose()
    message = f"{voice.model} says one word: {duration_s(heard):.1f} s of sound, the first of it after "
    return Finding("voice", "ok", f"{message}{(first_at - began_at) * 1000:.0f} ms")


async def openai(settings: Settings) -> Finding:
    """Whether the key is taken and knows the model: a request that costs nothing. Raises LibaError."""
    from libacli.edges.voices.openai import open_client
    from libacli.edges.voices.openai_errors import translated

    if not uses_openai(settings):
        return Finding("openai", "skip", "not configured: the embedded voice speaks")
    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else ""
    where = urlsplit(settings.openai_base_url).netloc.rpartition("@")[2] or "OpenAI"
    async with open_client(key, settings.openai_base_url) as client:
        try:
            with translated("", lambda: 0):
                await client.models.retrieve(settings.voice_model, timeout=8.0)
        except VoiceRefusedError as error:
            sends_elsewhere = 300 <= (error.status or 0) < 400
            is_openai = not settings.openai_base_url
            if error.status == 401 or sends_elsewhere or (error.status == 404 and is_openai):
                return _refused("openai", error)
            message = f"{where} does not tell its models ({error.status}): whether it speaks is not known"
            return Finding("openai", "skip", message, "liba doctor --paid")
    return Finding("openai", "ok", f"{where} takes the key and has {settings.voice_model}")


async def avatar(settings: Settings, credentials: LiveKitCredentials) -> Finding:
    """Asks for an unbilled conversation, which nobody joins. Raises AvatarError."""
    service = make_avatar_service(settings)
    assert service
    where, vendor = _host(service.base_url), service.vendor
    room = name = f"liba-doctor-{uuid.uuid4().hex[:8]}"
    token = avatar_token(credentials, room=room, identity=name, on_behalf_of=name, valid_for_s=_TOKEN_VALID_S)
    invitation = Invitation(
        name=name,
        room_url=credentials.ws_url,
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
    host, title = urlsplit(credentials.url).hostname or "", avatar_vendor(settings).title
    try:
        private = await private_addresses(credentials.url)
    except OSError:
        return Finding("public", "fail", f"there is no host {host}", "check LIVEKIT_URL", WRONG_SETTING)
    if private:
        where = host if host in private else f"{host} ({min(private)})"
        message = f"livekit not public: {title} is in the cloud and cannot reach {where}"
        fix = "use LiveKit Cloud or a public address for LIVEKIT_URL, or a local avatar: liba avatar run"
        return Finding("public", "fail", message, fix, WRONG_SETTING)
    return Finding("public", "ok", f"{host} has a public address, so {title} can reach it")


def _unfit(where: str, vendor: AvatarVendor, error: AvatarError) -> Finding:
    """What the service's refusal means."""
    name, status = vendor.name, error.status or 0
    if status in (400, 429) and not error.is_permanent:
        message = f"{where} takes no more conversations now ({error.reason})"
        return Finding(name, "warn", message, error.hint or "try again in a while")
    if status >= 500:
        return Finding(name, "fail", f"{where} is in trouble ({status})", "try again in a while")
    if status not in vendor.refusals:
        fix = error.hint or f"check {vendor.url_variable} and the network"
        return Finding(name, "fail", f"{where}: {error.reason}", fix)
    what, fix = vendor.refusals[status]
    code = WRONG_SETTING if status in _WRONG_SETTINGS else 1
    return Finding(name, "fail", f"{where} {what} ({error.reason})", fix, code)


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2] or url


def _refused(name: str, error: VoiceRefusedError) -> Finding:
    """A service's no: to a setting or key, unless it is about money."""
    code = 1 if error.status == 429 else WRONG_SETTING
    return Finding(name, "fail", str(error), error.hint, code)
