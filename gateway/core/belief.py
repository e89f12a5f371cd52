"""A tempered sticky Bayes filter: where each device is, given what its links sound like (DESIGN §5.1).

Three things are added to the form given there. A zone is a few spots that sound different; the belief is held
by spot and summed by zone. The offset of a phone (how loud it is on all links alike) is remembered from step
to step instead of being free at each: with every step it is known better, down to `OFFSET_SD_MIN_DB`. And the
silence of a link counts by how often the device advertises, against how often the one did that calibrated.

One row per device, in arrays; compiled where a compiler was at hand (belief.pxd has the types). Both forms
give the same bits.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence

from gateway.core.learned import Learned, Lesson
from gateway.core.listening import Ears, chances, decay
from gateway.core.propagation import RadioMap, radio_map
from gateway.core.sums import link_sums
from gateway.model import SiteMap

DWELL_S, SPOT_DWELL_S = 5.0, 3.0
"""Time constants with which a belief without evidence moves on to the zones around, and to the other spots
of the same zone."""
LAMBDA, LAMBDA_MISS = 0.8, 0.2
"""Neighbouring seconds are not independent: their evidence counts only so much."""
LAMBDA_MAP, LAMBDA_MISS_MAP = 1.4, 0.1
"""Without calibration; there the spread of the links says how little is known."""
CLIP = 8.0
OFFSET_SD_DB = {"phone": 10.0, "store_tag": 0.0}
"""Spread of what a device adds to all its links alike; two phones of one data set (UJI BLE RSS) differ by
20 dB. A store's tags are those that calibrated it."""
OFFSET_SD_MIN_DB, OFFSET_SHARE = 3.0, 0.02
"""How well an offset is ever known, and the share of one step in it."""
SILENCE_WORTH = (0.25, 2.0)
"""Bounds of what the silence of one device's link counts against that of the one that calibrated."""
LEARN_SURE = 0.9
"""Without a calibration a zone so probable is taken for the true one: the device says what it sounds like."""


def prepare(site: SiteMap) -> None:
    """Compute and remember what a filter of this map needs, in whatever thread, so that a swap is quick."""
    radio = radio_map(site)
    link_sums(radio, *counting(radio))


def counting(radio: RadioMap) -> tuple[float, float]:
    """How much the level of a link counts in a step, and how much its silence."""
    return (LAMBDA, LAMBDA_MISS) if radio.calibrated else (LAMBDA_MAP, LAMBDA_MISS_MAP)


