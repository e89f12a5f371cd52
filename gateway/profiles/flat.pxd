# The types that Cython compiles flat.py with. Every loop over a payload ends at the zero behind its bytes.
cimport cython

cdef bint PLAIN
cdef int MIXES, LAT, LON, TIME, ACCURACY, SPEED, HEADING, IGNITION, WORD
cdef Py_ssize_t DEEPEST, DIGITS_MAX, MAX_PAYLOAD_BYTES
cdef unsigned long long EXACT_MAX
cdef const double[::1] POWERS
cdef unsigned char QUOTE, BACKSLASH, COMMA, COLON, MINUS, POINT, OPEN, CLOSE, OPEN_LIST, CLOSE_LIST
cdef unsigned char TRUE, FALSE, NULL, SMALL_E, BIG_E
cdef double NAN, EARLIEST_S, LATEST_S, MOST_AHEAD_S

@cython.final
cdef class Members:
    cdef const unsigned char[::1] _texts
    cdef const int[::1] _begins, _kinds, _allowed, _heads, _more
    cdef object _fix
    cdef double[::1] values
    cdef int _demanded, _seen
    cdef double _number, _time_factor, _accuracy_factor, _speed_factor

    @cython.locals(kind=int, at=Py_ssize_t)
    cdef bint scan(self, const unsigned char *payload, Py_ssize_t size) noexcept
    @cython.locals(start=Py_ssize_t, end=Py_ssize_t, key=Py_ssize_t)
    cdef Py_ssize_t _object(self, const unsigned char *payload, Py_ssize_t at) noexcept
    @cython.locals(key=Py_ssize_t)
    cdef Py_ssize_t _which(self, const unsigned char *payload, Py_ssize_t start, Py_ssize_t end) noexcept
    @cython.locals(begin=Py_ssize_t, k=Py_ssize_t)
    cdef bint _is_text(self, Py_ssize_t text, const unsigned char *payload, Py_ssize_t start, Py_ssize_t end) noexcept
    @cython.locals(quoted=Py_ssize_t)
    cdef Py_ssize_t _value(self, const unsigned char *payload, Py_ssize_t at, int kind) noexcept
    @cython.locals(end=Py_ssize_t, text=Py_ssize_t)
    cdef Py_ssize_t _word(self, const unsigned char *payload, Py_ssize_t at, int word) noexcept
    @cython.locals(negative=Py_ssize_t, first=Py_ssize_t, end=Py_ssize_t, 
                   mantissa="unsigned long long")
    cdef Py_ssize_t _decimal(self, const unsigned char *payload, Py_ssize_t at) noexcept
    @cython.locals(lat_deg=double, lon_deg=double, fix_t_s=double, received_s=double, accuracy_m=double,
                   speed_kmh=double, heading_deg=double, ignition=double)
    cdef fix(self, message, str device)

@cython.final
cdef class FlatReader:
    cdef Members _members
    cdef str _device
    cdef object _otherwise
    @cython.locals(payload=bytes, size=Py_ssize_t)
    cpdef read(self, message)

cdef Py_ssize_t mixed(const unsigned char *text, Py_ssize_t start, Py_ssize_t end) noexcept
cdef Py_ssize_t blank(const unsigned char *payload, Py_ssize_t at) noexcept
cdef Py_ssize_t text_end(const unsigned char *payload, Py_ssize_t at) noexcept
cdef Py_ssize_t digits_end(const unsigned char *payload, Py_ssize_t at) noexcept
cdef bint is_decimal(const unsigned char *payload, Py_ssize_t first, Py_ssize_t end, Py_ssize_t last) noexcept
@cython.locals(k=Py_ssize_t)
cdef Py_ssize_t literal(const unsigned char *payload, Py_ssize_t at, const unsigned char *text) noexcept
@cython.locals(begins="unsigned char", end=Py_ssize_t, first=Py_ssize_t, last=Py_ssize_t)
cdef Py_ssize_t skip(const unsigned char *payload, Py_ssize_t at, Py_ssize_t depth) noexcept
@cython.locals(is_object=bint, closes="unsigned char", end=Py_ssize_t)
cdef Py_ssize_t skip_nest(const unsigned char *payload, Py_ssize_t at, Py_ssize_t depth) noexcept
