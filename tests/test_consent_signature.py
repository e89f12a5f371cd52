"""Signed records: whose signature counts, for what, and where."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from consent_feeds import ADDRESS, payload, signed
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from gateway.consent.payloads import open_record
from gateway.consent.signature import Signers, load_signers
from gateway.errors import ConfigError

OURS, NEXT, THEIRS = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2, 3))
SIGNERS = Signers([OURS.public_key(), NEXT.public_key()])
ANNA = payload("anna")
RIGHT = signed(OURS, f"{ADDRESS}k1", ANNA)
GIVEN: dict[str, Any] = json.loads(RIGHT)


def changed(**changes: Any) -> bytes:
    return json.dumps({**GIVEN, **changes}).encode()


@pytest.mark.parametrize(
    ("content", "key", "fault"),
    [
        (RIGHT, "k1", ""),
        (signed(NEXT, f"{ADDRESS}k1", ANNA), "k1", ""),
        (signed(OURS, f"{ADDRESS}k1", ANNA, named="k1"), "k1", ""),
        (signed(OURS, f"{ADDRESS}k1", ANNA, named="k1"), None, ""),
        (RIGHT, "k2", "wrong_signature"),
        (signed(OURS, "consent/v1/elsewhere/k1", ANNA), "k1", "wrong_signature"),
        (signed(OURS, "drivers/v1/test/k1", ANNA), "k1", "wrong_signature"),
        (signed(THEIRS, f"{ADDRESS}k1", ANNA), "k1", "wrong_signature"),
        (changed(record=GIVEN["record"].replace("2026", "2036")), "k1", "wrong_signature"),
        (changed(record=GIVEN["record"] + " "), "k1", "wrong_signature"),
        (changed(signature=""), "k1", "wrong_signature"),
        (changed(signature=None), "k1", "wrong_signature"),
        (changed(signature="AAAA"), "k1", "wrong_signature"),
        (changed(signature=base64.b64encode(bytes(64)).decode()), "k1", "wrong_signature"),
        (changed(signature=GIVEN["signature"] + "\n"), "k1", "wrong_signature"),
        (changed(signature="é" * 88), "k1", "wrong_signature"),
        (signed(OURS, f"{ADDRESS}k1", ANNA, named="k2"), "k1", "malformed"),
        (signed(OURS, f"{ADDRESS}k1", ANNA, named="k2"), None, "wrong_signature"),
        (RIGHT, None, "malformed"),
        (changed(record={"subject": "anna"}), "k1", "malformed"),
        (changed(record="{"), "k1", "broken"),
        (changed(more=1), "k1", "unsigned"),
        (json.dumps({"record": GIVEN["record"]}).encode(), "k1", "unsigned"),
        (ANNA, "k1", "unsigned"),
        (signed(OURS, f"{ADDRESS}k1", b'{"subject": "anna", "subject": "anna"}'), "k1", "doubled_key"),
    ],
)  # fmt: skip
def test_whose_signature_counts_for_what(content: bytes, key: str | None, fault: str) -> None:
    opened = open_record(content, ADDRESS, key, SIGNERS)
    assert opened.fault == fault
    if not fault:
        assert opened.value == json.loads(ANNA)


def test_any_byte_of_a_signed_record_counts() -> None:
    for at in range(len(RIGHT)):
        spoilt = bytearray(RIGHT)
        spoilt[at] ^= 1
        opened = open_record(bytes(spoilt), ADDRESS, "k1", SIGNERS)
        assert opened.fault or opened.value == json.loads(ANNA), at


def test_where_signatures_are_not_asked_for_an_envelope_is_opened_all_the_same() -> None:
    for content in (ANNA, RIGHT, changed(signature="?")):
        assert open_record(content, ADDRESS, "k1", None).value == json.loads(ANNA)


def pem(key: Any) -> bytes:
    made: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return made


def test_keys_are_read_from_files(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("this-year.pem", "next-year.pem")]
    for path, key in zip(paths, (THEIRS, OURS), strict=True):
        path.write_bytes(pem(key))
    signers = load_signers(paths)
    assert signers is not None
    assert open_record(RIGHT, ADDRESS, "k1", signers).fault == ""
    assert load_signers(()) is None


PRIVATE = OURS.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        (b"", "expected a public Ed25519 key"),
        (b"ssh-ed25519 AAAA", "expected a public Ed25519 key"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "expected a public Ed25519 key"),
        (PRIVATE, "this is a private key"),
        (b"x" * 100_000, "expected a public Ed25519 key"),
    ],
)
def test_files_that_hold_no_such_key(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "key.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=words) as refused:
        load_signers([path])
    assert "PRIVATE KEY" not in str(refused.value)
