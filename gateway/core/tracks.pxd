# The types that Cython compiles tracks.py with.
cimport cython
cimport libc.math as math
from gateway.core.geometry cimport arc_m
from gateway.core.rows cimport Rows

cdef double DEGREE_M, RADIAN, FASTEST_KMH, FIRST_S, LATE_S, STALE_S, FUTURE_S, COARSE_M, ASSUMED_ACCURACY_M
cdef double HISTORY_S, CONTRADICTION_KMH, SPEED_OVER_S, SPEED_AT_LEAST_S, SPEED_S_PER_M, TURN_LEG_M, TURN_LEG_MS
cdef double RECEPTION_SLACK_S, UNKNOWN, INFINITE
cdef int HISTORY_MAX, TURN_LEGS, NONE, STALE, BY_RECEPTION, ASSUMED, OFF, ON
cdef int INVALID, COARSE, IMPLAUSIBLE, TOO_LATE, DUPLICATE

cdef class Samples(Rows):
    cdef readonly double[::1] t_s, lat, lon, accuracy_m, speed_kmh
    cdef readonly signed char[::1] says
    cdef readonly int[::1] older, newer
    cpdef _widen(self, Py_ssize_t room)
    @cython.locals(row=Py_ssize_t, says=int, accurate_m=double, kmh=double)
    cpdef Py_ssize_t write(self, fix, double lat, double lon, double t_s, double now_s) except -1
    @cython.locals(apart_s=double)
    cpdef bint plausible(self, Py_ssize_t a, Py_ssize_t b)
    cpdef bint same(self, Py_ssize_t a, Py_ssize_t b)
    cpdef double north_m(self, Py_ssize_t a, Py_ssize_t b)
    @cython.locals(apart_deg=double)
    cpdef double east_m(self, Py_ssize_t a, Py_ssize_t b)

cdef class Tracks(Rows):
    cdef readonly Samples samples
    cdef readonly double[::1] newest_s, received_s
    cdef readonly int[::1] newest, oldest, count, suspect, pair
    cpdef _widen(self, Py_ssize_t room)
    @cython.locals(track=Py_ssize_t)
    cpdef Py_ssize_t begin(self) except -1
    cpdef end(self, Py_ssize_t track)
    @cython.locals(lat=double, lon=double, t_s=double, sample=Py_ssize_t, verdict=Py_ssize_t)
    cpdef Py_ssize_t admit(self, Py_ssize_t track, fix, double now_s) except -100
    @cython.locals(samples=Samples, before=Py_ssize_t, agreed=bint)
    cdef Py_ssize_t _verdict(self, Py_ssize_t track, Py_ssize_t sample) except -100
    @cython.locals(samples=Samples, sample=Py_ssize_t)
    cpdef Py_ssize_t before(self, Py_ssize_t track, double t_s)
    @cython.locals(samples=Samples, t_s=double)
    cpdef add(self, Py_ssize_t track, Py_ssize_t sample, double now_s)
    @cython.locals(samples=Samples, t_s=double, after=Py_ssize_t, before=Py_ssize_t)
    cpdef link(self, Py_ssize_t track, Py_ssize_t sample)
    @cython.locals(samples=Samples, reported_kmh=double, derived_kmh=double)
    cpdef double speed_kmh(self, Py_ssize_t track, Py_ssize_t sample)
    @cython.locals(samples=Samples, end=Py_ssize_t, leg_m=double, now_north_m=double, now_east_m=double, turned=double,
                   legs=int, earlier=Py_ssize_t, begin=Py_ssize_t, north_m=double, east_m=double, across=double,
                   along=double)
    cpdef double turn_deg(self, Py_ssize_t track)
    @cython.locals(samples=Samples, base=Py_ssize_t, t_s=double, accuracy_m=double, over_s=double,
                   earlier=Py_ssize_t, apart_s=double)
    cpdef Py_ssize_t base(self, Py_ssize_t track, Py_ssize_t sample)
    @cython.locals(samples=Samples, base=Py_ssize_t, way_m=double)
    cdef double _derived_kmh(self, Py_ssize_t track, Py_ssize_t sample)
    cdef _suspect(self, Py_ssize_t track, Py_ssize_t sample)
    @cython.locals(oldest=Py_ssize_t, newer=Py_ssize_t)
    cdef _forget_oldest(self, Py_ssize_t track)
