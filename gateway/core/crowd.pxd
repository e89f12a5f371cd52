# The types that Cython compiles crowd.py with.
cimport cython
cimport libc.math as math
from gateway.core.agenda cimport Agenda
from gateway.core.belief cimport Beliefs
from gateway.core.health cimport Health
from gateway.core.listening cimport Ears, is_strength
from gateway.core.moving cimport Threshold
from gateway.reading cimport Reading

cdef int STEP, NEW_S, COPIED_S
cdef double NEVER, LEARN_S, IMPLAUSIBLE_TRUST, STRONG_DBM, FAR_M

@cython.final
cdef class Crowd:
    cdef readonly tuple zones
    cdef readonly Py_ssize_t outside
    cdef readonly double reached_s
    cdef readonly double next_step_s
    cdef readonly Ears ears
    cdef readonly Beliefs beliefs
    cdef readonly Threshold threshold
    cdef readonly dict confirm_by_s, said
    cdef readonly list movers, changed, suspects
    cdef dict _link, _row
    cdef frozenset _unplaced
    cdef object _reject, _last_subject, _last_device
    cdef bint _calibrated
    cdef Health _health
    cdef Agenda _agenda
    cdef Py_ssize_t _used, _last_row
    cdef list _free, _who, _holds
    cdef short[::1] _ear, _top, _zone
    cdef signed char[::1] _stepping, _implausible, _new_s
    cdef float[::1] _apart_m
    cdef double[::1] _run_s

    @cython.locals(devices=dict)
    cpdef Py_ssize_t row(self, subject, device) except -2
    @cython.locals(row=Py_ssize_t)
    cpdef Py_ssize_t add(self, subject, device, double now_s) except -1
    @cython.locals(rssi_dbm=double, link=Py_ssize_t, row=Py_ssize_t, devices=dict)
    cpdef hear(self, Reading reading, double now_s)
    @cython.locals(t_s=double)
    cpdef bint takes(self, Reading reading, double now_s) except -1
    @cython.locals(at=Py_ssize_t, end=Py_ssize_t)
    cpdef Py_ssize_t take(self, batch, Py_ssize_t first, double now_s) except -1
    cpdef await_step(self, double at_s)
    @cython.locals(row=Py_ssize_t, stepped=Py_ssize_t, count=Py_ssize_t, top=int, is_new=bint)
    cpdef step(self, double now_s, stays)
    @cython.locals(last_s=double)
    cdef _stay(self, Py_ssize_t row, stays)
    @cython.locals(sure=double)
    cpdef double sureness(self, Py_ssize_t row, tuple leaves) except -1.0
    @cython.locals(links=Py_ssize_t, k=Py_ssize_t, at=Py_ssize_t, other=Py_ssize_t)
    cdef bint _is_suspect(self, Py_ssize_t count) noexcept
