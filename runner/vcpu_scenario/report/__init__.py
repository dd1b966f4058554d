"""Reports: one small module for each format, pure functions of results."""
