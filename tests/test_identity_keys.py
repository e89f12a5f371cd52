"""The file of identity keys: who may read it, what is refused, and that no word of it is ever repeated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from consents import entry, record

from gateway.credentials import SecretUnusableError, guarded
from gateway.errors import ConfigError
from gateway.settings.identity_keys import MOST_KEYS, IdentityKeys, load_identity_keys

IRK = "ec0234a357c8ad05341010a60a397d9b"
EID = '{key: "000102030405060708090a0b0c0d0e0f", exponent: 10, beacon_time_s: 65280, at: "2025-12-22T10:00:00Z"}'
GOOD = f'irk:\n  anna-phone: "{IRK}"\neid:\n  trolley-12: {EID}\n'


def written(folder: Path, text: str) -> str:
    path = folder / "identity-keys.yaml"
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def test_what_a_file_says(tmp_path: Path) -> None:
    keys = load_identity_keys(written(tmp_path, GOOD))
    assert keys.irks == {"anna-phone": bytes.fromhex(IRK)}
    found = keys.eids["trolley-12"]
    assert (found.key, found.exponent, found.beacon_time_s, found.at_s) == (
        bytes(range(16)),
        10,
        65280,
        1766397600.0,
    )
    assert load_identity_keys(written(tmp_path, "{}\n")) == IdentityKeys()
    binds = load_identity_keys(written(tmp_path, f'bind: {{"54:48:E6:8F:80:A5": "{IRK}"}}\n'))
    assert binds.bind_key("54:48:e6:8f:80:a5") == bytes.fromhex(IRK)
    assert binds.bind_key("54:48:e6:8f:80:a6") is None


def test_no_key_is_printed(tmp_path: Path) -> None:
    keys = load_identity_keys(written(tmp_path, GOOD))
    printed = f"{keys} {keys!r} {keys.eids} {keys.eids['trolley-12']!r} {[keys]}"
    assert IRK not in printed
    assert "000102" not in printed
    assert str(keys.irks["anna-phone"]) not in f"{keys}"
    assert repr(keys) == "IdentityKeys(1 irk, 1 eid, 0 bind)"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o620])
def test_a_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = written(tmp_path, GOOD)
    Path(path).chmod(mode)
    with pytest.raises(ConfigError, match=f"mode {mode:04o}.; chmod 0600 it"):
        load_identity_keys(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    os.chown(path, 12345, 12345)
    with pytest.raises(SecretUnusableError, match="belongs to another user"):
        guarded(path)


def test_a_credential_of_systemd(tmp_path: Path) -> None:
    """systemd guards the directory; a credential of a container has whatever mode."""
    Path(written(tmp_path, GOOD)).chmod(0o440)
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert load_identity_keys("credential:identity-keys.yaml", environ).irks.keys() == {"anna-phone"}
    with pytest.raises(ConfigError, match=r"the unit needs LoadCredential=identity-keys\.yaml"):
        load_identity_keys("credential:identity-keys.yaml", {})
    with pytest.raises(ConfigError, match=r"cannot read .*/elsewhere: No such file"):
        load_identity_keys("credential:elsewhere", environ)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (f"irk:\n  a: {IRK[:31]}x\n", "2:6: irk", "expected a key of 32 hex digits, in quotes"),
        ("irk:\n  a: 12345678901234567890123456789012\n", "2:6: irk", "expected a key of 32 hex digits, in quotes"),
        (f'irk:\n  a: "{IRK}00"\n', "2:6: irk", "expected a key of 32 hex digits"),
        (f'irk:\n  a: "{"0" * 32}"\n', "2:6: irk", "a key of zeros is no key"),
        (f'irk:\n  a: "{IRK}"\n  b: "{IRK.upper()}"\n', "3:6: irk", "this key stands on line 2 already"),
        (f'irk:\n  "{IRK}": a\n', "2:39: irk", "expected a key of 32 hex digits"),
        (f'irk:\n  Anna: "{IRK}"\n', "2:3: irk", "a key's name has lower case letters"),
        (f'irk:\n  a/b: "{IRK}"\n', "2:3: irk", "a key's name has lower case letters"),
        (f'irks: {{a: "{IRK}"}}\n', "1:1", "known here: irk, eid, bind"),
        (f'irk: "{IRK}"\n', "1:6: irk", "expected a mapping"),
        (f'irk: ["{IRK}"]\n', "1:6: irk", "expected a mapping"),
        (f'irk:\n  a: "{IRK}"\n  a: "{IRK}"\n', "3:3", "duplicate key; it is on line 2 already"),
        (f"irk:\n  a: *{IRK}\n", "2:6", "has no anchor before it"),
        (f"irk:\n  a: !{IRK} x\n", "2:6", "is not used here"),
        (f'- "{IRK}"\n', "1:1", "expected a mapping"),
        (IRK, "1:1", "expected a mapping"),
        ("", "1:1", "the file is empty"),
        (f'irk:\n  a: "{IRK}\n', "2:6", "is never closed"),
        ("eid:\n  a: {key: k}\n", "2:6: eid", "expected {key, exponent, beacon_time_s, at}"),
        (f"eid:\n  a: {EID.replace('10,', '16,')}\n", "2:58: eid", "from 0 to 15"),
        (f"eid:\n  a: {EID.replace('10,', 'true,')}\n", "2:58: eid", "from 0 to 15"),
        (f"eid:\n  a: {EID.replace('65280', '4294967296')}\n", "2:77: eid", "32-bit seconds counter"),
        (f"eid:\n  a: {EID.replace('00Z', '00')}\n", "2:88: eid", "such as 2026-03-01T09:00:00Z"),
        (f"eid:\n  a: {EID.replace('2025-12-22T10:00:00Z', 'noon')}\n", "2:88: eid", "such as 2026-03"),
        (f'bind:\n  "54:48:e6": "{IRK}"\n', "2:3: bind", "expected an address such as"),
        ('bind:\n  "54:48:e6:8f:80:a5": 5\n', "2:24: bind", "expected a key of 32 hex digits"),
        ("irk:\n" + "".join(f"  k{n}: x\n" for n in range(MOST_KEYS + 1)), "2:3: irk", "at most 4,096 are taken"),
    ],
)  # fmt: skip
def test_what_is_refused_and_how(tmp_path: Path, text: str, place: str, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as refused:
        load_identity_keys(path)
    said = "\n".join(problem.with_caret() for problem in refused.value.problems)
    assert said.startswith(f"{path}:{place}")
    assert words in said
    assert IRK[:12] not in said.lower()
    assert "123456789012" not in said


def test_every_mistake_is_named_in_one_run(tmp_path: Path) -> None:
    path = written(tmp_path, f'irk:\n  a: "{IRK}"\n  b: x\n  c: y\neid:\n  d: z\n')
    with pytest.raises(ConfigError) as refused:
        load_identity_keys(path)
    assert [problem.line for problem in refused.value.problems] == [3, 4, 6]


def gateway(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "CREDENTIALS_DIRECTORY"} | environ
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )


def configured(folder: Path, secret: str) -> Path:
    (folder / "site.yaml").write_text("site: {id: s}\n")
    (folder / "gateway.yaml").write_text(
        f"gateway: {{id: g, state_dir: state}}\nidentity_keys: {secret}\nconsent: {{feed: {{file: consent.yaml}}}}\n"
    )
    enrolled = record("anna", entry(), identities=["irk:anna-phone", "irk:other-phone", "eid:trolley-12"])
    (folder / "consent.yaml").write_text(json.dumps([enrolled]))
    return folder


def test_the_daemon_does_not_start_with_keys_that_others_can_read(tmp_path: Path) -> None:
    Path(written(tmp_path, GOOD)).chmod(0o644)
    done = gateway("run", "--config", str(configured(tmp_path, "identity-keys.yaml")))
    assert done.returncode == 78
    assert "identity-keys.yaml is open to others (mode 0644); chmod 0600 it" in done.stderr
    assert IRK not in done.stderr


def test_check_says_who_has_no_key_and_what_it_cannot_see(tmp_path: Path) -> None:
    written(tmp_path, GOOD)
    done = gateway("check", str(configured(tmp_path, "identity-keys.yaml")))
    assert (done.returncode, "1 irk: or eid: identities have no key" in done.stderr) == (0, True)
    assert "other-phone" not in done.stderr
    configured(tmp_path, "credential:identity-keys.yaml")
    done = gateway("check", str(tmp_path))
    unseen = "Not looked at, only the service may: credential:identity-keys.yaml."
    assert (done.returncode, unseen in done.stdout) == (0, True)
    done = gateway("check", str(tmp_path), CREDENTIALS_DIRECTORY=str(tmp_path / "nowhere"))
    assert (done.returncode, "cannot read" in done.stderr) == (1, True)
