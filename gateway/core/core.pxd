# The types that Cython compiles core.py with.
cimport cython
cimport libc.math as math
from gateway.core.agenda cimport Agenda
from gateway.core.arrivals cimport Arrivals
from gateway.core.crowd cimport Crowd
from gateway.core.stays cimport Stays
from gateway.core.table cimport Table
from gateway.reading cimport Reading

cdef double LATER_S

cdef class Core:
    cdef public dict rejected
    cdef object _site
    cdef double _now_s
    cdef Agenda _agenda
    cdef Stays _stays
    cdef readonly Table table
    cdef object _radio
    cdef Crowd _crowd
    cdef Arrivals _arrivals

    @cython.locals(t_s=double)
    cdef _take(self, observation)
    cdef _reach(self, double t_s)
    cdef _serve(self, double until_s)
