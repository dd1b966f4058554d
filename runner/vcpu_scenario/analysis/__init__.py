"""What many runs show together: history, causes, random programs, shrinking."""
