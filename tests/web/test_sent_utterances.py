from __future__ import annotations

from libacli.core.acknowledgement import Acknowledgement
from libacli.core.delivery import Delivery
from libacli.web.auth import Caller
from libacli.web.sent_utterances import SentUtterances


def test_only_the_newest_4096_ids_are_remembered_and_each_caller_has_his_own() -> None:
    sent, ann, ben = SentUtterances(), Caller("key ann", None, True), Caller("key ben", None, True)
    for number in range(4097):
        sent.remember(
            ann, "lobby", Delivery(f"u{number}", "accepted", Acknowledgement(f"u{number}", 0, epoch="epoch1"))
        )
    assert [bool(sent.find_sent(ann, name)) for name in ("u0", "u1", "u4096")] == [False, True, True]
    assert sent.find_sent(ben, "u1") is None
