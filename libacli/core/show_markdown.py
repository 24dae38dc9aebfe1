"""A show as Markdown: headings are labels, paragraphs are lines, comments say how.

`<!-- pause 2s -->` is a pause, `<!-- step -->` has the next line wait for the go-ahead, and what is set as
`<!-- voice: nova -->`, likewise speed, emotion, instructions and room, holds until it is set anew, or ended:
`<!-- voice: -->`. Other comments are comments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from libacli.core.cue import STYLES, Cue, CueReader, nearest, read_pause
from libacli.core.markdown import prose
from libacli.core.script import MOST_PAUSE_S
from libacli.errors import RefusedError

_COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
_DIRECTIVE = re.compile(r"\s*([A-Za-z]+)\s*(?::\s*(.*?)|\s(.*?))?\s*", re.DOTALL)
_FRONT_MATTER = re.compile(r"\A(---|\+\+\+)\n(?:.*\n)*?\1[ \t]*(?:\n|\Z)")
_NOT_CLOSED = "this comment has no end: write `-->` behind it"
_WORDS = (*STYLES, "pause", "step")
_LIKELY = 0.75
"""How near a word of a comment must be to one of ours to be taken for it, misspelled."""

Block: TypeAlias = tuple[Literal["heading", "comment", "text"], str, int]
"""What it is, its source, and its line from 1."""


def read_markdown(source: str, reader: CueReader) -> list[Cue]:
    """The cues; problems go to `reader`."""
    script = _Script(reader)
    for kind, text, line in _blocks(source.replace("\r\n", "\n").replace("\r", "\n")):
        if kind == "heading":
            script.head(" ".join(prose(text).rstrip(".").split()), line)
        elif kind == "comment":
            script.comment(text, line)
        else:
            script.say(text, line)
    if script.steps_at:
        reader.note(script.steps_at, "step: no line follows")
    return script.cues


@dataclass
class _Script:
    """What was read so far."""

    reader: CueReader
    cues: list[Cue] = field(default_factory=list)
    label: str = ""
    """For the next cue; it stands at `label_line`."""

    label_line: int = 0
    labels_above: tuple[str, ...] = ()
    steps_at: int = 0
    """Line of the comment that has the next line wait; 0: it does not."""

    styles: dict[str, Any] = field(default_factory=dict)

    def head(self, label: str, line: int) -> None:
        if self.label:
            self.labels_above += (self.label,)
        self.label, self.label_line = label, line

    def say(self, source: str, line: int) -> None:
        words = prose(_COMMENT.sub(lambda found: self._inside(found, line), source)).strip()
        if not words:  # a rule, code of many lines
            return
        step = {"step": True} if self.steps_at else {}
        self._add({"text": words, **step, **self.styles}, line)
        self.steps_at = 0

    def comment(self, source: str, line: int) -> None:
        """Comments on lines of their own, and what stands behind them."""
        at = 0
        for found in _COMMENT.finditer(source):
            self._say_between(source, at, found.start(), line)
            line_of_it = line + source.count("\n", 0, found.start())
            if "<!--" in found[1]:  # what stands before that would be lost in silence
                self.reader.note(line_of_it, _NOT_CLOSED)
            self._obey(found[1], line_of_it)
            at = found.end()
        self._say_between(source, at, len(source), line)

    def _say_between(self, source: str, start: int, end: int, line: int) -> None:
        between = source[start:end]
        if "<!--" in between:
            self.reader.note(line + source.count("\n", 0, source.index("<!--", start)), _NOT_CLOSED)
        elif between.strip():
            self.say(source[start:end].strip(), line + source.count("\n", 0, start))

    def _obey(self, comment: str, line: int) -> None:
        name, value = _directive(comment)
        match name:
            case "pause":
                self._add({"pause": value}, line)
            case "step" if not value:
                self.steps_at = line
            case _ if name in STYLES:
                self._set(name, value, line)
            case _ if asked := _misspelled(name, comment):
                self.reader.note(line, f"unknown comment {name!r}{asked}")

    def _set(self, name: str, value: str, line: int) -> None:
        self.styles.pop(name, None)
        if value:
            given: Any = float(value) if name == "speed" and _is_number(value) else value
            if self.reader.style(name, given, line) is not None:
                self.styles[name] = given

    def _inside(self, found: re.Match[str], line: int) -> str:
        """What stands for a comment in the middle of a paragraph: a pause is one, others have no place."""
        line += found.string.count("\n", 0, found.start())
        name, value = _directive(found[1])
        if name == "pause":
            try:
                seconds = read_pause(value)
            except RefusedError as error:
                self.reader.note(line, str(error))
                return ""
            if seconds <= MOST_PAUSE_S:
                return f"[pause {seconds:g}s]"
            self.reader.note(line, f"a pause inside a paragraph may last {MOST_PAUSE_S:g} s")
        elif name in _WORDS:
            self.reader.note(line, f"{name}: put this comment on a line of its own, before the paragraph")
        return ""

    def _add(self, members: dict[str, Any], line: int) -> None:
        label = {"label": self.label} if self.label else {}
        cue = self.reader.read(members | label, line, {"label": self.label_line})
        if cue:
            self.cues.append(replace(cue, labels_above=self.labels_above))
        self.label, self.labels_above = "", ()


def _directive(comment: str) -> tuple[str, str]:
    """Its first word, and what follows; empty: it is none of ours, whatever it says."""
    found = _DIRECTIVE.fullmatch(comment)
    return (found[1].lower(), (found[2] or found[3] or "").strip()) if found else ("", "")


def _misspelled(name: str, comment: str) -> str:
    """Whether one of our words was meant: it looks like one, and the comment is written like one."""
    is_short = ":" in comment or len(comment.split()) <= 2
    return nearest(name, _WORDS, cutoff=_LIKELY) if is_short and name not in _WORDS else ""


def _is_number(value: str) -> bool:
    return re.fullmatch(r"\d+(?:\.\d+)?", value, re.ASCII) is not None


def _blocks(source: str) -> Iterator[Block]:
    """The blocks that stand at its outside, one after the other."""
    from markdown_it import MarkdownIt  # loaded only where there is Markdown

    source = _FRONT_MATTER.sub(lambda found: "\n" * found[0].count("\n"), source)
    lines = source.split("\n")
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"]).disable("code")
    for token in parser.parse(source):
        if token.level or not token.map or token.nesting < 0:
            continue
        start, end = token.map
        text = "\n".join(lines[start:end])
        is_comment = token.type == "html_block" and text.lstrip().startswith("<!--")
        kind: Literal["heading", "comment", "text"] = (
            "heading" if token.type == "heading_open" else "comment" if is_comment else "text"
        )
        yield kind, text, start + 1
