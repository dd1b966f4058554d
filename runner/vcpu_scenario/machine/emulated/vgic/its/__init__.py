"""KVM's ITS: it translates what devices write to it, a device's and an event's number, to LPIs."""
