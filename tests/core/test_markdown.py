from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.markdown import as_prose, is_markdown, prose

MARKS = st.sampled_from(
    [
        *(
            "# ",
            "\n",
            "\n\n",
            "- ",
            "1. ",
            "|",
            "|--|--|\n",
            "**",
            "*",
            "_",
            "`",
            "```\n",
            "[",
            "](",
            ")",
            "~~",
        ),
        *("<b>", "</b>", "<!--", "-->", "> ", "    ", "[^1]", "[^1]: ", "![", "\\", "&amp;", "[ ] ", "---\n"),
    ]
)
WORD = st.sampled_from(["one", "two", "three", "Ann", "5"])


@pytest.mark.parametrize(
    ("markdown", "heard"),
    [
        ("Plain text, as it is.", "Plain text, as it is."),
        ("## Plan\nBuy **milk**", "Plan.\n\nBuy milk"),
        ("# Really?\n", "Really?"),
        ("Title\n=====\nText", "Title.\n\nText"),
        ("*one* _two_ ***three*** ~~four~~", "one two three four"),
        ("snake_case and 2 * 3 * 4", "snake_case and 2 * 3 * 4"),
        ("- milk\n- eggs!\n\n+ more\n", "milk.\n\neggs!\n\nmore."),
        ("1. mix\n2. bake", "1. mix.\n\n2. bake."),
        ("3) third\n4) fourth", "3. third.\n\n4. fourth."),
        ("- [x] done\n- [ ] open", "done.\n\nopen."),
        ("- a\n  - b\n\n    c", "a.\n\nb.\n\nc."),
        ("[the shop](https://a.b/c 'title')", "the shop"),
        ("[the *shop*][1] and [another][2]\n\n[1]: https://a.b", "the shop and another"),
        ("<https://a.b/c>", "https://a.b/c"),
        ("![A red *house*](house.png)", "A red house"),
        ("![](house.png) text", "text"),
        ("Run `pip install x` now", "Run pip install x now"),
        ("Run:\n```sh\npip install x\n```\nDone", "Run:\n\npip install x.\n\nDone"),
        ("Like:\n```py\na = 1\nb = 2\n```\nDone", "Like:\n\nDone"),
        ("~~~\na\nb", ""),
        ("| Name | Age |\n|--|--:|\n| Ann | 5 |\n| **Bob** | |", "Name: Ann, Age: 5.\n\nName: Bob."),
        ("|a|\n|-|\n|b.|", "a: b."),
        ("one\n\n---\n\n* * *\n\ntwo", "one\n\ntwo"),
        ("> said\n> somebody", "said\nsomebody"),
        ("Fact.[^1] More[^note].\n\n[^1]: The source\n    goes on.\n[^note]: Another", "Fact. More."),
        ("<b>bold</b> <span class='x'>text</span><br>next<!-- unseen -->", "bold text next"),
        ("<div>\nblock\n</div>", "block"),
        ("AT&amp;T &lt;3 a < b", "AT&T <3 a < b"),
        (r"\*no\* emphasis", "*no* emphasis"),
        ("one  \ntwo\\\nthree", "one\ntwo\nthree"),
        ("    indented text is text", "indented text is text"),
        ("# One\r\n\r\nt\0wo\r\n", "One.\n\ntwo"),
        ("Wait. [pause 1s] <break time='500ms'/> Go", "Wait. [pause 1s] <break time='500ms'/> Go"),
        ("---\ntitle: My post. And more\ndate: 2024-01-01\n---\n# Hello\n\nText", "Hello.\n\nText"),
        ("+++\ntitle = 'x'\n+++\nText", "Text"),
        ("one\n\n---\nkey: value", "one\n\nkey: value"),
        ("$E=mc^2$ and $x_1$, for $5 and $6_000", "E=mc^2 and x_1, for $5 and $6_000"),
        ("f($a_b, $c)", "f($a_b, $c)"),
        ("**重要：**内容", "重要：内容"),
        ("这是**“这个”**的", "这是“这个”的"),
        ("**Note:**it is ==marked==, a == b == c", "Note:it is marked, a == b == c"),
        ("Done :tada: :+1: at 10:30:15 for a::b::c", "Done   at 10:30:15 for a::b::c"),
        ("> [!WARNING]\n> Hot.", "Warning.\nHot."),
        ("[a](https://b.c/d_(e)) [b](<u v> 't') [![c](d.svg)](e)", "a b c"),
        ("1. a\n   - b\n     1. c\n\n   more", "1. a.\n\nb.\n\n1. c.\n\nmore."),
        ("Fact[^a] is.\n\n[^a]: long\n\n    second part", "Fact is."),
        ("one\n\n<!-- a\n\nb\n\nc -->\n\ntwo", "one\n\ntwo"),
        ("<!-- a --> one\n\n<!-- never closed", "one\n\n<!-- never closed"),
        ("Use `<!-- a -->` here\n```\n<!-- b -->\n```", "Use <!-- a --> here\n\n<!-- b -->."),
        ("<script>\nf(1)\n\ng(2)\n</script>\n<style>\np {a: b}\n</style>\none", "one"),
        ("one\n\n$$\nE = mc^2\n$$\n\ntwo $$x_1$$", "one\n\nE = mc^2.\n\ntwo x_1"),
        ("one\n\n$$\na_1 = b\nc = d\n$$\n\ntwo", "one\n\ntwo"),
        ("\\[ \\int_0^1 x_1 dx \\]\n\none", "\\int_0^1 x_1 dx.\n\none"),
        ("$$ is money\n\nand $$$ more", "$$ is money\n\nand $$$ more"),
        ('<prosody rate="slow">x</prosody> <p>y</p>', '<prosody rate="slow">x</prosody> y'),
    ],
)
def test_markdown_is_read_as_prose(markdown: str, heard: str) -> None:
    assert prose(markdown) == heard


