# The types that Cython compiles bands.py with.
cimport cython

@cython.locals(size=Py_ssize_t, k=Py_ssize_t, number=int, slot=int, up=double, south=double, per_lat=double, most=double,
               to="double[::1]", of="int[::1]", at="int[::1]", band="unsigned char[::1]")
cpdef tuple by_band(
    const double[:] lats, const double[:] lons, Py_ssize_t first, Py_ssize_t end, tuple scale
)

@cython.locals(k=Py_ssize_t, of="int[::1]")
cpdef as_given(Py_ssize_t size)

@cython.locals(
    k=Py_ssize_t, i=Py_ssize_t, fix=int, slot=int, fence=int, kept=int, of="int[::1]", to="int[::1]", at="int[::1]",
)
cpdef tuple in_order(Py_ssize_t count, const int[::1] fixes, const int[::1] fences, Py_ssize_t pairs, int base)
