# The types that Cython compiles listening.py with.
cimport cython

cdef double TAU_S, SHARE_MIN, SHARE_OF_REPORT, ONE_TIME_S, FRESH_S, FRESH_INTERVALS, INTERVAL_SHARE, GAP_MAX_INTERVALS, ABSENCE_S, REBASE_S
cdef double RSSI_MIN_DBM, RSSI_MAX_DBM, DECAY_MIN, LOG2_E, LN2_HIGH, LN2_LOW
cdef double[::1] HALVES

@cython.locals(k=Py_ssize_t, r=double, r2=double, r4=double, low=double, middle=double, high=double)
cpdef double decay(double x) noexcept
cpdef double chances(double interval_s) noexcept
cpdef bint is_strength(double rssi_dbm) noexcept

@cython.final
cdef class Ears:
    cdef readonly Py_ssize_t links, rows
    cdef float[::1] _rssi_dbm, _heard_s, _interval_s
    cdef double[::1] _base_s, _last_s
    cdef short[::1] _strongest

    @cython.locals(at=Py_ssize_t)
    cpdef clear(self, Py_ssize_t row, double now_s)
    @cython.locals(at=Py_ssize_t, after_s=double, gap_s=double, share=double, best=int, counted_s=double,
                   strongest=Py_ssize_t)
    cpdef void hear(self, Py_ssize_t row, Py_ssize_t link, double rssi_dbm, double now_s) noexcept
    @cython.locals(base_s=double, shift_s=double, at=Py_ssize_t)
    cdef void _rebase(self, Py_ssize_t row, double now_s) noexcept
    cpdef double fresh_s(self, Py_ssize_t row) noexcept
    cpdef double interval_s(self, Py_ssize_t row) noexcept
    cpdef double last_s(self, Py_ssize_t row) noexcept
    @cython.locals(since_s=double, first=Py_ssize_t, r=Py_ssize_t)
    cpdef list heard(self, Py_ssize_t row, double now_s)
    cpdef double heard_s(self, Py_ssize_t row, Py_ssize_t link)
