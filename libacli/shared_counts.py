"""What machines count and note down together, where `redis.url` is set: made here, and nowhere else."""

from __future__ import annotations

import hashlib
import os
import socket
import uuid
from functools import cache
from pathlib import Path

from platformdirs import user_state_path

from libacli.config import Settings
from libacli.core.hour import Hour
from libacli.edges.avatars.choose import avatar_base_url
from libacli.edges.avatars.learned_cap import account_of
from libacli.edges.avatars.ledger import Ledger, conversations_path
from libacli.edges.avatars.ledger_port import ConversationLedger
from libacli.edges.avatars.minutes import AvatarMinutes, avatar_minutes
from libacli.edges.avatars.policy import is_local_avatar
from libacli.edges.avatars.shared_ledger import SharedLedger
from libacli.edges.livekit.hour_file import HourFile
from libacli.edges.livekit.shared_hour import SharedHour
from libacli.edges.redis.connection import make_redis, make_redis_for_threads
from libacli.edges.redis.conversations import RedisConversations
from libacli.edges.redis.hour import RedisHour
from libacli.edges.redis.minutes import RedisMinutes
from libacli.edges.redis.watch import RedisWatch
from libacli.private_files import new_private_file, private_folder


class SharedCounts:
    """The machines that share the Redis of the settings; without one, this machine. `aclose` at the end.

    Raises ConfigError when the address of Redis is none, or its client is not installed.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = settings.redis_url.get_secret_value() if settings.redis_url else ""
        self._redis = make_redis(self._url) if self._url else None
        self._watch = RedisWatch()

    def hour(self, hour: Hour, file: HourFile, *, agent: str) -> SharedHour | None:
        """Keeps the hour of characters of all machines with this API key; None: there is but this one."""
        if self._redis is None:
            return None
        store = RedisHour(self._redis, self._watch, self._scope(self._settings.livekit_api_key))
        return SharedHour(store, hour, file, machine=machine_name(), agent=agent)

    def minutes(self, *, room: str) -> AvatarMinutes:
        """The count of avatar time of this account, for the avatar of `room`."""
        if self._redis is None:
            return avatar_minutes(self._settings, room=room)
        store = RedisMinutes(self._redis, self._watch, self._scope(*_avatar_account(self._settings)))
        return avatar_minutes(self._settings, room=room, store=store, machine=machine_name())

    def ledger(self) -> ConversationLedger:
        """A new ledger of this account's conversations; those of a local avatar are this machine's alone."""
        file = Ledger(conversations_path())
        if not self._url or not self._settings.has_avatar or is_local_avatar(self._settings):
            return file
        redis = make_redis_for_threads(self._url)
        scope = self._scope(*_avatar_account(self._settings))
        return SharedLedger(file, RedisConversations(redis, self._watch, scope), machine_name())

    async def aclose(self) -> None:
        """Closes its connections; a ledger has its own."""
        if self._redis:
            await self._redis.aclose()

    def _scope(self, *account: str) -> str:
        # In braces: a Redis of many nodes keeps all keys of one account on one of them.
        return f"{self._settings.redis_prefix}:{{{account_of(*account)}}}"


def machine_name() -> str:
    """Names this machine, by what its agents count in one place: its state folder.

    The same for all its processes, another one for a copy of it that has another host name. Where the folder
    cannot be written, each process is a machine of its own.
    """
    own = f"{_own_word(user_state_path('liba') / 'machine')}\n{socket.gethostname()}"
    return hashlib.sha256(own.encode()).hexdigest()[:16]


@cache
def _own_word(file: Path) -> str:
    """What stands in `file`; written first by whoever comes first."""
    word = uuid.uuid4().hex
    try:
        if file.exists():
            return file.read_text(encoding="utf-8")
        private_folder(file.parent)
        part = file.with_name(f".machine-{word}")
        with os.fdopen(new_private_file(part), "w") as new:
            new.write(word)
        try:
            os.link(part, file)
        except FileExistsError:
            word = file.read_text(encoding="utf-8")
        finally:
            part.unlink()
    except OSError:
        pass
    return word


def _avatar_account(settings: Settings) -> tuple[str, str]:
    key = settings.tavus_api_key.get_secret_value() if settings.tavus_api_key else ""
    return avatar_base_url(settings), key
