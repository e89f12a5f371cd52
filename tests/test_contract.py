"""The contract with the platform's developer: its files are current, and what is on the wire keeps to it."""

from __future__ import annotations

import asyncio
import copy
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from consents import entry, record
from core_words import T0, fixes, play, shop, square, standing
from jsonschema import Draft7Validator
from releases import stored
from shoppers import recipient, screen

from gateway.consent.bars import OPEN, Withdrawal
from gateway.consent.footfall import Publication
from gateway.consent.manifest import parse_manifest
from gateway.consent.policy import Counting, Recipient
from gateway.consent.records import parse_record
from gateway.contract import SCHEMAS, asyncapi, documents, schema_of
from gateway.contract.events import Evidence, Facts
from gateway.contract.schemas import EVENTS
from gateway.counts import Counts
from gateway.desk import Holdings
from gateway.model import EVIDENCE_KEYS, FIELDS, DriverSignal, Presence, SiteMap
from gateway.outbox import Outbox, Transaction
from gateway.sinks import Delivery
from gateway.sinks.cloudevents import change_of, encode
from gateway.sinks.courier import Acknowledgement, Courier
from gateway.sources.drivers import Drivers

CONTRACT = Path(__file__).parent.parent / "docs" / "contract"
Event = dict[str, Any]


def validator(name: str) -> Draft7Validator:
    return Draft7Validator(schema_of(name))


def faults(name: str, value: Any) -> list[str]:
    return [f"{name}: {error.json_path}: {error.message}" for error in validator(name).iter_errors(value)]


# --- the files ---


def test_the_files_are_current() -> None:
    checked_in = {path.name: path.read_text("utf-8") for path in CONTRACT.iterdir()}
    assert checked_in == documents(), "run scripts/generate-docs"


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_schema_is_one_of_draft_7_and_complete_in_itself(name: str) -> None:
    schema = schema_of(name)
    Draft7Validator.check_schema(schema)
    assert schema["$id"] == f"urn:presence:{name}:v1"
    for target in _values_of("$ref", schema):
        assert target.removeprefix("#/definitions/") in schema["definitions"]


def test_the_types_know_every_field_and_no_other() -> None:
    assert set(Evidence.__struct_fields__) == EVIDENCE_KEYS
    plain = {field for field in FIELDS if "." not in field}
    assert {*Facts.__struct_fields__, "threshold_s"} - {"evidence"} == plain


