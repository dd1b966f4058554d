/* Attributes of devices and of the vCPU */

static int attr_call(int fd, unsigned long request, uint32_t group, uint64_t attr,
		     const void *value)
{
	struct kvm_device_attr device_attr = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)value,
	};

	return ioctl(fd, request, &device_attr);
}

/* The kernel takes as many bytes of a value as the attribute has */
static int set_attr(int fd, uint32_t group, uint64_t attr, const void *value)
{
	return attr_call(fd, KVM_SET_DEVICE_ATTR, group, attr, value);
}

/* variant: harness */
static int set_attr(int fd, uint32_t group, uint64_t attr, void *value)
{
	return __kvm_device_attr_set(fd, group, attr, value);
}

static int has_attr(int fd, uint32_t group, uint64_t attr)
{
	return attr_call(fd, KVM_HAS_DEVICE_ATTR, group, attr, NULL);
}

/* variant: harness */
static int has_attr(int fd, uint32_t group, uint64_t attr)
{
	return __kvm_has_device_attr(fd, group, attr);
}

/* What KVM_GET_DEVICE_ATTR gave last, be it 4 bytes or 8 */
static uint64_t attr_value;

static int get_attr(int fd, uint32_t group, uint64_t attr, uint64_t given)
{
	attr_value = given;
	return attr_call(fd, KVM_GET_DEVICE_ATTR, group, attr, &attr_value);
}

/* variant: harness */
static int get_attr(int fd, uint32_t group, uint64_t attr, uint64_t given)
{
	attr_value = given;
	return __kvm_device_attr_get(fd, group, attr, &attr_value);
}

static void expect_attr(uint64_t value)
{
	if (attr_value != value)
		fail("KVM_GET_DEVICE_ATTR gave %#llx, expected %#llx",
		     (unsigned long long)attr_value, (unsigned long long)value);
}

static int set_steal_time(uint64_t ipa)
{
	if (has_attr(vcpu_fd, KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA) < 0)
		skip("this kernel has no KVM_ARM_VCPU_PVTIME_IPA");
	return set_attr(vcpu_fd, KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA, &ipa);
}

static void need_pmu(void)
{
	if (vm_call(KVM_CHECK_EXTENSION, (void *)KVM_CAP_ARM_PMU_V3) <= 0)
		skip("this kernel has no KVM_CAP_ARM_PMU_V3");
}
