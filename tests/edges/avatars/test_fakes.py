from __future__ import annotations

import pytest

from libacli.edges.avatars.fakes import FakeAvatarService, ScriptedCreate, refusal
from libacli.errors import AvatarError
from tests.avatar_contracts import AvatarServiceContract


class TestFakeAvatarService(AvatarServiceContract):
    @pytest.fixture
    def service(self) -> FakeAvatarService:
        return FakeAvatarService()

    @pytest.fixture
    def refusing(self) -> FakeAvatarService:
        service = FakeAvatarService()
        service.play(refusal(402, is_permanent=True))
        return service

    @pytest.fixture
    def unreachable(self) -> FakeAvatarService:
        service = FakeAvatarService()
        service.play(ScriptedCreate(error=AvatarError("not reachable", is_permanent=False), is_begun=False))
        return service

    @pytest.fixture
    def one_stream(self) -> FakeAvatarService:
        service = FakeAvatarService()
        full = AvatarError("400 too many conversations", status=400, is_permanent=False)
        service.play(ScriptedCreate(), ScriptedCreate(error=full, is_begun=False))
        return service
