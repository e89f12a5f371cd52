"""Keys: made once, mode 0600, refused when open to others or lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.consent.keys import KeyUnusableError, load_keys


def test_the_first_start_makes_a_key_and_the_next_finds_it(tmp_path: Path) -> None:
    first = load_keys(None, tmp_path / "state")
    path = tmp_path / "state" / "gateway.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(path.read_bytes()) == 32
    assert load_keys(None, tmp_path / "state").event_id("a") == first.event_id("a")
    assert load_keys(None, tmp_path / "other").event_id("a") != first.event_id("a")


def test_a_lost_key_is_not_silently_replaced(tmp_path: Path) -> None:
    (tmp_path / "outbox.sqlite").touch()
    with pytest.raises(KeyUnusableError, match="is lost while"):
        load_keys(None, tmp_path)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(bytes(32))
    path.chmod(0o640)
    with pytest.raises(KeyUnusableError, match="chmod 0600"):
        load_keys(str(path), tmp_path)


def test_a_short_or_missing_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.touch(0o600)
    with pytest.raises(KeyUnusableError, match="0 bytes, 32 are needed"):
        load_keys(str(path), tmp_path)
    with pytest.raises(KeyUnusableError, match="No such file"):
        load_keys(str(tmp_path / "nowhere"), tmp_path)


def test_credentials_come_from_systemds_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(KeyUnusableError, match="LoadCredential"):
        load_keys("credential:gateway.key", tmp_path)
    (tmp_path / "gateway.key").write_bytes(bytes(32))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    load_keys("credential:gateway.key", tmp_path)


def test_each_use_has_a_key_of_its_own(tmp_path: Path) -> None:
    keys = load_keys(None, tmp_path)
    said = [keys.pseudonym("a", 1, "s"), keys.pseudonym("b", 1, "s"), keys.pseudonym("a", 2, "s"),
            keys.consent_id("a", 1, "s"), keys.subject_key("s").hex(), keys.event_id("a", 1, "s").replace("-", ""), keys.audit_mac(b"s")]  # fmt: skip
    assert len(set(said)) == len(said)
