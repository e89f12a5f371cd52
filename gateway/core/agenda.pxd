# The types that Cython compiles agenda.py with.
cimport cython
from gateway.core.rows cimport Rows

cdef double LATER_S

cdef class Agenda(Rows):
    cdef public dict rooms
    cdef readonly double soonest_s
    cdef double[::1] _deadline_s
    cdef int[::1] _row
    cdef signed char[::1] _kind
    cdef list _armed

    cpdef put(self, int kind, Py_ssize_t row, double deadline_s)
    cpdef drop(self, int kind, Py_ssize_t row)
    @cython.locals(deadline_s=double, due_s=double, kind=int, row=Py_ssize_t)
    cpdef double first_s(self) except? -1
    @cython.locals(deadline_s=double)
    cpdef double serve(self, double until_s, double now_s) except? -1
    @cython.locals(due_s=double, kind=int, row=Py_ssize_t, due=list)
    cdef _serve_all(self, double deadline_s, double now_s)
    @cython.locals(due_s=double)
    cdef double _standing_s(self, double deadline_s, int kind, Py_ssize_t row) except? -1
    @cython.locals(i=Py_ssize_t)
    cdef _push(self, double deadline_s, int kind, Py_ssize_t row)
    @cython.locals(last=Py_ssize_t, i=Py_ssize_t, child=Py_ssize_t)
    cdef _pop(self)
    cdef void _move(self, Py_ssize_t source, Py_ssize_t to) noexcept
