/* What a VMM does to a vCPU that has left the guest */

static void irq_line(uint32_t type, uint32_t number, uint32_t level)
{
	struct kvm_irq_level line = {
		.irq = type << KVM_ARM_IRQ_TYPE_SHIFT | number,
		.level = level,
	};

	must_ioctl(vm_fd, KVM_IRQ_LINE, &line);
}

/* variant: harness */
static void irq_line(uint32_t type, uint32_t number, uint32_t level)
{
	struct kvm_irq_level line = {
		.irq = type << KVM_ARM_IRQ_TYPE_SHIFT | number,
		.level = level,
	};

	vm_ioctl(vm, KVM_IRQ_LINE, &line);
}

static void set_mp_state(uint32_t mp_state)
{
	struct kvm_mp_state state = { .mp_state = mp_state };

	must_ioctl(vcpu_fd, KVM_SET_MP_STATE, &state);
}

/* variant: harness */
static void set_mp_state(uint32_t mp_state)
{
	struct kvm_mp_state state = { .mp_state = mp_state };

	vcpu_mp_state_set(vcpu, &state);
}

static void set_mmio_data(uint64_t value)
{
	memcpy(run->mmio.data, &value, sizeof(value));
}

/* The first bytes of a write, as a number */
static uint64_t written_data(uint32_t len)
{
	uint64_t value = 0;

	memcpy(&value, run->mmio.data, len < sizeof(value) ? len : sizeof(value));
	return value;
}

static uint64_t load_le(const uint8_t *bytes, uint32_t len)
{
	uint64_t value = 0;

	memcpy(&value, bytes, len);
	return value;
}

static void skip_instruction(void)
{
	set_reg(REG_PC, get_reg(REG_PC) + 4);
}
