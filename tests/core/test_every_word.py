"""However a text is laid out, arrives and is cut, each of its words is said once, whole and in its turn.

Texts are made of what people write, with seeds. What is said of them piece by piece is held against what is
said of the text that is there as a whole.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable

import pytest

from libacli.core.chunk_plan import Chunk, ChunkPlan
from libacli.core.chunks import split_chunks
from libacli.core.habits import Habits
from libacli.core.markdown import prose
from libacli.core.sentence_stream import SentenceStream
from libacli.core.spoken import spoken
from libacli.core.streamed_text import StreamedText
from libacli.core.text import clean

TEXTS_PER_SEED = 12

SENTENCES = [
    *(
        "Meet Dr. Smith at 5 p.m. in the U.S. office of Acme Inc. on Jan. 5.",
        "J. R. R. Tolkien wrote it, e.g. in 1937!",
        "It costs $1,250.50, or 3.5 % of ½ of 10⁶, at 10:30 a.m. on 2024-01-05.",
        "See https://a.b/c_d?e=f.g#h(i) or ann.b@c.de, 192.168.0.1:80, v2.0.1-rc.1.",
        '"Wait..." she said. (He did not.) Then: "No!?"',
        "Well… maybe—or not – who knows;",
        "Am 3. Oktober, z. B. bzw. ca. 5 Std. inkl. MwSt., kam Prof. Dr. Müller.",
        "M. Dupont et Mme. Martin, av. Foch n° 5 : « Ça va ? » Oui !",
        "¿Cómo está la Sra. López, pág. 5? ¡Bien!",
        "L'avv. Rossi abita in via Roma n. 5, ecc.",
        "De heer dr. Jansen, bijv. op blz. 5.",
        "O Sr. Silva mora na Av. Paulista n.º 5.",
    ),
    *("यह पहला वाक्य है।", "کیا یہ ہے؟ ہاں۔", "هل أنت هنا؟", "Սա առաջինն է։", "ይህ ነው።", "ဒါက တစ်ခု။", "នេះគឺមួយ។"),
    *(
        "今日は、いい天気ですね！",
        "他说：“好。”然后走了。",
        "첫 번째 문장입니다.",
        "ฉันชื่อสมชายและเป็นครู",
        "Это г. Москва, т.е. центр.",
    ),
    *(
        "Great! 🎉👍🏽 Really 👨‍👩‍👧 1️⃣ 🇩🇪.",
        "zero\u200bwidth \u200fmarks\u200e and soft\u00adhyphen",
        "e\u0301te\u0301 nai\u0308ve can\u2019t don\u00b4t",
        "tab\tand\u00a0odd\u2009spaces\u3000here",
        "Note¹ and word[12], †fact.[3] H₂O is №5, Ⅳ and ①.",
        "−5 °C to 10 000 km, 1/2, 50–60, x²",
        "no mark at the end",
        "ALL CAPS! lower. then more",
        "Nooooooo... A.B.C. a.k.a. i.e.",
    ),
]
LINES = [
    *("- milk", "- eggs", "* one", "1. First item", "2. Second", "3) third", "a) x", "• point"),
    "> quoted",
]
MARKDOWN = [
    *(
        "## Plan",
        "**Buy.** Then `milk` and *bread*.",
        "[the shop (old)](https://a.b/c_(d)) is open. Go!",
        "![A red house](h.png)",
        "- [x] done\n- [ ] open\n  - nested **one**\n    1. deep",
        "| Name | Age |\n|------|----:|\n| Ann | 5.5 |\n| Bob B. | **6** |",
        "Title\n=====",
        "> said\n> somebody. Then",
        "> [!NOTE]\n> Careful. It is $E=mc^2$ :tada: **重要：**内容",
        "~~gone~~ _kept_ __bold__ ***both***",
        "Fact.[^1] More.\n\n[^1]: The source.",
        "<b>Tag</b> text<br>next",
        "```py\nx = 1. Y\n\nz = 2\n```",
        "```\nrun this.\n```",
        r"\*no\* emphasis &amp; 2 * 3 * 4",
        "one  \ntwo\\\nthree",
        "* * *",
        "snake_case_name and #tag, f(x)[0]",
    )
]


def words(texts: Iterable[str]) -> list[str]:
    """What is to be heard of them, as `spoken` makes it."""
    return re.findall(r"[^\W_]+", " ".join(texts).casefold())


def laid_out(chance: random.Random, sentences: list[str], *, width: int = 0) -> str:
    """Paragraphs of sentences, wrapped at `width`, between lists."""
    blocks = []
    for _ in range(chance.randint(1, 5)):
        text = " ".join(chance.choices(sentences, k=chance.randint(1, 4)))
        if width:
            text = re.sub(rf"(.{{{width},}}?) ", r"\1\n", text)
        blocks.append(text)
        if chance.random() < 0.3:
            blocks.append("\n".join(chance.choices(LINES, k=chance.randint(1, 3))))
    return "\n\n".join(blocks)


def in_pieces(chance: random.Random, text: str) -> list[str]:
    """`text` as a model, a pipe or a typist sends it."""
    most = chance.choice([1, 3, 8, 60, 100_000])
    pieces = []
    while text:
        size = chance.randint(1, most)
        pieces.append(text[:size])
        text = text[size:]
    return pieces


def plain_texts(seed: int) -> Iterable[tuple[random.Random, str]]:
    chance = random.Random(seed)
    for _ in range(TEXTS_PER_SEED):
        text = laid_out(chance, SENTENCES, width=chance.choice([0, 0, 30, 72]))
        yield chance, clean(text)


@pytest.mark.parametrize("seed", range(6))
def test_a_text_that_arrives_in_pieces_says_the_words_of_the_whole(seed: int) -> None:
    for chance, text in plain_texts(seed):
        stream = SentenceStream(max_chars=4_000)
        said = [sentence for piece in in_pieces(chance, text) for sentence in stream.push(piece)]
        assert words(map(spoken, [*said, *stream.flush()])) == words([spoken(text)]), text


@pytest.mark.parametrize("seed", range(6))
def test_silences_between_words_change_no_word(seed: int) -> None:
    for chance, text in plain_texts(seed):
        stream = StreamedText(max_chars=4_000)
        said = []
        for piece in re.findall(r"\S+\s*", text):
            said += stream.push(piece)
            if chance.random() < 0.3:
                said += stream.lull(chance.choice([0.3, 1.0]))
        assert words([*said, *stream.flush()]) == words([text]), text


@pytest.mark.parametrize("seed", range(6))
def test_chunks_of_every_size_say_the_words_of_the_whole(seed: int) -> None:
    for chance, text in plain_texts(seed):
        text = spoken(text)
        assert "".join(split_chunks(text, max_chars=chance.randint(15, 200), first_chars=12)) == text
        plan = ChunkPlan([text], max_chars=chance.randint(60, 400), first_chars=chance.randint(30, 60))
        habits = Habits(base_s=chance.uniform(0, 1), growth_s=chance.choice([0.0, 0.002, 0.05]))
        said = []
        while not plan.is_empty:
            chunk = plan.take(habits, hand_s=chance.choice([0.0, 0.5, 5.0]))
            assert isinstance(chunk, Chunk)
            said.append(chunk.text)
        assert words(said) == words([text]), text


@pytest.mark.parametrize("seed", range(6))
def test_markdown_that_arrives_in_pieces_says_the_words_of_the_whole(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(TEXTS_PER_SEED):
        text = clean("\n\n".join(chance.choices(MARKDOWN, k=chance.randint(1, 6))))
        stream = SentenceStream(max_chars=4_000, markdown="on")
        said = [sentence for piece in in_pieces(chance, text) for sentence in stream.push(piece)]
        assert words(map(spoken, [*said, *stream.flush()])) == words([spoken(prose(text))]), text
