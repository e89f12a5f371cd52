"""AES-128 of single blocks, which is all that resolving needs: the keys are secret, the blocks are not.

ECB is what both specifications use: as a function of one block, not to hide a text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

BLOCK_BYTES: Final = 16

Encrypt = Callable[[bytes], bytes]


def encryption(key: bytes) -> Encrypt:
    """A function that encrypts whole blocks with `key` (16 bytes): made once a key, 14 times its cost."""
    # 7 MB of memory that a site without keys does not need.
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415

    return Cipher(algorithms.AES128(key), modes.ECB()).encryptor().update  # noqa: S305 - see above
