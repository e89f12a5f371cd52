"""Resolvable private addresses: the specification's numbers, the share of a second, floods, rotation."""

from __future__ import annotations

import random

import pytest
from census import tables

from gateway.counts import Counts
from gateway.identity import resolvable
from gateway.identity.aes import encryption
from gateway.identity.resolvable import FOREIGN_S, RESOLVED_S, ResolvableAddresses, ah

IRK = bytes.fromhex("ec0234a357c8ad05341010a60a397d9b")
OTHER = bytes.fromhex("00112233445566778899aabbccddeeff")


def address(prand: int, irk: bytes = IRK) -> str:
    """The address that a phone with this key makes of these 22 random bits."""
    random_part = (0x400000 | prand).to_bytes(3, "big")
    return (random_part + ah(encryption(irk), random_part)).hex(":")


def of(*irks: tuple[str, bytes]) -> tuple[ResolvableAddresses, Counts]:
    counts = Counts()
    return ResolvableAddresses(dict(irks), counts), counts


def test_the_hash_of_the_specification() -> None:
    """Core Specification Vol 3 Part H, sample data D.7."""
    assert encryption(IRK)(bytes(13) + bytes.fromhex("708194")).hex() == "159d5fb72ebe2311a48c1bdcc40dfbaa"
    assert ah(encryption(IRK), bytes.fromhex("708194")).hex() == "0dfbaa"


@pytest.mark.parametrize(
    ("heard", "address_type", "identity"),
    [
        ("70:81:94:0d:fb:aa", "random", "irk:anna-phone"),
        ("70:81:94:0D:FB:AA", "random", "irk:anna-phone"),
        ("70:81:94:0d:fb:aa", "", "irk:anna-phone"),  # the receiver did not say
        ("70:81:94:0d:fb:aa", "public", ""),
        ("70:81:94:0d:fb:ab", "random", ""),
        ("30:81:94:0d:fb:aa", "random", ""),  # top bits 00: not resolvable
        ("b0:81:94:0d:fb:aa", "random", ""),
        ("f0:81:94:0d:fb:aa", "random", ""),  # 11: static
        ("70:81:94", "random", ""),
        ("70:81:94:0d:fb:aa:aa", "random", ""),
        ("7x:81:94:0d:fb:aa", "random", ""),
        ("", "random", ""),
    ],
)
def test_which_addresses_resolve(heard: str, address_type: str, identity: str) -> None:
    addresses, _ = of(("anna-phone", IRK), ("tom-phone", OTHER))
    assert addresses.resolve(heard, address_type, 0.0) == identity


def test_without_keys_nothing_is_tried_or_kept() -> None:
    addresses, counts = of()
    assert addresses.resolve("70:81:94:0d:fb:aa", "random", 0.0) == ""
    assert counts.total("identity") == 0


def test_while_the_address_changes_both_are_one_phone() -> None:
    addresses, _ = of(("anna-phone", IRK), ("tom-phone", OTHER))
    old, new = address(1), address(2)
    heard = [addresses.resolve(a, "random", t / 2) for t, a in enumerate([old, old, new, old, new, new])]
    assert heard == ["irk:anna-phone"] * 6


def test_twenty_new_addresses_a_second_and_known_ones_always() -> None:
    addresses, counts = of(("anna-phone", IRK))
    phone = address(7)
    assert addresses.resolve(phone, "random", 0.9)
    strangers = [address(n, OTHER) for n in range(100)]
    for _ in range(3):
        for stranger in strangers:
            assert addresses.resolve(stranger, "random", 1.0) == ""
            assert addresses.resolve(phone, "random", 1.5) == "irk:anna-phone"
    assert (counts.of("identity", "rpa_foreign"), counts.of("identity", "rpa_deferred")) == (20, 90 + 80 + 80)
    for stranger in strangers:
        addresses.resolve(stranger, "random", 2.0)
    assert counts.of("identity", "rpa_foreign") == 40


def test_a_flood_of_new_addresses_does_not_keep_a_phone_out() -> None:
    addresses, counts = of(("anna-phone", IRK))
    chance, phone = random.Random(1), address(7)
    found_s = None
    for n in range(20_000):  # 2,000 a second, each heard once; the phone twice a second
        addresses.resolve(address(chance.getrandbits(22), OTHER), "random", n / 2000)
        if n % 1000 == 999 and addresses.resolve(phone, "random", n / 2000) and found_s is None:
            found_s = n / 2000
    assert found_s is not None
    assert found_s < 2.0
    assert counts.of("identity", "rpa_foreign") <= 20 * 10
    assert counts.of("identity", "rpa_deferred") > 19_000


def test_what_is_remembered_has_bounds_in_number_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolvable, "REMEMBERED", 8)
    addresses, counts = of(("anna-phone", IRK))
    for n in range(40):
        addresses.resolve(address(n), "random", float(n))
        addresses.resolve(address(n, OTHER), "random", float(n))
    sizes = [len(cache) for cache in (addresses._resolved, addresses._foreign, addresses._waiting)]
    assert max(sizes) <= 8
    tried = counts.of("identity", "rpa_resolved")
    assert addresses.resolve(address(39), "random", 39.0 + 3600) == "irk:anna-phone"
    assert counts.of("identity", "rpa_resolved") == tried
    assert addresses.resolve(address(39), "random", 39.0 + 3601) == "irk:anna-phone"
    assert counts.of("identity", "rpa_resolved") == tried + 1
    assert addresses.resolve(address(39, OTHER), "random", 39.0 + 899) == ""
    foreign = counts.of("identity", "rpa_foreign")
    assert addresses.resolve(address(39, OTHER), "random", 39.0 + 5000) == ""
    assert counts.of("identity", "rpa_foreign") == foreign + 1


def test_what_is_too_old_to_count_is_forgotten() -> None:
    """A stranger that was put off and never came again waited until 16,384 others had come."""
    addresses, _ = of(("anna-phone", IRK))
    addresses.resolve(address(1), "random", 0.0)
    for n in range(60):
        addresses.resolve(address(n, OTHER), "random", 1.0)
    held = tables(addresses)
    assert (held["ResolvableAddresses._resolved"], held["ResolvableAddresses._waiting"] > 30) == (1, True)
    for t_s, ours in ((FOREIGN_S + 2, 1), (RESOLVED_S + 2, 0)):
        addresses.resolve(address(99, OTHER), "random", t_s)
        held = tables(addresses)
        assert [held[f"ResolvableAddresses.{name}"] for name in ("_resolved", "_foreign", "_waiting")] == [
            ours,
            1,
            0,
        ]
