"""Traces from the field: what KVM's tracepoints or strace say of a guest, beside a scenario."""
