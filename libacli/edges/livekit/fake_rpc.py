"""How calls of RPC methods are answered in a fake room: as the SDK does it, errors included."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

from livekit import rtc

Answer = Callable[[rtc.RpcInvocationData], Any]
"""A handler of an RPC method: it returns text, or something to await that does."""


async def answer_call(
    methods: Mapping[str, Answer],
    method: str,
    caller: str,
    payload: str,
    timeout_s: float,
    *,
    interceptors: Sequence[rtc.RpcInterceptor] = (),
    request_id: str = "request",
) -> str:
    """What the caller gets from the method, through the interceptors. Raises rtc.RpcError."""

    async def handle(call: rtc.RpcInvocationData) -> str | None:
        if (handler := methods.get(call.method)) is None:
            raise rpc_error(rtc.RpcError.ErrorCode.UNSUPPORTED_METHOD)
        answer = handler(call)
        return cast("str | None", await answer if inspect.isawaitable(answer) else answer)

    passed_on: Callable[[rtc.RpcInvocationData], Awaitable[str | None]] = handle
    for interceptor in reversed(interceptors):
        passed_on = partial(interceptor.intercept_incoming, next=passed_on)
    try:
        async with asyncio.timeout(timeout_s):
            call = rtc.RpcInvocationData(request_id, caller, payload, timeout_s, method=method)
            return cast(str, await passed_on(call))
    except TimeoutError:
        raise rpc_error(rtc.RpcError.ErrorCode.RESPONSE_TIMEOUT) from None
    except rtc.RpcError:
        raise
    except Exception as error:
        raise rpc_error(rtc.RpcError.ErrorCode.APPLICATION_ERROR) from error


def rpc_error(code: rtc.RpcError.ErrorCode) -> rtc.RpcError:
    return rtc.RpcError(code, rtc.RpcError.ErrorMessage[code])


def send_failed(_: str) -> rtc.RpcError:
    return rpc_error(rtc.RpcError.ErrorCode.SEND_FAILED)
