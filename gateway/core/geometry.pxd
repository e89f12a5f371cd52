# The types that Cython compiles geometry.py with. Whole structures stay Python objects: 10,000 shapes with a
# buffer view each would cost more memory than their corners.
cimport cython
cimport libc.math as math
from cpython cimport array as arrays
from gateway.core cimport raw

cdef double DEGREE_M, RADIAN, INFINITE, NAN

cpdef double near(double lon, double middle) noexcept

@cython.locals(phi1=double, phi2=double, across=double, along=double, h=double)
cpdef double arc_m(double lat1, double lon1, double lat2, double lon2) noexcept

@cython.locals(one=double, other=double, turned=double, bound=double)
cpdef int side(double ay, double ax, double by, double bx, double y, double x) except -2

cdef class Shape:
    cdef readonly tuple box
    cdef readonly double roomy_m, across_m
    cpdef bint contains(self, double lat, double lon)
    cpdef double depth_m(self, double lat, double lon)
    cpdef bint crosses(self, double lat1, double lon1, double lat2, double lon2)

cdef class Disc(Shape):
    cdef readonly double lat, lon, radius_m, shrink
    cpdef bint contains(self, double lat, double lon)
    cpdef double depth_m(self, double lat, double lon)
    @cython.locals(west=double, east=double, square=double)
    cpdef bint crosses(self, double lat1, double lon1, double lat2, double lon2)

cdef class Polygons(Shape):
    cdef readonly arrays.array corners, rings, parts
    cdef readonly double middle_lon
    @cython.locals(x=double, south=double, north=double, west=double, east=double, corners="const double*",
                   rings="const int*", parts="const int*")
    cpdef bint contains(self, double lat, double lon)
    @cython.locals(x=double, shrink=double, square=double, away_m=double)
    cpdef double depth_m(self, double lat, double lon)
    @cython.locals(x=double, corners="const double*", rings="const int*")
    cpdef bint crosses(self, double lat1, double lon1, double lat2, double lon2)

@cython.locals(v=Py_ssize_t, area=double, length=double, lat0=double, lon0=double, dy=double, dx=double)
cpdef double roominess(const double[::1] corners, Py_ssize_t first, Py_ssize_t end, double shrink)

@cython.locals(part=Py_ssize_t, ring=Py_ssize_t, found=int)
cdef bint covers(
    const double* corners, const int* rings, const int* parts, Py_ssize_t count, double y, double x
) except -1

@cython.locals(v=Py_ssize_t, odd=int, ay=double, by=double, turned=int)
cdef int passes(const double* corners, Py_ssize_t first, Py_ssize_t end, double y, double x) except -2

@cython.locals(ring=Py_ssize_t, v=Py_ssize_t, nearest=double, ay=double, by=double, ax=double, bx=double)
cdef double square_to_border(
    const double* corners, const int* rings, Py_ssize_t count, double y, double x, double shrink
) noexcept

@cython.locals(ring=Py_ssize_t, v=Py_ssize_t, cy=double, cx=double, dy=double, dx=double)
cdef bint touches_border(
    const double* corners, const int* rings, Py_ssize_t count, double ay, double ax, double by, double bx
) except -1

@cython.locals(dy=double, dx=double, square=double, along=double, y=double, x=double)
cdef double from_origin(double ay, double ax, double by, double bx) noexcept

@cython.locals(begin=Py_ssize_t, last=Py_ssize_t, corner=tuple)
cpdef Py_ssize_t unwrap(tuple ring, double lon, double[::1] corners, Py_ssize_t end) except -1

@cython.locals(v=Py_ssize_t, south=double, north=double, west=double, east=double)
cpdef tuple box_of(const double[::1] corners, Py_ssize_t first, Py_ssize_t end)
