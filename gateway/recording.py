"""Recordings: JSON Lines, one signal a line in the order of reception (DESIGN §6.1), plain or gzip."""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from gateway.errors import RecordingError
from gateway.model import (
    ClockStep,
    ClockTrust,
    ConsentSignal,
    DriverSignal,
    FeedState,
    Label,
    Message,
    ObjectionSignal,
    ReceiverState,
    Sighting,
    Signal,
)

MAX_LINE_BYTES = 1 << 20


class _Ble(Struct):
    receiver: str
    address: str
    rssi: float
    adv: str
    address_type: Literal["public", "random", ""] = ""


class _Mqtt(Struct):
    topic: str
    payload: str | None = None
    payload_b64: str | None = None
    retain: bool = False


class _Receiver(Struct):
    id: str
    alive: bool


class _Label(Struct):
    device: str
    zone: str | None


class _Clock(Struct):
    step_s: float


class _Driver(Struct):
    vehicle: str
    subject: str | None = None
    until: float | None = None


class _Feed(Struct):
    confirmed: float | None
    doubt: Literal["", "unmatched", "never_confirmed"] = ""


class _Objection(Struct):
    subject: str
    erase: bool


class _ClockTrust(Struct):
    trusted: bool


class _Line(Struct):
    t: float
    ble: _Ble | None = None
    mqtt: _Mqtt | None = None
    receiver: _Receiver | None = None
    label: _Label | None = None
    consent: dict[str, Any] | None = None
    driver: _Driver | None = None
    feed: _Feed | None = None
    objection: _Objection | None = None
    clock_trust: _ClockTrust | None = None
    clock: _Clock | None = None


_decoder = msgspec.json.Decoder(_Line)


def read(path: Path) -> Iterator[Signal]:
    """The signals of a file; labels are for calibration and scoring, the pipeline never sees them.

    RecordingError names file and line of the first line that cannot be read.
    """
    return (entry for entry in read_labelled(path) if not isinstance(entry, Label))


def read_labelled(path: Path) -> Iterator[Signal | Label]:
    """Signals and labels, in the order of the file; otherwise as `read`."""
    with opened(path) as file:
        number = 0
        while line := _next_line(path, file):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise RecordingError(f"{path.name}:{number}: line is longer than {MAX_LINE_BYTES} bytes")
            if not line.strip():
                continue
            try:
                entry = parse_labelled(line)
            except ValueError as error:
                raise RecordingError(f"{path.name}:{number}: {error}") from None
            yield entry


def opened(path: Path) -> io.BufferedIOBase:
    """The lines of a recording as bytes. RecordingError where it cannot be opened."""
    try:
        return gzip.open(path) if path.suffix == ".gz" else path.open("rb")
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror}") from None


def _next_line(path: Path, file: io.BufferedIOBase) -> bytes:
    try:
        return file.readline(MAX_LINE_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise RecordingError(f"{path.name}: cannot be read to its end: {error}") from None


def parse(line: bytes) -> Signal | None:
    """One line; None for a label. ValueError says what is wrong with it."""
    entry = parse_labelled(line)
    return None if isinstance(entry, Label) else entry


def parse_labelled(line: bytes) -> Signal | Label:
    """One line. ValueError says what is wrong with it."""
    try:
        entry = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    if entry.ble is not None:
        heard = entry.ble
        try:
            adv = bytes.fromhex(heard.adv)
        except ValueError:
            raise ValueError("ble.adv is not hexadecimal") from None
        return Sighting(entry.t, heard.receiver, heard.address.lower(), heard.address_type, heard.rssi, adv)
    if entry.mqtt is not None:
        return Message(entry.t, entry.mqtt.topic, _payload(entry.mqtt), entry.mqtt.retain)
    if entry.receiver is not None:
        return ReceiverState(entry.t, entry.receiver.id, entry.receiver.alive)
    if entry.label is not None:
        return Label(entry.t, entry.label.device, entry.label.zone)
    return _control(entry)


def _control(entry: _Line) -> Signal:
    if entry.consent is not None:
        return ConsentSignal(entry.t, (entry.consent,))
    if entry.feed is not None:
        return FeedState(entry.t, entry.feed.confirmed, entry.feed.doubt)
    if entry.driver is not None:
        return DriverSignal(entry.t, entry.driver.vehicle.lower(), entry.driver.subject, entry.driver.until)
    if entry.objection is not None:
        return ObjectionSignal(entry.t, entry.objection.subject, entry.objection.erase)
    if entry.clock_trust is not None:
        return ClockTrust(entry.t, entry.clock_trust.trusted)
    if entry.clock is not None:
        return ClockStep(entry.t, entry.clock.step_s)
    raise ValueError(
        "none of ble, mqtt, receiver, label, consent, feed, driver, objection, clock_trust, clock"
    )


def _payload(message: _Mqtt) -> bytes:
    if message.payload is not None:
        return message.payload.encode()
    try:
        return base64.b64decode(message.payload_b64 or "", validate=True)
    except binascii.Error:
        raise ValueError("mqtt.payload_b64 is not base64") from None


def format_line(signal: Signal) -> bytes:
    """The line of a signal, with its line end; `parse` gives the same signal back."""
    return msgspec.json.encode({"t": round(signal.t_s, 3), **_body(signal)}) + b"\n"


def _body(signal: Signal) -> dict[str, Any]:
    match signal:
        case Sighting():
            heard = {"receiver": signal.receiver, "address": signal.address}
            if signal.address_type:
                heard["address_type"] = signal.address_type
            return {"ble": {**heard, "rssi": signal.rssi_dbm, "adv": signal.adv.hex()}}
        case Message():
            return {"mqtt": {"topic": signal.topic, **_text_or_b64(signal.payload), "retain": signal.retain}}
        case ReceiverState():
            return {"receiver": {"id": signal.receiver, "alive": signal.alive}}
        case ConsentSignal():
            return {"consent": signal.records[0]}
        case DriverSignal():
            drives = {"vehicle": signal.vehicle, "subject": signal.subject, "until": signal.until_s}
            return {"driver": drives}
        case FeedState():
            return {"feed": {"confirmed": signal.confirmed_s, "doubt": signal.doubt}}
        case ObjectionSignal():
            return {"objection": {"subject": signal.subject, "erase": signal.erase}}
        case ClockTrust():
            return {"clock_trust": {"trusted": signal.trusted}}
        case ClockStep():
            return {"clock": {"step_s": signal.step_s}}


def _text_or_b64(payload: bytes) -> dict[str, str]:
    try:
        return {"payload": payload.decode()}
    except UnicodeDecodeError:
        return {"payload_b64": base64.b64encode(payload).decode()}