def _values_of(key: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from ([value[key]] if isinstance(value.get(key), str) else [])
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _values_of(key, part)


# --- the AsyncAPI document ---

# Of the specification 3.0.0: which fields the objects used here may and must have.
OBJECTS: dict[str, tuple[set[str], set[str]]] = {
    "document": ({"asyncapi", "id", "info", "servers", "defaultContentType", "channels", "operations", "components"},
                 {"asyncapi", "info"}),
    "info": ({"title", "version", "description", "termsOfService", "contact", "license", "tags", "externalDocs"},
             {"title", "version"}),
    "channel": ({"address", "messages", "title", "summary", "description", "servers", "parameters", "tags",
                 "externalDocs", "bindings"}, set()),
    "parameter": ({"enum", "default", "description", "examples", "location"}, set()),
    "operation": ({"action", "channel", "title", "summary", "description", "security", "tags", "externalDocs",
                   "bindings", "traits", "messages", "reply"}, {"action", "channel"}),
    "message": ({"headers", "payload", "correlationId", "contentType", "name", "title", "summary", "description",
                 "tags", "externalDocs", "bindings", "examples", "traits"}, set()),
    "multi format schema": ({"schemaFormat", "schema"}, {"schemaFormat", "schema"}),
    "mqtt binding": ({"qos", "retain", "messageExpiryInterval", "bindingVersion"}, set()),
}  # fmt: skip


def _is_a(kind: str, value: dict[str, Any]) -> bool:
    may, must = OBJECTS[kind]
    return must <= value.keys() <= may


def _resolved(document: Any, reference: dict[str, str]) -> Any:
    assert reference.keys() == {"$ref"}
    for part in reference["$ref"].removeprefix("#/").split("/"):
        document = document[part]
    return document


def test_the_asyncapi_document_is_what_the_specification_asks_for() -> None:
    document = yaml.safe_load((CONTRACT / "asyncapi.yaml").read_text())
    assert document == asyncapi()
    assert document["asyncapi"] == "3.0.0"
    assert _is_a("document", document)
    assert _is_a("info", document["info"])
    for channel in document["channels"].values():
        assert _is_a("channel", channel)
        assert all(_is_a("parameter", parameter) for parameter in channel["parameters"].values())
        in_address = {part.partition("}")[0] for part in channel["address"].split("{")[1:]}
        assert channel["parameters"].keys() == in_address
        assert all(_is_a("message", _resolved(document, m)) for m in channel["messages"].values())
    for operation in document["operations"].values():
        assert _is_a("operation", operation)
        assert operation["action"] in ("send", "receive")
        assert _is_a("mqtt binding", operation["bindings"]["mqtt"])
        channel = _resolved(document, operation["channel"])
        # "It MUST contain a subset of the messages defined in the channel", referenced there.
        of_channel = [_resolved(document, m) for m in channel["messages"].values()]
        assert [_resolved(document, _resolved(document, m)) for m in operation["messages"]] == [
            _resolved(document, m) for m in channel["messages"].values()
        ]
        assert of_channel
    for message in document["components"]["messages"].values():
        assert _is_a("multi format schema", message["payload"])
        file = CONTRACT / message["payload"]["schema"]["$ref"]
        assert json.loads(file.read_text())["$schema"] == "http://json-schema.org/draft-07/schema#"


# --- what a real pipeline and courier put on the wire ---


class Wire:
    """What the recipients received, as it was."""

    def __init__(self, name: str, onto: dict[str, list[Event]]) -> None:
        self._name, self._onto = name, onto

    async def ready(self) -> int:
        return 1

    async def send(self, delivery: Delivery) -> None:
        event = msgspec.json.decode(encode(delivery, "/sites/s/gateways/g", self._name))
        self._onto[change_of(delivery)].append(event)

    def drop(self) -> None:
        pass


def happened() -> list[Presence]:
    """Of a car: a visit and a drive past; of a tag: two shelves and silence."""
    park = msgspec.structs.replace(square("park", 0, 0, 100, dwell=[30]), approach_ring_m=200)
    visit = [f"{t} {max(-300 + 12 * t, -300) if t < 28 else 30 + 0.1 * (t - 28)} 40" for t in range(120)]
    gone = [f"{120 + t} {40 + 15 * t} 40" for t in range(40)]
    past = [f"{1000 + t} {-400 + 20 * t} 40" for t in range(60)]
    told = play(SiteMap("s", fences=(park,)), fixes("\n".join(visit + gone + past)), 2000)
    return told + play(shop(dwell=[10]), standing("eggs", 0, 9) + standing("bread", 9, 30), 100)


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Event]]:
    """By change."""
    return asyncio.run(_wire(tmp_path_factory.mktemp("wire")))


async def _wire(folder: Path) -> dict[str, list[Event]]:
    names = ["platform", "parking"]
    everything = [_with_all_fields(recipient(name)) for name in names]
    endless = entry(record_id="c-2", recipients=names, valid_until=None)
    people, register = screen(everything, [record("anna", entry(recipients=names)), record("ben", endless)])
    people.policy = msgspec.structs.replace(
        people.policy, counted=(Counting("platform", "dpv:ServiceUsageAnalytics", "b", ("cereals",)),)
    )
    found: dict[str, list[Event]] = defaultdict(list)
    presences = happened()
    presences += [msgspec.structs.replace(presence, subject="ben") for presence in presences]
    async with Outbox(folder / "o.sqlite", names, commit_delay_s=0.001, counts=Counts()) as outbox:
        for presence in presences:
            await stored(outbox, Transaction(people.releases(presence)))
        counted = Publication("platform", "dpv:ServiceUsageAnalytics", "cereals", T0, T0 + 900, 10, 30, 20)
        await stored(outbox, Transaction([people.counted(counted)]))
        register.absorb([record("ben", version=2, consents=[])])
        await outbox.purge([Withdrawal("ben", people.subject_key("ben"), OPEN)])
        couriers = [Courier(name, "puback", sink=Wire(name, found), outbox=outbox, screen=people,
                            clock=lambda: T0 + 1000, counts=Counts()) for name in names]  # fmt: skip
        running = [asyncio.create_task(courier.run()) for courier in couriers]
        async with asyncio.timeout(60):
            while any((await outbox.backlog()).values()):  # noqa: ASYNC110 - the disk knows
                await asyncio.sleep(0.01)
        for task in running:
            task.cancel()
    return found


