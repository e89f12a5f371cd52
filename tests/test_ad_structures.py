"""What BlueZ tells of an advertisement, put together again as on the air."""

from __future__ import annotations

import pytest
from bleak.backends.scanner import AdvertisementData
from bluetooth_data_tools import parse_advertisement_data_bytes
from ears import IBEACON
from hypothesis import given
from hypothesis import strategies as st

from gateway.sources.ble import ad_structures

BASE = "-0000-1000-8000-00805f9b34fb"
EDDYSTONE = f"0000feaa{BASE}"
NUS = "6e400001-b5a3-f393-e0a9-e50e24dcca9e"


def advertisement(
    manufacturer: dict[int, bytes], service: dict[str, bytes], uuids: list[str]
) -> AdvertisementData:
    return AdvertisementData(None, manufacturer, service, uuids, None, -60, ())


@pytest.mark.parametrize(
    ("manufacturer", "service", "uuids", "adv", "left_out"),
    [
        pytest.param({}, {}, [], "", 0, id="nothing"),
        pytest.param(IBEACON, {}, [], "1aff4c00" + IBEACON[0x4C].hex(), 0, id="ibeacon"),
        pytest.param({}, {EDDYSTONE: b"\x00\xee"}, [EDDYSTONE], "0303aafe0516aafe00ee", 0, id="eddystone"),
        pytest.param({}, {f"12345678{BASE}": b"\x01"}, [], "06207856341201", 0, id="32-bit service data"),
        pytest.param(
            {}, {NUS: b"\x01"}, [], "12219ecadc240ee5a9e093f3a3b50100406e01", 0, id="128-bit service data"
        ),
        pytest.param(
            {}, {}, [NUS, f"0000180f{BASE}", f"0000180a{BASE}"], "05030a180f18", 0, id="16-bit uuids only"
        ),
        pytest.param({2: b"b", 1: b"a"}, {}, [], "04ff01006104ff020062", 0, id="two companies, in order"),
        pytest.param({1: bytes(252)}, {}, [], "ffff0100" + "00" * 252, 0, id="254 bytes"),
        pytest.param({1: bytes(253)}, {EDDYSTONE: b""}, [], "0316aafe", 1, id="255 bytes, and one that fits"),
    ],
)
def test_structures_are_rebuilt(
    manufacturer: dict[int, bytes], service: dict[str, bytes], uuids: list[str], adv: str, left_out: int
) -> None:
    assert ad_structures(advertisement(manufacturer, service, uuids)) == (bytes.fromhex(adv), left_out)


payloads = st.binary(max_size=238)
short_uuids = st.integers(0, 0xFFFF).map(lambda short: f"{short:08x}{BASE}")
any_uuids = st.one_of(
    short_uuids, st.integers(0, 0xFFFFFFFF).map(lambda short: f"{short:08x}{BASE}"), st.uuids().map(str)
)


@given(
    st.dictionaries(st.integers(0, 0xFFFF), payloads, max_size=4),
    st.dictionaries(any_uuids, payloads, max_size=4),
    st.lists(short_uuids, max_size=20, unique=True),
)
def test_another_parser_reads_the_same(
    manufacturer: dict[int, bytes], service: dict[str, bytes], uuids: list[str]
) -> None:
    adv, left_out = ad_structures(advertisement(manufacturer, service, uuids))
    _, read_uuids, read_service, read_manufacturer, _ = parse_advertisement_data_bytes(adv)
    assert (read_manufacturer, read_service, sorted(read_uuids)) == (manufacturer, service, sorted(uuids))
    assert left_out == 0
    backwards = dict(reversed(manufacturer.items())), dict(reversed(service.items())), uuids[::-1]
    assert ad_structures(advertisement(*backwards)) == (adv, 0)
