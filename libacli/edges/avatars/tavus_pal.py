"""What Tavus's pal must be for an avatar in a LiveKit room, and what is wrong with one that is not so.

https://docs.livekit.io/agents/models/avatar/tavus/: `pipeline_mode` echo, and `layers.transport` livekit. A
pal that is otherwise is taken for a conversation, which costs money, and whose avatar never joins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PIPELINE_MODE = "echo"
TRANSPORT_TYPE = "livekit"


def misfit_of(pal_id: str, told: Any) -> str:
    """What is wrong with the pal that the service has `told` of; empty: nothing, or nothing is told.

    It comes as an object, or as the one item of a list `data`.
    """
    pal = _pal(told)
    mode, layers = pal.get("pipeline_mode"), pal.get("layers")
    wrong = []
    if mode is not None and mode != PIPELINE_MODE:
        wrong.append(f"its pipeline_mode is {mode!r}, not {PIPELINE_MODE!r}")
    if isinstance(layers, Mapping):
        transport = layers.get("transport")
        given = transport.get("transport_type") if isinstance(transport, Mapping) else None
        # Without a word on how it is made up the answer may just be short.
        if given != TRANSPORT_TYPE and (given is not None or mode is not None):
            is_what = repr(given) if given is not None else "not set"
            wrong.append(f"its layers.transport.transport_type is {is_what}, not {TRANSPORT_TYPE!r}")
    return f"the pal {pal_id} joins no LiveKit room: {', and '.join(wrong)}" if wrong else ""


def _pal(told: Any) -> Mapping[str, Any]:
    if isinstance(told, Mapping) and "data" in told:
        told = told["data"]
    if isinstance(told, list):
        told = told[0] if told else None
    return told if isinstance(told, Mapping) else {}
