"""Markdown as prose: what somebody would say who reads it out."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from libacli.core.script import is_ssml
from libacli.core.text import ended
from libacli.core.unheard import without_unheard

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.tree import SyntaxTreeNode

MarkdownChoice = Literal["auto", "on", "off"]
"""Whether a text is Markdown; `auto` looks for clear signs of it."""

_SIGN = re.compile(
    r"""
      ^\ {0,3}\#{1,6}\ +\S                                   # heading
    | ^\ {0,3}(?:```|~~~)                                    # code block
    | ^\ {0,3}>\ +\S                                         # quotation
    | ^\ *[-*+]\ +\S.*\n(?:\ *\n)?\ *[-*+]\ +\S              # two items of a list
    | ^\ *(?:\|\ *:?-+:?\ *)+\|\ *$                          # the rule below the head of a table
    | ^\ *:?-+:?\ *(?:\|\ *:?-+:?\ *)+$
    | `[^`\n]{1,200}`                                        # code
    | !?\[[^\]\n]{0,200}\]\([^)\s]{1,500}(?:\s"[^"\n]*")?\)  # link, picture
    | \*\*[^\s*][^\n]{0,200}?\*\*                            # bold
    | (?<!\w)__[^\s_][^\n]{0,200}?__(?!\w)
    | (?<![\w*])\*[^\s*][^*\n]{0,200}(?<!\s)\*(?![\w*])      # emphasis
    | ~~\S[^\n]{0,200}?~~                                    # struck out
    | \[\^[^\]\s]+\]                                         # footnote
    | \A---\n[\w-]+:                                        # settings at the head of a file
    | <!--[^<>]{0,500}-->                                   # comment
    """,
    re.MULTILINE | re.VERBOSE,
)
_NOTE = re.compile(r"^\ {0,3}\[\^[^\]\s]+\]:.*(?:\n(?:[ \t]+\S.*|[ \t]*(?=\n[ \t]+\S)))*", re.MULTILINE)
_NOTE_MARK = re.compile(r"\[\^[^\]\s]+\]")
_UNKNOWN_REFERENCE = re.compile(r"\[([^\[\]]+)\]\[[^\[\]]*\]")
_FRONT_MATTER = re.compile(r"\A(---|\+\+\+)\n(?:[\w.-]+ *[:=][^\n]*\n|[ \t#-][^\n]*\n)+\1[ \t]*(?:\n|\Z)")
"""Settings at the head of a file, YAML or TOML."""

_ALERT = re.compile(r"^( {0,3}> ?)\[!(NOTE|TIP|IMPORTANT|WARNING|CAUTION)\]", re.MULTILINE)
"""https://docs.github.com/get-started/writing-on-github: the kind of a quotation."""

_EMOJI_NAME = re.compile(r"(?<![\w:]):[a-z+][\w+-]*:(?![\w:])")
_LEFT_OVER = re.compile(
    r"(\*\*)([^\w\s*][^*\n]*|[^*\n]*[^\w\s*])\*\*|(==)(?=[^\s=])([^=\n]*[^\s=])==",
)
"""Bold where CommonMark sees none, beside a mark: `**Note:**it`; and what is marked with a pen."""

_MATH = re.compile(r"(?<![\w$])(\${1,2})(?=[^\s$])([^$\n]*[=^_\\{][^$\n]*)(?<!\s)\1(?![\w$])")
_TASK = re.compile(r"\[[ xX]\]\s+")
_LINE_BREAK = re.compile(r"<[bh]r\s*/?>", re.IGNORECASE)


def is_markdown(text: str) -> bool:
    """Whether there are clear signs that `text` is Markdown."""
    return _SIGN.search(text.replace("\r\n", "\n")) is not None


def as_prose(text: str, choice: MarkdownChoice) -> str:
    """`text` for the ear, where it is Markdown by `choice`; else as it is."""
    return prose(text) if choice == "on" or (choice == "auto" and is_markdown(text)) else text


def prose(markdown: str) -> str:
    """What is to be heard of `markdown` (CommonMark, tables, strikethrough, footnotes, task lists).

    Headings and list items end as sentences, and numbers of lists stay. Links are their words, pictures their
    alternative text, code in a line its content, and so a code block of one line; a longer one is left out:
    nobody can follow it by ear. A formula on lines of its own is such a block. A table is a sentence for each
    row, "Name: Ann, Age: 5." Marks of emphasis, HTML's tags, comments and scripts, footnotes, rules, names of
    emoji and a file's settings are left out. Marks of pauses stay, and SSML, which is refused later.
    """
    from markdown_it.tree import SyntaxTreeNode  # loaded only where there is Markdown

    text = _FRONT_MATTER.sub("", markdown.replace("\0", "").replace("\r\n", "\n"))
    text = _ALERT.sub(lambda found: f"{found[1]}{found[2].capitalize()}.", text)
    text = without_unheard(text)
    tokens = _parser().parse(_NOTE_MARK.sub("", _NOTE.sub("", text)))
    return "\n\n".join(block for block in _blocks(SyntaxTreeNode(tokens)) if block)


@functools.cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # Indented text is no code for people who write by hand; and of HTML only the tags are of no use.
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).disable(["code", "html_block"])


def _blocks(node: SyntaxTreeNode) -> Iterator[str]:
    """What is said of `node`, block by block."""
    match node.type:
        case "inline":
            yield _words(node).strip()
        case "heading":
            yield ended(_words(node).strip())
        case "list_item":
            yield from _item(node)
        case "table":
            yield from _rows(node)
        case "fence":
            yield _code(node.content)
        case _:
            for child in node.children:
                yield from _blocks(child)


def _item(item: SyntaxTreeNode) -> Iterator[str]:
    first, *more = [ended(block) for child in item.children for block in _blocks(child) if block] or [""]
    words = _TASK.sub("", first, count=1) if _TASK.match(first) else first
    yield f"{item.info}. {words}" if item.info else words
    yield from more


def _rows(table: SyntaxTreeNode) -> Iterator[str]:
    head, *rows = [
        [_words(cell).strip() for cell in row.children] for part in table.children for row in part.children
    ]
    for row in rows:
        cells = [f"{name}: {cell}" if name else cell for name, cell in zip(head, row, strict=True) if cell]
        yield ended(", ".join(cells))


def _words(node: SyntaxTreeNode) -> str:
    """The words of what stands in one line."""
    match node.type:
        case "text":
            return _EMOJI_NAME.sub("", _LEFT_OVER.sub(r"\2\4", _MATH.sub(r"\2", node.content)))
        case "code_inline":
            return node.content
        case "softbreak" | "hardbreak":
            return "\n"
        case "html_inline":
            return node.content if is_ssml(node.content) else " " * bool(_LINE_BREAK.match(node.content))
        case _:
            return _UNKNOWN_REFERENCE.sub(r"\1", "".join(map(_words, node.children)))


def _code(content: str) -> str:
    line = content.strip()
    return "" if "\n" in line else ended(line)
