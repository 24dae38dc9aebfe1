"""`liba say -`, with all that can be on standard input: every word is said once and in its order, or told."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from libacli.core.protocol import SAY_METHOD
from tests.cli.conftest import Ended, Shell
from tests.cli.piped import Piece, piped_in
from tests.twirp_server import EPOCH, NO_RESPONSE, Answer, Asked, TwirpServer, over_quota, reply


class MoodyAgent(TwirpServer):
    """An agent that does not always take what it is told to say, nor bring it to its end."""

    def __init__(self) -> None:
        super().__init__()
        self.moods: deque[Answer] = deque()
        """What the next say requests are answered instead."""

        self.dislikes = "\0"
        """What it refuses every text for that holds it."""

        self.failing: set[str] = set()
        """Ids of lines that fail; `told` are those of which somebody has been told."""

        self.told: set[str] = set()

        self.requests_taken: dict[str, dict[str, Any]] = {}

    @property
    def said(self) -> list[str]:
        return [request["text"] for request in self.requests_taken.values()]

    def _agent_says(self, asked: Asked) -> Answer:
        if asked.body["method"] != SAY_METHOD:
            return super()._agent_says(asked)
        if self.moods:
            return self.moods.popleft()
        if self.dislikes in asked.rpc["text"]:
            return refused("unsupported_text")
        self.requests_taken.setdefault(asked.rpc["id"], asked.rpc)
        return super()._agent_says(asked)

    def _report(self, sent: dict[str, Any]) -> Answer:
        if sent["id"] in self.failing:
            return _failed(sent["id"])
        return super()._report(sent)

    def sent(self, answer: Answer) -> None:
        self.told |= {one for one in self.failing if answer == _failed(one)}


def _failed(utterance_id: str) -> Answer:
    return reply(epoch=EPOCH, id=utterance_id, state="failed", reason="no voice")


def refused(reason: str, **members: Any) -> Answer:
    return reply(epoch=EPOCH, rejected=reason, message=f"because of {reason}", **members)


@pytest.fixture
def server() -> Iterator[MoodyAgent]:
    with MoodyAgent() as server:
        yield server


def say(shell: Shell, *pieces: Piece, flags: tuple[str, ...] = ()) -> Ended:
    with piped_in(pieces):
        return shell.run("say", "-", "--id", "s", *flags)


def words(texts: list[str]) -> list[str]:
    return re.findall(r"\w+", " ".join(texts))


def test_stream_expire_text_without_a_full_stop_is_all_said_and_waits_as_long_as_it_takes(
    shell: Shell, server: MoodyAgent
) -> None:
    text = " ".join(f"word{number}" for number in range(3000))
    assert say(shell, text.encode()).code == 0
    assert words(server.said) == text.split()
    assert all(len(line) <= 400 for line in server.said)
    assert {request["ttl_ms"] for request in server.requests_taken.values()} == {86_400_000}


def test_stream_expire_who_says_how_long_a_line_is_worth_saying_is_believed(
    shell: Shell, server: MoodyAgent
) -> None:
    assert say(shell, b"One. Two.", flags=("--ttl", "5")).code == 0
    assert [request["ttl_ms"] for request in server.requests_taken.values()] == [5000, 5000]


TEXT = "Grüße aus Köln. Ça va, Zoë? – “Schön”, 5 €.\n\nBis dann"
WORDS = words([TEXT])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"])
def test_every_encoding_is_said_as_what_it_is_and_a_guess_is_told(
    shell: Shell, server: MoodyAgent, encoding: str
) -> None:
    data = TEXT.encode(encoding)
    ended = say(shell, *(data[start : start + 3] for start in range(0, len(data), 3)))
    assert ended.code == 0
    assert words(server.said) == WORDS
    told = ended.stderr.splitlines()
    assert ["read as Latin-1" in line for line in told] == [True] * (encoding == "cp1252"), told


RUSSIAN = "Добрый день. Сегодня мы начинаем.\n\nЗаймите свои места"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1251", RUSSIAN),
        ("koi8-r", RUSSIAN),
        ("iso8859-2", "Zażółć gęślą jaźń. Dzień dobry"),
        ("cp932", "こんにちは。今日はいい天気ですね。"),
        ("gb18030", "大家好。欢迎来到今天的节目。"),
        ("cp949", "안녕하세요. 오늘 공연을 시작하겠습니다."),
    ],
)
def test_an_older_encoding_is_known_by_its_words_however_it_comes_and_that_is_told(
    shell: Shell, server: MoodyAgent, encoding: str, text: str
) -> None:
    data = text.encode(encoding)
    for step in (1, 7, 1000):
        server.requests_taken.clear()
        ended = say(shell, *(data[start : start + step] for start in range(0, len(data), step)))
        assert (words(server.said), ended.code) == (words([text]), 0)
        assert f"is read as {encoding}, by a guess - if" in ended.stderr
        assert ended.stderr.count("by a guess") == 1


def test_an_encoding_that_is_given_is_no_guess(shell: Shell, server: MoodyAgent, tmp_path: Path) -> None:
    ended = say(shell, "Да. ".encode("cp866"), 0.5, "Нет.".encode("cp866"), flags=("--encoding", "CP866"))
    assert (server.said, ended.code, ended.stderr) == (["Да.", "Нет."], 0, "")
    server.requests_taken.clear()
    (tmp_path / "line.txt").write_bytes("Привет.".encode("koi8-r"))
    assert shell.run("say", "--file", str(tmp_path / "line.txt"), "--encoding", "koi8-r").code == 0
    assert server.said == ["Привет."]


@pytest.mark.parametrize("name", ["klingon", "base64", "", "a\0b", "punycode", "idna", "undefined"])
def test_an_encoding_that_nobody_knows_is_told(shell: Shell, server: MoodyAgent, name: str) -> None:
    ended = say(shell, b"One.", flags=("--encoding", name))
    assert (ended.code, server.said) == (2, [])
    assert f"there is no encoding {name!r}" in ended.stderr


def test_a_file_in_another_encoding_is_told_with_the_option_that_says_which(
    shell: Shell, tmp_path: Path
) -> None:
    (tmp_path / "line.txt").write_bytes("Привет.".encode("koi8-r"))
    ended = shell.run("say", "--file", "line.txt")
    assert (ended.code, ended.stderr) == (
        2,
        "liba: cannot read line.txt: not UTF-8 - say which encoding it is in: --encoding NAME\n",
    )


def test_who_gives_an_encoding_for_a_text_that_is_given_is_told(shell: Shell, server: MoodyAgent) -> None:
    assert shell.run("say", "One.", "--encoding", "cp1251").code == 2


def test_a_line_before_the_first_byte_that_is_no_utf_8_does_not_wait(
    shell: Shell, server: MoodyAgent
) -> None:
    russian = RUSSIAN.encode("cp1251")
    ended = say(shell, b"One. Two", lambda: server.said == ["One."], b"\n\n" + russian)
    assert (words(server.said), ended.code) == (["One", "Two", *words([RUSSIAN])], 0)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\0", "\x0c"])
def test_lines_end_as_they_may(shell: Shell, server: MoodyAgent, end: str) -> None:
    assert say(shell, f"# One{end}{end}two{end}lines{end}{end}Three{end}".encode()).code == 0
    assert server.said == ["One.", "two\nlines", "Three"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\0"])
def test_a_line_is_said_in_a_silence_whatever_ends_it(shell: Shell, server: MoodyAgent, end: str) -> None:
    assert say(shell, f"One{end}".encode(), lambda: server.said == ["One"], b"two").code == 0
    assert server.said == ["One", "two"]


def test_a_pipe_that_closes_in_the_middle_of_a_character_ends_the_text(
    shell: Shell, server: MoodyAgent
) -> None:
    assert say(shell, "Grüße. Tschüß".encode()[:-1]).code == 0
    assert server.said == ["Grüße.", "Tschü"]


def test_colours_for_a_terminal_are_not_read_out(shell: Shell, server: MoodyAgent) -> None:
    assert say(shell, b"\x1b[32mOne.\x1b[0m\n\n\x1b[0m\n\nTwo \x1b[1mbold\x1b[m.\n").code == 0
    assert server.said == ["One.", "Two bold."]


def test_what_is_no_text_is_not_said_and_the_way_to_have_it_heard_is_told(
    shell: Shell, server: MoodyAgent
) -> None:
    ended = say(shell, b"RIFF$\0\0\0WAVEfmt " + Random(1).randbytes(4096))
    assert (ended.code, server.said) == (2, [])
    assert "standard input is no text" in ended.stderr
    assert ended.stderr.endswith("a sound is heard with: liba say --audio -\n")


def test_a_line_that_cannot_be_said_ends_nothing_and_is_told(shell: Shell, server: MoodyAgent) -> None:
    ended = say(shell, b"One. <speak>Two</speak> goes. Three. [pause 99s] Four. Five.")
    assert server.said == ["One.", "Three.", "Five."]
    assert (ended.code, ended.stderr) == (
        6,
        "liba: 2 of 5 lines were not spoken as asked: line 2, line 4;"
        " line 2: <speak> is not supported: of SSML only <break> is"
        " - leave it out; [pause 500ms] makes silence with any voice\n",
    )


def test_a_line_that_failed_while_more_came_is_told_though_nobody_waits_for_its_end(
    shell: Shell, server: MoodyAgent
) -> None:
    server.failing = {"s-1"}
    ended = say(shell, b"One. Two. ", lambda: server.told == {"s-1"}, b"Three.")
    assert server.said == ["One.", "Two.", "Three."]
    assert (ended.code, ended.stderr) == (
        8,
        "liba: 1 of 3 lines were not spoken as asked: s-1; s-1 failed: no voice"
        " - `liba doctor --paid` has each voice say a word; the agent's log tells more\n",
    )


PASSING = {
    "voice_unavailable": [refused("voice_unavailable", retry_in_s=0.3)] * 3,
    "spend_cap": [refused("spend_cap", retry_in_s=0.5)],
    "rate_limited": [refused("rate_limited", retry_in_s=0.2)] * 2,
    "queue_full": [refused("queue_full")] * 2,
    "draining": [refused("draining")] * 2,
    "gone": [NO_RESPONSE] * 2,
    "away": [Answer("upstream is gone", 502)] * 2,
    "429": [over_quota("1")] * 2,
}


@pytest.mark.parametrize("name", PASSING)
def test_stream_abort_what_passes_costs_no_line(shell: Shell, server: MoodyAgent, name: str) -> None:
    server.moods.extend(PASSING[name])
    ended = say(shell, b"One. Two. Three.")
    assert ended.code == 0, ended.stderr
    assert server.said == ["One.", "Two.", "Three."]


def test_stream_abort_what_does_not_pass_ends_it_and_tells_what_was_said(
    shell: Shell, server: MoodyAgent
) -> None:
    server.moods.append(refused("spend_cap", retry_in_s=3000))
    ended = say(shell, b"One. Two.", flags=("--timeout", "60"))
    assert (ended.code, ended.stderr) == (
        6,
        "liba: the agent refused: because of spend_cap; 0 lines were taken before; what came then was not"
        " - liba queue shows what is used up; the caps are settings of the agent\n",
    )


LETTERS = {"cp1252": "aeiouäöüßéñ", "ascii": "aeiou"}
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252", "ascii"]
MOODS = [*PASSING.values(), [], [], []]


def some_words(random: Random, encoding: str) -> list[str]:
    letters = LETTERS.get(encoding, "aeiouäßéжщ世界กﷲ")
    count = random.choice([1, 5, 40, 300])
    return [f"{''.join(random.choices(letters, k=random.randint(1, 9)))}{number}" for number in range(count)]


def some_text(random: Random, words: list[str]) -> str:
    ends = random.choice(
        [["\n"], ["\r\n"], ["\r"], ["\0"], [" "], [". ", "! ", "? "], [" ", ", ", ". ", "\n", "\n\n"]]
    )
    return "w" + "".join(word + (random.choice(ends) if random.random() < 0.3 else " ") for word in words)


def some_pieces(random: Random, data: bytes) -> Iterator[Piece]:
    step = random.choice([1, 2, 3, 7, 100, 5000])
    for start in range(0, len(data), step):
        yield data[start : start + step]
        if random.random() < min(0.2, 2 * step / len(data)):
            yield random.choice([0.001, 0.05, 0.4, 1.2])


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_piped_in_each_word_is_said_once_and_in_order_or_told(
    shell: Shell, server: MoodyAgent, seed: int
) -> None:
    random = Random(seed)
    encoding = random.choice(ENCODINGS)
    asked = some_words(random, encoding)
    text = some_text(random, asked)
    server.moods.extend(random.choice(MOODS))
    server.dislikes = random.choice([f"{len(asked) // 2} ", "\0", "\0"])
    server.failing = set(random.choice([[], [], ["s-0"], ["s-1", "s-2"]]))
    level = random.choice(["accepted", "done"])
    ended = say(shell, *some_pieces(random, text.encode(encoding)), flags=("--wait", level))
    missed = re.match(r"liba: (\d+) of (\d+) lines", ended.stderr.splitlines()[-1] if ended.stderr else "")
    heard, all_words = words(server.said), words([text])
    refused_lines = len({request["id"] for request in said_to(server)}) - len(server.requests_taken)
    if not refused_lines:
        assert heard == all_words
    else:
        assert heard == [word for word in all_words if word in set(heard)]
        assert ended.code == 6
    failed = server.failing & server.requests_taken.keys()
    if level == "done":
        one = len({request["id"] for request in said_to(server)}) == 1
        assert (ended.code == 0) == (not failed and not refused_lines), ended.stderr
        assert one or not (failed or refused_lines) or missed
        assert not missed or int(missed[1]) == len(failed) + refused_lines
    assert "unexpected" not in ended.stderr


def said_to(server: MoodyAgent) -> list[dict[str, Any]]:
    calls = [asked for asked in server.asked("PerformRpc") if asked.body["method"] == SAY_METHOD]
    return [asked.rpc for asked in calls]
