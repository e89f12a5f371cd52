"""Secrets and certificates that gateway.yaml names: `check` finds what a start would stumble over, `run` says the
same with the same place, and neither shows what is in them."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from gateway.profiles import Profiles, load_profiles
from gateway.verbs.check import Found, look

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
TOKEN = "a-token-that-nobody-guesses"  # noqa: S105
SETTINGS = """\
gateway: {{id: pi-01, state_dir: state, keys: ./gateway.key}}
brokers:
  store: {{host: 127.0.0.1, subscribe: [owntracks], password: ./password, tls: {{ca: ca.pem, cert: own.pem, key: ./own.key}}}}
recipients:
  insurer:
    webhook: {{url: "https://partner.example.org/events", secret: ./signing}}
    purposes: {{dpv:A: {{legal_basis: eu-gdpr:A6-1-a, fields: [zone]}}}}
consent: {{feed: {{http: {{url: "https://platform.example.org/consents", token: ./bearer}}}}}}
page: {{token: {page}}}
"""
LINES = {
    "gateway.key": 1,
    "password": 3,
    "ca.pem": 3,
    "own.pem": 3,
    "own.key": 3,
    "signing": 6,
    "bearer": 8,
    "token": 9,
}


@pytest.fixture(scope="module")
def shipped() -> Profiles:
    return load_profiles()


class Issued:
    """A certificate that signs itself, and its key."""

    def __init__(
        self, begins: datetime.datetime = NOW - DAY, ends: datetime.datetime = NOW + 99 * DAY
    ) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pi-01")])
        draft = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self._key.public_key())
        )
        draft = draft.serial_number(1).not_valid_before(begins).not_valid_after(ends)
        self.certificate = draft.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def key(self, lock: KeySerializationEncryption | None = None) -> bytes:
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock or NoEncryption())


def laid_out(folder: Path) -> None:
    issued = Issued()
    (folder / "site.yaml").write_text(
        "site: {id: shop}\nfences: [{id: f, kind: pump, circle: {at: [50, 6], radius_m: 9}}]\n"
    )
    (folder / "gateway.yaml").write_text(SETTINGS.format(page="./token"))
    contents = {
        "gateway.key": bytes(range(32)),
        "password": b"hunter2\n",
        "signing": b"whsec_" + b"QUJD" * 8 + b"\n",
        "bearer": TOKEN.encode(),
        "token": TOKEN.encode(),
        "ca.pem": issued.certificate,
        "own.pem": issued.certificate,
        "own.key": issued.key(),
    }
    for name, content in contents.items():
        put(folder / name, content)


def put(path: Path, content: bytes, mode: int = 0o600) -> None:
    path.write_bytes(content)
    path.chmod(mode)


def test_all_that_can_serve_is_passed_over_in_silence(tmp_path: Path, shipped: Profiles) -> None:
    laid_out(tmp_path)
    found = look(tmp_path, shipped)
    assert (found.problems, found.warnings, found.unseen, found.fine) == ([], [], [], True)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


PLANTED: list[tuple[str, Callable[[Path], None], str]] = [
    ("token", lambda p: put(p, b"short"), "is shorter than 16 letters and can be guessed; `openssl rand -hex 24` makes a good one"),
    ("token", lambda p: put(p, b"two lines of\nsomething long"), "does not hold one line of ASCII, as a token does"),
    ("token", lambda p: p.chmod(0o644), "is open to others (mode 0644); chmod 0600 it"),
    ("bearer", lambda p: put(p, b""), "does not hold one line of ASCII, as a token does"),
    ("bearer", a_folder, "is not an ordinary file"),
    ("password", lambda p: put(p, b"\xff\xfe"), "is not UTF-8 text, as a password is"),
    ("password", lambda p: p.chmod(0o640), "is open to others (mode 0640); chmod 0600 it"),
    ("signing", lambda p: put(p, b"secret"), "a key is whsec_ and the base64 of 24 to 64 random bytes"),
    ("signing", lambda p: put(p, b""), "holds 0 keys; expected 1 to 4, one a line"),
    ("gateway.key", lambda p: put(p, b"short"), "the gateway's key has 5 bytes, 32 are needed"),
    ("ca.pem", lambda p: put(p, b"none"), "holds no certificate; one in PEM begins with -----BEGIN CERTIFICATE-----"),
    ("own.pem", lambda p: put(p, Issued().key()), "holds no certificate"),
    ("own.key", lambda p: put(p, Issued().key()), "is not the key of the certificate in `cert`"),
    ("own.key", lambda p: put(p, Issued().certificate), "holds no private key; one in PEM begins with -----BEGIN PRIVATE KEY-----"),
    ("own.key", lambda p: put(p, Issued().key(BestAvailableEncryption(b"x"))), "is locked with a passphrase"),
    ("own.key", lambda p: p.chmod(0o604), "is open to others (mode 0604); chmod 0600 it"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "planted", "words"), PLANTED, ids=lambda v: v if isinstance(v, str) else "")
def test_what_cannot_serve_is_a_problem_at_the_key_that_names_it(
    tmp_path: Path, name: str, planted: Callable[[Path], None], words: str, shipped: Profiles
) -> None:
    laid_out(tmp_path)
    planted(tmp_path / name)
    found = look(tmp_path, shipped)
    assert [(p.line, words in p.text) for p in found.problems] == [(LINES[name], True)], found.problems
    assert name in found.problems[0].source
    assert not found.fine
    assert told_nothing(found)


def told_nothing(found: Found) -> bool:
    said = found.json().decode()
    return not any(secret in said for secret in ("hunter2", TOKEN, "QUJDQUJD", "two lines"))


@pytest.mark.parametrize("name", sorted(LINES))
def test_what_is_not_here_is_a_warning_and_a_start_refuses_it(
    tmp_path: Path, name: str, shipped: Profiles
) -> None:
    """A configuration may be made on another machine than the gateway's."""
    laid_out(tmp_path)
    (tmp_path / name).unlink()
    found = look(tmp_path, shipped)
    words = f"{name} is not here; without it the gateway does not start"
    assert [(p.line, p.text, p.is_warning) for p in found.warnings] == [(LINES[name], words, True)]
    assert (found.problems, found.fine) == ([], True)


