"""How well arrivals are told from drive-bys: small drives with truth, a score and a stored baseline."""
