"""docs/consent.md holds: its records, digest and signature are computed again from what it shows."""

from __future__ import annotations

import json
import re
from pathlib import Path

from consent_feeds import Ear, digest
from consents import NOON_S

from gateway.consent.feed import ConsentFeed
from gateway.consent.records import parse_record
from gateway.consent.signature import load_signers
from gateway.counts import Counts

TEXT = (Path(__file__).parent.parent / "docs" / "consent.md").read_text()
OBJECTS = re.findall(r"^```json\n(.*?)\n```", TEXT, re.DOTALL | re.MULTILINE)
RECORD, ERASURE, MANIFEST, PAGE, ENVELOPE, DRIVER = OBJECTS
KEYS = re.findall(r"^([0-9a-f]{12}) [0-9a-f]{64}$", TEXT, re.MULTILINE)


def test_the_records_are_records() -> None:
    assert all(parse_record(json.loads(text)) is not None for text in (RECORD, ERASURE))


def test_the_manifest_is_that_of_the_records() -> None:
    retained = dict(zip(KEYS, (RECORD.encode(), ERASURE.encode()), strict=True))
    said = json.loads(MANIFEST)
    assert (said["count"], said["digest"]) == (2, digest(retained))
    ear = Ear(ConsentFeed("koeln-01", Counts()))
    ear.subscribe({**retained, "_manifest": MANIFEST.encode()})
    assert ear.state.confirmed_s == NOON_S
    assert ear.admitted("card-1234", "card-0815") == ["card-1234"]


def test_the_signature_is_right_by_the_key(tmp_path: Path) -> None:
    pem = re.search(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----\n", TEXT, re.DOTALL)
    assert pem is not None
    (tmp_path / "platform.pem").write_text(pem[0])
    signers = load_signers([tmp_path / "platform.pem"])
    assert signers is not None
    envelope = json.loads(ENVELOPE)
    assert envelope["record"] == ERASURE
    assert signers.signed(f"consent/v1/koeln-01/{KEYS[1]}", ERASURE.encode(), envelope["signature"])


def test_page_and_driver_have_the_members_that_are_read() -> None:
    assert json.loads(PAGE).keys() == {"records", "cursor", "complete"}
    assert json.loads(DRIVER).keys() == {"subject", "until"}
