"""The radio half against plain Python objects and numpy: `.venv/bin/python bench/radio.py` (extra `bench`).

CPU time, contenders in turn in one run, the least of several rounds; the run ends with an error if two of
them differ in an answer. A store of 16 zones and 16 receivers, calibrated by a walk, and 1,000 tags.
Both peers follow the same formulas; neither keeps claims, timers, batteries or who is due when. What is heard
goes through the core's own door; the step of each second comes between and is measured apart. `in order`: all
receivers of one advert after another; `shuffled`: as they come, no two after another of one device.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
import numpy as np

from gateway.calibration import fit, samples
from gateway.core import Core, belief, listening
from gateway.core.agenda import Agenda
from gateway.core.core import Snapshot
from gateway.core.crowd import Crowd
from gateway.core.form import core_form
from gateway.core.health import Health
from gateway.core.propagation import RadioMap, radio_map
from gateway.core.stays import Stays
from gateway.core.sums import SD_FLOOR_DB
from gateway.model import Anchor, Label, Reading, SiteMap, Zone

T0 = 1_766_390_400.0
SIDE, GAP_M = 4, 5.0
DEVICES, SECONDS = 1_000, 10
BATCH = 256
TAU_S = 1.0
"""As in listening.py: compiled, it cannot be imported."""
ROUNDS = 5


def store() -> SiteMap:
    """Sixteen shelves on a grid, a receiver over each, calibrated by 30 s of standing in each."""
    places = [(GAP_M * i, GAP_M * j) for i in range(SIDE) for j in range(SIDE)]
    zones = tuple(
        Zone(f"z{k}", "shelf", f"z{k}", "g", at=place, dwell_s=(15.0,)) for k, place in enumerate(places)
    )
    receivers = tuple(Anchor(f"r{k}", "g", (*place, 2.4)) for k, place in enumerate(places))
    site = SiteMap("bench", device_class="phone", zones=zones, receivers=receivers)
    rng, walk = Random("walk"), list[Reading | Label]()
    for k, zone in enumerate(zones):
        walk.append(Label(T0 + 30 * k, "tag", zone.id))
        for s in range(30):
            walk += heard(rng, site, "tag", places[k], T0 + 30 * k + s + 0.5, spread_m=2.0)
    links = tuple(r.id for r in receivers)
    return msgspec.structs.replace(site, calibration=fit(samples(walk, links), site, links).calibration)


def heard(
    rng: Random, site: SiteMap, device: str, place: tuple[float, float], t_s: float, *, spread_m: float = 1.0
) -> list[Reading]:
    x, y = (v + rng.uniform(-spread_m, spread_m) for v in place)
    out = []
    for receiver in site.receivers:
        assert receiver.at is not None
        way_m = math.dist(receiver.at, (x, y, 1.2))
        rssi_dbm = -59.0 - 25 * math.log10(max(way_m, 1.0)) + rng.gauss(0.0, 4.0)
        if rssi_dbm > -92.0:
            out.append(Reading(t_s, device, device, receiver.id, float(round(rssi_dbm))))
    return out


def day(site: SiteMap) -> list[list[Reading]]:
    """By second, what all tags' adverts bring."""
    rng = Random("day")
    places = [zone.at or (0.0, 0.0) for zone in site.zones]
    at = [rng.choice(places) for _ in range(DEVICES)]
    seconds = []
    for second in range(SECONDS):
        readings = []
        for k in range(DEVICES):
            # no gap of whole seconds: at a limit the core's 32 bits and the peers' 64 may fall on two sides
            t_s = T0 + second + (k + 0.3 * (second % 2)) / DEVICES
            readings += heard(rng, site, f"d{k}", at[k], t_s)
        seconds.append(readings)
    return seconds


