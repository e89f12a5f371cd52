# The types that Cython compiles arrivals.py with.
cimport cython
from gateway.core.agenda cimport Agenda
from gateway.core.fences cimport Place
from gateway.core.judgement cimport Undecided, announces, is_inside, rolls, side_odds, side_probability
from gateway.core.moments cimport Moment
from gateway.core.stays cimport Stays, thousandths
from gateway.core.table cimport Pairs
from gateway.core.tracks cimport Samples, Tracks
from gateway.core.vehicles cimport Vehicles

cdef double INFINITE, UNKNOWN, NOTICED_S, TAIL_S, APPROACH_AGAIN, ENTERING_TRUST, SILENCE_TRUST, LOST_TRUST
cdef double LOST_S, SILENCE_S, SURE_ACCURACY_M, TRACK_KEPT_S
cdef int NONE, VEHICLE, IN, FOUND, CUT, OUT, ARRIVED, GONE_IN, GONE_OUT, LOST, OUTSIDE, WITHIN, ENTERING, INSIDE
cdef int STATE, AT, SLOW, SAY_ENTERING, SAY_ENTERED, SAY_PASSED, SAY_LEFT
cdef list TABLE

@cython.final
cdef class Arrivals:
    cdef Agenda _agenda
    cdef Stays _stays
    cdef object _reject
    cdef readonly Vehicles vehicles
    cdef Pairs _pairs
    cdef Tracks _tracks
    cdef Undecided _undecided
    cdef Moment _moment
    cdef Py_ssize_t _due_pair

    @cython.locals(track=Py_ssize_t, tracks=Tracks, sample=Py_ssize_t, newest_s=double, t_s=double, known=bint,
                   before=Py_ssize_t)
    cpdef observe(self, fix, double now_s)
    @cython.locals(moment=Moment, samples=Samples)
    cdef _newest(self, Py_ssize_t track, Py_ssize_t sample, Py_ssize_t before, double newest_s, double now_s)
    cdef _late(self, Py_ssize_t track, Py_ssize_t sample, Py_ssize_t before, double now_s)
    @cython.locals(moment=Moment, vehicles=Vehicles, count=Py_ssize_t, k=Py_ssize_t, place=Place, pair=Py_ssize_t,
                   depth_m=double, inside=bint)
    cdef _meet(self, double lat, double lon)
    @cython.locals(moment=Moment, pairs=Pairs, undecided=Undecided, sure=double, slow=bint, quiet_until_s=double,
                   state=int, was_at=int, row=Py_ssize_t)
    cdef _inside(self, Place place, Py_ssize_t pair, double depth_m)
    @cython.locals(moment=Moment, undecided=Undecided)
    cdef _gather(self, Place place, Py_ssize_t row, int state, bint was_at)
    @cython.locals(moment=Moment)
    cdef bint _is_slow(self, Place place)
    cdef bint _is_noticed(self, Place place, Py_ssize_t pair, double depth_m)
    @cython.locals(moment=Moment, pairs=Pairs, state=int, arrived=bint)
    cdef _decide(self, Place place, Py_ssize_t pair, double depth_m, double sure)
    @cython.locals(moment=Moment, pairs=Pairs, undecided=Undecided, sure=double, state=int, row=Py_ssize_t,
                   closed_s=double, was_at=bint)
    cdef _outside(self, Place place, Py_ssize_t pair, double depth_m)
    @cython.locals(moment=Moment, samples=Samples, was_m=double, again_m=double)
    cdef Py_ssize_t _approach(self, Place place, Py_ssize_t pair, double distance_m, double sure) except -2
    @cython.locals(moment=Moment, pairs=Pairs, undecided=Undecided, sure=double, closed_s=double, slow=bint,
                   row=Py_ssize_t, quiet_until_s=double)
    cdef _late_inside(self, Place place, Py_ssize_t pair, double depth_m)

    @cython.locals(moment=Moment, state=int, word=int, evidence=dict)
    cdef _apply(self, Py_ssize_t pair, int clue, double depth_m, double sure)
    @cython.locals(pairs=Pairs, undecided=Undecided, stays=Stays, state=int, word=int, row=Py_ssize_t, since_s=double)
    cdef _tell(self, Py_ssize_t track, Py_ssize_t pair, int clue, double sure, told)

    @cython.locals(pairs=Pairs, undecided=Undecided, received_s=double, first_s=double, pair=Py_ssize_t, state=int,
                   due_s=double)
    cpdef double due_s(self, int kind, Py_ssize_t row) except? -1
    cdef bint _is_before(self, Py_ssize_t pair) except -1
    @cython.locals(pair=Py_ssize_t, pairs=Pairs, clue=int, sure=double)
    cpdef serve(self, int kind, Py_ssize_t row, double now_s)
    cpdef schedule(self, Py_ssize_t track)

    cdef _end(self, Py_ssize_t track)
