"""A key belongs to the address that the user gave: nothing is taken to where an answer sends."""

from __future__ import annotations

import aiohttp

_SENDS_ELSEWHERE = frozenset({301, 302, 303, 307, 308})


class SentElsewhereError(aiohttp.ClientError):
    """An answer that names another address. `status` is its HTTP status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the answer sends elsewhere ({status})")
        self.status = status


async def no_redirects(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Middleware of a `ClientSession`: holds also for calls that a vendor's library makes with it.

    Raises SentElsewhereError.
    """
    response = await handler(request)
    if response.status in _SENDS_ELSEWHERE:
        response.close()
        raise SentElsewhereError(response.status)
    return response
