"""The durable outbox (DESIGN §6.2): what may leave waits here, on disk, until it is acknowledged."""

from gateway.outbox.outbox import Outbox
from gateway.outbox.store import Reason, Row, Transaction

__all__ = ["Outbox", "Reason", "Row", "Transaction"]
