"""The core: observations in, presence out, in one deterministic order."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence

import msgspec

from gateway.core.agenda import Agenda
from gateway.core.arrivals import Arrivals
from gateway.core.crowd import Crowd, RadioDevice
from gateway.core.explaining import Story, driven, open_records
from gateway.core.health import Ear
from gateway.core.learned import Lesson
from gateway.core.radio import Radio
from gateway.core.stays import Stays, Told
from gateway.core.windows import LATER_S
from gateway.core.written import (
    WrittenRecord,
    WrittenTrack,
    restore_arrivals,
    restore_stays,
    written_stays,
    written_tracks,
)
from gateway.model import Hearing, Observation, OpenStay, Presence, ReceiverHealth, SiteMap
from gateway.reading import Reading

SNAPSHOT_VERSION = 6


class Snapshot(msgspec.Struct):
    version: int
    site_digest: bytes
    now_s: float
    rejected: dict[str, int]
    ears: dict[str, Ear]
    began_s: float | None
    devices: list[RadioDevice]
    learned: dict[str, dict[int, Lesson]]
    tracks: list[WrittenTrack]
    records: list[WrittenRecord]
    untold: list[Presence]


class Core:
    """Zones by radio and by fence, and the presence state table.

    Time is an argument (Unix seconds) and never runs backwards: an earlier one is taken as the core's own.
    The same observations give the same events wherever the input is split, also with `advance` in between.
    Before anything else a call runs what is due at or before its time, each at its own exact time, in
    (deadline, subject, zone) order; of what a call without a result brings about, the next call tells.
    """

    def __init__(self, site: SiteMap) -> None:
        self.rejected: dict[str, int] = {}
        """Observations that were no evidence, by reason: invalid, coarse, implausible, too_late, duplicate,
        bad_rssi, unknown_link; and `cloned`, how often an identity was found at two places at once."""
        self._site = site
        self._now_s = float("-inf")
        self._agenda = Agenda()
        self._stays = Stays(self._agenda)
        self.table = self._stays.table
        """The presence state table, for those who measure it."""
        self._radio = Radio(site, self._agenda, self._stays, self._reject)
        self._arrivals = Arrivals(site.fences, self._agenda, self._stays, self._reject)
        self._crowd: Crowd = self._radio.crowd
        self._know(site)

    def observe(self, batch: Sequence[Observation]) -> list[Presence]:
        """The same as `observe_one` of one after another."""
        at = 0
        while at < len(batch):
            end = self._crowd.take(batch, at, self._now_s)
            self._now_s = self._crowd.reached_s
            if end == at:
                self._take(batch[at])
                end = at + 1
            at = end
        return self._stays.drain()

    def observe_one(self, observation: Observation) -> list[Presence]:
        if type(observation) is Reading and self._crowd.takes(observation, self._now_s):
            self._now_s = self._crowd.reached_s
        else:
            self._take(observation)
        return self._stays.drain()

    def advance(self, t_s: float) -> list[Presence]:
        """Run everything due at or before `t_s`."""
        self._reach(t_s)
        return self._stays.drain()

    def next_deadline(self) -> float | None:
        """When `advance` has something to do next; None: not before the next observation."""
        first_s = self._agenda.first_s()
        return None if first_s == LATER_S else max(first_s, self._now_s)

    def receiver_alive(self, receiver: str, alive: bool, t_s: float) -> list[Presence]:
        """A last will or a heartbeat; one of a receiver that is not in the map is counted."""
        self._reach(t_s)
        if not self._radio.health.alive(receiver, alive, self._now_s):
            self._reject("unknown_link")
        return self._stays.drain()

    def forget(self, subject: str) -> None:
        """Withdrawal: all state of the subject is gone, without an event."""
        self._radio.forget(subject)
        self._arrivals.forget(subject)
        self._stays.forget(subject)

    def devices_of(self, subject: str) -> list[str]:
        """Devices of a subject of which anything is kept here."""
        crowd = self._radio.crowd
        heard = [crowd.who(row)[1] for row in crowd.rows_of(subject)]
        driven = [device for owner, device in self._arrivals.vehicles.rows if owner == subject]
        return sorted({*heard, *driven})

    def receivers(self) -> list[ReceiverHealth]:
        """Which receivers of the map hear, as of the core's own time."""
        dead = self._radio.health.dead(self._now_s)
        ears, _ = self._radio.health.known()
        return [ReceiverHealth(id, ear.heard_s, id in dead) for id, ear in ears.items()]

    def explain(self, subject: str) -> Story:
        """Why it says of the subject what it says, at its time; nothing changes by it."""
        radio = [self._radio.explain(row, self._now_s) for row in sorted(self._radio.crowd.rows_of(subject))]
        thresholds_s = {zone.id: zone.dwell_s for zone in self._site.zones}
        thresholds_s |= {fence.id: fence.dwell_s for fence in self._site.fences}
        stays = open_records(self._stays, subject, thresholds_s)
        return Story(self._now_s, radio, driven(self._arrivals, subject), stays)

    def leave(self, subject: str, device: str, t_s: float) -> list[Presence]:
        """The vehicle has another driver now: its stays of the subject end as `left`, reason `driver`."""
        self._reach(t_s)
        self._arrivals.leave(subject, device, self._now_s)
        return self._stays.drain()

    def resume(self, stays: Iterable[OpenStay], t_s: float) -> list[Presence]:
        """Take up what was open at the last stop (DESIGN §3.1); for a core that has observed nothing yet.

        A radio stay is confirmed within its `leave_after` or ends as `left`, reason `restart`; a fence stay
        ends 12 h after its last evidence inside, an open `entering` after 120 s of silence from `t_s`. What
        belongs to a zone that is no longer in the map is closed at once, reason `restart`.
        """
        self._reach(t_s)
        rows = sorted(stays, key=lambda stay: (stay.subject, stay.zone))
        radio = {zone.id for zone in self._site.zones}
        fences = {fence.id for fence in self._site.fences}
        self._radio.resume([row for row in rows if row.zone in radio], self._now_s)
        for row in rows:
            if row.zone in fences:
                self._arrivals.resume(row, self._now_s)
            elif row.zone not in radio:
                self._stays.resume(row, row.devices, self._now_s)
                self._stays.end(row.subject, row.zone, Told(self._now_s, self._now_s, {"reason": "restart"}))
        self._serve(self._now_s)
        return self._stays.drain()

    def replace_site(self, site: SiteMap) -> list[Presence]:
        """Another map, now. Zones that are equal keep their state; what is open in a removed or changed one
        is closed as `left` or `passed`, reason `restart`."""
        self._radio.replace(site, self._now_s)
        self._arrivals.replace(site.fences, self._now_s)
        self._site = site
        self._know(site)
        self._serve(self._now_s)
        return self._stays.drain()

    def snapshot(self) -> bytes:
        """All state; equal states give equal bytes."""
        ears, began_s = self._radio.health.known()
        return msgspec.msgpack.encode(
            Snapshot(
                version=SNAPSHOT_VERSION,
                site_digest=_digest(self._site),
                now_s=self._now_s,
                rejected=dict(sorted(self.rejected.items())),
                ears=ears,
                began_s=began_s,
                devices=self._radio.devices(),
                learned=self._crowd.beliefs.heard_so_far(),
                tracks=written_tracks(self._arrivals),
                records=written_stays(self._stays),
                untold=self._stays.untold(),
            )
        )

    def restore(self, snapshot: bytes) -> None:
        """Go on where `snapshot` was taken, with identical events. ValueError: not a snapshot of this version
        or of this map."""
        try:
            state = msgspec.msgpack.decode(snapshot, type=Snapshot)
        except msgspec.MsgspecError as error:
            raise ValueError(f"not a snapshot: {error}") from error
        if state.version != SNAPSHOT_VERSION:
            raise ValueError(f"snapshot of version {state.version}, not {SNAPSHOT_VERSION}")
        if state.site_digest != _digest(self._site):
            raise ValueError("snapshot of another map")
        self._now_s = state.now_s
        self.rejected = state.rejected
        self._agenda.clear()
        self._radio.health.adopt(state.ears, state.began_s)
        restore_stays(self._stays, state.records, state.untold)
        self._crowd.beliefs.know(state.learned)
        self._radio.restore(state.devices, state.now_s)
        restore_arrivals(self._arrivals, state.tracks)

    # --- inner ---

    def _know(self, site: SiteMap) -> None:
        self._crowd = self._radio.crowd
        zones = {zone.id: zone.dwell_s for zone in site.zones}
        self._stays.know(zones | {fence.id: fence.dwell_s for fence in site.fences})

    def _reject(self, reason: str) -> None:
        self.rejected[reason] = self.rejected.get(reason, 0) + 1

    def _take(self, observation: Observation) -> None:
        t_s = observation.t_s
        if not math.isfinite(t_s):
            self._reject("invalid")
            return
        self._reach(t_s)
        if isinstance(observation, Reading):
            self._crowd.hear(observation, self._now_s)
        elif isinstance(observation, Hearing):
            self._radio.health.heard(observation.receiver, self._now_s)
        else:
            self._arrivals.observe(observation, self._now_s)
        self._serve(self._now_s)

    def _reach(self, t_s: float) -> None:
        if math.isfinite(t_s) and t_s > self._now_s:
            self._serve(t_s)
            self._now_s = t_s

    def _serve(self, until_s: float) -> None:
        self._now_s = self._agenda.serve(until_s, self._now_s)


def _digest(site: SiteMap) -> bytes:
    return hashlib.sha256(msgspec.msgpack.encode(site)).digest()
