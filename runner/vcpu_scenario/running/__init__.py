"""Running cases: which ones, on which machine, in which processes, and their results joined."""
