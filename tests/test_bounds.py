"""What anybody outside can fill with ever new names has an end: tables with bounds made small, and filled."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
from audit_logs import MAC
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from census import tables
from consents import record
from test_mqtt_packets import publication

from gateway import links, mqtt_packets, recent, recordings
from gateway.audit import AuditLog
from gateway.audit import log as audit_log
from gateway.consent import holdings, waiting
from gateway.consent.register import Register
from gateway.consent.tally import Stopped
from gateway.consent.waiting import WaitingRoom
from gateway.counts import Counts
from gateway.errors import StoreError
from gateway.links import Link
from gateway.model import Presence, Sighting
from gateway.mqtt_packets import PacketStream
from gateway.profiles import load_profiles
from gateway.sources import drivers, receivers
from gateway.sources.ble import BleSource
from gateway.sources.drivers import Drivers
from gateway.sources.frames import IdentityFrames
from gateway.sources.receivers import ReceiverStates

MOST, NAMES = 8, 40
Fill = Callable[[int], object]
"""Takes a number that is new each time."""


def malformed_records() -> tuple[object, Fill]:
    register = Register(Counts())
    return register, lambda n: register.absorb([{"subject": f"s{n}", "version": "none"}])


def subjects_that_went() -> tuple[object, Fill]:
    register = Register(Counts())
    return register, lambda n: register.absorb([record(f"s{n}")], complete=True, t_s=float(n))


def presences_that_wait() -> tuple[object, Fill]:
    room = WaitingRoom(lambda _presence, _doubt, _t_s: None)

    def fill(n: int) -> None:
        presence = Presence(n, n, f"s{n}", "milk", "entered", n, 0.0, 0.9, {})
        room.put(presence, "unmatched", float(n))

    return room, fill


def cars_with_drivers() -> tuple[object, Fill]:
    known = Drivers("s", Counts())
    return known, lambda n: known.take(f"fleet/{n}", b'{"subject": "anna"}', 1.0)


def receivers_with_a_state() -> tuple[object, Fill]:
    readers = load_profiles().states(["espresense"])
    states = ReceiverStates(
        readers, lambda _signal: None, lambda: 1.0, Counts(), site="s", is_known=lambda _: False
    )
    return states, lambda n: states.take(f"espresense/rooms/{n}/status", b"online", retained=False)


def topics_of_a_broker() -> tuple[object, Fill]:
    stream = PacketStream(lambda *_: None, lambda _: None, is_v5=False)
    return stream, lambda n: stream.feed(publication(f"owntracks/fleet/{n}", b"{}"))


def frames_that_a_relay_has_seen() -> tuple[object, Fill]:
    reduced = IdentityFrames(lambda _: False, [])
    return reduced, lambda n: reduced.reduced(Sighting(1.0, "pi", "", "random", -50.0, bytes((2, 1, n))))


def phones_that_pass_the_radio() -> tuple[object, Fill]:
    source = BleSource("pi-01", lambda _signal: None, lambda: 1.0)

    def fill(n: int) -> None:
        address, path = f"C3:00:00:00:00:{n:02X}", f"/org/bluez/hci0/dev_{n}"
        props = {"ManufacturerData": {76: b"x"}, "AddressType": "random"}
        data = AdvertisementData(None, {76: b"x"}, {}, [], None, -50, (path, props))
        source._on_report(BLEDevice(address, None, None), data)

    return source, fill


def audit_lines_that_wait_for_a_disk() -> tuple[object, Fill]:
    log = AuditLog(Path("/nowhere/at/all"), MAC)

    def fill(n: int) -> None:
        with contextlib.suppress(StoreError):
            log.append([Stopped(t=float(n))])

    return log, fill


def reasons_of_a_link() -> tuple[object, Fill]:
    link = Link("sink")
    return link, lambda n: link.down(f"refused: {n}")


@pytest.mark.parametrize(
    ("made", "place", "bound", "table"),
    [
        (malformed_records, holdings, "MAX_DOUBTED", "Holdings._doubts"),
        (subjects_that_went, holdings, "MAX_GONE", "Holdings._gone"),
        (presences_that_wait, waiting, "ROOM", "WaitingRoom._waiting"),
        (cars_with_drivers, drivers, "MAX_VEHICLES", "Drivers._known"),
        (receivers_with_a_state, receivers, "CACHED_TOPICS", "ReceiverStates._topics"),
        (topics_of_a_broker, mqtt_packets, "CACHED_TOPICS", "PacketStream._topics"),
        (frames_that_a_relay_has_seen, recent, "MOST", "Recent._now"),
        (phones_that_pass_the_radio, recent, "MOST", "Recent._now"),
        (audit_lines_that_wait_for_a_disk, audit_log, "MAX_WAITING", "AuditLog._waiting"),
        (reasons_of_a_link, links, "_SAID", "Link._said"),
    ],
)
def test_a_table_ends_at_its_bound(
    monkeypatch: pytest.MonkeyPatch, made: Callable[[], tuple[object, Fill]],
    place: ModuleType, bound: str, table: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(place, bound, MOST)
    owner, fill = made()
    highest = 0
    for n in range(NAMES):
        fill(n)
        highest = max(highest, tables(owner)[table])
    assert highest == MOST


def test_the_list_of_recordings_ends_at_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "LISTED", MOST)
    for n in range(NAMES):
        recordings.enlist(tmp_path, tmp_path / f"{n}.jsonl")
    listed = msgspec.json.decode((tmp_path / recordings.LIST_FILE).read_bytes())
    assert listed == [str(tmp_path / f"{n}.jsonl") for n in range(NAMES - MOST, NAMES)]
