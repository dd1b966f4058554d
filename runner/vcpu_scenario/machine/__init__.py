"""Machines: KVM as the VMM sees it, emulated or real, behind one small interface."""
