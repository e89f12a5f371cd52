"""The numbers of an array as compiled code reads them: without asking for its buffer each time.

`raw.pxd` has the compiled form, a pointer. It is valid while the array is held and does not grow.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence


def doubles(of: array[float]) -> array[float]:
    return of


def ints(of: array[int]) -> array[int]:
    return of


def view(of: Sequence[int]) -> Sequence[int]:
    return of


def fetch(of: Sequence[int], at: int) -> None:
    """This number will be read soon: compiled code asks the memory for it, and does not wait."""


def padded(edges: int) -> int:
    """So many edges does a run take in the records: a multiple of what a processor compares at once."""
    return (edges + 3) & ~3
