# The types that Cython compiles raster.py with.
cimport cython
from gateway.core cimport edges, raw
from gateway.core.edges cimport touches
from gateway.core.geometry cimport box_of

cdef int CIRCLE, WHOLE, CROWDED
cdef double MARGIN, SMALLEST_M

@cython.final
cdef class Tape:
    cdef int[::1] data
    cdef Py_ssize_t used, _room
    cdef int reserve(self, Py_ssize_t more) except -1
    @cython.locals(grown="int[::1]")
    cdef int _grow(self, Py_ssize_t room) except -1
    @cython.locals(view="int[::1]")
    cdef cut(self)

@cython.final
cdef class Raster:
    cdef readonly object corners, circles, cells, records
    cdef readonly double south, west, east, cell_m, per_lat, per_lon, fine
    cdef readonly Py_ssize_t columns, rows, polygons
    cdef object _rings, _parts, _boxes
    cdef const double[::1] _grid, _points
    cdef const int[::1] _whole
    cdef Tape _cells, _pool, _records, _stack
    cdef Py_ssize_t _budget, _block, _stride
    cdef int _fence
    cdef double _left, _low, _size

    @cython.locals(
        south=double, north=double, west=double, east=double, turn=double, base=Py_ssize_t, ring=Py_ssize_t,
        first=Py_ssize_t, end=Py_ssize_t, k=Py_ssize_t, v=Py_ssize_t,
    )
    cdef _add(self, int number, shape)
    @cython.locals(k=Py_ssize_t, covered=double, high=double, boxes="double[::1]")
    cdef bint _fits(self, double entries)
    @cython.locals(
        part=Py_ssize_t, first=Py_ssize_t, end=Py_ssize_t, ring=Py_ssize_t, sides=int,
        low=Py_ssize_t, high=Py_ssize_t, left=Py_ssize_t, right=Py_ssize_t,
        parts="int[::1]", boxes="double[::1]", rings="int[::1]",
    )
    cdef _paint_all(self)
    @cython.locals(v=Py_ssize_t, of="double[::1]", to="int[::1]")
    cdef int _scale(self) except -1
    @cython.locals(row=Py_ssize_t, column=Py_ssize_t)
    cdef int _paint_circle(self, int circle, Py_ssize_t left, Py_ssize_t right, Py_ssize_t low, Py_ssize_t high) except -1
    @cython.locals(row=Py_ssize_t, column=Py_ssize_t, cell=Py_ssize_t, middle=Py_ssize_t)
    cdef void _paint(
        self, Py_ssize_t first, Py_ssize_t end, Py_ssize_t left, Py_ssize_t right, Py_ssize_t low, Py_ssize_t high, int odd
    ) except *
    @cython.locals(
        west=double, east=double, south=double, north=double, x=double, y=double, lat=double, lon=double, kept=Py_ssize_t
    )
    cdef int _narrow(
        self, Py_ssize_t first, Py_ssize_t end, Py_ssize_t left, Py_ssize_t right, Py_ssize_t low, Py_ssize_t high, int odd
    ) except -1
    @cython.locals(k=Py_ssize_t, v=Py_ssize_t, last=Py_ssize_t, start=Py_ssize_t, ends=int, grid="const double[::1]")
    cdef int _keep(self, Py_ssize_t first, Py_ssize_t end, double x, double y, double wide, double high) except -1
    @cython.locals(pool=Tape, at=Py_ssize_t, k=Py_ssize_t)
    cdef int _push(self, Py_ssize_t cell, int second, Py_ssize_t first, Py_ssize_t end) except -1
    @cython.locals(cell=Py_ssize_t)
    cdef int _seal_all(self) except -1
    @cython.locals(base=Py_ssize_t, end=Py_ssize_t, edges=Py_ssize_t, block=Py_ssize_t, k=Py_ssize_t)
    cdef int _seal(self, Py_ssize_t cell, double left, double low, double size) except -1
    cdef Py_ssize_t _list(self, Py_ssize_t at) except -1
    @cython.locals(second=int, edges=Py_ssize_t, k=Py_ssize_t)
    cdef Py_ssize_t _edges(self, Py_ssize_t at)
    @cython.locals(block=Py_ssize_t, k=Py_ssize_t, at=Py_ssize_t, second=int, first=Py_ssize_t, length=Py_ssize_t, i=Py_ssize_t)
    cdef Py_ssize_t _divide(self, Py_ssize_t base, Py_ssize_t end, double left, double low, double size) except -1
    @cython.locals(begin=Py_ssize_t, count=int, k=Py_ssize_t, at=Py_ssize_t, second=int, length=Py_ssize_t, i=Py_ssize_t)
    cdef Py_ssize_t _record(self, Py_ssize_t base, Py_ssize_t end, Py_ssize_t block) except -1
    @cython.locals(tape=Tape, second=int, begin=Py_ssize_t, k=Py_ssize_t, start=Py_ssize_t, code=int, edges=Py_ssize_t,
                   places=Py_ssize_t, n=Py_ssize_t, v=Py_ssize_t, shift=int, whole="const int[::1]",
                   to="int[::1]", used=Py_ssize_t, south=int, west=int)
    cdef void _enter(self, Py_ssize_t at) except *
    @cython.locals(k=Py_ssize_t, start=Py_ssize_t, code=int, v=Py_ssize_t, y=int, x=int, south=int, north=int, west=int,
                   east=int, shift=int, whole="const int[::1]")
    cdef int _measure(self, Py_ssize_t at, Py_ssize_t origin)
