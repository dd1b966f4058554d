/* The vGIC */

static int create_vgic(uint32_t type)
{
	struct kvm_create_device device = { .type = type };

	if (ioctl(vm_fd, KVM_CREATE_DEVICE, &device) < 0) {
		if (errno == ENODEV)
			skip("this host's GIC has no such vGIC");
		refused("KVM_CREATE_DEVICE");
	}
	return device.fd;
}

/* variant: harness */
static int create_vgic(uint32_t type)
{
	if (__kvm_test_create_device(vm, type))
		skip("this host's GIC has no such vGIC");
	return kvm_create_device(vm, type);
}

static void set_vgic_attr(int vgic, uint32_t group, uint64_t attr, const void *value)
{
	struct kvm_device_attr device_attr = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)value,
	};

	must_ioctl(vgic, KVM_SET_DEVICE_ATTR, &device_attr);
}

/* variant: harness */
static void set_vgic_attr(int vgic, uint32_t group, uint64_t attr, void *value)
{
	kvm_device_attr_set(vgic, group, attr, value);
}

static int vgic_fd = -1;

/* KVM_CREATE_DEVICE of a vGIC, and nothing more */
static int new_vgic(uint32_t type)
{
	struct kvm_create_device device = { .type = type };

	if (vm_call(KVM_CREATE_DEVICE, &device) < 0) {
		if (errno == ENODEV)
			skip("this host's GIC has no such vGIC");
		return -1;
	}
	vgic_fd = device.fd;
	return 0;
}

static int its_fds[16] = { -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1 };
static int nr_its;

/* KVM_CREATE_DEVICE by its type; one on trial has no file */
static int create_device(uint32_t type, uint32_t flags)
{
	struct kvm_create_device device = { .type = type, .flags = flags };

	if (vm_call(KVM_CREATE_DEVICE, &device) < 0)
		return -1;
	if (type == KVM_DEV_TYPE_ARM_VGIC_ITS && !flags)
		its_fds[nr_its++] = device.fd;
	else if (!flags)
		vgic_fd = device.fd;
	return 0;
}

/* KVM_SIGNAL_MSI: 1 where it was delivered, 0 where the guest blocks it */
static int signal_msi(uint64_t address, uint32_t data, uint32_t flags, uint32_t devid)
{
	struct kvm_msi msi = {
		.address_lo = (uint32_t)address,
		.address_hi = address >> 32,
		.data = data,
		.flags = flags,
		.devid = devid,
	};

	return vm_call(KVM_SIGNAL_MSI, &msi);
}

/* Where a gsi leads to: a pin of the vGIC, or an MSI */
struct route {
	uint32_t gsi, is_msi, pin;
	uint64_t address;
	uint32_t data, flags, devid;
};

static int set_gsi_routing(const struct route *routes, uint32_t nr)
{
	struct kvm_irq_routing *routing;
	struct kvm_irq_routing_entry *entry;
	const struct route *route;
	int ret;

	routing = calloc(1, sizeof(*routing) + nr * sizeof(routing->entries[0]));
	for (routing->nr = 0; routing->nr < nr; routing->nr++) {
		entry = &routing->entries[routing->nr];
		route = &routes[routing->nr];
		entry->gsi = route->gsi;
		entry->type = route->is_msi ? KVM_IRQ_ROUTING_MSI : KVM_IRQ_ROUTING_IRQCHIP;
		if (!route->is_msi) {
			entry->u.irqchip.pin = route->pin;
			continue;
		}
		entry->flags = route->flags;
		entry->u.msi.address_lo = (uint32_t)route->address;
		entry->u.msi.address_hi = route->address >> 32;
		entry->u.msi.data = route->data;
		entry->u.msi.devid = route->devid;
	}
	ret = vm_call(KVM_SET_GSI_ROUTING, routing);
	free(routing);
	return ret;
}
