# The types that Cython compiles vehicles.py with.
cimport cython
from gateway.core.fences cimport Fences, Place
from gateway.core.judgement cimport Undecided
from gateway.core.stays cimport Stays
from gateway.core.table cimport Pairs, Table
from gateway.core.tracks cimport Tracks

cdef double INFINITE, APPROACH_AGAIN_S, LATE_S, LOST_S, SILENCE_S, TAIL_S
cdef int NONE, STATE, OUTSIDE, ENTERING, INSIDE

@cython.final
cdef class Vehicles:
    cdef Stays _stays
    cdef readonly Table table
    cdef readonly Pairs pairs
    cdef readonly Tracks tracks
    cdef readonly Undecided undecided
    cdef readonly dict rows
    cdef readonly list names
    cdef readonly Fences fences
    cdef readonly tuple known
    cdef dict _place
    cdef readonly int[::1] visited

    @cython.locals(found="int[::1]", visited="int[::1]", k=Py_ssize_t, i=Py_ssize_t, count=Py_ssize_t, pair=Py_ssize_t,
                   number=int, place=Place)
    cpdef Py_ssize_t seek(
        self, Py_ssize_t track, double lat1, double lon1, double lat2, double lon2
    ) except -1
    @cython.locals(track=Py_ssize_t)
    cpdef Py_ssize_t begin(self, str subject, str device) except -1
    cpdef end(self, Py_ssize_t track)
    cpdef Place place_of(self, Py_ssize_t pair)
    @cython.locals(pair=Py_ssize_t)
    cpdef Py_ssize_t visit(self, Py_ssize_t track, Place place) except -2
    @cython.locals(pairs=Pairs)
    cpdef link(self, Py_ssize_t track, Py_ssize_t pair)
    @cython.locals(pairs=Pairs, before=Py_ssize_t)
    cpdef leave(self, Py_ssize_t track, Py_ssize_t pair)
    cpdef Py_ssize_t undecided_row(self, Py_ssize_t pair) except -2
    @cython.locals(pairs=Pairs, row=Py_ssize_t, state=int, quiet_until_s=double)
    cpdef double silence_ends_s(self, Py_ssize_t track, Py_ssize_t pair) except? -1
    @cython.locals(pairs=Pairs, row=Py_ssize_t)
    cpdef settle(self, Py_ssize_t pair)
    @cython.locals(row=Py_ssize_t, kept_s=double)
    cpdef bint is_over(self, Py_ssize_t pair, double t_s)
