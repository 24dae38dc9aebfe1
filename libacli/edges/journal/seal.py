"""AES-256-GCM with keys derived by HKDF-SHA256 (RFC 5869): nobody reads a journal without the key."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Sequence

from pydantic import SecretStr

from libacli.errors import ConfigError

_INFO = b"liba journal 1"
_NONCE_BYTES = 12
"""As NIST SP 800-38D wants it; drawn at random, it is good for 2**32 lines of one key."""

INSTALL = "pip install 'libacli[journal]'"


class AesSeal:
    """Seals with the first of `secrets`, and opens with any of them. Implements `Seal`.

    Raises ConfigError when the `journal` extra is not installed.
    """

    def __init__(self, secrets: Sequence[SecretStr]) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError as error:
            raise ConfigError(
                "say.journal is set, but what encrypts it is not installed", hint=INSTALL
            ) from error
        self._ciphers = [AESGCM(_derived(secret.get_secret_value())) for secret in secrets]

    def close(self, plain: bytes, bound_to: bytes) -> str:
        """See `Seal`."""
        nonce = os.urandom(_NONCE_BYTES)
        return base64.b64encode(nonce + self._ciphers[0].encrypt(nonce, plain, bound_to)).decode()

    def open(self, sealed: str, bound_to: bytes) -> bytes:
        """See `Seal`."""
        from cryptography.exceptions import InvalidTag

        try:
            whole = base64.b64decode(sealed, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValueError("it is damaged") from error
        nonce, rest = whole[:_NONCE_BYTES], whole[_NONCE_BYTES:]
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(nonce, rest, bound_to)
            except (InvalidTag, ValueError):
                continue  # another key's, perhaps
        raise ValueError("no key that is set opens it; say.journal_key may have older ones, too")


def _derived(secret: str) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), length=32, salt=None, info=_INFO).derive(secret.encode())