class Beliefs:
    """`rows` devices of which nothing is known; `grow` makes room for more."""

    def __init__(self, radio: RadioMap, device_class: str, rows: int = 1) -> None:
        self.zones = radio.zones
        self._of = len(self.zones)
        index = {zone: z for z, zone in enumerate(self.zones)}
        self._zone_of = array("i", [index[spot.zone] for spot in radio.spots])
        self.spots, self._links = len(self._zone_of), len(radio.links)
        spots_of = Counter(self._zone_of)
        self._share = array("d", [1 / spots_of[z] for z in self._zone_of])
        calibrated = radio.calibrated
        self._lambda, self._miss = counting(radio)
        self._offset_variance_db2 = OFFSET_SD_DB[device_class if calibrated else "phone"] ** 2
        self._clip, self._dwell_s, self._spot_dwell_s = CLIP, DWELL_S, SPOT_DWELL_S
        self._least_worth, self._most_worth = SILENCE_WORTH
        self._offset_share, self._known_variance_db2 = OFFSET_SHARE, OFFSET_SD_MIN_DB**2
        sums, favour = link_sums(radio, self._lambda, self._miss), radio.outside_evidence
        self._mu_dbm = array("d", sums.mu_dbm)  # of its own: what it sounds like is learned
        self._weight, self._log_miss, self._log_heard = sums.weight, sums.log_miss, sums.log_heard
        self._moves = sums.moves
        self._bonus = array("d", [favour if spot.predicted else 0.0 for spot in radio.spots])
        self._learns, self._learn_sure = not calibrated, LEARN_SURE
        self.learned = Learned(self._of if self._learns else 0, self._links)
        self._map_dbm = array("d", sums.mu_dbm if self._learns else [])
        self._lessons = array("b", bytes(self._of))
        self._walk_chances = chances(radio.interval_s) if radio.interval_s > 0.0 else 0.0
        self._masked = array("b", bytes(self._links))
        self._silence = array("d", bytes(8 * self.spots))
        self._sum_silence()
        self._fresh = array("i", bytes(4 * max(self._links, 1)))
        self._fresh_dbm = array("d", bytes(8 * max(self._links, 1)))
        self._held, self._arriving = array("d", bytes(8 * self._of)), array("d", bytes(8 * self._of))
        self._gain, self._cost, self._offset_db, self._weights = (
            array("d", bytes(8 * self.spots)) for _ in range(4)
        )
        self.top, self.p, self.next_p = 0, 0.0, 0.0
        """The most probable zone of the row stepped last, its probability and that of the next."""
        self.rows = 0
        self._belief = array("f")
        self._known_db, self._variance_db2 = array("f"), array("f")
        self._stepped_s = array("d")
        self.grow(rows)

    def grow(self, rows: int) -> None:
        more = rows - self.rows
        self._belief = array("f", self._belief) + array("f", [0.0]) * (more * self.spots)
        self._known_db = array("f", self._known_db) + array("f", [0.0]) * more
        self._variance_db2 = array("f", self._variance_db2) + array("f", [0.0]) * more
        self._stepped_s = array("d", self._stepped_s) + array("d", [0.0]) * more
        self.rows = rows

    def clear(self, row: int, now_s: float) -> None:
        """Every zone is as probable as any other."""
        for s in range(self.spots):
            self._belief[row * self.spots + s] = self._share[s] / self._of
        self._known_db[row], self._variance_db2[row] = 0.0, self._offset_variance_db2
        self._stepped_s[row] = now_s

    def unknowing(self) -> list[float]:
        """A belief by spot in which every zone is as probable as any other."""
        return [share / self._of for share in self._share]

    def mask(self, links: Sequence[int]) -> None:
        """The silence of these links says nothing from now on, nor do they when heard."""
        for link in range(self._links):
            self._masked[link] = 0
        for link in links:
            self._masked[link] = 1
        self._sum_silence()

    def _sum_silence(self) -> None:
        for s in range(self.spots):
            self._silence[s] = 0.0
            for link in range(self._links):
                if not self._masked[link]:
                    self._silence[s] += self._log_miss[link * self.spots + s]

    # --- a step ---

    def step(self, row: int, ears: Ears, now_s: float) -> int:
        """Bring the belief to `now_s` and `top` up to date; returns how many links were fresh. None fresh:
        nothing is changed."""
        count = self._listen(row, ears, now_s)
        if count == 0:
            return 0
        self._move_on(row, now_s - self._stepped_s[row])
        self._weigh(row, count, self._silence_worth(ears, row))
        self._settle(row)
        self._stepped_s[row] = now_s
        return count

    def _listen(self, row: int, ears: Ears, now_s: float) -> int:
        since_s = now_s - ears._base_s[row] - ears.fresh_s(row)
        first, count = row * self._links, 0
        for link in range(self._links):
            if ears._heard_s[first + link] >= since_s and not self._masked[link]:
                self._fresh[count], self._fresh_dbm[count] = link, ears._rssi_dbm[first + link]
                count += 1
        return count

    def _silence_worth(self, ears: Ears, row: int) -> float:
        if self._walk_chances == 0.0:
            return 1.0
        worth = chances(ears._interval_s[row]) / self._walk_chances
        return max(self._least_worth, min(worth, self._most_worth))

    def _move_on(self, row: int, dt_s: float) -> None:
        """What of the belief stays in its spot, in its zone, and what arrives from the other zones."""
        kept = decay(-max(dt_s, 0.0) / self._dwell_s)
        stays = kept * decay(-max(dt_s, 0.0) / self._spot_dwell_s)
        first = row * self.spots
        for z in range(self._of):
            self._held[z] = 0.0
        for s in range(self.spots):
            self._held[self._zone_of[s]] += self._belief[first + s]
        for z in range(self._of):
            arriving, at = 0.0, z * self._of
            for other in range(self._of):
                arriving += self._held[other] * self._moves[at + other]
            self._arriving[z] = (1.0 - kept) * arriving + (kept - stays) * self._held[z]
        for s in range(self.spots):
            prior = stays * self._belief[first + s] + self._arriving[self._zone_of[s]] * self._share[s]
            self._belief[first + s] = prior

    def _weigh(self, row: int, count: int, worth: float) -> None:
        """Evidence of each spot, into `_gain`; the offset that fits it best, into `_offset_db`."""
        variance_db2, known_db = self._variance_db2[row], self._known_db[row]
        for s in range(self.spots):
            self._gain[s] = self._bonus[s] + worth * self._miss * self._silence[s]
            self._cost[s] = self._offset_db[s] = self._weights[s] = 0.0
        for k in range(count):
            at, heard_dbm = self._fresh[k] * self.spots, self._fresh_dbm[k]
            silence = worth * self._miss
            for s in range(self.spots):
                self._gain[s] += self._log_heard[at + s] - silence * self._log_miss[at + s]
            if variance_db2 > 0.0:
                for s in range(self.spots):
                    self._weights[s] += self._weight[at + s]
                    self._offset_db[s] += self._weight[at + s] * (heard_dbm - self._mu_dbm[at + s])
        if variance_db2 > 0.0:
            sure = 1.0 / variance_db2
            for s in range(self.spots):
                offset_db = (self._offset_db[s] + known_db * sure) / (self._weights[s] + sure)
                self._offset_db[s] = offset_db
                self._cost[s] = 0.5 * sure * (offset_db - known_db) * (offset_db - known_db)
        for k in range(count):
            at, heard_dbm = self._fresh[k] * self.spots, self._fresh_dbm[k]
            for s in range(self.spots):
                off_db = heard_dbm - self._mu_dbm[at + s] - self._offset_db[s]
                misfit = 0.5 * self._weight[at + s] * off_db * off_db
                self._cost[s] += misfit if misfit < self._clip else self._clip

    def _settle(self, row: int) -> None:
        """Prior times evidence, normalised; what is learned of the offset; the most probable zone."""
        first, best = row * self.spots, -1e300
        for s in range(self.spots):
            self._gain[s] -= self._lambda * self._cost[s]
            best = max(best, self._gain[s])
        total = 0.0
        for s in range(self.spots):
            odds = self._belief[first + s] * decay(self._gain[s] - best)
            self._gain[s] = odds
            total += odds
        seen_db = 0.0
        for z in range(self._of):
            self._held[z] = 0.0
        for s in range(self.spots):
            p = self._gain[s] / total
            self._belief[first + s] = p
            self._held[self._zone_of[s]] += p
            seen_db += p * self._offset_db[s]
        self._rank()
        if self._offset_variance_db2 > 0.0:
            self._known_db[row] += self._offset_share * (seen_db - self._known_db[row])
            narrower = self._variance_db2[row] * (1.0 - 2.0 * self._offset_share)
            self._variance_db2[row] = max(self._known_variance_db2, narrower)

    def _rank(self) -> None:
        self.top, self.p, self.next_p = 0, -1.0, 0.0
        for z in range(self._of):
            if self._held[z] > self.p:
                self.top, self.next_p, self.p = z, max(self.p, 0.0), self._held[z]
            elif self._held[z] > self.next_p:
                self.next_p = self._held[z]

    # --- what is learned where there is no calibration ---

    def learn(self, row: int, count: int) -> None:
        """What the zone of the row stepped last sounds like, if the device is surely there.

        All spots of a zone learn alike: by spot, less was gained (docs/radio.md).
        """
        if not self._learns or self.p < self._learn_sure:
            return
        self._lessons[self.top] = 1
        for k in range(count):
            at, expected_dbm, weight = self._fresh[k] * self.spots, 0.0, 0.0
            for s in range(self.spots):
                if self._zone_of[s] == self.top:
                    p = self._belief[row * self.spots + s]
                    expected_dbm += p * (self._map_dbm[at + s] + self._offset_db[s])
                    weight += p
            self.learned.hear(self.top, self._fresh[k], self._fresh_dbm[k] - expected_dbm / weight)

    def take_up(self) -> None:
        """What was learned counts from now on."""
        for z in range(self._of):
            if self._lessons[z]:
                self._lessons[z] = 0
                self.learned.fade(z)
                self._retune(z)

    def _retune(self, zone: int) -> None:
        for link in range(self._links):
            off_db, at = self.learned.off_db(zone, link), link * self.spots
            for s in range(self.spots):
                if self._zone_of[s] == zone:
                    self._mu_dbm[at + s] = self._map_dbm[at + s] + off_db

    def heard_so_far(self) -> dict[str, dict[int, Lesson]]:
        """By zone, what was learned of each link; nothing of zones where nothing was."""
        return {zone: known for z, zone in enumerate(self.zones) if (known := self.learned.dump(z))}

    def know(self, so_far: Mapping[str, Mapping[int, Lesson]]) -> None:
        """Go on from there; zones that are not in the map are left out."""
        for z, zone in enumerate(self.zones):
            if self._learns and zone in so_far:
                self.learned.load(z, so_far[zone])
                self._retune(z)

    # --- what is believed ---

    def look(self, row: int) -> None:
        """`top`, `p`, `next_p` and `probability` of this row."""
        for z in range(self._of):
            self._held[z] = 0.0
        for s in range(self.spots):
            self._held[self._zone_of[s]] += self._belief[row * self.spots + s]
        self._rank()

    def probability(self, zones: Sequence[int]) -> float:
        """That the device of the row looked at or stepped last is in any of these, by number."""
        total = 0.0
        for z in zones:
            total += self._held[z]
        return min(total, 1.0)

    def by_zone(self, row: int) -> list[float]:
        """In the order of `zones`; the sum is 1, but for rounding."""
        self.look(row)
        return list(self._held)

    def spread(self, row: int, by_zone: Sequence[float]) -> None:
        """A belief over zones, evenly over the spots of each."""
        for s in range(self.spots):
            self._belief[row * self.spots + s] = by_zone[self._zone_of[s]] * self._share[s]

    def offset(self, row: int) -> tuple[float, float]:
        """How much louder than the map the device is, in dB, and the variance of that."""
        return self._known_db[row], self._variance_db2[row]

    def dump(self, row: int) -> tuple[list[float], float, float, float]:
        """Belief by spot, offset and its variance, time of the last step: what `load` takes."""
        belief = [self._belief[row * self.spots + s] for s in range(self.spots)]
        return belief, self._known_db[row], self._variance_db2[row], self._stepped_s[row]

    def load(self, row: int, state: tuple[list[float], float, float, float]) -> None:
        belief, self._known_db[row], self._variance_db2[row], self._stepped_s[row] = state
        for s in range(self.spots):
            self._belief[row * self.spots + s] = belief[s]

    @property
    def nbytes(self) -> int:
        """Of one row: belief, offset and its variance in 4 bytes each, time of the last step in 8."""
        return 4 * self.spots + 4 + 4 + 8
