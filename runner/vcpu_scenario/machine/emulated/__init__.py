"""KVM/arm64 in software: a Cortex-A57 on Unicorn below, the rules of a kernel release above."""
