# The types that Cython compiles moving.py with.
cimport cython
from gateway.core.belief cimport Beliefs
from gateway.core.listening cimport Ears, decay

@cython.final
cdef class Threshold:
    cdef readonly double asked
    cdef int[::1] _own
    cdef double _asked_soon, _at_level, _per_db, _least, _most

    @cython.locals(own=Py_ssize_t)
    cpdef double needs(self, Py_ssize_t zone, bint is_new, Beliefs beliefs, Py_ssize_t row, Ears ears, double now_s) except -1.0
    @cython.locals(odds=double)
    cpdef double led(self, double lead_db) noexcept
