# The types that Cython compiles loss.py with.
cimport cython
cimport libc.math as math

cdef double SENSITIVITY_DBM, SENSITIVITY_WIDTH_DB, FLOOR_LOSS_DB, NEXT_FLOOR_LOSS_DB
@cython.locals(loss_db=double)
cpdef double path_loss_db(double distance_m, int floors_apart=*) noexcept
@cython.locals(p=double)
cpdef double hearing_probability(double mu_dbm) noexcept
@cython.locals(x=double, y=double, z=double, there_x=double, there_y=double, east_m=double, north_m=double, up_m=double)
cpdef double distance_m(tuple place, anchor) except -1.0
@cython.locals(power_dbm=double, n=Py_ssize_t, mu_dbm=double, p_hear=double, decades=double, square_db2=double, way_m=double,
               at_dbm=double, shadowing_db=double, mus_dbm=list)
cpdef link_model(places, int floors_apart, anchor)
