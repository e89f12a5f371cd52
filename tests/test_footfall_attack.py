"""Differencing published counts, by brute force: every small world, grouped by what is published of it.

An attacker has all publications and wants a true number, or how two true numbers differ: how many came
between two windows, how many are in the one zone and not in the other. It may say so if in all worlds that give
the same publications the answer is the same, and it has learned of few people if there are few answers.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import combinations, pairwise, product

import pytest
from test_footfall import W, counted, counting, presence

from gateway.consent.footfall import published
from gateway.model import Presence

Life = tuple[tuple[frozenset[int], int | None], ...]
"""One person: for each window the zones it was in, and the zone that it is in at the end (None: in none)."""
Counts = tuple[int, ...]
"""True numbers: for each window and zone, footfall and occupancy."""


def lives(zones: int, windows: int) -> Iterator[Life]:
    """All that a person can do. Zones exclude one another; who is in one at the end of a window begins there."""
    subsets = [frozenset(c) for n in range(zones + 1) for c in combinations(range(zones), n)]
    one = [(seen, end) for seen in subsets for end in (None, *sorted(seen))]
    for life in product(one, repeat=windows):
        if all(end is None or end in after for (_, end), (after, _) in pairwise(life)):
            yield life


def counts_of(life: Life, zones: int) -> Counts:
    return tuple(n for seen, end in life for z in range(zones) for n in (int(z in seen), int(z == end)))


def worlds(zones: int, windows: int, people: int) -> dict[Counts, int]:
    """The true numbers of every world of up to so many people, and how few people give them.

    Worlds with the same true numbers are the same to the attacker and kept once: 7 people have 300 million lives
    together in two zones and windows, and 875,685 different numbers.
    """
    shifted = {
        sum(n << 4 * i for i, n in enumerate(counts_of(life, zones))) for life in lives(zones, windows)
    }
    least, newest = {0: 0}, {0}
    for number in range(1, people + 1):
        newest = {world + life for world in newest for life in shifted} - least.keys()
        least.update(dict.fromkeys(newest, number))
    fields = range(0, 4 * 2 * zones * windows, 4)
    return {tuple(world >> i & 15 for i in fields): n for world, n in least.items()}


def fewest_answers(
    known: dict[Counts, int], people: int, k: int, publish: Callable[[Counts], object]
) -> tuple[int, int, int]:
    """(groups looked at, fewest possible values of a true number, fewest of a difference of two).

    Groups that begin so near to the limit of `people` that worlds of theirs are missing are left out.
    """
    groups: dict[object, list[Counts]] = defaultdict(list)
    least: dict[object, int] = {}
    for counts, n in known.items():
        said = publish(counts)
        groups[said].append(counts)
        least[said] = min(n, least.get(said, n))
    whole = [group for said, group in groups.items() if least[said] + 2 * (k - 1) <= people]
    values, differences = [], []
    for group in whole:
        columns = list(zip(*group, strict=True))
        values += [len(set(column)) for column in columns]
        differences += [len({x - y for x, y in zip(a, b, strict=True)}) for a, b in combinations(columns, 2)]
    return len(whole), min(values), min(differences)


def as_published(k: int) -> Callable[[Counts], object]:
    return lambda counts: tuple(published(n, k) for n in counts)


@pytest.mark.parametrize(
    ("zones", "windows", "people", "k", "groups"),
    [
        (1, 1, 13, 3, 10),
        (1, 2, 13, 3, 85),
        (2, 1, 13, 3, 85),
        (1, 2, 13, 5, 8),
        (2, 2, 5, 2, 52),
        pytest.param(2, 2, 6, 2, 743, marks=pytest.mark.slow),
        pytest.param(2, 2, 7, 3, 52, marks=pytest.mark.slow),
    ],
)
def test_no_publication_and_no_difference_says_more_than_k(
    zones: int, windows: int, people: int, k: int, groups: int
) -> None:
    looked_at, values, differences = fewest_answers(
        worlds(zones, windows, people), people, k, as_published(k)
    )
    print(f"{zones} zones, {windows} windows, {people} people, k={k}: {looked_at} groups, "
          f"at least {values} values of a number, {differences} of a difference")  # fmt: skip
    assert looked_at == groups
    assert values >= k
    assert differences >= k


def test_what_is_published_of_these_worlds_is_what_the_program_publishes() -> None:
    """The worlds above are numbers; here people walk through them, and `Footfall` counts."""
    chance = random.Random(7)
    choices = list(lives(2, 2))
    for _ in range(300):
        people = [chance.choice(choices) for _ in range(chance.randint(0, 9))]
        walk = [p for number, life in enumerate(people) for p in _walk(f"s{number}", life, chance)]
        told = counted(walk, 30, counting("z0", "z1"))
        truth = [sum(column) for column in zip(*(counts_of(life, 2) for life in people), strict=True)] or [
            0
        ] * 8
        expected = []
        for window, zone in product((0, 1), (0, 1)):
            footfall, occupancy = truth[4 * window + 2 * zone :][:2]
            if published(footfall, 3):
                expected.append((f"z{zone}", window, published(footfall, 3), published(occupancy, 3)))
        assert [(p.zone, _window(p.since_s), p.footfall, p.occupancy) for p in told] == expected


def _window(since_s: float) -> int:
    return int(since_s // W) % 2


def _walk(subject: str, life: Life, chance: random.Random) -> Iterator[Presence]:
    """Somebody who does that: each zone of a window once, the one at the end last."""
    here: int | None = None
    for window, (seen, end) in enumerate(life):
        order = sorted(seen - {here, end}, key=lambda _: chance.random())
        if end is not None:
            order.append(end)
        times = sorted(chance.uniform(15 * window + 0.1, 15 * window + 14.9) for _ in range(len(order) + 1))
        for zone, minute in zip([*order, None], times, strict=True):
            if zone == here:
                continue
            if here is not None and not (zone is None and here == end):
                yield presence(minute, subject, "left", f"z{here}")
                here = None
            if zone is not None:
                yield presence(minute, subject, "entered", f"z{zone}")
                here = zone


# --- the attack is one: what it finds where the rules are broken ---


def test_numbers_that_are_not_rounded_say_everything() -> None:
    """A threshold alone, as is often done: below k nothing, above it the number itself."""

    def bare(counts: Counts) -> object:
        return tuple(n if n >= 3 else 0 for n in counts)

    _, values, differences = fewest_answers(worlds(1, 2, 11), 11, 3, bare)
    assert (values, differences) == (1, 1)


def test_a_whole_and_its_parts_say_more_than_they_may() -> None:
    """A hall that consists of two aisles: three numbers of which one is the sum of the others narrow each other
    down. So the settings refuse counted zones with ground in common, and other windows over the same zone.
    """

    def with_the_hall(counts: Counts) -> object:
        _, in_one, _, in_other = counts
        return as_published(3)((in_one, in_other, in_one + in_other))

    _, values, _ = fewest_answers(worlds(2, 1, 13), 13, 3, with_the_hall)
    assert values < 3


# --- what rounding cannot do ---


def test_who_knows_all_but_one_learns_of_that_one_in_one_of_k_cases() -> None:
    """n others are known to be there; is the last one? The answer shows where n + 1 is a multiple of k."""
    for k in (3, 10):
        told = [n for n in range(100) if published(n, k) != published(n + 1, k)]
        assert told == [n for n in range(100) if n % k == k - 1]
        assert len(told) == 100 // k


def test_who_brings_enough_people_of_its_own_can_make_it_that_case() -> None:
    """With k - 1 tags that consent and are carried into an empty zone the number turns with one stranger."""
    k = 3
    own = [presence(1, f"own-{i}", "entered", "hall") for i in range(k - 1)]
    stranger = presence(2, "stranger", "entered", "hall")
    assert counted(own, 15) == []
    assert [p.footfall for p in counted([*own, stranger], 15)] == [k]
