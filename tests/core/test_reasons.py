"""Every reason has one row, and whoever shows or counts reasons knows every row."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import libacli
from libacli.core.reasons import REFUSALS, ROUTE_REASONS, RefusalReason, refusal, refusal_reason

PACKAGE = Path(libacli.__file__).parent
README = (PACKAGE.parent / "README.md").read_text(encoding="utf-8")
WORDS = (PACKAGE / "web" / "static" / "words.js").read_text(encoding="utf-8")


def words_given_to(*names: str, under: str = "") -> Iterator[str]:
    """First arguments of calls of functions of these names, and `gives_up`, where they are written out."""
    for file in sorted((PACKAGE / under).rglob("*.py") if not under.endswith(".py") else [PACKAGE / under]):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and called(node) in names:
                given = [*node.args[:1], *(word.value for word in node.keywords if word.arg == "gives_up")]
                yield from (
                    word.value
                    for argument in given
                    for word in (argument.values if isinstance(argument, ast.BoolOp) else [argument])
                    if isinstance(word, ast.Constant) and isinstance(word.value, str)
                )


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def test_nothing_is_refused_with_a_word_that_has_no_row() -> None:
    raised = set(words_given_to("RefusedError", "refusal", "_reached"))
    assert raised - REFUSALS.keys() == set()
    assert {"queue_full", "spend_cap", "text_too_long", "reserved_identity"} <= raised


def test_the_avatar_is_missed_for_no_reason_that_has_no_row() -> None:
    given = {"not configured"}
    for part in ("core/turn.py", "edges/sinks", "edges/avatars", "room_agent.py"):
        given |= set(words_given_to("absent", "lost", "_give_up", "AvatarError", under=part))
    known_to_the_sink_alone = {"closed"}
    assert given - known_to_the_sink_alone - ROUTE_REASONS.keys() == set()
    assert {"stalled", "left", "never joined", "spend cap"} <= given


@pytest.mark.parametrize("reason", REFUSALS.values(), ids=lambda reason: reason.word)
def test_the_readme_explains_every_refusal(reason: RefusalReason) -> None:
    assert f"| `{reason.word}` | {reason.meaning} | {reason.status} |" in README


@pytest.mark.parametrize("word", ROUTE_REASONS)
def test_the_readme_names_every_reason_of_a_route(word: str) -> None:
    assert f"`{word}`" in re.sub(r"\s+", " ", README)


def test_the_page_has_a_sentence_for_every_reason_of_a_route() -> None:
    block = WORDS[WORDS.index("const ABSENCES") : WORDS.index("};")]
    told = {word.strip('"'): sentence for word, sentence in re.findall(r'^  (.+?): "(.+)",$', block, re.M)}
    assert told == {word: reason.sentence for word, reason in ROUTE_REASONS.items()}


def test_a_word_that_only_another_version_knows_is_passed_on() -> None:
    assert refusal_reason("too_loud") == RefusalReason("too_loud", "too_loud", 422, is_counted=False)
    assert (refusal("too_loud", "hush").reason, refusal("too_loud", "hush").hint) == ("too_loud", "")


def test_what_passes_in_a_moment_passes() -> None:
    assert all(reason.passes for reason in REFUSALS.values() if reason.is_brief)
