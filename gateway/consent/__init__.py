"""Who agreed to what, and the only place where a Release is made."""

from gateway.consent.keys import Keys, load_keys
from gateway.consent.policy import Policy, Purpose, Recipient
from gateway.consent.records import ConsentEntry, SubjectRecord, load_consent_file, load_deny_list
from gateway.consent.register import Register
from gateway.consent.release import Release
from gateway.consent.screen import ConsentScreen, Stored
from gateway.consent.tally import Tally

__all__ = [
    "ConsentEntry",
    "ConsentScreen",
    "Keys",
    "Policy",
    "Purpose",
    "Recipient",
    "Register",
    "Release",
    "Stored",
    "SubjectRecord",
    "Tally",
    "load_consent_file",
    "load_deny_list",
    "load_keys",
]
