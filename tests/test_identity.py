"""Of several identities the surest that is enrolled; rotating ones by their keys; the same whatever the split."""

from __future__ import annotations

import random

import pytest
from consents import entry, record
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from msgspec.structs import replace
from test_identity_resolvable import IRK, OTHER, address

from gateway.consent import ConsentScreen, Keys, Policy, Register
from gateway.core import Core
from gateway.counts import Counts
from gateway.identity import EveryDevice, Identification
from gateway.identity.ephemeral import ephemeral_ids
from gateway.identity.recognition import Recognition
from gateway.model import Anchor, ConsentSignal, Message, Presence, Sighting, SiteMap, Zone
from gateway.pipeline import Pipeline, Tracker
from gateway.profiles import Part, load_profiles
from gateway.profiles.ble import Heard
from gateway.settings.identity_keys import EphemeralKey, IdentityKeys

T0 = 1_766_397_600.0
UUID = "e2c56db5-dffb-48d2-b060-d0f5a71096e0"
KEYS = IdentityKeys({"anna-phone": IRK, "tom-phone": OTHER}, {"trolley": EphemeralKey(IRK, 10, 65280, T0)})
SITE = SiteMap(
    "s",
    device_class="store_tag",
    zones=(Zone("cereals", "shelf", "Cereals", "g", at=(3.0, 5.0), leave_after_s=5.0),
           Zone("dairy", "shelf", "Dairy", "g", at=(27.0, 5.0), leave_after_s=5.0)),
    receivers=(Anchor("pi-01", "g", (3.0, 5.0, 2.4)), Anchor("pi-02", "g", (27.0, 5.0, 2.4))),
    beacons=(Anchor("shelf", "g", (3.0, 5.0, 1.0), identity="eid:trolley"),),
)  # fmt: skip


class Told:
    """Profiles that read in `adv` what a test wrote there: identities with spaces between them."""

    def read(self, message: Message, counts: Counts) -> list[Part | Sighting]:  # noqa: ARG002
        return []

    def heard(self, sighting: Sighting, counts: Counts) -> Heard:  # noqa: ARG002
        public = (f"mac:{sighting.address}",) if sighting.address_type == "public" else ()
        return Heard((*sighting.adv.decode().split(), *public))

    def with_bind_keys(self, keys: object) -> Told:  # noqa: ARG002
        return self

    def forget(self) -> None:
        pass


def heard(
    *identities: str, address: str = "c3:00:00:00:00:01", address_type: str = "random", receiver: str = "pi-01",
    t_s: float = T0, rssi_dbm: float = -60.0,
) -> Sighting:  # fmt: skip
    return Sighting(t_s, receiver, address, address_type, rssi_dbm, " ".join(identities).encode())


def on_air(t_s: float) -> str:
    return (
        "eid:"
        + ephemeral_ids(IRK, 10, range(int(65280 + t_s - T0) >> 10, (int(65280 + t_s - T0) >> 10) + 1))[
            0
        ].hex()
    )


IBEACON, ALTBEACON = f"ibeacon:{UUID}:1:17", f"altbeacon:0118:{UUID}:1:17"
EDDYSTONE, MAC = "eddystone:00010203040506070809:aabbccddeeff", "mac:00:11:22:33:44:55"


@pytest.mark.parametrize(
    ("sighting", "identities"),
    [
        (heard(), ()),
        (heard(EDDYSTONE, ALTBEACON, IBEACON), (IBEACON, ALTBEACON, EDDYSTONE)),
        (heard(EDDYSTONE, on_air(T0), IBEACON), ("eid:trolley", IBEACON, EDDYSTONE)),
        (heard(IBEACON, on_air(T0), address=address(5)), ("irk:anna-phone", "eid:trolley", IBEACON)),
        (heard(address=address(5, OTHER)), ("irk:tom-phone",)),
        (heard(IBEACON, address=MAC[4:], address_type="public"), (IBEACON, MAC)),
        (heard("irk:anna-phone", address=address(5)), ("irk:anna-phone",)),  # a receiver has the key as well
        (heard(f"irk:{IRK.hex()}"), ("irk:anna-phone",)),  # ESPresense tells the key by which it resolved
        (heard(f"irk:{'00' * 16}"), ()),
        # What rotates is never an identity, not even where a key is called like it.
        (heard("irk:anna-phone"), ()),
        (heard("eid:0011223344556677"), ()),
        (heard("eid:trolley"), ()),
    ],
)
def test_the_surest_comes_first(sighting: Sighting, identities: tuple[str, ...]) -> None:
    recognition = Recognition(KEYS, Counts())
    assert recognition.identities(sighting, Told().heard(sighting, Counts())) == identities


