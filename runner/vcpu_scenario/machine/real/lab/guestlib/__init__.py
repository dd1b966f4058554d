"""What the guest of a lab imports by the names of libraries that it has not: see ``initramfs``."""
