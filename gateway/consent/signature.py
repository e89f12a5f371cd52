"""Whose signature a consent record needs, so that a broker user cannot grant.

Signed are the UTF-8 bytes of the topic of the record, a line feed, and the record's own bytes: a signature
holds for one site and one record key and cannot be used elsewhere. Ed25519 (RFC 8032).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.errors import ConfigError, Problem

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MAX_KEY_FILE_BYTES: Final = 16 * 1024
SIGNATURE_BYTES: Final = 64


class Signers:
    """The public keys that count; one of them is enough, so that keys can be changed one after the other."""

    def __init__(self, keys: Sequence[Ed25519PublicKey]) -> None:
        self._keys = tuple(keys)

    def signed(self, topic: str, content: bytes, signature: str) -> bool:
        """Whether the base64 `signature` is one of these keys' for this content at this topic."""
        try:
            raw = base64.b64decode(signature, validate=True)
        except (ValueError, binascii.Error):
            return False
        if len(raw) != SIGNATURE_BYTES:
            return False
        said = signed_bytes(topic, content)
        return any(_verifies(key, raw, said) for key in self._keys)


def signed_bytes(topic: str, content: bytes) -> bytes:
    """What is signed: no topic has a line feed, so where the content begins is never in doubt."""
    return topic.encode() + b"\n" + content


def _verifies(key: Ed25519PublicKey, signature: bytes, said: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - loaded only where records are signed

    try:
        key.verify(signature, said)
    except InvalidSignature:
        return False
    return True


def load_signers(paths: Sequence[Path]) -> Signers | None:
    """Public Ed25519 keys in PEM; None for no paths. ConfigError with every file that cannot serve."""
    keys: list[Ed25519PublicKey] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            keys.append(_load(path))
        except OSError as error:
            problems.append(Problem(str(path), 1, 1, "", f"cannot be read: {error.strerror}"))
        except ValueError as error:
            problems.append(Problem(str(path), 1, 1, "", str(error)))
    if problems:
        raise ConfigError(problems)
    return Signers(keys) if keys else None


def _load(path: Path) -> Ed25519PublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    with path.open("rb") as file:
        text = file.read(MAX_KEY_FILE_BYTES + 1)
    wanted = "expected a public Ed25519 key in PEM (`openssl pkey -pubout`)"
    if b"PRIVATE KEY" in text:
        raise ValueError("this is a private key: it stays with who signs; " + wanted)
    try:
        key = load_pem_public_key(text[:MAX_KEY_FILE_BYTES])
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(wanted) from None
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError(wanted)
    return key
