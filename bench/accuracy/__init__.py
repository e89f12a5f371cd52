"""How well arrivals are told from drive-bys and zones from one another: simulations with truth, a score and
stored baselines."""
