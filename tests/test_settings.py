"""The configuration: what is read, what is refused, and the words in which it is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from gateway import settings
from gateway.assembly import limits_of
from gateway.errors import ConfigError
from gateway.model import CHANGES, Anchor, Arrival, Circle, Fence, SiteMap, Zone
from gateway.settings.durations import seconds
from gateway.settings.gateway import Consent
from gateway.settings.identities import identity_mistake
from gateway.settings.secrets import Secret

ROOT = Path(__file__).parent.parent
STORE = ROOT / "config" / "store"
PROFILES = ("espresense", "owntracks")

LOT = "[[50.9412, 6.9582], [50.9419, 6.9582], [50.9419, 6.9597]]"
CORNERS = ((50.9412, 6.9582), (50.9419, 6.9582), (50.9419, 6.9597))


# --- the worked example and the maps of the measuring tools ---


def test_the_worked_example_is_right() -> None:
    site, own = settings.load(STORE, profiles=PROFILES)
    assert settings.problems(STORE, profiles=PROFILES) == []
    assert (site.site, site.timezone, site.device_class) == ("koeln-01", "Europe/Berlin", "phone")
    zones = {zone.id: zone for zone in site.zones}
    assert zones["cereals"] == Zone(
        "cereals",
        "shelf",
        "cereals",
        "ground",
        polygon=((3, 4), (9, 4), (9, 5.5), (3, 5.5)),
        dwell_s=(15, 45),
        leave_after_s=20,
        part_of="aisle-1",
    )
    assert (zones["aisle-1"].polygon, zones["checkout"].at) == (None, (38, 3))
    assert [r.at for r in site.receivers][:2] == [(6, 3.2, 2.4), (14, 3.2, 2.4)]
    assert site.beacons[0].tx_power_dbm == -59
    assert site.fences[0].approach_ring_m == 300
    assert site.fences[0].arrival == Arrival(confirm_s=5, slow_kmh=10, leave_m=20)
    assert site.fences[1].circle == Circle(50.9411, 6.9590, 15)
    assert site.fences[1].arrival == Arrival(confirm_s=3, slow_kmh=8, leave_m=10)

    assert (own.gateway.id, own.own_receiver, own.gateway.epoch) == ("pi-01", "pi-01", 30 * 86400)
    assert own.consent is not None
    assert own.consent.feed.file == STORE / "consent.yaml"
    tls = own.brokers["central"].tls
    assert tls is not None
    assert (tls.ca, tls.key) == (STORE / "ca.pem", "credential:pi-01.key")
    assert own.brokers["store"].subscribe == ("espresense", "owntracks")
    assert list(own.recipients) == ["platform", "parking-partner"]
    assert own.recipients["parking-partner"].purposes["dpv:ServiceProvision"].zones == ("car-park",)


def site_of(tmp_path: Path, text: str) -> SiteMap:
    (tmp_path / "site.yaml").write_text("site: {id: s}\n" + text, "utf-8")
    return settings.load_site(tmp_path)


def test_what_is_left_out_has_a_default(tmp_path: Path) -> None:
    assert site_of(tmp_path, "") == SiteMap("s")
    site = site_of(
        tmp_path,
        'floors: [{id: g, zones: [{id: "000101", kind: shelf, at: [1, 2, 0]}]}]\n'
        "receivers: [{id: b827eb4521b4, floor: g}, {id: r, floor: g, at: [1, 2]}]\n"
        f"fences: [{{id: lot, kind: car_park, polygon: {LOT}}}]\n",
    )
    assert site.zones == (
        Zone("000101", "shelf", "000101", "g", at=(1, 2), dwell_s=(20,), leave_after_s=20, outside_after_s=0),
    )
    assert site.receivers == (Anchor("b827eb4521b4", "g"), Anchor("r", "g", (1, 2, 2.4)))
    assert site.fences == (Fence("lot", "car_park", "lot", ((CORNERS,),), dwell_s=(120,)),)


@pytest.mark.parametrize(
    ("outline", "polygons"),
    [
        (LOT, ((CORNERS,),)),
        (LOT.replace("]]", "], [50.9412, 6.9582]]"), ((CORNERS,),)),
        (
            "[[[0, 0], [0, 9], [9, 9]], [[1, 2], [1, 3], [2, 3], [1, 2]]]",
            ((((0, 0), (0, 9), (9, 9)), ((1, 2), (1, 3), (2, 3))),),
        ),
        ("[[-17, 179.9], [-17, -179.9], [-16, -179.9]]", ((((-17, 179.9), (-17, -179.9), (-16, -179.9)),),)),
    ],
    ids=["open", "closed", "with a hole", "across the antimeridian"],
)
def test_outlines(tmp_path: Path, outline: str, polygons: object) -> None:
    site = site_of(tmp_path, f"fences: [{{id: f, kind: car_park, polygon: {outline}}}]")
    assert site.fences[0].polygons == polygons


RING = [[6.9582, 50.9412], [6.9582, 50.9419], [6.9597, 50.9419], [6.9582, 50.9412]]
OPENED = ((50.9412, 6.9582), (50.9419, 6.9582), (50.9419, 6.9597))


@pytest.mark.parametrize(
    ("geometry", "polygons"),
    [
        ({"type": "Polygon", "coordinates": [RING]}, ((OPENED,),)),
        ({"type": "MultiPolygon", "coordinates": [[RING], [RING]]}, ((OPENED,), (OPENED,))),
    ],
)
def test_a_geojson_file_has_longitude_first(tmp_path: Path, geometry: object, polygons: object) -> None:
    feature = {"type": "Feature", "properties": {}, "geometry": geometry}
    for content in (geometry, feature, {"type": "FeatureCollection", "features": [feature]}):
        (tmp_path / "lot.geojson").write_text(json.dumps(content), "utf-8")
        site = site_of(tmp_path, "fences: [{id: f, kind: car_park, polygon: lot.geojson}]")
        assert site.fences[0].polygons == polygons


@pytest.mark.parametrize("content", ["", "[", "[" * 100_000, "null", '{"type": "Polygon"}', '{"type": []}'])
def test_a_geojson_file_that_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "lot.geojson").write_text(content, "utf-8")
    with pytest.raises(ConfigError, match=r"site.yaml:2:39: fences.f.polygon: lot.geojson"):
        site_of(tmp_path, "fences: [{id: f, kind: pump, polygon: lot.geojson}]")


def test_gateway_defaults(tmp_path: Path) -> None:
    shutil.copy(STORE / "site.yaml", tmp_path)
    (tmp_path / "gateway.yaml").write_text(
        "gateway: {id: pi-02, state_dir: state}\n"
        "brokers: {a: {host: a, tls: {}}, b: {host: b, protocol: 3.1.1, password: secrets/b}}\n"
        "recipients: {p: {via: a, purposes: {dpv:X: {legal_basis: l, fields: [zone]}}}}\n"
        "consent: {feed: {file: /etc/consent.yaml}}\n"
    )
    own = settings.load_settings(tmp_path, profiles=())
    assert own.gateway.state_dir == tmp_path / "state"
    assert (own.gateway.clock.trust, own.gateway.keys, own.own_receiver) == ("kernel", None, None)
    assert [(b.port, b.protocol) for b in own.brokers.values()] == [(8883, 5), (1883, "3.1.1")]
    assert own.brokers["b"].password == str(tmp_path / "secrets" / "b")
    assert own.recipients["p"].ack == "platform"
    assert own.recipients["p"].purposes["dpv:X"].changes == CHANGES
    assert own.recipients["p"].purposes["dpv:X"].zones == "all"
    assert own.consent is not None
    assert own.consent.feed.file == Path("/etc/consent.yaml")
    assert (own.audit.window, own.audit.max_mb, own.audit.keep) == (900, 16, 90 * 86400)
    assert own.counts == ()
    assert (own.outbox.max_mb, own.outbox.keep, own.outbox.commit) == (256, 30 * 86400, 0.2)
    assert [(c.changes, c.priority) for c in own.outbox.classes] == [(("approaching", "entering"), "low")]
    assert own.recipients["p"].backlog_per_s == 50


def test_what_waits_and_how_long(tmp_path: Path) -> None:
    shutil.copy(STORE / "site.yaml", tmp_path)
    (tmp_path / "gateway.yaml").write_text(
        "gateway: {id: pi-02, state_dir: state}\n"
        "brokers: {a: {host: a}}\n"
        "recipients: {p: {via: a, backlog_per_s: 0.5e1, purposes: {dpv:X: {legal_basis: l, fields: [zone]}}}}\n"
        "counts: [{recipient: p, purpose: dpv:Y, legal_basis: l, zones: [cereals]}]\n"
        "outbox: {max_mb: 64, keep: 7d, commit: 500ms, classes: [\n"
        "  {purposes: [dpv:Y], changes: [counted], priority: high},\n"
        "  {changes: [passed], priority: low, keep: 1h}]}\n"
        "consent: {feed: {file: /etc/consent.yaml}}\n"
    )
    own = settings.load_settings(tmp_path, profiles=())
    assert own.recipients["p"].backlog_per_s == 5
    limits = limits_of(own)
    assert limits.max_bytes == 64 << 20
    asked = [("counted", "dpv:Y"), ("passed", "dpv:X"), ("entering", "dpv:X"), ("entered", "dpv:Y")]
    assert [limits.priority(*each) for each in asked] == [2, 0, 1, 1]
    assert [limits.kept_s(*each) / 3600 for each in asked] == [168, 1, 168, 168]


def test_what_is_counted(tmp_path: Path) -> None:
    """Zones side by side; the same zone for two recipients in the same windows."""
    shutil.copy(STORE / "site.yaml", tmp_path)
    count = "purpose: dpv:X, legal_basis: l"
    (tmp_path / "gateway.yaml").write_text(
        "gateway: {id: pi-02}\n"
        "brokers: {a: {host: a}}\n"
        "recipients: {p: {via: a, purposes: {dpv:X: {legal_basis: l, fields: [zone]}}},\n"
        "             q: {via: a, purposes: {dpv:X: {legal_basis: l, fields: [zone]}}}}\n"
        f"counts: [{{recipient: p, {count}, zones: [cereals, checkout, car-park]}},\n"
        f"         {{recipient: q, {count}, zones: [car-park], window: 15min, k: 10}},\n"
        f"         {{recipient: q, {count}, zones: [cereals]}}]\n"
        "consent: {feed: {file: /etc/consent.yaml}}\n"
    )
    own = settings.load_settings(tmp_path, profiles=())
    assert [(c.recipient, c.zones, c.window, c.k) for c in own.counts] == [
        ("p", ("cereals", "checkout", "car-park"), 900, 10),
        ("q", ("car-park",), 900, 10),
        ("q", ("cereals",), 900, 10),
    ]


def test_where_a_secret_lies() -> None:
    environ = {"CREDENTIALS_DIRECTORY": "/run/credentials/gateway.service"}
    assert Secret("credential:key").path(environ) == Path("/run/credentials/gateway.service/key")
    assert Secret("/etc/key").path({}) == Path("/etc/key")
    with pytest.raises(ConfigError, match="the unit needs LoadCredential=key"):
        Secret("credential:key").path({})


@pytest.mark.parametrize(
    ("case", "key", "secret"),
    [
        ("secrets", "brokers.store.password", "hunter2"),
        ("consent-http-user", "consent.feed.http.url", "hunter2"),
        ("consent-http-slow", "consent.feed.http.token", "c2VjcmV0"),
        ("webhooks", "recipients.written-out.webhook.url", "hunter2"),
        ("webhooks", "recipients.written-out.webhook.secret", "MfKQ9r8G"),
    ],
)
def test_an_inline_secret_is_not_shown_again(tmp_path: Path, case: str, key: str, secret: str) -> None:
    shutil.copytree(ROOT / "tests" / "broken_configs" / case, tmp_path, dirs_exist_ok=True)
    found = settings.problems(tmp_path, profiles=())
    named = [p for p in found if p.key == key]
    assert named
    assert all(secret not in p.with_caret() for p in named)


def feeds_of(tmp_path: Path, consent: str) -> Consent:
    shutil.copy(STORE / "site.yaml", tmp_path)
    brokers = "brokers: {central: {host: mqtt.example.org}, store: {host: 127.0.0.1}}"
    (tmp_path / "gateway.yaml").write_text(f"gateway: {{id: pi-01}}\n{brokers}\nconsent: {consent}\n")
    own = settings.load_settings(tmp_path, profiles=())
    assert own.consent is not None
    return own.consent


def test_where_consents_come_from(tmp_path: Path) -> None:
    file = feeds_of(tmp_path, "{feed: {file: consent.yaml}, drivers: store}")
    assert (file.feed.file, file.max_age, file.drivers_broker) == (tmp_path / "consent.yaml", None, "store")
    mqtt = feeds_of(tmp_path, "{feed: {mqtt: central}, signed_by: [keys/platform.pem]}")
    assert (mqtt.feed.mqtt, mqtt.max_age, mqtt.drivers_broker) == ("central", 3600, "central")
    assert mqtt.signed_by == (tmp_path / "keys" / "platform.pem",)
    http = feeds_of(
        tmp_path, "{feed: {http: {url: 'http://127.0.0.1:8000/c', token: secrets/t}}, max_age: 2h}"
    )
    assert http.feed.http is not None
    assert (http.feed.http.interval, http.max_age, http.drivers_broker) == (60, 7200, None)
    assert http.feed.http.token == str(tmp_path / "secrets" / "t")


@pytest.mark.parametrize(
    "url",
    ["ftp://a/b", "consents", "https://", "https://[::1", "https://a:port/", "https://a b/", "https://a/#b",
     "https://köln.example/c", "http://10.0.0.1/c", "http://localhost.example.org/c"],
)  # fmt: skip
def test_no_addresses_of_a_feed(tmp_path: Path, url: str) -> None:
    with pytest.raises(
        ConfigError, match=r"consent.feed.http.url: (expected an address|this is personal data)"
    ):
        feeds_of(tmp_path, f"{{feed: {{http: {{url: '{url}'}}}}}}")


# --- small forms ---


@pytest.mark.parametrize(
    ("text", "duration_s"),
    [("15s", 15), ("2min", 120), ("1h", 3600), ("30d", 2_592_000), ("500ms", 0.5), ("1.5h", 5400)],
)
def test_durations(text: str, duration_s: float) -> None:
    assert seconds(text) == duration_s


@pytest.mark.parametrize(
    "text", [15, 1.5, True, None, "15", "s", "-1s", "0s", "1 h", "1m", "1S", "9" * 400 + "d", "١s"]
)
def test_no_durations(text: object) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        seconds(text)


@pytest.mark.parametrize(
    ("identity", "mistake"),
    [
        ("ibeacon:e2c56db5-dffb-48d2-b060-d0f5a71096e0:1:65535", ""),
        ("altbeacon:0118:2f234454-cf6d-4a0f-adf2-f4911ba9ffa6:1:2", ""),
        ("eddystone:00112233445566778899:aabbccddeeff", ""),
        ("eid:trolley-7", ""),
        ("irk:anna-phone", ""),
        ("mac:c3:00:00:25:ef:6a", ""),
        ("vehicle:anna/golf", ""),
        ("vehicle:K-AB 123", "expected vehicle:<id>"),
        ("vehicle:a/b/c", "expected vehicle:<id>"),
        ("mac:C3:00:00:25:EF:6A", "an identity is written in lower case"),
        ("eddystone:0011:aabbccddeeff", "expected eddystone:<namespace>:<instance>"),
        ("10:20:30:40:50:11", "expected a kind first; did you mean mac:10:20:30:40:50:11?"),
    ],
)
def test_identity_forms(identity: str, mistake: str) -> None:
    assert identity_mistake(identity) == mistake