def in_turns(contenders: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """The least CPU seconds of each."""
    taken = dict.fromkeys(contenders, math.inf)
    for _ in range(rounds):
        for name, run in contenders.items():
            began_s = time.process_time()
            run()
            taken[name] = min(taken[name], time.process_time() - began_s)
    return taken


def table(taken: dict[str, float], count: int) -> list[str]:
    """CPU time of one, and how many times less than the first's it is."""
    first = next(iter(taken.values()))
    return [f"  {name:36} {s / count * 1e6:9.3f} µs  1/{first / s:.1f}" for name, s in taken.items()]


class Objects:
    """What one would write in plain Python: a dictionary of links in an object per device."""

    class Device:
        def __init__(self, links: int) -> None:
            self.rssi_dbm, self.heard_s = [0.0] * links, [-math.inf] * links
            self.interval_s, self.strongest = listening.ADVERTISED_S, -1

    def __init__(self, site: SiteMap) -> None:
        self._links = {r.id: i for i, r in enumerate(site.receivers)}
        self._receivers = {r.id: [-math.inf, 0.0] for r in site.receivers}
        self.devices: dict[tuple[str, str], Objects.Device] = {}

    def observe(self, reading: Reading) -> None:
        if not -120.0 <= reading.rssi_dbm <= -1.0 or reading.link not in self._links:
            return
        link, now_s = self._links[reading.link], reading.t_s
        ear = self._receivers[reading.link]
        if ear[0] != -math.inf:
            ear[1] += 0.05 * (now_s - ear[0] - ear[1])
        ear[0] = now_s
        device = self.devices.get((reading.subject, reading.device))
        if device is None:
            device = self.devices[reading.subject, reading.device] = self.Device(len(self._links))
        gap_s = now_s - device.heard_s[link]
        device.heard_s[link] = now_s
        if gap_s > 3 * TAU_S:
            device.rssi_dbm[link] = reading.rssi_dbm
        else:
            share = max(1 - math.exp(-gap_s / TAU_S), 0.05) if gap_s >= 0.0005 else 0.3
            device.rssi_dbm[link] += share * (reading.rssi_dbm - device.rssi_dbm[link])
        best = device.strongest
        fresh_s = max(3.0, 3.0 * device.interval_s)
        if link == best:
            if 0.0 < gap_s < 300.0:
                device.interval_s += 0.1 * (min(gap_s, 3 * device.interval_s) - device.interval_s)
        elif (
            best < 0
            or device.rssi_dbm[link] > device.rssi_dbm[best]
            or now_s - device.heard_s[best] > fresh_s
        ):
            device.strongest = link


class Numpy:
    """The step as one writes it with numpy, one device at a time."""

    def __init__(self, model: RadioMap) -> None:
        spots = [spot.links for spot in model.spots]
        self._mu = np.array([[m.mu_dbm for m in row] for row in spots])
        self._sd = np.maximum(np.array([[m.sd_db for m in row] for row in spots]), SD_FLOOR_DB)
        self._p = np.array([[m.p_hear for m in row] for row in spots])
        self._zone_of = np.array([model.zones.index(spot.zone) for spot in model.spots])
        self._share = 1 / np.bincount(self._zone_of)[self._zone_of]
        self._moves = np.array(model.moves)
        self._bonus = np.where([s.predicted for s in model.spots], model.outside_evidence, 0.0)
        self._chances = listening.chances(model.interval_s)
        self._n = len(model.zones)
        self.belief = np.tile(self._share / self._n, (DEVICES, 1))
        self.known_db, self.variance_db2 = np.zeros(DEVICES), np.full(DEVICES, 100.0)

    def step(self, k: int, ears: Any, now_s: float, dt_s: float) -> None:
        worth = np.clip(listening.chances(ears[k].interval_s) / self._chances, *belief.SILENCE_WORTH)
        since_s = now_s - max(3.0, 3 * ears[k].interval_s)
        times = np.array(ears[k].heard_s)
        is_fresh = times >= since_s
        rssi_dbm = np.array(ears[k].rssi_dbm)[is_fresh]
        mu, sd = self._mu[:, is_fresh], self._sd[:, is_fresh]
        kept = math.exp(-dt_s / belief.DWELL_S)
        stays = kept * math.exp(-dt_s / belief.SPOT_DWELL_S)
        held = np.bincount(self._zone_of, self.belief[k], self._n)
        arriving = (1 - kept) * (self._moves @ held) + (kept - stays) * held
        prior = stays * self.belief[k] + arriving[self._zone_of] * self._share
        weight = 1 / sd**2
        sure = 1 / self.variance_db2[k]
        offset = (weight * (rssi_dbm - mu)).sum(1) + self.known_db[k] * sure
        offset /= weight.sum(1) + sure
        misfit = np.minimum(0.5 * weight * (rssi_dbm - mu - offset[:, None]) ** 2, belief.CLIP)
        cost = misfit.sum(1) + 0.5 * sure * (offset - self.known_db[k]) ** 2 + np.log(sd).sum(1)
        log_silent = np.log(1 - self._p[:, ~is_fresh]).sum(1) * worth
        log_heard = np.log(self._p[:, is_fresh]).sum(1)
        gain = self._bonus + belief.LAMBDA_MISS * (log_silent + log_heard) - belief.LAMBDA * cost
        odds = prior * np.exp(gain - gain.max())
        self.belief[k] = odds / odds.sum()
        self.known_db[k] += 0.02 * (self.belief[k] @ offset - self.known_db[k])
        self.variance_db2[k] = max(9.0, self.variance_db2[k] * 0.96)


def crowd_of(site: SiteMap) -> Crowd:
    health = Health([r.id for r in site.receivers])
    never = 2.0  # a probability beyond 1: nobody moves
    return Crowd(site, radio_map(site), health, Agenda(), theta=never, new_theta=never, reject=lambda _: None)


def main() -> None:
    site = store()
    seconds = day(site)
    count = sum(map(len, seconds))
    print(f"numpy {np.__version__}; core: {core_form()}; {len(radio_map(site).spots)} spots")
    print(f"{count:,} readings of {DEVICES:,} devices at {len(site.receivers)} receivers")
    observing(site, seconds, "in order")
    observing(site, shuffled(seconds), "shuffled")
    stepping(site, seconds)


def shuffled(seconds: list[list[Reading]]) -> list[list[Reading]]:
    """Within each second in any order, at the same times."""
    rng, out = Random("order"), []
    for readings in seconds:
        mixed = rng.sample(readings, len(readings))
        times = [reading.t_s for reading in readings]
        out.append(
            [
                Reading(t_s, r.subject, r.device, r.link, r.rssi_dbm)
                for t_s, r in zip(times, mixed, strict=True)
            ]
        )
    return out


def observing(site: SiteMap, seconds: list[list[Reading]], order: str) -> None:
    made: dict[str, Any] = {}
    taken: dict[str, float] = {}

    def play(name: str, peer: Any, observe: Callable[[Any, list[Reading]], None]) -> None:
        made[name], seconds_taken = peer, 0.0
        for second, readings in enumerate(seconds):
            began_s = time.process_time()
            observe(peer, readings)
            seconds_taken += time.process_time() - began_s
            if isinstance(peer, Core):
                peer.advance(T0 + second + 1.0)
        taken[name] = min(taken.get(name, math.inf), seconds_taken)

    for _ in range(ROUNDS):
        play(f"plain Python objects, {order}", Objects(site), one_a_call)
        play("core, one a call", Core(site), core_one_a_call)
        play(f"core, batches of {BATCH}", Core(site), core_in_batches)
    print(*table(taken, sum(map(len, seconds))), sep="\n")
    plain, *cores = made.values()
    for core in cores:
        compare(plain, core)


def one_a_call(peer: Objects, readings: list[Reading]) -> None:
    for reading in readings:
        peer.observe(reading)


def core_one_a_call(core: Core, readings: list[Reading]) -> None:
    for reading in readings:
        core.observe_one(reading)


def core_in_batches(core: Core, readings: list[Reading]) -> None:
    for i in range(0, len(readings), BATCH):
        core.observe(readings[i : i + BATCH])


def compare(plain: Objects, core: Core) -> None:
    """By the core's snapshot: all that it knows."""
    devices = msgspec.msgpack.decode(core.snapshot(), type=Snapshot).devices
    if len(devices) != len(plain.devices):
        sys.exit("not the same devices")
    for device in devices:
        peer = plain.devices[device.subject, device.device]
        rssi_dbm, _, _, _, interval_s, strongest = device.ears
        same = np.allclose(rssi_dbm, peer.rssi_dbm, atol=1e-3) and strongest == peer.strongest
        if not same or not math.isclose(interval_s, peer.interval_s, rel_tol=1e-3):
            sys.exit(f"another answer for {device.device}")


def stepping(site: SiteMap, seconds: list[list[Reading]]) -> None:
    stays = Stays(Agenda())
    objects, crowd, peer = Objects(site), crowd_of(site), Numpy(radio_map(site))
    rows = [(f"d{k}", f"d{k}") for k in range(DEVICES)]
    taken: dict[str, float] = {}
    for second, readings in enumerate(seconds):
        now_s = T0 + second + 1.0
        for reading in readings:
            objects.observe(reading)
            crowd.hear(reading, reading.t_s)
        ears = [objects.devices[row] for row in rows]

        def by_numpy(now_s: float = now_s, ears: Any = ears, first: bool = second == 0) -> None:
            for k in range(DEVICES):
                dt_s = now_s - (T0 + k / DEVICES) if first else 1.0
                peer.step(k, ears, now_s, dt_s)

        def at_once(now_s: float = now_s) -> None:
            crowd.step(now_s, stays)

        once = in_turns(
            {"numpy, one device after the other": by_numpy, "all devices at once": at_once}, rounds=1
        )
        for name, seconds_taken in once.items():
            taken[name] = min(taken.get(name, math.inf), seconds_taken)
    print(*table(taken, DEVICES), sep="\n")
    for k in range(DEVICES):
        ours = crowd.beliefs.dump(crowd.row(*rows[k]))[0]
        if not np.allclose(ours, peer.belief[k], atol=2e-2):  # ours are kept in 32 bits
            sys.exit(f"another belief for device {k}: {max(abs(ours - peer.belief[k]))}")
    print(f"{crowd.nbytes} bytes of state a device")
    whole(site, seconds)


def whole(site: SiteMap, seconds: list[list[Reading]]) -> None:
    """The core with claims, timers and events, per reading of a day in batches."""

    def play() -> None:
        core = Core(site)
        for second, readings in enumerate(seconds):
            for i in range(0, len(readings), BATCH):
                core.observe(readings[i : i + BATCH])
            core.advance(T0 + second + 1.0)

    count = sum(map(len, seconds))
    print("the whole core: batches, claims of 1,000 stays a second")
    print(*table(in_turns({"core": play}, rounds=3), count), sep="\n")


if __name__ == "__main__":
    main()
