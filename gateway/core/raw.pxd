# Compiled code takes these in place of the functions of raw.py.
from cpython cimport array

cdef inline const double* doubles(array.array of) noexcept:
    return of.data.as_doubles

cdef inline const int* ints(array.array of) noexcept:
    return of.data.as_ints

cdef inline const int* view(const int[::1] of) noexcept:
    return &of[0]

cdef extern from *:
    """
    #if defined(__GNUC__)
    #define gateway_fetch(of, at) __builtin_prefetch((of) + (at))
    #else
    #define gateway_fetch(of, at) ((void)0)
    #endif
    """
    void fetch "gateway_fetch"(const int* of, Py_ssize_t at) noexcept

cdef inline Py_ssize_t padded(Py_ssize_t edges) noexcept:
    return (edges + 3) & ~3
