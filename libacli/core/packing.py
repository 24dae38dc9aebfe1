"""Requests that are larger than what LiveKit carries to a participant, made smaller on their way."""

from __future__ import annotations

import base64
import json
import zlib

PACKED = "packed"
"""The one member of a packed request: an agent that does not know it says that `text` is missing."""

MAX_CARRIED_BYTES = 15 * 1024
"""Of the payload of a call, in UTF-8: `MAX_PAYLOAD_BYTES` of LiveKit's SDKs and servers."""


def packed(request: str) -> str:
    """`request`, JSON, as it is where LiveKit carries it; else deflated (RFC 1951), in base 85, in JSON."""
    encoded = request.encode()
    if len(encoded) <= MAX_CARRIED_BYTES:
        return request
    return json.dumps({PACKED: base64.b85encode(zlib.compress(encoded, 9)).decode()}, separators=(",", ":"))


def unpacked(content: str, *, most: int) -> bytes:
    """What `packed` was given, of at most `most` bytes. Raises ValueError for more, and for what is none."""
    inflating = zlib.decompressobj()
    try:
        request = inflating.decompress(base64.b85decode(content), most + 1)
    except zlib.error as error:
        raise ValueError("it cannot be unpacked") from error
    if len(request) > most or not inflating.eof:
        raise ValueError(f"it is cut off, or has more than {most} bytes")
    return request
