"""The durable outbox (DESIGN §6.2): what may leave waits here, on disk, until it is acknowledged."""

from gateway.outbox.limits import DEFAULTS, Class, Limits
from gateway.outbox.outbox import Outbox
from gateway.outbox.rows import Queued, Reason, Row, Transaction, Waiting

__all__ = ["DEFAULTS", "Class", "Limits", "Outbox", "Queued", "Reason", "Row", "Transaction", "Waiting"]
