# The types that Cython compiles edges.py with.
cimport cython
from gateway.core cimport raw
from gateway.core.geometry cimport side

cdef int UNSURE

@cython.locals(odd=int, shift=int, code=int, edges=Py_ssize_t, found=int, _=Py_ssize_t)
cdef int in_runs(const int* of, Py_ssize_t at, int second, int qy, int qx) noexcept

@cython.locals(odd=int, unsure=int, v=Py_ssize_t, ay=int, by=int, ax=int, bx=int, high=float, wide=float, up=float,
               right=float, turned=float, slack=float, zero=float, twice=float, more=float, crosses=int)
cdef int crossed(const int* of, Py_ssize_t first, Py_ssize_t edges, int qy, int qx) noexcept

@cython.locals(k=Py_ssize_t, v=Py_ssize_t, start=Py_ssize_t, last=Py_ssize_t, code=int, odd=int, turned=int)
cdef int parity(const double[::1] corners, int[::1] stream, Py_ssize_t first, Py_ssize_t end, double y, double x) except -1

@cython.locals(dy=double, dx=double)
cpdef bint touches(double ay, double ax, double by, double bx, double high, double wide)
