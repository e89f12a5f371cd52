# The types that Cython compiles cells.py with.
cimport cython
cimport libc.math as math

@cython.locals(nearest_m=double, away_m=double, a=tuple, b=tuple, gaps_m=list)
cpdef double spacing_m(centres) except -1.0
@cython.locals(east_m=double, north_m=double)
cdef double _away_m(tuple a, tuple b) except -1.0
@cython.locals(far_m=double, away_m=double, weights=list)
cdef list _nearness(a, list ground, double gap_m, double reach, double least)
