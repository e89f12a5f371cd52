# The types that Cython compiles core.py with.
cimport cython
cimport libc.math as math
from gateway.core.agenda cimport Agenda
from gateway.core.arrivals cimport Arrivals
from gateway.core.stays cimport Stays

cdef double LATER_S

cdef class Core:
    cdef public dict rejected
    cdef object _site
    cdef double _now_s
    cdef readonly Agenda _agenda
    cdef readonly Stays _stays
    cdef object _radio
    cdef readonly Arrivals _arrivals

    @cython.locals(t_s=double)
    cdef _take(self, observation)
    cdef _reach(self, double t_s)
    cdef _serve(self, double until_s)
