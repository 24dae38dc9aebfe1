"""What every avatar service must do: one suite, run on each vendor's client and on the fake.

A test class inherits it and gives the fixtures that it names.
"""

from __future__ import annotations

import asyncio

import pytest

from libacli.core.audio import SAMPLE_RATE
from libacli.edges.avatars.port import AvatarService, Invitation
from libacli.edges.livekit.tokens import check_identity
from libacli.errors import AvatarError, RefusedError


def invitation(name: str = "liba-1-1", *, is_trial: bool = False) -> Invitation:
    return Invitation(
        name=name,
        room_url="ws://127.0.0.1:7880",
        identity="avatar",
        token="token-canary",
        max_duration_s=120,
        is_trial=is_trial,
    )


class AvatarServiceContract:
    """Fixtures: `service`, open, that takes every invitation though nobody ever joins; `refusing`, one that
    refuses all; `unreachable`, one at an address where nobody listens; `one_stream`, whose account has one
    conversation at a time."""

    async def test_each_conversation_has_an_id_of_its_own(self, service: AvatarService) -> None:
        ids = {await service.create(invitation(f"liba-1-{number}")) for number in range(3)}
        assert len(ids) == 3
        assert all(ids)

    async def test_one_that_runs_is_found_by_its_name_alone(self, service: AvatarService) -> None:
        if not service.vendor.can_find:
            pytest.skip("this vendor cannot be asked what runs")
        await service.create(invitation("liba-1-1"))
        second = await service.create(invitation("liba-1-2"))
        assert list(await service.find("liba-1-2")) == [second]
        assert list(await service.find("liba-1")) == []

    async def test_one_is_found_among_more_than_a_page_of_others(self, service: AvatarService) -> None:
        if not service.vendor.can_find:
            pytest.skip("this vendor cannot be asked what runs")
        ids = [await service.create(invitation(f"liba-1-{number}")) for number in range(25)]
        for number in (0, 12, 24):
            assert list(await service.find(f"liba-1-{number}")) == [ids[number]]

    async def test_one_more_than_the_account_may_have_is_refused_for_now(
        self, one_stream: AvatarService
    ) -> None:
        first = await one_stream.create(invitation("liba-1-1"))
        with pytest.raises(AvatarError) as caught:
            await one_stream.create(invitation("liba-1-2"))
        assert (caught.value.is_permanent, caught.value.is_unsure) == (False, False)
        if one_stream.vendor.can_find:
            assert list(await one_stream.find("liba-1-2")) == []
        if one_stream.vendor.can_end:
            await one_stream.end(first)
            await one_stream.create(invitation("liba-1-3"))

    async def test_one_that_was_ended_runs_no_more(self, service: AvatarService) -> None:
        if not service.vendor.can_end:
            pytest.skip("this vendor's conversations end by themselves")
        await service.end(await service.create(invitation()))
        if service.vendor.can_find:
            assert list(await service.find("liba-1-1")) == []

    async def test_ending_twice_or_what_never_was_is_as_good(self, service: AvatarService) -> None:
        if not service.vendor.can_end:
            pytest.skip("this vendor's conversations end by themselves")
        conversation_id = await service.create(invitation())
        await service.end(conversation_id)
        await service.end(conversation_id)
        await service.end("c-that-never-was")

    async def test_a_trial_is_taken_as_the_real_one_would_be(self, service: AvatarService) -> None:
        conversation_id = await service.create(invitation(is_trial=True))
        if service.vendor.can_end:
            await service.end(conversation_id)
        if service.vendor.can_find:
            assert list(await service.find("liba-1-1")) == []

    async def test_a_refusal_has_its_status_and_leaves_nothing_open(self, refusing: AvatarService) -> None:
        with pytest.raises(AvatarError) as caught:
            await refusing.create(invitation())
        assert caught.value.status == 402
        assert caught.value.reason.startswith("402")
        assert not caught.value.is_unsure

    async def test_what_nobody_took_was_surely_not_begun(self, unreachable: AvatarService) -> None:
        with pytest.raises(AvatarError) as caught:
            await unreachable.create(invitation())
        assert (caught.value.status, caught.value.is_unsure, caught.value.is_permanent) == (
            None,
            False,
            False,
        )

    async def test_a_request_can_be_cancelled_and_the_next_one_goes_its_way(
        self, service: AvatarService
    ) -> None:
        async with asyncio.TaskGroup() as tasks:
            cancelled = tasks.create_task(service.create(invitation("liba-1-1")))
            await asyncio.sleep(0)
            cancelled.cancel()
        assert cancelled.cancelled()
        assert await service.create(invitation("liba-1-2"))

    async def test_its_avatars_identity_is_kept_for_it(self, service: AvatarService) -> None:
        for identity in (service.vendor.identity, f"{service.vendor.identity}-2"):
            with pytest.raises(RefusedError):
                check_identity(identity)

    async def test_its_avatar_takes_sound_as_the_sink_sends_it(self, service: AvatarService) -> None:
        assert service.vendor.sample_rate == SAMPLE_RATE

    async def test_an_invitation_shows_its_token_to_nobody(self, service: AvatarService) -> None:
        assert "token-canary" not in repr(invitation())
