"""Expectations changed so that they no longer hold, and a judge of its own that says which."""
