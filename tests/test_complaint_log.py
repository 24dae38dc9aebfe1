from __future__ import annotations

import logging

import pytest

from libacli.complaint_log import ComplaintLog, named

logger = logging.getLogger("liba.test")


async def test_a_body_that_fails_ends_at_the_net_and_is_told_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    defects: list[str] = []
    log = ComplaintLog(logger, on_defect=lambda: defects.append("one"))
    for _ in range(3):
        with log.net("ann", "packet"):
            raise ValueError("a canary")
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == "packet from ann passed over: ValueError at test_complaint_log.py:19"
    assert len(defects) == 3


async def test_what_ends_a_task_passes_the_net() -> None:
    log = ComplaintLog(logger)
    with pytest.raises(KeyboardInterrupt), log.net("ann", "packet"):
        raise KeyboardInterrupt


async def test_the_cause_with_its_words_is_told_at_debug_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "liba")
    with ComplaintLog(logger).net("ann", "packet"):
        raise ValueError("a canary")
    assert [record.levelname for record in caplog.records] == ["ERROR", "DEBUG"]
    assert "canary" in caplog.text


@pytest.mark.parametrize(
    ("sender", "told"), [("ann", "ann"), ("", "unknown"), ("a\x1b[2J", r"'a\x1b[2J'"), ("a\nb", r"'a\nb'")]
)
def test_a_name_is_shown_without_what_drives_a_terminal(sender: str, told: str) -> None:
    assert named(sender) == told
