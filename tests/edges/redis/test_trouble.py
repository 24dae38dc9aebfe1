"""What is wrong with a Redis is told in words of ours, each with what to do about it."""

from __future__ import annotations

import os
import socket
import ssl
from errno import ECONNREFUSED

import pytest
from redis import exceptions as of_redis

from libacli.edges.redis.trouble import translated, trouble
from libacli.errors import StoreError
from libacli.masking import masked

SECRET = "s3cret-of-ann"


@pytest.mark.parametrize(
    ("error", "why", "fix"),
    [
        (of_redis.AuthenticationError(SECRET), "user and password", "USER:PASSWORD@"),
        (of_redis.NoPermissionError(SECRET), "may not do that", "redis.prefix"),
        (of_redis.ReadOnlyError(SECRET), "replica", "copy of"),
        (of_redis.OutOfMemoryError(SECRET), "full", "maxmemory"),
        (of_redis.BusyLoadingError(SECRET), "still reads", "wait"),
        (of_redis.MovedError("1 127.0.0.1:1"), "Redis Cluster", "alone"),
        (of_redis.ClusterCrossSlotError(SECRET), "Redis Cluster", "alone"),
        (of_redis.MasterDownError(SECRET), "is gone", "takes writes"),
        (of_redis.TimeoutError(SECRET), "in time", "rediss://"),
        (of_redis.InvalidResponse(SECRET), "no Redis", "host and port"),
        (of_redis.ConnectionError(SECRET), "closes the connection", "rediss://"),
        (ConnectionResetError(104, SECRET), "closes the connection", "rediss://"),
        (of_redis.ResponseError(f"MISCONF {SECRET}"), "MISCONF", "disk"),
        (of_redis.ResponseError(f"WRONGTYPE {SECRET}"), "another application's", "redis.prefix"),
        (of_redis.ResponseError(f"unknown command 'EVAL', with args {SECRET}"), "does not know", "scripts"),
        (of_redis.ResponseError("DB index is out of range"), "no database", "/0"),
        (of_redis.ResponseError(f"NEWCODE {SECRET}"), "NEWCODE", "liba doctor"),
        (of_redis.ResponseError(SECRET), "ResponseError", "liba doctor"),
        (ssl.SSLError(1, SECRET), "TLS", "redis://"),
        (ConnectionRefusedError(ECONNREFUSED, f"to {SECRET}"), os.strerror(ECONNREFUSED), "start it"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known", "redis.url"),
        (TimeoutError(), "in time", "see whether it runs"),
    ],
)
def test_each_is_told_in_our_words_with_what_to_do(error: Exception, why: str, fix: str) -> None:
    found = trouble(error)
    assert why in found.why
    assert fix in found.fix
    assert SECRET not in found.why + found.fix
    assert masked(found.fix) == found.fix, "who reads it would not see what to write"


def test_a_certificate_that_is_not_trusted_is_told_as_that() -> None:
    below = ssl.SSLCertVerificationError(1, SECRET)
    below.verify_message = "self-signed certificate"
    error = of_redis.ConnectionError(SECRET)
    error.__cause__ = below
    assert trouble(error).why == "its certificate is not trusted: self-signed certificate"
    assert "ssl_ca_certs" in trouble(error).fix


def test_an_error_of_ours_has_both_and_keeps_its_cause() -> None:
    cause = of_redis.OutOfMemoryError(SECRET)
    with pytest.raises(StoreError, match="it is full") as raised, translated():
        raise cause
    assert "maxmemory" in raised.value.hint
    assert raised.value.__cause__ is cause
