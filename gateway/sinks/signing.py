"""Signatures of what a webhook posts: HMAC-SHA-256 over id, timestamp and body.

The scheme is that of Standard Webhooks (https://www.standardwebhooks.com), so that a partner finds a library
that verifies it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable
from typing import Final

from gateway.credentials import SecretUnusableError

PREFIX: Final = b"whsec_"
MIN_KEY_BYTES, MAX_KEY_BYTES = 24, 64
MAX_KEYS: Final = 4


def signing_keys(text: bytes, name: str) -> list[bytes]:
    """The keys in a file, one `whsec_<base64>` a line. SecretUnusableError says by `name` what is wrong."""
    lines = text.split()
    if not 1 <= len(lines) <= MAX_KEYS:
        raise SecretUnusableError(f"{name} holds {len(lines)} keys; expected 1 to {MAX_KEYS}, one a line")
    keys = []
    for line in lines:
        try:
            key = base64.b64decode(line.removeprefix(PREFIX), validate=True)
        except binascii.Error:
            key = b""
        if not line.startswith(PREFIX) or not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
            raise SecretUnusableError(
                f"{name}: a key is whsec_ and the base64 of {MIN_KEY_BYTES} to {MAX_KEY_BYTES} random bytes"
            )
        keys.append(key)
    return keys


def signed_headers(keys: Iterable[bytes], id: str, t_s: int, body: bytes) -> dict[str, str]:
    """`t_s`: Unix seconds. One signature for each key, so that a partner can change its own in peace."""
    told = f"{id}.{t_s}.".encode() + body
    signatures = (base64.b64encode(hmac.digest(key, told, "sha256")).decode() for key in keys)
    return {
        "webhook-id": id,
        "webhook-timestamp": str(t_s),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
