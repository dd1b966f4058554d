"""Benchmarks: what the emulated machine costs, beside the floor that Unicorn sets."""
