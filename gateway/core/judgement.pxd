# The types that Cython compiles judgement.py with.
cimport cython
cimport libc.math as math
from gateway.core.fences cimport Place
from gateway.core.listening cimport decay
from gateway.core.rows cimport Rows

cdef double SURE_ACCURACY_M, OUT_HOLDS_S, CLEARLY, SHALLOW, CUT_SHALLOW, STANDING, CRAWL, CALM, TURN_FADES, FAST
cdef double CRAWL_WORTH, TURN_WORTH, TURN_FROM_DEG, TURN_FULL_DEG, UNKNOWN_SPEED_S, LENGTHS_TO_CONFIRM
cdef double TURNED_ODDS, STRAIGHT_ODDS, WAITING_ODDS, LEAST_ODDS, MOST_ODDS, STAND_S, STAND_ODDS_S
cdef double COUNTED_GAP_S, CLOSING_MS
cdef double AXIS_DEVIATIONS, TAIL_P, TAIL_1, TAIL_2, TAIL_3, TAIL_4, TAIL_5
cdef double UNKNOWN, INFINITE, TURN_FIXES, TURN_TELLS, MANY_FIXES

cdef class Undecided(Rows):
    cdef readonly double[::1] since_s, inside_odds, sure, gaps, inside_s, standing_s, slowed, crawled
    cdef readonly double[::1] turn_deg, out_since_s, quiet_until_s, closed_s, announced_s
    @cython.locals(row=Py_ssize_t)
    cpdef Py_ssize_t begin(self) except -1
    cpdef void anew(self, Py_ssize_t row)
    @cython.locals(worth=double)
    cpdef void count(self, Py_ssize_t row, double gap_s, double speed_kmh, Place place)
    @cython.locals(slow=double, turned=double, stops=double, needed=double)
    cpdef bint is_arrival(self, Py_ssize_t row, double speed_kmh, Place place)
    cpdef bint holds_out(self, Py_ssize_t row, double t_s, double depth_m, double accuracy_m, Place place)
    cpdef _widen(self, Py_ssize_t room)

@cython.locals(slow=double)
cdef double rate(double speed_kmh, Place place)
cpdef bint rolls(double speed_kmh, Place place)
cdef double part(double value, double none, double full)
cpdef bint is_inside(double depth_m, double accuracy_m)
@cython.locals(closing_ms=double)
cpdef bint announces(Place place, double was_m, double is_m, double gap_s)
cpdef bint is_worth_a_word(double depth_m, double accuracy_m, Place place)
cpdef bint is_worth_a_crossing(double depth_m, double accuracy_m, Place place)
@cython.locals(x=double, t=double, tail=double)
cpdef double side_probability(double depth_m, double accuracy_m)
@cython.locals(p=double)
cpdef double side_odds(double depth_m, double accuracy_m, Place place)