def test_an_eddystone_eid_frame_is_known_by_its_key() -> None:
    counts = Counts()
    service_data = bytes.fromhex("30e4" + on_air(T0)[4:])
    frame = bytes((3 + len(service_data), 0x16, 0xAA, 0xFE)) + service_data
    identification = Identification(SITE, load_profiles(), Some("eid:trolley"), counts, KEYS)
    sighting = Sighting(T0, "pi-01", "c3:00:00:00:00:01", "random", -60.0, frame)
    ((_, reading),) = identification.heard(sighting)
    assert getattr(reading, "device", None) == "eid:trolley"
    assert counts.of("profiles.eddystone-eid", "needs_key") == 1
    stranger = Identification(SITE, load_profiles(), Some("eid:trolley"), counts)
    assert stranger.heard(sighting) == [(sighting, None)]


def test_other_keys_from_now_on() -> None:
    """A phone whose key comes is known at once, one whose key goes no more; clocks that were learned stay."""
    counts = Counts()
    recognition = Recognition(IdentityKeys({"anna-phone": IRK}, KEYS.eids), counts)

    def known(sighting: Sighting) -> tuple[str, ...]:
        return recognition.identities(sighting, Told().heard(sighting, Counts()))

    anna, tom = heard(address=address(5)), heard(address=address(5, OTHER))
    late = heard(on_air(T0 + 50_000.0), t_s=T0)  # the beacon's counter is that far ahead
    assert (known(anna), known(tom), known(late)) == (("irk:anna-phone",), (), ())
    recognition.rekey(IdentityKeys({"tom-phone": OTHER}, KEYS.eids))
    assert (known(anna), known(tom)) == ((), ("irk:tom-phone",))
    assert known(heard(f"irk:{IRK.hex()}")) == ()
    recognition.rekey(IdentityKeys({"tom-phone": IRK}))
    assert (known(anna), known(tom)) == (("irk:tom-phone",), ())
    assert known(heard(on_air(T0))) == ()


def test_a_key_read_again_keeps_the_clock_of_its_beacon() -> None:
    """Its battery was changed twice: 80,000 s, then as much again; one day back is looked for, not two."""
    recognition = Recognition(KEYS, Counts())

    def known(t_s: float, behind_s: float) -> tuple[str, ...]:
        sighting = heard(on_air(t_s - behind_s), t_s=t_s)
        return recognition.identities(sighting, Told().heard(sighting, Counts()))

    assert known(T0, 80_000.0) == ("eid:trolley",)
    recognition.rekey(IdentityKeys(KEYS.irks, dict(KEYS.eids)))
    assert known(T0 + 20_000.0, 160_000.0) == ("eid:trolley",)
    recognition.rekey(IdentityKeys(eids={"trolley": replace(KEYS.eids["trolley"], at_s=T0 + 1.0)}))
    assert known(T0 + 20_001.0, 160_000.0) == ()  # another reading of its clock: that counts


def sealed(counter: int, battery_pct: int) -> bytes:
    """What a BTHome tag with the key says, after its iBeacon; its address is C3:00:00:00:00:01."""
    info, count = b"\x41", counter.to_bytes(4, "little")
    nonce = bytes.fromhex("c30000000001") + b"\xd2\xfc" + info + count
    text = AESCCM(OTHER, tag_length=4).encrypt(nonce, bytes((1, battery_pct)), None)
    body = b"\x16\xd2\xfc" + info + text[:-4] + count + text[-4:]
    return bytes.fromhex("1aff4c000215e2c56db5dffb48d2b060d0f5a71096e000010011c5") + bytes([len(body)]) + body


