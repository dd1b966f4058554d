"""Recordings: what real kernels did with jobs, read, written and compared with a machine."""
