# The types that Cython compiles index.py with.
cimport cython
from cpython cimport array as arrays
from gateway.core.edges cimport touches
from gateway.core.geometry cimport arc_m, near
from gateway.core.raster cimport Tape
from gateway.core cimport edges, geometry, raw

cdef int CIRCLE, UNSURE, BLOCK, LINE
cdef bint COMPILED
cdef double METRES, FLAT_RADIUS_M, FLAT_LAT, FLAT_ERROR, NAN

@cython.final
cdef class FenceIndex:
    cdef arrays.array _corners
    cdef const double[::1] _circles
    cdef const int[::1] _cells, _records
    cdef int[::1] _hits, _next, _who, _work
    cdef double[::1] _fraction, _places
    cdef Py_ssize_t _read
    cdef long long _query
    cdef long long[::1] _asked
    cdef readonly int[::1] near
    cdef double _south, _west, _east, _per_lat, _per_lon, _fine
    cdef Py_ssize_t _columns, _rows
    cdef bint _around
    cdef readonly Py_ssize_t nbytes

    @cython.locals(count=Py_ssize_t, k=Py_ssize_t)
    cpdef tuple at(self, double lat, double lon)
    @cython.locals(first=Py_ssize_t, end=Py_ssize_t, fixes=Tape, fences=Tape)
    cdef _pairs(self, const double[:] lats, const double[:] lons, const int[::1] who, int base)
    @cython.locals(active=Py_ssize_t, k=Py_ssize_t, y=double, x=double, gx=double, gy=double, column=Py_ssize_t, row=Py_ssize_t)
    cdef Py_ssize_t _start(
        self, const double[:] lats, const double[:] lons, Py_ssize_t first, Py_ssize_t end, double turn
    ) except -1
    @cython.locals(records="const int*", work=Py_ssize_t, kept=Py_ssize_t, k=Py_ssize_t, at=Py_ssize_t, inner=int,
                   gx=double, gy=double, column=Py_ssize_t, row=Py_ssize_t, line=Py_ssize_t)
    cdef Py_ssize_t _sift(self, Py_ssize_t active) except -1
    @cython.locals(k=Py_ssize_t, slot=Py_ssize_t, at=Py_ssize_t, count=Py_ssize_t, i=Py_ssize_t)
    cdef int _evaluate(self, Py_ssize_t work, const int[::1] who, Py_ssize_t first, Tape fixes, Tape fences) except -1
    cpdef list near_line(self, double lat1, double lon1, double lat2, double lon2)
    @cython.locals(count=Py_ssize_t, k=Py_ssize_t, i=Py_ssize_t, fence=int)
    cpdef Py_ssize_t seek(self, double lat1, double lon1, double lat2, double lon2) except -1
    @cython.locals(count=Py_ssize_t)
    cdef Py_ssize_t _search(self, double lat, double lon) except -1
    @cython.locals(
        gx=double, gy=double, column=Py_ssize_t, row=Py_ssize_t, at=Py_ssize_t
    )
    cdef Py_ssize_t _collect(self, double y, double x, Py_ssize_t count) except -1
    @cython.locals(records="const int*", entries=Py_ssize_t, qy=int, qx=int, fence=int, second=int, held=int, _=Py_ssize_t)
    cdef Py_ssize_t _collect_cell(self, Py_ssize_t at, double y, double x, Py_ssize_t count) except -1
    @cython.locals(odd=int, _=Py_ssize_t, start=Py_ssize_t, code=int, last=Py_ssize_t, found=int)
    cdef int _in_corners(self, Py_ssize_t at, int second, double y, double x) except -1
    @cython.locals(
        lat=double, lon=double, radius_m=double, shrink=double, north=double, east=double, square=double, full=double
    )
    cdef int _in_circle(self, Py_ssize_t circle, double y, double x) except -1
    @cython.locals(fence=int, i=Py_ssize_t, k=Py_ssize_t, kept=Py_ssize_t)
    cdef Py_ssize_t _in_order(self, Py_ssize_t count)
    @cython.locals(ay=double, by=double, ax=double, bx=double, first=Py_ssize_t, last=Py_ssize_t, row=Py_ssize_t,
                   x=double, past=double, west=double, east=double, left=Py_ssize_t, right=Py_ssize_t, at=Py_ssize_t,
                   column=Py_ssize_t)
    cdef Py_ssize_t _along(self, double lat1, double lon1, double lat2, double lon2, Py_ssize_t count) except -1
    @cython.locals(divided=Py_ssize_t, cells=Py_ssize_t, entries=Py_ssize_t, second=int, _=Py_ssize_t, k=Py_ssize_t,
                   y=double, x=double, fence=int)
    cdef Py_ssize_t _gather(
        self, Py_ssize_t at, double ay, double ax, double by, double bx, Py_ssize_t count
    ) except -1
