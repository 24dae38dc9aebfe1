"""Checks of the services that speak and show a face. None of them costs anything unless the user agrees."""

from __future__ import annotations

import time
import uuid
from contextlib import aclosing
from urllib.parse import urlsplit

from libacli.config import LiveKitCredentials, Settings, is_loopback
from libacli.core.audio import duration_s
from libacli.edges.avatars.reachability import private_addresses
from libacli.edges.checks.finding import WRONG_SETTING, Finding
from libacli.edges.livekit.tokens import avatar_token
from libacli.edges.voices.choose import make_voice, uses_openai
from libacli.errors import AvatarError, VoiceRefusedError
from libacli.speech.ports import Style

_WORD = "Ready."
_TOKEN_VALID_S = 120
_UNFIT = {
    400: ("does not accept this face or pal", "check TAVUS_FACE_ID and TAVUS_PAL_ID"),
    401: ("refuses the key", "check TAVUS_API_KEY, and that it belongs to TAVUS_BASE_URL"),
    402: ("has no credit left on this account", "add credit to the Tavus account"),
    403: ("does not allow this key to do it", "check what TAVUS_API_KEY may do"),
    404: (
        "does not know this face or pal, or this address",
        "check TAVUS_FACE_ID, TAVUS_PAL_ID, TAVUS_BASE_URL",
    ),
}
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
    from openai import APIStatusError

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
            cause = error.__cause__
            status = cause.status_code if isinstance(cause, APIStatusError) else 0
            if status == 401 or (status == 404 and not settings.openai_base_url):
                return _refused("openai", error)
            message = f"{where} does not tell its models ({status}): whether it speaks is not known"
            return Finding("openai", "skip", message, "liba doctor --paid")
    return Finding("openai", "ok", f"{where} takes the key and has {settings.voice_model}")


async def tavus(settings: Settings, credentials: LiveKitCredentials) -> Finding:
    """Asks for an unbilled conversation, which nobody joins. Raises AvatarError."""
    from libacli.edges.avatars.tavus import Tavus

    assert settings.tavus_api_key
    room = name = f"liba-doctor-{uuid.uuid4().hex[:8]}"
    token = avatar_token(credentials, room=room, identity=name, on_behalf_of=name, valid_for_s=_TOKEN_VALID_S)
    async with Tavus(settings.tavus_api_key, settings.tavus_base_url) as service:
        try:
            conversation_id = await service.create(
                name=name,
                face_id=settings.tavus_face_id,
                pal_id=settings.tavus_pal_id,
                livekit_url=credentials.ws_url,
                room_token=token,
                max_duration_s=_TOKEN_VALID_S,
                test_mode=True,
            )
        except AvatarError as error:
            return _unfit(settings, error)
        await service.end(conversation_id)  # in case that the service knows no test mode
    return Finding("tavus", "ok", f"{_host(settings.tavus_base_url)} takes the key, the face and the pal")


def tavus_settings(settings: Settings) -> Finding | None:
    """What is wrong with the settings of the avatar, or None where it can be asked for."""
    has_ids = bool(settings.tavus_face_id or settings.tavus_pal_id)
    if settings.tavus_api_key and has_ids:
        return None
    if not settings.tavus_api_key and not has_ids:
        return Finding("tavus", "skip", "not configured: speech goes without an avatar", "liba config init")
    what = (
        ("a face but no key", "TAVUS_API_KEY")
        if has_ids
        else ("a key but no face", "TAVUS_FACE_ID or TAVUS_PAL_ID")
    )
    return Finding(
        "tavus", "fail", f"there is {what[0]}: speech goes without it", f"set {what[1]}", WRONG_SETTING
    )


async def public(settings: Settings, credentials: LiveKitCredentials) -> Finding:
    """Whether an avatar in the cloud can reach the LiveKit server, as far as addresses tell."""
    if is_loopback(settings.tavus_base_url):
        return Finding("public", "ok", "the avatar is a local one, and need not come from outside")
    host = urlsplit(credentials.url).hostname or ""
    try:
        private = await private_addresses(credentials.url)
    except OSError:
        return Finding("public", "fail", f"there is no host {host}", "check LIVEKIT_URL", WRONG_SETTING)
    if private:
        where = host if host in private else f"{host} ({min(private)})"
        message = f"livekit not public: Tavus is in the cloud and cannot reach {where}"
        fix = "use LiveKit Cloud or a public address for LIVEKIT_URL, or a local avatar: liba avatar run"
        return Finding("public", "fail", message, fix, WRONG_SETTING)
    return Finding("public", "ok", f"{host} has a public address, so Tavus can reach it")


def _unfit(settings: Settings, error: AvatarError) -> Finding:
    """What the service's refusal means."""
    where = _host(settings.tavus_base_url)
    status = int(error.reason[:3]) if error.reason[:3].isdigit() else 0
    if error.reason == "400 too many conversations" or status == 429:
        message = f"{where} takes no more conversations now ({error.reason})"
        return Finding("tavus", "warn", message, error.hint or "try again in a while")
    if status >= 500:
        return Finding("tavus", "fail", f"{where} is in trouble ({status})", "try again in a while")
    if status not in _UNFIT:
        fix = error.hint or "check TAVUS_BASE_URL and the network"
        return Finding("tavus", "fail", f"{where}: {error.reason}", fix)
    what, fix = _UNFIT[status]
    code = WRONG_SETTING if status in _WRONG_SETTINGS else 1
    return Finding("tavus", "fail", f"{where} {what} ({error.reason})", fix, code)


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2] or url


def _refused(name: str, error: VoiceRefusedError) -> Finding:
    """A service's no: to a setting or key, unless it is about money."""
    code = 1 if "(429)" in str(error) else WRONG_SETTING
    return Finding(name, "fail", str(error), error.hint, code)
