"""The GDB remote protocol before a VMM's session: packets, what answers them, the way back."""
