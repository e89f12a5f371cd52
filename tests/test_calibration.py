"""A walk with labels becomes what each link sounds like; every number can be read off the table beside it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from core_words import T0, shop, standing
from msgspec.structs import replace

from gateway.calibration import Sample, fit, samples, separations
from gateway.calibration.clusters import partition
from gateway.calibration.loudness import offsets_db
from gateway.calibration.path import Cluster, cluster, fit_path
from gateway.calibration.separation import CONFUSED
from gateway.core.propagation import OUTSIDE
from gateway.model import Calibration, Label, LinkModel, Reading, Spot

LINKS = ("pi-milk", "pi-eggs", "pi-bread", "pi-wine")
SHELVES = ("milk", "eggs", "bread", "wine")


def walk(
    *zones: str, device: str = "tag", seconds: float = 20, louder_db: float = 0
) -> list[Reading | Label]:
    """So many seconds in each zone, one after the other."""
    out: list[Reading | Label] = []
    for i, zone in enumerate(zones):
        out.append(Label(T0 + i * seconds, device, zone))
        for r in standing(zone, i * seconds, (i + 1) * seconds, device=device):
            out.append(Reading(r.t_s, r.subject, r.device, r.link, r.rssi_dbm + louder_db))
    return out


def test_samples_are_what_the_filter_hears_once_a_second() -> None:
    taken = samples(walk("milk", seconds=5), LINKS)
    assert [(s.zone, s.rssi_dbm) for s in taken] == [("milk", (-60.0, -72.0, -84.0, -96.0))] * 5
    assert taken[-1].interval_s < taken[0].interval_s < 1.0, "adverts come twice a second"


SILENT_TABLE: list[tuple[str, list[Reading | Label], list[str]]] = [
    ("before the first label nothing is learned", [*standing("milk", 0, 3)], []),
    ("a label of another device says nothing", [Label(T0, "other", "milk"), *standing("milk", 0, 3)], []),
    ("a label without a zone means outside", [Label(T0, "tag", None), *standing("milk", 0, 2)], [OUTSIDE] * 2),
    ("until its next label", [Label(T0, "tag", "milk"), *standing("milk", 0, 2), Label(T0 + 2, "tag", "eggs"), *standing("milk", 2, 4)], ["milk", "milk", "eggs", "eggs"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("entries", "zones"), [s[1:] for s in SILENT_TABLE], ids=[s[0] for s in SILENT_TABLE]
)
def test_labels(entries: list[Reading | Label], zones: list[str]) -> None:
    assert [sample.zone for sample in samples(entries, LINKS)] == zones


def test_sentinels_and_links_of_another_map_are_left_out() -> None:
    bad = [Reading(T0 + 0.5, "anna", "tag", "pi-milk", 127.0), Reading(T0 + 0.5, "anna", "tag", "x", -60.0)]
    assert samples([Label(T0, "tag", "milk"), *bad], LINKS) == []


def fitted(entries: Iterable[Reading | Label]) -> dict[str, list[float]]:
    found = fit(samples(entries, LINKS), shop(), LINKS)
    return {s.zone: [round(m.mu_dbm) for m in s.links] for s in found.calibration.spots if s.zone != OUTSIDE}


def test_a_long_walk_is_believed_and_a_short_one_shrunk_toward_the_line() -> None:
    own_dbm = [fitted(walk(*SHELVES, seconds=s))["milk"][0] for s in (4, 60)]
    line_dbm = fit(samples(walk(*SHELVES, seconds=60), LINKS), shop(), LINKS).path
    assert line_dbm is not None
    assert own_dbm[1] == pytest.approx(-60, abs=1)
    assert own_dbm[0] < own_dbm[1], "the line is weaker there than what was heard"


def test_two_ends_of_a_zone_are_two_spots() -> None:
    """Half of the walk below one receiver, half below the next, and both are called milk."""
    both: list[Reading | Label] = [Label(T0, "tag", "milk")]
    both += [*standing("milk", 0, 40), *standing("eggs", 40, 80)]
    found = fit(samples(both, LINKS), shop(), LINKS)
    strongest = {max(range(4), key=lambda r: s.links[r].mu_dbm) for s in found.calibration.spots if s.zone == "milk"}  # fmt: skip
    assert strongest == {0, 1}


def test_what_was_not_walked_and_what_is_not_in_the_map_is_named() -> None:
    found = fit(samples(walk("milk", "eggs"), LINKS), shop(), LINKS)
    assert found.not_walked == ("bread", "wine")
    strange = [Sample("tag", "atrium", (-60.0, None, None, None))]
    found = fit([*samples(walk("milk", "eggs"), LINKS), *strange], shop(), LINKS)
    assert found.unknown == ("atrium",)
    assert [(w.zone, w.seconds, w.links) for w in found.zones] == [("milk", 20, 4), ("eggs", 20, 4)]


def test_places_where_nobody_walked_are_ground_outside() -> None:
    """Nearest to the receiver that hangs there."""
    found = fit(samples(walk("milk", "eggs", "bread"), LINKS), shop(), LINKS)
    outside = [s for s in found.calibration.spots if s.zone == OUTSIDE]
    assert outside
    assert all(max(range(4), key=lambda r: s.links[r].mu_dbm) == 3 for s in outside)
    assert all(s.predicted for s in outside)


def test_ground_outside_that_was_walked_is_not_predicted() -> None:
    """Only what is predicted is favoured: a walked place fits as well as any zone."""
    aisle = [Sample("tag", OUTSIDE, (-75.0, -75.0, -75.0, -75.0))] * 40
    spots = fit([*samples(walk("milk", "eggs", "bread"), LINKS), *aisle], shop(), LINKS).calibration.spots
    kinds = {(spot.zone == OUTSIDE, spot.predicted) for spot in spots}
    assert kinds == {(False, False), (True, False), (True, True)}


def test_nothing_to_learn_from_is_an_error() -> None:
    with pytest.raises(ValueError, match="no label of the recording names a zone"):
        fit([], shop(), LINKS)


def test_zones_without_a_place_can_be_calibrated() -> None:
    site = shop()
    site = replace(site, zones=tuple(replace(z, at=None) for z in site.zones))
    found = fit(samples(walk(*SHELVES), LINKS), site, LINKS)
    assert found.path is None
    assert len(found.zones) == 4


LOUDNESS_TABLE = [
    # devices with (zones walked, how much louder): offsets found
    ("two phones that share zones", {"a": (SHELVES, 0), "b": (SHELVES, 10)}, {"a": 0, "b": 10}),
    ("one that saw two zones only is taken as it is", {"a": (SHELVES, 0), "b": (("milk", "eggs"), 10)}, {"b": 0}),
    ("one alone is the measure", {"a": (SHELVES, 7)}, {"a": 0}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("walks", "expected"), [s[1:] for s in LOUDNESS_TABLE], ids=[s[0] for s in LOUDNESS_TABLE]
)
def test_loudness(walks: dict[str, tuple[tuple[str, ...], float]], expected: dict[str, float]) -> None:
    taken = [
        sample
        for device, (zones, louder_db) in walks.items()
        for sample in samples(walk(*zones, device=device, seconds=60, louder_db=louder_db), LINKS)
    ]
    found = offsets_db(taken)
    assert {device: found[device] for device in expected} == pytest.approx(expected, abs=1.5)


def test_a_line_through_exact_points_is_found() -> None:
    ways = [[0.0, 0.5], [0.5, 1.0], [1.0, 0.0]]
    seen = [[cluster([-55.0 - 20 * way] * 50) for way in row] for row in ways]
    path = fit_path(ways, seen, [50] * 3)
    assert path.power_at_1m_dbm == pytest.approx(-55, abs=0.2)
    assert path.exponent == pytest.approx(2.0, abs=0.05)
    assert path.sd_db < 0.2


def test_without_any_reading_the_line_is_the_general_one() -> None:
    path = fit_path([[0.3]], [[Cluster()]], [10])
    assert (path.power_at_1m_dbm, path.exponent) == pytest.approx((-60.0, 2.4))


@pytest.mark.parametrize(
    ("values", "parts", "expected"),
    [
        ([0, 1, 10, 11], 2, [0, 0, 1, 1]),
        ([0, 1, 10, 11], 1, [0, 0, 0, 0]),
        ([5, 5, 5, 5], 3, [0, 0, 0, 0]),
        ([1, 2], 3, [0, 0]),
    ],
)
def test_partition(values: list[float], parts: int, expected: list[int]) -> None:
    found = partition([(float(v),) for v in values], parts)
    names = {k: i for i, k in enumerate(dict.fromkeys(found))}
    assert [names[k] for k in found] == expected


def test_receivers_that_hear_one_zone_only_tell_it_apart() -> None:
    """Equally loud where both are heard; each zone has two receivers that do not hear the other."""

    def told(share: float) -> float:
        heard, missed = LinkModel(-70.0, 4.0, share), LinkModel(-70.0, 4.0, 1 - share)
        spots = (Spot("milk", (heard,) * 2 + (missed,) * 2), Spot("wine", (missed,) * 2 + (heard,) * 2))
        return separations(Calibration(LINKS, spots))[0].accuracy

    assert told(0.5) == 0.5
    assert 0.5 < told(0.7) < told(0.9) < told(0.98) < 1.0
    assert told(0.98) > CONFUSED


def test_zones_that_sound_alike_cannot_be_told_apart() -> None:
    alike: list[Reading | Label] = walk("milk", "wine", seconds=60)
    alike += [Label(T0 + 120, "tag", "eggs"), *standing("milk", 120, 180)]
    told = {s.zone: s for s in separations(fit(samples(alike, LINKS), shop(), LINKS).calibration)}
    assert told["milk"].neighbour == "eggs"
    assert told["milk"].accuracy < 0.6
    assert told["wine"].accuracy > 0.95
