"""The ABI that both machines speak: uAPI structures, numbers and names.

Standard library and records only, since the real machine imports it inside a minimal guest image.
"""
