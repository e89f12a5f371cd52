# The types that Cython compiles belief.py with.
cimport cython
from gateway.core.learned cimport Learned
from gateway.core.listening cimport Ears, chances, decay

@cython.final
cdef class Beliefs:
    cdef readonly tuple zones
    cdef readonly Py_ssize_t spots, rows, top
    cdef readonly double p, next_p
    cdef Py_ssize_t _of, _links
    cdef double _least_worth, _most_worth, _lambda, _miss, _clip, _dwell_s, _spot_dwell_s, _offset_share, _known_variance_db2
    cdef double _offset_variance_db2, _walk_chances
    cdef int[::1] _zone_of, _fresh
    cdef readonly Learned learned
    cdef bint _learns
    cdef double _learn_sure, _silent_dbm
    cdef double[::1] _map_dbm
    cdef signed char[::1] _masked, _lessons
    cdef double[::1] _share, _moves, _mu_dbm, _weight, _log_miss, _log_heard, _bonus, _silence
    cdef double[::1] _fresh_dbm, _held, _arriving, _gain, _cost, _offset_db, _weights, _stepped_s
    cdef float[::1] _belief, _known_db, _variance_db2

    @cython.locals(s=Py_ssize_t)
    cpdef clear(self, Py_ssize_t row, double now_s)
    @cython.locals(s=Py_ssize_t, link=Py_ssize_t)
    cdef _sum_silence(self)
    @cython.locals(count=Py_ssize_t)
    cpdef Py_ssize_t step(self, Py_ssize_t row, Ears ears, double now_s) except -1
    @cython.locals(since_s=double, first=Py_ssize_t, count=Py_ssize_t, link=Py_ssize_t)
    cdef Py_ssize_t _listen(self, Py_ssize_t row, Ears ears, double now_s) noexcept
    @cython.locals(worth=double)
    cdef double _silence_worth(self, Ears ears, Py_ssize_t row) except -1.0
    @cython.locals(kept=double, stays=double, first=Py_ssize_t, z=Py_ssize_t, s=Py_ssize_t, other=Py_ssize_t, at=Py_ssize_t,
                   arriving=double, prior=double)
    cdef void _move_on(self, Py_ssize_t row, double dt_s) noexcept
    @cython.locals(variance_db2=double, known_db=double, s=Py_ssize_t, k=Py_ssize_t, at=Py_ssize_t, spots=Py_ssize_t,
                   heard_dbm=double, silence=double, sure=double, offset_db=double, off_db=double, misfit=double)
    cdef void _weigh(self, Py_ssize_t row, Py_ssize_t count, double worth) noexcept
    @cython.locals(first=Py_ssize_t, best=double, s=Py_ssize_t, z=Py_ssize_t, total=double, odds=double, p=double,
                   seen_db=double, narrower=double)
    cdef void _settle(self, Py_ssize_t row) noexcept
    @cython.locals(z=Py_ssize_t)
    cdef void _rank(self) noexcept
    cpdef bint is_masked(self, Py_ssize_t link) noexcept
    @cython.locals(k=Py_ssize_t, own_dbm=double, other_dbm=double)
    cpdef double lead_db(self, Py_ssize_t link, Py_ssize_t row, Ears ears, double now_s) noexcept
    @cython.locals(k=Py_ssize_t, s=Py_ssize_t, at=Py_ssize_t, expected_dbm=double, weight=double, p=double)
    cpdef void learn(self, Py_ssize_t row, Py_ssize_t count) noexcept
    @cython.locals(z=Py_ssize_t)
    cpdef void take_up(self) noexcept
    @cython.locals(link=Py_ssize_t, s=Py_ssize_t, at=Py_ssize_t, off_db=double)
    cdef void _retune(self, Py_ssize_t zone) noexcept
    @cython.locals(s=Py_ssize_t, z=Py_ssize_t)
    cpdef look(self, Py_ssize_t row)
    @cython.locals(total=double, z=Py_ssize_t)
    cpdef double probability(self, tuple zones) except -1.0
    @cython.locals(s=Py_ssize_t)
    cpdef spread(self, Py_ssize_t row, by_zone)
