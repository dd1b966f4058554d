"""Clauses of a scenario merged into one that says once what they have in common."""
