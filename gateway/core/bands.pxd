# The types that Cython compiles bands.py with.
cimport cython

@cython.locals(size=Py_ssize_t, k=Py_ssize_t, number=int, slot=int, up=double, south=double, per_lat=double, most=double,
               to="double[::1]", of="int[::1]", at="int[::1]", band="unsigned char[::1]")
cpdef tuple by_band(
    const double[:] lats, const double[:] lons, Py_ssize_t first, Py_ssize_t end, tuple scale
)

@cython.locals(
    pairs=Py_ssize_t, k=Py_ssize_t, fix=int, slot=int, of="int[::1]", to="int[::1]", at="int[::1]",
)
cpdef tuple in_order(const int[::1] who, const int[::1] slots, const int[::1] fences, Py_ssize_t first)
