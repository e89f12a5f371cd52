# The types that Cython compiles sums.py with.
cimport cython
cimport libc.math as math

cdef double SD_FLOOR_DB
@cython.locals(i=Py_ssize_t, at=Py_ssize_t, p_hear=double, sd_db=double, mu_dbm="double[::1]", weight="double[::1]",
               log_miss="double[::1]", log_heard="double[::1]")
cdef _fill(sums, tuple spots, double evidence, double silence)
