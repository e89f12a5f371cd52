# The types that Cython compiles moments.py with.
cimport cython
cimport libc.math as math
from gateway.core.fences cimport Place
from gateway.core.geometry cimport near
from gateway.core.judgement cimport is_worth_a_crossing, is_worth_a_word
from gateway.core.tracks cimport Samples, Tracks

cdef double DEGREE_M, RADIAN, FIRST_S, SURE_ACCURACY_M, LINE_S, AHEAD_S, LINE_GAP_S, LINE_PART, UNKNOWN
cdef int NONE, LINE_PARTS, STALE, BY_RECEPTION, ASSUMED, OFF

@cython.final
cdef class Moment:
    cdef Tracks _tracks
    cdef Samples _samples
    cdef Py_ssize_t track, sample, before
    cdef double t_s, now_s, lat, lon, accuracy_m, gap_s, speed_kmh, _turn_deg
    cdef bint first, line, late, stale, off

    cdef come(self, Py_ssize_t track, Py_ssize_t sample, Py_ssize_t before, double newest_s, double now_s)
    cdef come_late(self, Py_ssize_t track, Py_ssize_t sample, Py_ssize_t before, double now_s)
    cdef measure(self)
    cdef double turn(self)
    @cython.locals(samples=Samples)
    cdef _look(self, Py_ssize_t track, Py_ssize_t sample, Py_ssize_t before, double now_s)
    @cython.locals(samples=Samples)
    cdef bint _is_line(self)
    @cython.locals(samples=Samples, base=Py_ssize_t, ahead=double, lat=double, wide_m=double, lon=double)
    cdef bint is_deep(self, Place place, double depth_m)
    @cython.locals(samples=Samples, before=Py_ssize_t, lat=double, lon=double, accuracy_m=double, deepest_m=double)
    cdef bint cuts(self, Place place)
    @cython.locals(lat=double, lon=double, north=double, east=double, deepest_m=double, i=int, part=double)
    cdef double _deepest_m(self, Place place)
    @cython.locals(says=int)
    cdef dict evidence(self, double depth_m)
