# The types that Cython compiles learned.py with.
cimport cython

@cython.final
cdef class Learned:
    cdef Py_ssize_t _links
    cdef int _seconds_max
    cdef double _map_seconds, _off_max_db, _second_max_db
    cdef int[::1] _seconds
    cdef long long[::1] _sum

    @cython.locals(at=Py_ssize_t, bounded_db=double)
    cpdef void hear(self, Py_ssize_t zone, Py_ssize_t link, double off_db) noexcept
    @cython.locals(at=Py_ssize_t, mean_db=double)
    cpdef double off_db(self, Py_ssize_t zone, Py_ssize_t link) noexcept
    @cython.locals(at=Py_ssize_t)
    cpdef void fade(self, Py_ssize_t zone) noexcept
