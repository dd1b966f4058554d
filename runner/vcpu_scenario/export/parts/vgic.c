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

static int its_fd = -1;

/* KVM_CREATE_DEVICE by its type; one on trial has no file */
static int create_device(uint32_t type, uint32_t flags)
{
	struct kvm_create_device device = { .type = type, .flags = flags };

	if (vm_call(KVM_CREATE_DEVICE, &device) < 0)
		return -1;
	if (type == KVM_DEV_TYPE_ARM_VGIC_ITS && !flags)
		its_fd = device.fd;
	else if (!flags)
		vgic_fd = device.fd;
	return 0;
}

static int its_set(uint32_t group, uint64_t attr, const void *value)
{
	struct kvm_device_attr device_attr = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)value,
	};

	return ioctl(its_fd, KVM_SET_DEVICE_ATTR, &device_attr);
}

/* variant: harness */
static int its_set(uint32_t group, uint64_t attr, void *value)
{
	return __kvm_device_attr_set(its_fd, group, attr, value);
}

/* KVM_SET_GSI_ROUTING of pairs, a gsi and a pin of the vGIC */
static int set_gsi_routing(uint32_t (*routes)[2], uint32_t nr)
{
	struct kvm_irq_routing *routing;
	int ret;

	routing = calloc(1, sizeof(*routing) + nr * sizeof(routing->entries[0]));
	for (routing->nr = 0; routing->nr < nr; routing->nr++) {
		routing->entries[routing->nr].gsi = routes[routing->nr][0];
		routing->entries[routing->nr].type = KVM_IRQ_ROUTING_IRQCHIP;
		routing->entries[routing->nr].u.irqchip.pin = routes[routing->nr][1];
	}
	ret = vm_call(KVM_SET_GSI_ROUTING, routing);
	free(routing);
	return ret;
}

static int vgic_call(unsigned long request, uint32_t group, uint64_t attr, const void *value)
{
	struct kvm_device_attr device_attr = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)value,
	};

	return ioctl(vgic_fd, request, &device_attr);
}

static int vgic_set(uint32_t group, uint64_t attr, const void *value)
{
	return vgic_call(KVM_SET_DEVICE_ATTR, group, attr, value);
}

/* variant: harness */
static int vgic_set(uint32_t group, uint64_t attr, void *value)
{
	return __kvm_device_attr_set(vgic_fd, group, attr, value);
}

static int vgic_has(uint32_t group, uint64_t attr)
{
	return vgic_call(KVM_HAS_DEVICE_ATTR, group, attr, NULL);
}

/* variant: harness */
static int vgic_has(uint32_t group, uint64_t attr)
{
	return __kvm_has_device_attr(vgic_fd, group, attr);
}

/* What KVM_GET_DEVICE_ATTR gave last, be it 4 bytes or 8 */
static uint64_t vgic_value;

static int vgic_get(uint32_t group, uint64_t attr, uint64_t given)
{
	vgic_value = given;
	return vgic_call(KVM_GET_DEVICE_ATTR, group, attr, &vgic_value);
}

/* variant: harness */
static int vgic_get(uint32_t group, uint64_t attr, uint64_t given)
{
	vgic_value = given;
	return __kvm_device_attr_get(vgic_fd, group, attr, &vgic_value);
}

static void expect_vgic_value(uint64_t value)
{
	if (vgic_value != value)
		fail("KVM_GET_DEVICE_ATTR gave %#llx, expected %#llx",
		     (unsigned long long)vgic_value, (unsigned long long)value);
}
