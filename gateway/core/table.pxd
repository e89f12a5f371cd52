# The types that Cython compiles table.py with.
cimport cython
from gateway.core.rows cimport Rows

cdef double INFINITE
cdef int NONE

cdef class Pairs(Rows):
    cdef readonly int[::1] record, other, beside, undecided
    cdef readonly list device
    cdef readonly double[::1] last_inside_s
    cdef readonly short[::1] confidence_pm
    cdef readonly signed char[::1] says, state
    cpdef _widen(self, Py_ssize_t room)

cdef class Records(Rows):
    cdef readonly list subject, zone
    cdef readonly int[::1] next, pair
    cdef readonly signed char[::1] phase
    cdef readonly double[::1] since_s, phase_s, announced_s, last_inside_s, last_t_s
    cpdef _widen(self, Py_ssize_t room)

@cython.final
cdef class Table:
    cdef readonly Pairs pairs
    cdef readonly Records records
    cdef readonly dict first
    @cython.locals(row=Py_ssize_t, records=Records)
    cpdef Py_ssize_t record(self, str subject, str zone) except -2
    @cython.locals(pairs=Pairs, record=Py_ssize_t, pair=Py_ssize_t)
    cpdef Py_ssize_t known(self, str subject, str zone, str device) except -2
    @cython.locals(pairs=Pairs, record=Py_ssize_t, pair=Py_ssize_t)
    cpdef Py_ssize_t pair(self, str subject, str zone, str device) except -2
    @cython.locals(pairs=Pairs, records=Records, record=Py_ssize_t, before=Py_ssize_t)
    cpdef Py_ssize_t unlink(self, Py_ssize_t pair) except -2
    @cython.locals(records=Records, record=Py_ssize_t)
    cpdef Py_ssize_t begin(self, str subject, str zone) except -2
    @cython.locals(records=Records, before=Py_ssize_t)
    cpdef end(self, Py_ssize_t record)