def _with_all_fields(name: Recipient) -> Recipient:
    (purpose,) = name.purposes
    return msgspec.structs.replace(
        name, purposes=(msgspec.structs.replace(purpose, fields=frozenset(FIELDS)),)
    )


@pytest.mark.parametrize("change", EVENTS)
def test_what_is_sent_keeps_to_its_schema(wire: dict[str, list[Event]], change: str) -> None:
    assert {event["recipient"] for event in wire[change]} >= {"platform"}
    for event in wire[change]:
        assert event["dataschema"] == schema_of(change)["$id"]
        assert not faults(change, event), event


@pytest.mark.parametrize("change", EVENTS)
def test_what_is_sent_is_no_other_event(wire: dict[str, list[Event]], change: str) -> None:
    assert all(faults(other, wire[change][0]) for other in EVENTS if other != change)


DAMAGES: list[tuple[str, Callable[[Event], object]]] = [
    ("an attribute more", lambda e: e.update(latitude=50.9)),
    ("a fact more", lambda e: e["data"].update(address="c3:00:00:25:ef:6a")),
    ("no sequence", lambda e: e.pop("sequence")),
    ("no generation", lambda e: e.pop("generation")),
    ("no recipient", lambda e: e.pop("recipient")),
    ("a short sequence", lambda e: e.update(sequence="42")),
    ("a number for a sequence", lambda e: e.update(sequence=42)),
    ("a time without zone", lambda e: e.update(time="2025-12-22T12:00:00.000")),
    ("a time in seconds", lambda e: e.update(recordedtime=1766404800)),
    ("an id of another kind", lambda e: e.update(id="6f0e6b1c-0f0a-1c4e-9d1e-2b7f7f5d1a10")),
    ("a text for a truth", lambda e: e.update(historical="false")),
    ("another version", lambda e: e.update(type=e["type"].replace(".v1", ".v2"))),
    ("no data", lambda e: e.pop("data")),
]


@pytest.mark.parametrize("change", EVENTS)
@pytest.mark.parametrize(("damage", "do"), DAMAGES, ids=[damage for damage, _ in DAMAGES])
def test_a_damaged_event_is_refused(
    wire: dict[str, list[Event]], change: str, damage: str, do: Callable[[Event], object]
) -> None:
    event = copy.deepcopy(wire[change][0])
    do(event)
    assert faults(change, event), damage


@pytest.mark.parametrize(
    ("change", "data"),
    [
        ("entered", {"threshold_s": 15.0}),  # belongs to dwelled
        ("dwelled", {"confidence": 1.2}),
        ("left", {"dwell_s": -1.0}),
        ("left", {"evidence": {"address": "c3:00:00:25:ef:6a"}}),
        ("counted", {"sample": {"footfall": 0}}),
        ("counted", {"sample": {"occupancy": 20}}),
        ("counted", {"k": 1}),
        ("removed", {"ranges": []}),
        ("removed", {"ranges": [[3]]}),
        ("removed", {"ranges": [[0, 3]]}),
        ("removed", {"reason": "lost"}),
    ],
)
def test_damaged_facts_are_refused(wire: dict[str, list[Event]], change: str, data: Event) -> None:
    event = copy.deepcopy(wire[change][0])
    event["data"].update(data)
    assert faults(change, event)


# --- what is taken: the schema and the code are of one mind ---


def _read_ack(value: Any) -> bool:
    try:
        msgspec.convert(value, Acknowledgement)
    except msgspec.ValidationError:
        return False
    return True


def _read_driver(value: Any) -> bool:
    counts = Counts()
    signal = Drivers("s", counts).take("golf", msgspec.json.encode(value), T0)
    assert isinstance(signal, DriverSignal)
    return counts.of("drivers", "said") == 1