def test_a_replayed_battery_level_is_not_believed() -> None:
    counts = Counts()
    keys = IdentityKeys(binds={"c3:00:00:00:00:01": OTHER})
    identification = Identification(SITE, load_profiles(), Some(IBEACON), counts, keys)
    frames = [(200, 90), (201, 80), (201, 80), (200, 90), (5, 100), (6, 99)]
    heard_ = []
    for n, (counter, battery_pct) in enumerate(frames):
        adv = sealed(counter, battery_pct)
        ((_, reading),) = identification.heard(
            Sighting(T0 + n, "pi-01", "c3:00:00:00:00:01", "random", -60.0, adv)
        )
        heard_.append(getattr(reading, "battery_pct", None))
    assert heard_ == [90.0, 80.0, 80.0, 80.0, 100.0, 99.0]  # the fifth: a new battery begins to count anew
    assert counts.of("identity", "replayed") == 1
    clear = Sighting(
        T0 + 9,
        "pi-01",
        "c3:00:00:00:00:01",
        "random",
        -60.0,
        sealed(7, 9)[:27] + bytes.fromhex("0616d2fc400105"),
    )
    ((_, reading),) = identification.heard(clear)
    assert getattr(reading, "battery_pct", None) == 99.0
    assert counts.of("profiles.bthome-v2", "bad_checksum") == 1


def test_how_a_tag_is_comes_from_its_other_frames_too() -> None:
    """BTHome v2 from the address that has just said who it is: battery 87 %."""
    bthome = bytes.fromhex("0616d2fc40" + "0157")
    ibeacon = bytes.fromhex("1aff4c000215e2c56db5dffb48d2b060d0f5a71096e000010011c5")
    identification = Identification(SITE, load_profiles(), Some(IBEACON), Counts())
    batteries = []
    for n, adv in enumerate([bthome, ibeacon, bthome, ibeacon]):
        ((_, reading),) = identification.heard(
            Sighting(T0 + n, "pi-01", "c3:00:00:00:00:01", "random", -60.0, adv)
        )
        batteries.append(getattr(reading, "battery_pct", "no reading"))
    assert batteries == ["no reading", None, "no reading", 87.0]
    identification.forget(IBEACON)
    ((_, reading),) = identification.heard(
        Sighting(T0 + 5, "pi-01", "c3:00:00:00:00:01", "random", -60.0, ibeacon)
    )
    assert getattr(reading, "battery_pct", "no reading") is None


class Some:
    """Enrols these identities, each as a subject of its own; `without` has no consent."""

    def __init__(self, *identities: str, without: str = "") -> None:
        self._identities, self._without = identities, without

    def subject_of(self, identity: str, t_s: float) -> str | None:  # noqa: ARG002
        return identity if identity in self._identities else None

    def admits(self, subject: str, t_s: float) -> bool:  # noqa: ARG002
        return subject != self._without


@pytest.mark.parametrize(
    ("enrolled", "device", "counted"),
    [
        (Some(EDDYSTONE), EDDYSTONE, "enrolled"),  # an enrolled one before a surer one that is not
        (Some(EDDYSTONE, IBEACON), IBEACON, "enrolled"),
        (Some(EDDYSTONE, IBEACON, "irk:anna-phone"), "irk:anna-phone", "enrolled"),
        (Some(EDDYSTONE, IBEACON, without=IBEACON), EDDYSTONE, "enrolled"),
        (Some(IBEACON, without=IBEACON), None, "without_consent"),
        (Some(), None, "unknown"),
        (EveryDevice(), "irk:anna-phone", "enrolled"),
    ],
)
def test_the_surest_that_is_enrolled_is_followed(enrolled: Some, device: str | None, counted: str) -> None:
    counts = Counts()
    identification = Identification(SITE, Told(), enrolled, counts, KEYS)  # type: ignore[arg-type]
    ((_, observation),) = identification.heard(heard(EDDYSTONE, IBEACON, address=address(5)))
    assert getattr(observation, "device", None) == device
    outcomes = {name: n for name, n in counts.by_room()["identity"].items() if not name.startswith("rpa")}
    assert outcomes == {counted: 1}


def test_an_enrolled_phone_reports_a_placed_beacon_with_an_ephemeral_id() -> None:
    identification = Identification(SITE, Told(), Some("irk:anna-phone"), Counts(), KEYS)  # type: ignore[arg-type]
    ((_, reading),) = identification.heard(heard(on_air(T0), receiver="irk:anna-phone"))
    assert (reading.device, reading.link) == ("irk:anna-phone", "shelf")  # type: ignore[union-attr]


