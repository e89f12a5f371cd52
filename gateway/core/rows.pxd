# The types that Cython compiles rows.py with.
cimport cython


cdef class Rows:
    cdef readonly Py_ssize_t room, used
    cdef list _given
    cpdef Py_ssize_t take(self) except -1
    cpdef give(self, Py_ssize_t row)
    cpdef _widen(self, Py_ssize_t room)
