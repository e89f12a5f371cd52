"""The gateway's key and what is derived from it: event ids, pseudonyms, subject keys.

One secret of 32 bytes; each use has its own key, HMAC-SHA-256(secret, label), so that no output of one
use can be joined with one of another.
"""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path
from uuid import UUID

import msgspec

from gateway import credentials
from gateway.durable import replace_whole
from gateway.errors import GatewayError

KEY_BYTES = 32


class KeyUnusableError(GatewayError):
    """The key is missing, too short, or readable by others: nothing may be released."""


class Keys:
    def __init__(self, secret: bytes) -> None:
        """KeyUnusableError when `secret` is shorter than 32 bytes."""
        if len(secret) < KEY_BYTES:
            raise KeyUnusableError(f"the gateway's key has {len(secret)} bytes, {KEY_BYTES} are needed")
        self._event_id, self._pseudonym, self._subject, self._consent, self._audit = (
            hmac.digest(secret, label, "sha256")
            for label in (b"event-id", b"pseudonym", b"subject", b"consent-id", b"audit")
        )

    def event_id(self, *parts: str | int) -> str:
        """UUIDv8 (RFC 9562 §5.8) whose 122 free bits are the head of an HMAC over the parts."""
        digest = bytearray(hmac.digest(self._event_id, msgspec.json.encode(parts), "sha256")[:16])
        digest[6] = digest[6] & 0x0F | 0x80
        digest[8] = digest[8] & 0x3F | 0x80
        return str(UUID(bytes=bytes(digest)))

    def pseudonym(self, recipient: str, epoch: int, subject: str) -> str:
        """What a partner sees for this subject in this epoch: 32 hex digits, different for every partner."""
        return self._short(self._pseudonym, recipient, epoch, subject)

    def consent_id(self, recipient: str, epoch: int, record_id: str) -> str:
        """What a partner sees of the record; it changes with the pseudonym, which it would else outlive."""
        return self._short(self._consent, recipient, epoch, record_id)

    def subject_key(self, subject: str) -> bytes:
        """16 bytes by which rows of this subject are found without naming it."""
        # A broken reference must be denied, not stop the program: half a surrogate pair has a key too.
        return hmac.digest(self._subject, subject.encode(errors="surrogatepass"), "sha256")[:16]

    def audit_mac(self, line: bytes) -> str:
        """The seal of a line of the audit log, 64 hex digits."""
        return hmac.digest(self._audit, line, "sha256").hex()

    @staticmethod
    def _short(key: bytes, *parts: str | int) -> str:
        return hmac.digest(key, msgspec.json.encode(parts), "sha256")[:16].hex()


def load_keys(keys: str | None, state_dir: Path) -> Keys:
    """The key the settings name: `credential:NAME`, a path, or None: `gateway.key` in the state directory.

    None makes 32 random bytes at the very first start, mode 0600. KeyUnusableError when the key cannot be
    read, is open to others, or is gone while a store that was written with it is still there.
    """
    if keys is not None:
        return Keys(_read(keys))
    path = state_dir / "gateway.key"
    if not path.exists():
        if (state_dir / "outbox.sqlite").exists():
            raise KeyUnusableError(
                f"{path} is lost while {state_dir}/outbox.sqlite still has what it signed; "
                "restore the key, or move the store away to begin a new generation"
            )
        _create(path)
    return Keys(_read(str(path)))


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_whole(path, secrets.token_bytes(KEY_BYTES))


def _read(secret: str) -> bytes:
    try:
        return credentials.read(secret)
    except credentials.SecretUnusableError as error:
        raise KeyUnusableError(f"the gateway's key: {error}") from None