@pytest.mark.parametrize(
    "text",
    [
        *("# Title", "**bold**", "__bold__ text", "an *emphasis* here", "`code`", "```\ncode", "~~gone~~"),
        *("[a](https://b.c)", "![a](b.png)", "- one\n- two", "* one\n\n* two", "> quoted", "a[^1]"),
        *("| a | b |\n|---|---|\n| 1 | 2 |", "a | b\n-- | --\n1 | 2", "one <!-- unseen --> two"),
    ],
)
def test_clear_signs_are_recognised(text: str) -> None:
    assert is_markdown(text)
    assert is_markdown(f"Before.\n\n{text}\n\nAfter.")


@pytest.mark.parametrize(
    "text",
    [
        *("Hello there.", "2 * 3 * 4", "5 ** 2", "snake_case_name", "#hashtag", "#1 is best", "- one item"),
        *(
            "-5 degrees",
            "1. one\n2. two",
            "a < b > c",
            "[12]",
            "[pause 1s]",
            "f(x)[0](1",
            "*** ***",
            "***",
            "a | b",
        ),
        *("~5 minutes", "note*", "it's 5 o'clock *", "<b>x</b>", "I <3 you", "10:30 - 11:30", "--verbose"),
    ],
)
def test_ordinary_text_is_not_taken_for_markdown(text: str) -> None:
    assert not is_markdown(text)
    assert as_prose(text, "auto") == as_prose(text, "off") == text


@given(st.lists(MARKS | WORD | st.text(max_size=3), max_size=25).map("".join))
def test_whatever_it_is_it_can_be_read(text: str) -> None:
    assert isinstance(prose(text), str)
    assert isinstance(is_markdown(text), bool)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["{}", "**{}**", "*{}*", "`{}`", "[{}](u)", "![{}](u)", "# {}", "- {}"]), WORD
        )
    )
)
def test_no_word_is_lost(marked: list[tuple[str, str]]) -> None:
    heard = prose("\n\n".join(mark.format(word) for mark, word in marked))
    assert heard.replace(".", "").split() == [word for _, word in marked]


@pytest.mark.timeout(60)  # one that goes over it again and again takes minutes
@pytest.mark.parametrize(
    "text",
    [
        "<!--" * 4000,
        "<!-- -" * 3000,
        "`" * 16_000,
        "$$\n" * 5000,
        "**a" * 4000,
        "*a " * 5000,
        "[a](" * 4000,
        "__a " * 4000,
        "|---" * 4000,
        "*_" * 4000,
        "> " * 5000,
    ],
)
def test_a_text_made_to_take_long_takes_no_longer(text: str) -> None:
    assert isinstance(as_prose(text, "auto"), str)


def test_the_parser_is_loaded_for_markdown_alone() -> None:
    code = (
        "import sys; from libacli.core.markdown import as_prose; as_prose('Hello.', 'auto');"
        "loaded = 'markdown_it' in sys.modules; as_prose('**Hello.**', 'auto');"
        "sys.exit(loaded or 'markdown_it' not in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
