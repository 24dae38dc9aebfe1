"""The tools as a server of the Model Context Protocol (https://modelcontextprotocol.io): models may speak."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from math import ceil
from typing import Any

import mcp_types as types
from mcp import MCPError
from mcp.server.lowlevel.server import Server
from pydantic import BaseModel, ValidationError

from libacli import __version__
from libacli.complaint_log import ComplaintLog
from libacli.errors import LibaError, RefusedError
from libacli.masking import masked
from libacli.mcp.port import Speech
from libacli.mcp.tools import STEPS, TOOLS, Tool

logger = logging.getLogger("liba.mcp")

SpeechOf = Callable[[Any], Speech]
"""Who speaks for the caller of a request: the SDK's context of it is given."""

_INSTRUCTIONS = (
    "These tools make a digital human (an avatar, or a voice alone) in a LiveKit room speak. People there "
    "hear every word of `say`, exactly as it is written, so say only what is meant for them. `say` answers "
    "at once unless `wait` is given; `status` and `queue` tell what became of it, `stop` ends it."
)


def make_server(speech_of: SpeechOf, *, secrets: Sequence[str] = ()) -> Server[Any]:
    """A server of the tools. None of `secrets` stands in what it answers."""
    tools = {tool.name: tool for tool in TOOLS}
    log = ComplaintLog(logger)

    async def list_tools(context: Any, asked: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_described(tool) for tool in TOOLS])

    async def call_tool(context: Any, asked: types.CallToolRequestParams) -> types.CallToolResult:
        if (tool := tools.get(asked.name)) is None:
            raise MCPError(
                types.INVALID_PARAMS, f"there is no tool of that name; there are {', '.join(tools)}"
            )
        try:
            arguments = tool.arguments.model_validate(asked.arguments or {})
            return _answer(await tool.run(speech_of(context), arguments, _teller(context)))
        except ValidationError as error:
            return _failure(_first_mistake(error))
        except LibaError as error:
            return _failure(masked(_in_one_line(error), secrets))
        except Exception as error:
            log.tell("", f"the tool {tool.name}", "failed", level=logging.ERROR, cause=error)
            return _failure("something went wrong here; see the log of liba")

    return Server(
        "liba",
        version=__version__,
        title="liba: a digital human that speaks",
        instructions=_INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _described(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.arguments.model_json_schema(),
        output_schema=tool.result.model_json_schema(),
        annotations=types.ToolAnnotations(
            read_only_hint=tool.only_reads,
            destructive_hint=tool.destroys,
            idempotent_hint=tool.only_reads or tool.is_idempotent,
            open_world_hint=not tool.only_reads,
        ),
    )


def _teller(context: Any) -> Callable[[int, str], Any]:
    async def tell(step: int, what: str) -> None:
        await context.session.report_progress(step, len(STEPS), what)

    return tell


def _answer(result: BaseModel) -> types.CallToolResult:
    """As text, too, for clients that know no structure."""
    text = result.model_dump_json(exclude_none=True)
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)],
        structured_content=result.model_dump(mode="json", exclude_none=True),
    )


def _failure(what: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=what)], is_error=True)


def _first_mistake(error: ValidationError) -> str:
    """Where and what; not the value, which the caller knows."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])


def _in_one_line(error: LibaError) -> str:
    retry_in_s = error.retry_in_s if isinstance(error, RefusedError) else None
    again = f" (again in {ceil(retry_in_s)} s)" if retry_in_s else ""
    hint = f" - {error.hint}" if error.hint else ""
    return " ".join(f"{error}{again}{hint}".splitlines())
