"""KVM itself: ioctls on ``/dev/kvm`` of an arm64 Linux host, and the lab that boots one."""
