# The types that Cython compiles fences.py with.
cimport cython
from gateway.core.geometry cimport Shape, near
from gateway.core.index cimport FenceIndex

@cython.final
cdef class Place:
    cdef readonly int number
    cdef readonly str id
    cdef readonly object fence
    cdef readonly Shape shape
    cdef readonly double confirm_s, slow_kmh, leave_m, ring_m, eta_s, reach_m, roomy_m, across_m
    cdef readonly tuple box
    cdef double _south, _north, _west, _east, _middle_lon
    @cython.locals(x1=double, x2=double)
    cpdef bint may_meet(self, double lat1, double lon1, double lat2, double lon2)

@cython.final
cdef class Fences:
    cdef readonly list places
    cdef readonly FenceIndex index
    cdef readonly int[::1] found
    cdef list _announcing
    cdef FenceIndex _rings
    cdef Py_ssize_t _rings_count
    @cython.locals(count=Py_ssize_t, nearby=Py_ssize_t, k=Py_ssize_t, place=Place)
    cpdef Py_ssize_t seek(self, double lat1, double lon1, double lat2, double lon2) except -1
    @cython.locals(k=Py_ssize_t, number=int, i=Py_ssize_t, j=Py_ssize_t, place=Place)
    cdef Py_ssize_t _with_rings(self, double lat1, double lon1, double lat2, double lon2, Py_ssize_t count) except -1
