"""The numbers of an array as compiled code reads them: without asking for its buffer each time.

`raw.pxd` has the compiled form, a pointer. It is valid while the array is held and does not grow.
"""

from __future__ import annotations

from array import array


def doubles(of: array[float]) -> array[float]:
    return of


def ints(of: array[int]) -> array[int]:
    return of
