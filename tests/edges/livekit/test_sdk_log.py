from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from libacli.edges.livekit.sdk_log import RepetitionFilter, RequestFilter, bound_sdk_log

SDK_FILE = "/somewhere/site-packages/livekit/rtc/room.py"


@pytest.fixture
def told() -> Iterator[list[str]]:
    """Messages that come through a logger with the filter."""
    messages: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    logger = logging.getLogger("test.sdk")
    handler, filters = Keep(), (RepetitionFilter(), RequestFilter())
    logger.addHandler(handler)
    for one in filters:
        logger.addFilter(one)
    yield messages
    logger.removeHandler(handler)
    for one in filters:
        logger.removeFilter(one)


def log(message: str, *args: object, path: str = SDK_FILE, line: int = 1, level: int = logging.INFO) -> None:
    logging.getLogger("test.sdk").handle(
        logging.LogRecord("test.sdk", level, path, line, message, args, None)
    )


def test_streams_that_nobody_reads_are_one_line_whatever_their_topics(told: list[str]) -> None:
    for number in range(13_315):
        log("ignoring text stream with topic '%s', no callback attached", f"topic-{number}")
    assert told == ["ignoring text stream with topic 'topic-0', no callback attached"]


def test_what_the_native_part_says_is_one_line_for_each_place_in_it(told: list[str]) -> None:
    for number in range(1000):
        for place in (10, 20):
            log("%s:%s:%s - %s", "livekit::rtc", place, "module", f"warning {number}", level=logging.WARNING)
    assert told == [f"livekit::rtc:{place}:module - warning 0" for place in (10, 20)]


@pytest.mark.parametrize("level", [logging.DEBUG, logging.ERROR])
@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (
            'TextStreamWrite(TextStreamWriterWriteRequest { writer_handle: 3, text: "canary " })',
            "TextStreamWrite",
        ),
        ('PerformRpc(PerformRpcRequest { payload: "{\\"text\\": \\"canary)) }: \\"}" })', "PerformRpc"),
        ('Connect(ConnectRequest {\n url: "ws://h",\n token: "canary" })', "Connect"),
    ],
)
def test_of_a_request_that_the_native_part_fails_at_nothing_but_its_name_is_told(
    told: list[str], level: int, request_: str, name: str
) -> None:
    place = ("livekit_ffi::cabi", 76, "livekit_ffi::cabi")
    failed = f'failed to handle request FfiRequest {{ message: Some({request_}) }}: InvalidRequest("gone")'
    log("%s:%s:%s - %s", *place, failed, level=level)
    assert told == [
        f'livekit_ffi::cabi:76:livekit_ffi::cabi - failed to handle request {name}: InvalidRequest("gone")'
    ]


def test_all_kinds_together_are_bounded(told: list[str]) -> None:
    for line in range(1000):
        log("kind %d", line, line=line)
    assert len(told) == 5


def test_what_others_log_and_debug_lines_pass(told: list[str]) -> None:
    for _ in range(10):
        log("mine", path="/home/me/app.py")
        log("the SDK's", level=logging.DEBUG)
    assert told == ["mine", "the SDK's"] * 10


def test_bounding_it_again_changes_nothing() -> None:
    bound_sdk_log()
    before = [list(logging.getLogger(name).filters) for name in ("", "livekit")]
    bound_sdk_log()
    assert [logging.getLogger(name).filters for name in ("", "livekit")] == before
    assert all(before)
