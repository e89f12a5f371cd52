"""How long and how far: bounds that several rooms of the core share (DESIGN §3.1). Seconds, metres, km/h."""

STALE_S = 120.0
"""Older than this at reception: never `entering` or `approaching`."""
LATE_S = 30.0
"""A fix so much older than the newest is late; an older one is dropped."""
FIRST_S = 600.0
"""After so long without a fix, the next one is first knowledge again."""
SILENCE_S = 120.0
"""An open `entering` waits so long for the next fix."""
LOST_S = 12 * 3600.0
TRACK_KEPT_S = 24 * 3600.0
APPROACH_AGAIN_S = 600.0
RECORD_KEPT_S = 600.0
"""So long a record without claims still knows where its last stay ended and which approach was told."""
TAIL_S = 30.0
"""So long after a stay or crossing, a line that cuts the fence is still its tail."""
FASTEST_KMH = 200.0
SURE_ACCURACY_M = 50.0
"""A worse fix is inside only when it is deep inside, makes no line and ends no stay."""
LATER_S = float("inf")
"""No time at all: nothing is due."""