def test_whatever_is_heard_nothing_is_raised_and_strangers_stay_strangers() -> None:
    """Random addresses, types, identities and bytes, mutated frames among them, and time that stands or leaps."""
    chance = random.Random(11)
    frames = [bytes.fromhex(f) for f in ("1aff4c000215e2c56db5dffb48d2b060d0f5a71096e000010011c5",
                                         "0d16aafe30e4afc638315dcd9977", "0616d2fc400157", "0bff4c001006031e2f3a4b5c")]  # fmt: skip
    texts = [
        "",
        "eid:",
        "eid:zz",
        "irk:",
        ":",
        "ibeacon:",
        "tag:",
        "eddystone:",
        "vehicle:x",
        "\x00",
        "ü" * 300,
    ]
    identification = Identification(SITE, load_profiles(), Some("irk:anna-phone"), Counts(), KEYS)
    t_s = T0
    for _ in range(20_000):
        t_s += chance.choice([0.0, 0.0, 0.01, 1.0, 5000.0])
        adv = bytearray(chance.choice(frames))
        for _ in range(chance.choice([0, 0, 1, 3])):
            adv[chance.randrange(len(adv))] = chance.getrandbits(8)
        where = chance.choice(["", "x", "4", "7f:ff", "40:" * 400, f"{chance.getrandbits(48):012x}",
                               chance.getrandbits(48).to_bytes(6, "big").hex(":")])  # fmt: skip
        heard_ = Sighting(t_s, chance.choice(["pi-01", "pi-99", "irk:anna-phone"]), where,
                          chance.choice(["", "public", "random", "?"]), -60.0, bytes(adv), chance.choice(texts))  # fmt: skip
        ((_, reading),) = identification.heard(heard_)
        assert reading is None


# --- through the whole pipeline ---


def crowd() -> list[Sighting]:
    """A phone that changes its address with both on the air for a while, a trolley, and a flood of strangers."""
    chance = random.Random(3)
    signals: list[Sighting] = []
    for n in range(600):
        t_s = T0 + n / 4
        receiver = ("pi-01", "pi-02")[n // 300]
        if n % 2 == 0:
            phone = address(1) if n < 280 or (n < 330 and n % 4) else address(2)
            signals.append(heard(address=phone, t_s=t_s, receiver=receiver, rssi_dbm=-45.0 - n % 3))
        if n % 3 == 0:
            signals.append(heard(on_air(t_s), t_s=t_s, receiver=receiver, rssi_dbm=-47.0))
        for _ in range(30):
            signals.append(heard(address=address(chance.getrandbits(22), b"a stranger's key"), t_s=t_s))
        signals.append(heard(f"ibeacon:{UUID}:2:{n}", address="d0:00:00:00:00:01", t_s=t_s))
    return signals


def run(
    signals: list[Sighting], cuts: list[int], *, idle: bool = False
) -> tuple[list[tuple[object, ...]], Counts]:
    counts = Counts()
    register = Register(counts)
    identification = Identification(SITE, Told(), register, counts, KEYS)  # type: ignore[arg-type]
    screen = ConsentScreen(Policy("s", "gw", (), 86400, {}), register, Keys(bytes(32)), counts)
    said: list[tuple[object, ...]] = []

    def watch(p: Presence) -> None:
        said.append((p.t_s, p.emitted_s, p.subject, p.zone, p.change, p.confidence))

    pipeline = Pipeline(Tracker(identification, Core(SITE), counts), register, screen, watch)
    people = [("anna", "irk:anna-phone"), ("shop", "eid:trolley")]
    pipeline.feed([ConsentSignal(T0, tuple(record(s, entry(), identities=[i]) for s, i in people))])
    for first, last in zip([0, *cuts], [*cuts, len(signals)], strict=True):
        pipeline.feed(signals[first:last])
        if idle and 0 < last < len(signals):
            pipeline.advance((signals[last - 1].t_s + signals[last].t_s) / 2)
    pipeline.advance(T0 + 400)
    return said, counts


def test_any_split_of_a_crowd_gives_the_same() -> None:
    signals = crowd()
    whole, counts = run(signals, [])
    assert {(subject, zone) for _, _, subject, zone, *_ in whole} == {
        (s, z) for s in ("anna", "shop") for z in ("cereals", "dairy")
    }
    moves = [(subject, zone) for _, _, subject, zone, change, _ in whole if change == "entered"]
    assert len(moves) == 4, "the change of address is no move"
    assert counts.of("identity", "rpa_deferred") > 10_000
    assert counts.of("identity", "rpa_foreign") <= 20 * 151
    assert counts.of("identity", "garbage_address") == 600 - 10
    for seed in range(3):
        cuts = sorted(random.Random(seed).sample(range(1, len(signals)), 300))
        again, counted = run(signals, cuts, idle=True)
        assert again == whole
        assert counted.by_room()["identity"] == counts.by_room()["identity"]
