"""The rows of the presence state table: pairs of device and zone, records of subject and zone."""

from __future__ import annotations

from array import array

from gateway.core.bits import INFINITE
from gateway.core.rows import NONE, Rows, widened


class Pairs(Rows):
    """A device and a zone."""

    def __init__(self) -> None:
        super().__init__()
        self.record = array("i")
        self.device: list[str] = []
        self.other = array("i")
        """The next pair of the same record."""
        self.beside = array("i")
        """The next pair of the same device, where that has use for it."""
        self.last_inside_s = array("d")
        """Time of the last evidence inside."""
        self.confidence_pm = array("h")
        """At the last evidence inside, in thousandths."""
        self.says = array("b")
        self.state = array("b")
        """For the room of the device: how far its visit is."""
        self.undecided = array("i")
        """For the room of the device: a row of what is not settled yet."""

    def _widen(self, room: int) -> None:
        self.device.extend([""] * (room - len(self.device)))
        self.record, self.other = widened(self.record, "i", room), widened(self.other, "i", room)
        self.beside, self.undecided = widened(self.beside, "i", room), widened(self.undecided, "i", room)
        self.last_inside_s = widened(self.last_inside_s, "d", room)
        self.confidence_pm = widened(self.confidence_pm, "h", room)
        self.says, self.state = widened(self.says, "b", room), widened(self.state, "b", room)


class Records(Rows):
    """A subject and a zone."""

    def __init__(self) -> None:
        super().__init__()
        self.subject: list[str] = []
        self.zone: list[str] = []
        self.next = array("i")
        """The next record of the same subject."""
        self.pair = array("i")
        """The first of its pairs."""
        self.phase = array("b")
        self.since_s = array("d")
        self.phase_s = array("d")
        """When the stay was entered; in phase QUIET, when anything was last heard."""
        self.announced_s = array("d")
        """The highest threshold announced."""
        self.last_inside_s = array("d")
        self.last_t_s = array("d")
        """`t` of the last event: no later one of this record lies before it."""

    def _widen(self, room: int) -> None:
        self.subject.extend([""] * (room - len(self.subject)))
        self.zone.extend([""] * (room - len(self.zone)))
        self.next, self.pair = widened(self.next, "i", room), widened(self.pair, "i", room)
        self.since_s, self.phase_s = widened(self.since_s, "d", room), widened(self.phase_s, "d", room)
        self.announced_s = widened(self.announced_s, "d", room)
        self.last_inside_s = widened(self.last_inside_s, "d", room)
        self.last_t_s, self.phase = widened(self.last_t_s, "d", room), widened(self.phase, "b", room)


class Table:
    """Finds, begins and ends the rows."""

    def __init__(self) -> None:
        self.pairs, self.records = Pairs(), Records()
        self.first: dict[str, int] = {}
        """The first record of a subject."""

    def record(self, subject: str, zone: str) -> int:
        """The record of the two, NONE when there is none."""
        records, row = self.records, self.first.get(subject, NONE)
        while row != NONE and records.zone[row] != zone:
            row = records.next[row]
        return row

    def known(self, subject: str, zone: str, device: str) -> int:
        """The pair of the device, NONE when there is none."""
        pairs, record = self.pairs, self.record(subject, zone)
        pair = NONE if record == NONE else self.records.pair[record]
        while pair != NONE and pairs.device[pair] != device:
            pair = pairs.other[pair]
        return pair

    def pair(self, subject: str, zone: str, device: str) -> int:
        """The pair of the device, begun if there is none."""
        pair = self.known(subject, zone, device)
        if pair != NONE:
            return pair
        pairs, record = self.pairs, self.record(subject, zone)
        if record == NONE:
            record = self.begin(subject, zone)
        pair = pairs.take()
        pairs.record[pair], pairs.device[pair] = record, device
        pairs.other[pair], self.records.pair[record] = self.records.pair[record], pair
        pairs.beside[pair] = pairs.undecided[pair] = NONE
        pairs.last_inside_s[pair] = -INFINITE
        pairs.confidence_pm[pair] = pairs.says[pair] = pairs.state[pair] = 0
        return pair

    def unlink(self, pair: int) -> int:
        """Give the pair back; its record."""
        pairs, records = self.pairs, self.records
        record: int = pairs.record[pair]
        before = records.pair[record]
        if before == pair:
            records.pair[record] = pairs.other[pair]
        else:
            while pairs.other[before] != pair:
                before = pairs.other[before]
            pairs.other[before] = pairs.other[pair]
        pairs.device[pair] = ""
        pairs.give(pair)
        return record

    def begin(self, subject: str, zone: str) -> int:
        """A record of which nothing is known."""
        records = self.records
        record = records.take()
        records.subject[record], records.zone[record] = subject, zone
        records.next[record] = self.first.get(subject, NONE)
        self.first[subject] = record
        records.pair[record], records.phase[record] = NONE, 0
        records.since_s[record] = records.phase_s[record] = records.announced_s[record] = 0.0
        records.last_inside_s[record] = 0.0
        records.last_t_s[record] = -INFINITE
        return record

    def end(self, record: int) -> None:
        """Give a record without pairs back."""
        records = self.records
        subject, before = records.subject[record], self.first[records.subject[record]]
        if before != record:
            while records.next[before] != record:
                before = records.next[before]
            records.next[before] = records.next[record]
        elif records.next[record] == NONE:
            del self.first[subject]
        else:
            self.first[subject] = records.next[record]
        records.subject[record] = records.zone[record] = ""
        records.give(record)
