/* Attributes and ioctls that old headers lack */

/* Headers of Linux 6.4 have it as struct kvm_smccc_filter */
struct smccc_filter {
	uint32_t base;
	uint32_t nr_functions;
	uint8_t action;
	uint8_t pad[15];
};

/* KVM_ARM_VM_SMCCC_FILTER of KVM_ARM_VM_SMCCC_CTRL, both of them 0 */
static int set_smccc_filter(uint32_t base, uint32_t nr_functions, uint8_t action, int pad)
{
	struct smccc_filter filter = {
		.base = base,
		.nr_functions = nr_functions,
		.action = action,
	};
	struct kvm_device_attr attr = { .group = 0, .attr = 0, .addr = (uintptr_t)&filter };

	memset(filter.pad, pad, sizeof(filter.pad));
	if (vm_call(KVM_HAS_DEVICE_ATTR, &attr) < 0)
		skip("this kernel has no KVM_ARM_VM_SMCCC_FILTER");
	return vm_call(KVM_SET_DEVICE_ATTR, &attr);
}

/* Headers of Linux 6.4 have it as KVM_ARM_SET_COUNTER_OFFSET and KVM_CAP_COUNTER_OFFSET */
struct counter_offset {
	uint64_t counter_offset;
	uint64_t reserved;
};

static int set_counter_offset(uint64_t counter_offset, uint64_t reserved)
{
	struct counter_offset offset = {
		.counter_offset = counter_offset,
		.reserved = reserved,
	};

	if (vm_call(KVM_CHECK_EXTENSION, (void *)227) <= 0)
		skip("this kernel has no KVM_ARM_SET_COUNTER_OFFSET");
	return vm_call(_IOW(KVMIO, 0xb5, struct counter_offset), &offset);
}

/* Headers of Linux 6.7 have it as KVM_ARM_GET_REG_WRITABLE_MASKS and struct reg_mask_range */
struct mask_range {
	uint64_t addr;
	uint32_t range;
	uint32_t reserved[13];
};

static uint64_t reg_masks[192];

static int get_reg_masks(uint32_t number, uint32_t reserved)
{
	struct mask_range range = {
		.addr = (uintptr_t)reg_masks,
		.range = number,
	};
	int i;

	for (i = 0; i < 13; i++)
		range.reserved[i] = reserved;
	if (vm_call(KVM_CHECK_EXTENSION, (void *)230) <= 0)
		skip("this kernel has no KVM_ARM_GET_REG_WRITABLE_MASKS");
	return vm_call(_IOR(KVMIO, 0xb6, struct mask_range), &range);
}

static void expect_reg_masks(const uint64_t *masks)
{
	if (memcmp(masks, reg_masks, sizeof(reg_masks)))
		fail("KVM_ARM_GET_REG_WRITABLE_MASKS: other masks than expected");
}
