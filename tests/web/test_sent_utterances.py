from __future__ import annotations

from dataclasses import replace

import pytest

from libacli.core.acknowledgement import Acknowledgement
from libacli.core.delivery import Delivery
from libacli.core.entry import SentUtterance
from libacli.core.messages import SayRequest
from libacli.errors import RefusedError, StoreError
from libacli.web.auth import Caller
from libacli.web.memory_stores import MemorySentUtterances
from libacli.web.sent_utterances import SentUtterances
from libacli.web.stores import Stores
from tests.redis_server import RedisServer
from tests.web.clock import Clock
from tests.web.store_kinds import anyio_backend, real_redis, shared_stores, stores

__all__ = ["anyio_backend", "real_redis", "stores"]

ANN, BEN = Caller("key ann", None, True), Caller("key ben", None, True)
HELLO = SayRequest("Hello.", id="u1")
SAID = Delivery("u1", "accepted", Acknowledgement("u1", 0, epoch="epoch1"))


async def test_each_caller_has_ids_of_his_own(stores: Stores) -> None:
    sent = SentUtterances(stores.sent)
    await sent.remember(ANN, "lobby", HELLO, SAID)
    found = await sent.find_sent(ANN, "u1")
    assert found and (found.room, found.epoch) == ("lobby", "epoch1")
    assert await sent.find_sent(BEN, "u1") is None
    assert await sent.find_sent(ANN, "u2") is None


@pytest.mark.parametrize(
    "change",
    [{"text": "Bye."}, {"voice": "heart"}, {"speed": 2.0}, {"instructions": "Whisper."}, {"emotion": "fear"}],
    ids=str,
)
async def test_the_same_id_with_something_else_to_say_is_refused(
    stores: Stores, change: dict[str, object]
) -> None:
    sent = SentUtterances(stores.sent)
    await sent.remember(ANN, "lobby", HELLO, SAID)
    await sent.check_is_same(ANN, "lobby", HELLO)
    await sent.check_is_same(ANN, "lobby", replace(HELLO, priority=5, ttl_ms=1000, interrupt=True))
    await sent.check_is_same(BEN, "lobby", replace(HELLO, **change))  # type: ignore[arg-type]
    with pytest.raises(RefusedError) as refused:
        await sent.check_is_same(ANN, "lobby", replace(HELLO, **change))  # type: ignore[arg-type]
    assert refused.value.reason == "id_reused"
    with pytest.raises(RefusedError):
        await sent.check_is_same(ANN, "demo", HELLO)


async def test_the_text_is_not_kept(real_redis: RedisServer) -> None:
    async with shared_stores(real_redis, "wordless") as (stores, shared):
        await SentUtterances(stores.sent).remember(ANN, "lobby", HELLO, SAID)
        keys: list[bytes] = [key async for key in shared.client.scan_iter("wordless:*")]
        assert len(keys) == 1
        dump = await shared.client.dump(keys[0])
        assert dump and b"Hello" not in keys[0] + dump
        assert 0 < await shared.client.pttl(keys[0]) <= 3600 * 1000


class Gone:
    """A store that cannot be reached."""

    async def remember(self, caller: str, utterance_id: str, sent: SentUtterance) -> None:
        raise StoreError("gone")

    async def find(self, caller: str, utterance_id: str) -> SentUtterance | None:
        raise StoreError("gone")


async def test_while_what_is_shared_is_gone_a_server_knows_its_own() -> None:
    sent = SentUtterances(Gone())
    await sent.remember(ANN, "lobby", HELLO, SAID)
    assert await sent.find_sent(ANN, "u1")
    with pytest.raises(RefusedError):
        await sent.check_is_same(ANN, "lobby", replace(HELLO, text="Bye."))


async def test_after_an_hour_an_id_may_be_used_anew() -> None:
    clock = Clock()
    sent = MemorySentUtterances(clock)
    await sent.remember("ann", "u1", SentUtterance("lobby", "epoch1"))
    clock.now += 3599
    assert await sent.find("ann", "u1")
    clock.now += 1
    assert await sent.find("ann", "u1") is None


async def test_in_memory_the_newest_4096_are_remembered() -> None:
    sent = MemorySentUtterances()
    for number in range(4097):
        await sent.remember("ann", f"u{number}", SentUtterance("lobby", "epoch1"))
    assert [bool(await sent.find("ann", name)) for name in ("u0", "u1", "u4096")] == [False, True, True]
