"""Commands of liba that another one of its commands starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from libacli.cli.runs.child_process import running
from libacli.errors import InstallError

pytestmark = pytest.mark.live

AVATAR = ("avatar", "run", "--json")


@pytest.fixture(autouse=True)
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the logs are."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "liba" / "logs"


def test_two_of_a_kind_that_start_together_each_get_their_own_announcement(logs: Path) -> None:
    with (
        running("the first", list(AVATAR), {"TAVUS_API_KEY": "key-of-the-first"}) as first,
        running("the second", list(AVATAR), {"TAVUS_API_KEY": "key-of-the-second"}) as second,
    ):
        urls = [child.announced(timeout_s=60)["TAVUS_BASE_URL"] for child in (first, second)]
        assert len(set(urls)) == 2
        assert len({first.log_path, second.log_path}) == 2
        for child, url in zip((first, second), urls, strict=True):
            assert url in child.log_path.read_text()


def test_one_that_ends_is_told_with_its_last_words_and_where_its_log_is(logs: Path) -> None:
    with (
        running("the avatar", ["avatar", "run", "--fps", "0"], {}) as child,
        pytest.raises(InstallError, match=r"the avatar ended: .*fps") as caught,
    ):
        child.announced(timeout_s=60)
    assert caught.value.hint == f"its log: {child.log_path}"
    assert child.log_path.parent == logs


def test_one_that_is_not_ready_in_time_is_not_said_to_have_ended(logs: Path) -> None:
    with (
        running("the avatar", list(AVATAR), {"TAVUS_API_KEY": "key"}) as child,
        pytest.raises(InstallError, match=r"the avatar was not ready within 0 s") as caught,
    ):
        child.announced(timeout_s=0)
    assert str(child.log_path) in caught.value.hint
