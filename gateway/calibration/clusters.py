"""A zone as a few spots that sound different: k-means, started farthest first, without chance."""

from __future__ import annotations

from collections.abc import Sequence

ROUNDS = 15

Vector = tuple[float, ...]


def partition(vectors: Sequence[Vector], parts: int) -> list[int]:
    """The part of each vector, from 0; fewer parts than asked for where vectors are alike."""
    if parts <= 1 or len(vectors) <= parts:
        return [0] * len(vectors)
    middle = _mean(vectors)
    centres = [min(vectors, key=lambda v: _square(v, middle))]
    far = [_square(v, centres[0]) for v in vectors]
    while len(centres) < parts and max(far) > 0.0:
        centres.append(vectors[far.index(max(far))])
        far = [min(d, _square(v, centres[-1])) for d, v in zip(far, vectors, strict=True)]
    chosen: list[int] = []
    for _ in range(ROUNDS):
        before = chosen
        chosen = [_nearest(v, centres) for v in vectors]
        if chosen == before:
            break
        for k in range(len(centres)):
            mine = [v for v, c in zip(vectors, chosen, strict=True) if c == k]
            if mine:
                centres[k] = _mean(mine)
    return chosen


def _nearest(vector: Vector, centres: Sequence[Vector]) -> int:
    far = [_square(vector, centre) for centre in centres]
    return far.index(min(far))


def _square(a: Vector, b: Vector) -> float:
    return sum([(x - y) ** 2 for x, y in zip(a, b, strict=True)])


def _mean(vectors: Sequence[Vector]) -> Vector:
    n = len(vectors)
    return tuple(sum(column) / n for column in zip(*vectors, strict=True))
