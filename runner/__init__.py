"""Run declarative vCPU scenarios against KVM/arm64, emulated or real."""

__version__ = "0.1.0"
