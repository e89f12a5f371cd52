"""The audit log: what was decided and done, kept so that a change to it is seen."""

from gateway.audit.chain import Link
from gateway.audit.log import AuditLog
from gateway.audit.proof import Proof, about, verify

__all__ = ["AuditLog", "Link", "Proof", "about", "verify"]
