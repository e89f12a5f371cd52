"""The presence gateway: raw BLE and vehicle signals in, consented presence events out."""

__version__ = "0.1.0"