@pytest.mark.parametrize(
    ("begins", "ends", "words"),
    [
        (NOW + DAY, NOW + 9 * DAY, "this certificate begins on"),
        (NOW - 9 * DAY, NOW - DAY, "and no connection is made; renew it"),
        (NOW - 9 * DAY, NOW + DAY, "renew it before"),
    ],
)
def test_a_certificate_out_of_its_time_is_a_warning(
    tmp_path: Path, begins: datetime.datetime, ends: datetime.datetime, words: str, shipped: Profiles
) -> None:
    laid_out(tmp_path)
    put(tmp_path / "ca.pem", Issued(begins, ends).certificate)
    found = look(tmp_path, shipped)
    assert [(p.key, words in p.text) for p in found.warnings] == [("brokers.store.tls.ca", True)]
    assert found.fine


def test_what_is_for_the_service_alone_is_said_not_to_be_looked_at(tmp_path: Path, shipped: Profiles) -> None:
    laid_out(tmp_path)
    (tmp_path / "gateway.yaml").write_text(SETTINGS.format(page="credential:page.token"))
    found = look(tmp_path, shipped)
    assert (found.problems, found.warnings, found.unseen) == ([], [], ["credential:page.token"])
    assert found.line().endswith(" Not looked at, only the service may: credential:page.token.")


def test_a_start_refuses_with_every_place_at_once(tmp_path: Path) -> None:
    laid_out(tmp_path)
    put(tmp_path / "token", b"short")
    put(tmp_path / "own.key", Issued().key())
    (tmp_path / "signing").unlink()
    environment = {k: v for k, v in os.environ.items() if k != "CREDENTIALS_DIRECTORY"}
    command = [sys.executable, "-m", "gateway", "run", "--config", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert done.returncode == 78
    said = [line for line in done.stderr.splitlines() if "gateway.yaml:" in line]
    assert [line.rpartition("gateway.yaml:")[2].split(":")[0] for line in said] == ["3", "6", "9"]
