"""The hardware: a Cortex-A57 with EL2 on Unicorn."""
