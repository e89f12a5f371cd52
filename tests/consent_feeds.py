"""A platform that feeds consents: what it publishes, its manifest, and its signatures, in a few lines each."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from consents import NOON_S, record
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.consent.feed import ConsentFeed, FeedSignal
from gateway.consent.register import Register
from gateway.counts import Counts
from gateway.model import ConsentSignal, FeedState

ADDRESS = "consent/v1/test/"


def payload(subject: str = "anna", **changes: Any) -> bytes:
    return json.dumps(record(subject, **changes)).encode()


def erasure(subject: str, version: int) -> bytes:
    return json.dumps(
        {"subject": subject, "version": version, "erased": True, "event_time": "2025-12-22T00:00:00Z"}
    ).encode()


def digest(retained: Mapping[str, bytes]) -> str:
    """As docs/consent.md tells a platform to do it."""
    lines = sorted(f"{key} {hashlib.sha256(content).hexdigest()}\n" for key, content in retained.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def manifest(
    retained: Mapping[str, bytes], t_s: float = NOON_S, generation: int = 1, **changes: Any
) -> bytes:
    time = datetime.fromtimestamp(t_s, UTC).isoformat()
    said = {"time": time, "count": len(retained), "digest": digest(retained), "generation": generation}
    return json.dumps(said | changes).encode()


def signed(signer: Ed25519PrivateKey, topic: str, content: bytes, *, named: str | None = None) -> bytes:
    """The envelope; `named`: the record key that it carries itself, as over HTTP."""
    signature = base64.b64encode(signer.sign(topic.encode() + b"\n" + content)).decode()
    more = {} if named is None else {"key": named}
    return json.dumps({"record": content.decode(), "signature": signature} | more).encode()


class Ear:
    """A feed and what comes of its signals: a register, and the last word on how far it can be believed."""

    def __init__(self, feed: ConsentFeed | None = None) -> None:
        self.counts = Counts()
        self.feed = feed if feed is not None else ConsentFeed("test", self.counts)
        self.register = Register(Counts())
        self.state = self.feed.start(NOON_S)
        self.said: list[FeedSignal] = []

    def take(self, key: str, content: bytes, t_s: float = NOON_S) -> list[FeedSignal]:
        return self.hear(self.feed.take(key, content, t_s))

    def check(self, t_s: float = NOON_S) -> list[FeedSignal]:
        return self.hear(self.feed.check(t_s))

    def hear(self, signals: list[FeedSignal]) -> list[FeedSignal]:
        self.said += signals
        for signal in signals:
            if isinstance(signal, ConsentSignal):
                self.register.absorb(signal.records, complete=signal.complete)
            else:
                self.state = signal
        return signals

    def subscribe(self, retained: Mapping[str, bytes], t_s: float = NOON_S) -> None:
        """As a broker does it: all that is retained, in its own order."""
        self.feed.renew()
        for key, content in retained.items():
            self.take(key, content, t_s)
        self.check(t_s)

    def admitted(self, *subjects: str, t_s: float = NOON_S) -> list[str]:
        return [subject for subject in subjects if self.register.admits(subject, t_s)]


def short(signals: list[FeedSignal]) -> list[str]:
    """Signals in a word each: `anna`, `all of anna ben`, `unmatched`, `confirmed 0` (seconds after noon)."""
    words = []
    for signal in signals:
        if isinstance(signal, FeedState):
            at = signal.confirmed_s
            words.append(signal.doubt if at is None else f"confirmed {at - NOON_S:g}")
        else:
            names = " ".join(_name(r) for r in signal.records)
            words.append(f"all of {names}".strip() if signal.complete else names)
    return words


def _name(said: dict[str, Any]) -> str:
    if "fault" in said:
        return f"-{said['subject']}"
    return f"{said['subject']}{said['version']}" + ("x" if said.get("erased") else "")
