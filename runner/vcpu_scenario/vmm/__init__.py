"""The userspace side: sets a VM up, drives ``KVM_RUN``, answers exits.

Standard library and records only."""
