# The types that Cython compiles health.py with.
cimport cython

cdef double GAP_SHARE, NEVER_S, DEAD_AFTER_S, DEAD_AFTER_GAPS, WITNESS_S

@cython.final
cdef class Health:
    cdef dict _number
    cdef double[::1] _heard_s, _gap_s
    cdef signed char[::1] _alive
    cdef double _began_s, _judged_s
    cdef frozenset _dead
    cpdef void hear(self, Py_ssize_t number, double t_s) noexcept
    cdef bint _is_dead(self, Py_ssize_t number, double t_s) except -1
    cdef _ear(self, Py_ssize_t number)
