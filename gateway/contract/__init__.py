"""The contract with whoever reads the events: JSON Schemas and an AsyncAPI document, made from types.

Checked in under docs/contract; tests hold both the files and what is on the wire to them.
"""

from gateway.contract.documents import asyncapi, documents
from gateway.contract.schemas import SCHEMAS, schema_of

__all__ = ["SCHEMAS", "asyncapi", "documents", "schema_of"]
