"""How the gateway is, for people and for machines: the page, metrics, health. Reads, and changes nothing."""

from gateway.status.service import Status
from gateway.status.vitals import Lookout, Reloaded

__all__ = ["Lookout", "Reloaded", "Status"]
