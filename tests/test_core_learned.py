"""What a store without a calibration learns of its links while it is sure (gateway/core/learned.py).

The shop of core_words: four shelves in a row. `-` before a shelf's receiver: it stands behind something.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec
import pytest
from core_words import T0, changed, shop, standing
from msgspec.structs import replace
from test_core_crowd import walked

from gateway.core import Core
from gateway.core.core import Snapshot
from gateway.core.learned import MAP_SECONDS, OFF_MAX_DB, SECOND_MAX_DB, SECONDS_MAX, Learned, Lesson
from gateway.model import Reading, SiteMap

LESSONS: list[tuple[str, list[tuple[int, float]], float]] = [
    # heard so many seconds, so much louder than the map says; believed of it
    ("nothing heard: the map's own model", [], 0.0),
    ("one second is little", [(1, 5.0)], 5.0 / (1 + MAP_SECONDS)),
    ("as long as the map's model weighs: half", [(int(MAP_SECONDS), 4.0)], 2.0),
    ("weaker as well as louder", [(int(MAP_SECONDS), -4.0)], -2.0),
    ("louder and weaker even out", [(50, 4.0), (50, -4.0)], 0.0),
    ("an outlier says no more than its bound", [(1, 80.0)], SECOND_MAX_DB / (1 + MAP_SECONDS)),
    ("never more than the bound", [(SECONDS_MAX, 9.9)], OFF_MAX_DB),
    ("never less", [(SECONDS_MAX, -9.9)], -OFF_MAX_DB),
]


@pytest.mark.parametrize(("heard", "off_db"), [c[1:] for c in LESSONS], ids=[c[0] for c in LESSONS])
def test_lessons(heard: list[tuple[int, float]], off_db: float) -> None:
    learned = Learned(2, 3)
    for seconds, louder_db in heard:
        for _ in range(seconds):
            learned.hear(1, 2, louder_db)
    assert learned.off_db(1, 2) == pytest.approx(off_db, abs=0.002)
    assert learned.off_db(0, 2) == learned.off_db(1, 1) == 0.0


def test_a_store_that_has_changed_is_learned_anew() -> None:
    learned = Learned(1, 1)
    for second in range(20 * SECONDS_MAX):
        learned.hear(0, 0, 4.0 if second < 17 * SECONDS_MAX else -4.0)
        learned.fade(0)
    assert learned.off_db(0, 0) < -2.0
    assert learned.dump(0)[0][0] <= SECONDS_MAX


SHELVES = ("milk", "eggs", "bread", "wine")
LOSS_DB = {"milk": 0.0, "eggs": 8.0, "bread": 0.0, "wine": 0.0}
"""Something stands between bread and the receiver at the eggs."""


def visits(count: int, *, seconds: float = 40.0, faint: Sequence[str] = ("eggs",)) -> list[Reading]:
    """One after another stands at the bread; receivers at `faint` hear them weaker than distance says."""
    out = []
    for k in range(count):
        for r in standing("bread", k * seconds, (k + 1) * seconds, device=f"tag-{k}", subject=f"s{k}"):
            loss_db = LOSS_DB[r.link.removeprefix("pi-")] if r.link.removeprefix("pi-") in faint else 0.0
            out.append(changed(r, rssi_dbm=r.rssi_dbm - loss_db))
    return out


def lessons(core: Core) -> dict[str, dict[int, Lesson]]:
    return msgspec.msgpack.decode(core.snapshot(), type=Snapshot).learned


def heard(site: SiteMap, readings: list[Reading]) -> Core:
    core = Core(site)
    core.observe(readings)
    return core


def means_db(core: Core) -> dict[str, float]:
    """Of the bread, by receiver, as the sums have it: not shrunk yet."""
    return {SHELVES[r]: total / 1000 / n for r, (n, total) in lessons(core)["bread"].items()}


def test_a_link_behind_a_shelf_is_learned_against_the_others() -> None:
    plain, shaded = means_db(heard(shop(), visits(5, faint=()))), means_db(heard(shop(), visits(5)))
    assert shaded["eggs"] < plain["eggs"] - 5.0
    assert shaded["milk"] > plain["milk"]


def test_what_was_learned_makes_the_next_one_surer() -> None:
    def confidence(before: int) -> float:
        """Of the visit after so many others."""
        core = heard(shop(dwell=[20]), visits(before))
        shift_s = before * 40.0
        last = [changed(r, t_s=r.t_s + shift_s, subject="next", device="next") for r in visits(1)]
        return next(e.confidence for e in core.observe(last) if (e.subject, e.change) == ("next", "dwelled"))

    assert confidence(20) > confidence(0)


def test_who_stands_for_an_hour_says_no_more_than_who_stands_for_a_minute() -> None:
    minute, hour = heard(shop(), visits(1, seconds=70)), heard(shop(), visits(1, seconds=3600))
    assert lessons(hour) == lessons(minute)


def test_a_dead_receiver_teaches_nothing() -> None:
    alive, core = heard(shop(), visits(2)), heard(shop(), visits(2))
    alive.advance(T0 + 80)
    core.receiver_alive("pi-eggs", False, T0 + 80)
    deaf = [r for r in visits(6) if r.link != "pi-eggs" and r.t_s > T0 + 80]
    core.observe(deaf)
    assert lessons(core)["bread"][1] == lessons(alive)["bread"][1]
    assert lessons(core)["bread"][2][0] > lessons(alive)["bread"][2][0]


def test_people_outside_teach_nothing() -> None:
    far = [changed(r, rssi_dbm=-99.0) for r in visits(3)]
    assert lessons(heard(shop(), far)) == {}


def test_a_copied_tag_teaches_nothing() -> None:
    both = [changed(r, rssi_dbm=-55.0) for r in visits(1) if r.link in ("pi-milk", "pi-wine")]
    assert all(n <= 1 for zone in lessons(heard(shop(), both)).values() for n, _ in zone.values())


def test_a_calibrated_store_learns_nothing() -> None:
    assert lessons(heard(walked("phone"), visits(3))) == {}


def test_the_order_of_devices_does_not_matter() -> None:
    """Two and more in one second, heard in another order: the same sums."""
    readings = [changed(r, t_s=T0 + (r.t_s - T0) % 40.0) for r in visits(6)]
    rng = random.Random(3)
    mixed = sorted(readings, key=lambda r: (r.t_s, rng.random()))
    ordered = sorted(readings, key=lambda r: (r.t_s, r.subject))
    assert mixed != ordered
    assert lessons(heard(shop(), mixed)) == lessons(heard(shop(), ordered)) != {}


def test_a_snapshot_goes_on_with_what_was_learned() -> None:
    readings = visits(6)
    core, taken = Core(shop()), Core(shop())
    events = core.observe(readings)
    first = taken.observe(readings[:900])
    again = Core(shop())
    again.restore(taken.snapshot())
    assert first + again.observe(readings[900:]) == events
    assert again.snapshot() == core.snapshot()


def test_a_withdrawal_leaves_sums_in_which_nobody_can_be_told() -> None:
    core = heard(shop(), visits(2))
    before = lessons(core)
    for k in range(2):
        core.forget(f"s{k}")
    assert lessons(core) == before
    assert b"s1" not in core.snapshot()


def test_another_map_keeps_what_is_still_true_of_it() -> None:
    """The receiver at the eggs moves, wine is another zone: only that is forgotten."""
    core = heard(shop(), [*visits(2), *(changed(r, t_s=r.t_s + 80) for r in standing("wine", 0, 30))])
    before = lessons(core)
    assert before.keys() == {"bread", "wine"}
    site = shop()
    receivers = tuple(replace(r, at=(9.0, 3.0, 2.4)) if r.id == "pi-eggs" else r for r in site.receivers)
    zones = tuple(replace(z, at=(26.0, 0.0)) if z.id == "wine" else z for z in site.zones)
    core.replace_site(replace(site, receivers=receivers, zones=zones))
    assert lessons(core) == {"bread": {r: n for r, n in before["bread"].items() if r != 1}}
