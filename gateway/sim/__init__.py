"""Simulated stores and drives with their truth, and a broker to put them on."""
