"""KVM on the emulated hardware: what the kernel does, by the rules of a release."""
