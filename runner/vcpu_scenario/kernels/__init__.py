"""Kernel releases: names, order, and which rules each one has."""
