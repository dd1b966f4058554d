/* Attributes of a vCPU */

static int vcpu_attr_call(unsigned long request, uint32_t group, uint64_t attr, const void *value)
{
	struct kvm_device_attr device_attr = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)value,
	};

	return vcpu_call(request, &device_attr);
}

/* The kernel takes as many bytes of a value as the attribute has */
static int vcpu_attr_set(uint32_t group, uint64_t attr, const void *value)
{
	return vcpu_attr_call(KVM_SET_DEVICE_ATTR, group, attr, value);
}

static int vcpu_attr_has(uint32_t group, uint64_t attr)
{
	return vcpu_attr_call(KVM_HAS_DEVICE_ATTR, group, attr, NULL);
}

/* What KVM_GET_DEVICE_ATTR of the vCPU gave last */
static uint64_t vcpu_attr_value;

static int vcpu_attr_get(uint32_t group, uint64_t attr)
{
	vcpu_attr_value = 0;
	return vcpu_attr_call(KVM_GET_DEVICE_ATTR, group, attr, &vcpu_attr_value);
}

static void expect_vcpu_attr(uint64_t value)
{
	if (vcpu_attr_value != value)
		fail("KVM_GET_DEVICE_ATTR gave %#llx, expected %#llx",
		     (unsigned long long)vcpu_attr_value, (unsigned long long)value);
}

static void need_pmu(void)
{
	if (vm_call(KVM_CHECK_EXTENSION, (void *)KVM_CAP_ARM_PMU_V3) <= 0)
		skip("this kernel has no KVM_CAP_ARM_PMU_V3");
}
