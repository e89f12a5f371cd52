# The types that Cython compiles reading.py with.
cimport cython

@cython.final
@cython.freelist(512)
@cython.no_gc
cdef class Reading:
    cdef readonly double t_s, rssi_dbm
    cdef readonly str subject, device, link
    cdef readonly object battery_pct, moved
