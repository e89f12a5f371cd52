# The types that Cython compiles stays.py with.
cimport cython
from gateway.core.agenda cimport Agenda
from gateway.core.table cimport Pairs, Records, Table

cdef double INFINITE, APPROACH_AGAIN_S, RECORD_KEPT_S
cdef int NONE, QUIET, ENTERING, INSIDE, SLOW, CLAIMS, HOLDS, RECORD

@cython.final
cdef class Stays:
    cdef Agenda _agenda
    cdef readonly Table table
    cdef readonly Pairs pairs
    cdef readonly Records records
    cdef readonly dict approached, quiet_until_s
    cdef dict _thresholds_s
    cdef readonly list events

    @cython.locals(record=Py_ssize_t)
    cpdef drop(self, Py_ssize_t pair)
    cdef _end(self, Py_ssize_t record)
    cpdef list drain(self)

    @cython.locals(pairs=Pairs, records=Records, record=Py_ssize_t)
    cpdef entering(self, Py_ssize_t pair, double since_s, int confidence_pm, told)
    @cython.locals(pairs=Pairs, records=Records, record=Py_ssize_t, last_inside_s=double, t_s=double)
    cpdef entered(self, Py_ssize_t pair, double since_s, int confidence_pm, told)
    @cython.locals(pairs=Pairs, records=Records, record=Py_ssize_t, last_inside_s=double, dwell_s=double)
    cpdef passed(self, Py_ssize_t pair, double since_s, int confidence_pm, told)
    @cython.locals(pairs=Pairs, records=Records, record=Py_ssize_t, held=int, last_inside_s=double, until_s=double,
                   dwell_s=double)
    cpdef left(self, Py_ssize_t pair, int confidence_pm, told, bint seen_outside=*)
    @cython.locals(pairs=Pairs, records=Records, record=Py_ssize_t)
    cpdef inside(self, Py_ssize_t pair, double t_s, int confidence_pm, bint slow, double quiet_until_s)
    @cython.locals(records=Records, record=Py_ssize_t)
    cpdef approaching(self, Py_ssize_t pair, double again_m, int confidence_pm, told)
    cpdef receded(self, Py_ssize_t pair, double distance_m)

    @cython.locals(records=Records, threshold_s=double, t_s=double)
    cpdef double due_s(self, int kind, Py_ssize_t row) except? -1
    @cython.locals(records=Records, threshold_s=double, t_s=double)
    cpdef serve(self, int kind, Py_ssize_t row, double now_s)

    @cython.locals(pair=Py_ssize_t)
    cdef bint _any(self, Py_ssize_t record, int says)
    @cython.locals(pair=Py_ssize_t, sure_pm=int)
    cdef int _surest_pm(self, Py_ssize_t record)
    cdef double _next_threshold_s(self, Py_ssize_t record) except? -1
    cdef _quieten(self, Py_ssize_t record, double quiet_until_s)
    @cython.locals(deadline_s=double)
    cpdef schedule(self, Py_ssize_t record)
    cdef _rest(self, Py_ssize_t record, double now_s)
    @cython.locals(records=Records, t_s=double)
    cdef _say(self, Py_ssize_t record, str change, told, int confidence_pm, double dwell_s)
    @cython.locals(pairs=Pairs, records=Records, pair=Py_ssize_t, last_inside_s=double)
    cpdef open_stay(self, Py_ssize_t record)

cpdef int thousandths(double probability)
