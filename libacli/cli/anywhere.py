"""Options that may stand before the command or after it, as those of `lk` may: `liba -q token -j`.

What concerns liba itself takes effect where it stands; what concerns the command is handed on to it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from libacli.cli.output import output
from libacli.cli.usage_words import UsageProblem, explained, value_name

_BEFORE = "liba.before"
"""Where a context keeps the options that stand before the command, as they are written."""


class AnywhereCommand(TyperCommand):
    """A command that takes, besides its own options, what stands before it; and `-q` and `-v` behind it."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.params += _missing(self.params, _options(_of_liba))
        _name_values(self.params)
        self.epilog = self.epilog or "Exit codes are those of every command: liba --help"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        before = ctx.meta.get(_BEFORE, {})
        known = {spelled for param in self.params for spelled in param.opts}
        for option in before:
            if option not in known:
                ctx.fail(f"No such option: {option}, which stands before the command")
        try:
            rest = super().parse_args(ctx, [*_written(before), *args])
            _check_text(ctx, self.params)
            return rest
        except UsageProblem as problem:
            takes_text = any(param.name == "text" for param in self.params)
            about = getattr(problem, "param", None)
            problem.message = explained(problem.message, about, takes_text=takes_text)
            raise


class AnywhereGroup(TyperGroup):
    """A group of commands that hands what stands before them on to them."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._own = list(self.params)
        self.params += _missing(self.params, [*_options(_of_liba), *_options(_of_commands)])
        _name_values(self.params)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        known = {spelled for param in self._own for spelled in param.opts}
        before = {option: value for option, value in ctx.meta.get(_BEFORE, {}).items() if option in known}
        rest = super().parse_args(ctx, [*_written(before), *args])
        _check_text(ctx, self._own)
        for param in self._own:  # of one that does something alone, should it not be alone
            if not param.expose_value:
                continue
            if (value := ctx.params.get(param.name)) not in (None, False):
                _note(ctx, param.opts[0], value)
        return rest


def _of_liba(
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            help="Print results and errors only",
            expose_value=False,
            callback=lambda value: _set("quiet", value),
        ),
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help="Show tracebacks of errors",
            expose_value=False,
            callback=lambda value: _set("verbose", value),
        ),
    ] = False,
) -> None:
    """What every command has, and every group."""


def _hand_on(context: typer.Context, option: typer.CallbackParam, value: Any) -> None:
    if value not in (None, False):
        _note(context, option.opts[0], value)


def _of_commands(
    as_json: Annotated[
        bool, typer.Option("--json", "-j", help="Print JSON", expose_value=False, callback=_hand_on)
    ] = False,
    project: Annotated[
        str | None,
        typer.Option("--project", hidden=True, expose_value=False, callback=_hand_on),
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", hidden=True, expose_value=False, callback=_hand_on)
    ] = None,
    api_key: Annotated[
        str | None, typer.Option("--api-key", hidden=True, expose_value=False, callback=_hand_on)
    ] = None,
    api_secret: Annotated[
        str | None, typer.Option("--api-secret", hidden=True, expose_value=False, callback=_hand_on)
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", hidden=True, expose_value=False, callback=_hand_on)
    ] = None,
) -> None:
    """What many commands have; `lk` takes the same ones before its commands."""


def _name_values(params: Iterable[Any]) -> None:
    for param in params:
        param.metavar = param.metavar or value_name(param)


def _check_text(ctx: Any, params: Iterable[Any]) -> None:
    """Reads as UTF-8 what is not in the locale's encoding. Raises UsageProblem for bytes that are neither.

    Python hands these on as halves of characters (PEP 383), which nobody takes; paths are left as they are.
    """
    for param in params:
        value = ctx.params.get(param.name)
        try:
            if isinstance(value, str):
                ctx.params[param.name] = _text(value)
            elif isinstance(value, list | tuple):
                ctx.params[param.name] = [_text(one) if isinstance(one, str) else one for one in value]
        except UnicodeError:
            problem = "it is not UTF-8: write it anew, as text"
            raise typer.BadParameter(problem, ctx=ctx, param=param) from None


def _text(written: str) -> str:
    is_text = not any("\ud800" <= character <= "\udfff" for character in written)
    return written if is_text else os.fsencode(written).decode()


def _set(name: str, value: bool) -> None:
    if value:
        setattr(output, name, True)


def _note(context: Any, option: str, value: Any) -> None:
    context.meta.setdefault(_BEFORE, {})[option] = value


def _written(options: dict[str, Any]) -> list[str]:
    """Options as they are written on a command line."""
    return [option if value is True else f"{option}={value}" for option, value in options.items()]


def _missing(params: Iterable[Any], wanted: Iterable[Any]) -> list[Any]:
    """Those of `wanted` that are not among `params`."""
    there = {spelled for param in params for spelled in param.opts}
    return [option for option in wanted if option.opts[0] not in there]


@cache
def _options(declared: Any) -> tuple[Any, ...]:
    """The options that a function declares, as Typer makes them."""
    alone = typer.Typer(add_completion=False)
    alone.command()(declared)
    return tuple(get_command(alone).params)
