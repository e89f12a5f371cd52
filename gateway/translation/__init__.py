"""What the operator reads, in the operator's language.

The rules say their sentences once, in English, and know of no other language; here the finished sentence is
taken apart again by the catalogue. One that is not there stays English.
"""

from __future__ import annotations

from gateway.translation.language import Language, language_of
from gateway.translation.sentences import told, translated

__all__ = ["Language", "language_of", "told", "translated"]
