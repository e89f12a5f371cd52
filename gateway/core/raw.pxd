# Compiled code takes these in place of the functions of raw.py.
from cpython cimport array

cdef inline const double* doubles(array.array of) noexcept:
    return of.data.as_doubles

cdef inline const int* ints(array.array of) noexcept:
    return of.data.as_ints