MANIFEST = {"time": "2025-12-22T12:00:00Z", "count": 3, "digest": "0" * 64, "generation": 1}
DRIVER = {"subject": "anna", "until": "2025-12-22T12:00:00+01:00"}
RECORD = record("anna")
READERS: dict[str, Callable[[Any], bool]] = {
    "ack": _read_ack,
    "consent-manifest": lambda value: parse_manifest(value) is not None,
    "consent-record": lambda value: parse_record(value) is not None,
    "driver": _read_driver,
}
WORDS: list[tuple[str, Any, bool]] = [
    ("ack", {"generation": "g", "through": 41, "also": [[43, 47], [50, 50]]}, True),
    ("ack", {"generation": "g"}, True),
    ("ack", {"through": 41}, False),
    ("ack", {"generation": "g", "through": "41"}, False),
    ("ack", {"generation": "g", "through": -1}, False),
    ("ack", {"generation": "g", "also": [[43]]}, False),
    ("ack", {"generation": "g", "also": [[43, 44, 45]]}, False),
    ("ack", {"generation": "g", "also": [[0, 4]]}, False),
    ("ack", [], False),
    ("consent-manifest", MANIFEST, True),
    *(("consent-manifest", {k: v for k, v in MANIFEST.items() if k != key}, False) for key in MANIFEST),
    ("consent-manifest", MANIFEST | {"time": "2025-12-22T12:00:00"}, False),
    ("consent-manifest", MANIFEST | {"digest": "A" * 64}, False),
    ("consent-manifest", MANIFEST | {"count": -1}, False),
    ("consent-manifest", MANIFEST | {"count": True}, False),
    ("driver", DRIVER, True),
    ("driver", {"subject": "anna"}, True),
    ("driver", {"subject": "anna", "until": None}, True),
    ("driver", {"subject": ""}, False),
    ("driver", {"subject": "a" * 129}, False),
    ("driver", {"until": None}, False),
    ("driver", DRIVER | {"until": "tomorrow"}, False),
    ("consent-record", RECORD, True),
    ("consent-record", {"subject": "anna", "version": 8, "erased": True, "event_time": "2025-12-22T12:00:00Z"}, True),
    ("consent-record", RECORD | {"version": 0}, False),
    ("consent-record", RECORD | {"version": "1"}, False),
    ("consent-record", RECORD | {"erased": "no"}, False),
    ("consent-record", RECORD | {"name": "Anna"}, False),
    ("consent-record", RECORD | {"age": 17}, False),
    ("consent-record", record("anna", entry(event_time=1764547200)), False),
    ("consent-record", record("anna", entry(event_time="2025-12-01T00:00:00")), False),
    ("consent-record", record("anna", entry(zones="some")), False),
    ("consent-record", record("anna", entry(zones=["cereals"])), True),
    ("consent-record", record("anna", entry(purposes=[])), False),
    ("consent-record", record("anna", entry(colour="red")), False),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "is_good"), WORDS)
def test_schema_and_code_agree(name: str, value: Any, is_good: bool) -> None:
    assert READERS[name](value) is is_good
    assert bool(faults(name, value)) is not is_good, faults(name, value)


@pytest.mark.parametrize(
    ("name", "value", "is_good"),
    [
        ("state", {"alive": False}, True),
        ("state", {"alive": True, "version": "1", "generation": "g", "damaged_stores": 0,
                   "clock": {"time_s": 1.0, "wall_s": 1.0, "rate": 1.0}}, True),
        ("state", {"alive": True}, False),
        ("state", {"alive": "yes"}, False),
        ("ask", {"id": "q-1", "subject": "anna"}, True),
        ("ask", {"id": "a/b", "subject": "anna"}, False),
        ("ask", {"id": "q-1"}, False),
        ("signed", {"record": "{}", "signature": "AA=="}, True),
        ("signed", {"record": {}, "signature": "AA=="}, False),
        ("answer", msgspec.to_builtins(Holdings("anna", "t", None, [], None, [], [], {}, {}, [])), True),
        ("answer", {"subject": "anna"}, False),
    ],
)  # fmt: skip
def test_other_words(name: str, value: Any, is_good: bool) -> None:
    assert bool(faults(name, value)) is not is_good, faults(name, value)
