/* What a VMM does to a vCPU that has left the guest */

static int try_irq_line(uint32_t type, uint32_t number, uint32_t level)
{
	struct kvm_irq_level line = {
		.irq = type << KVM_ARM_IRQ_TYPE_SHIFT | number,
		.level = level,
	};

	return vm_call(KVM_IRQ_LINE, &line);
}

static void irq_line(uint32_t type, uint32_t number, uint32_t level)
{
	succeed(try_irq_line(type, number, level), "KVM_IRQ_LINE");
}

static int try_set_mp_state(uint32_t mp_state)
{
	struct kvm_mp_state state = { .mp_state = mp_state };

	return vcpu_call(KVM_SET_MP_STATE, &state);
}

static void set_mp_state(uint32_t mp_state)
{
	succeed(try_set_mp_state(mp_state), "KVM_SET_MP_STATE");
}

static int get_mp_state(void)
{
	struct kvm_mp_state state;

	return vcpu_call(KVM_GET_MP_STATE, &state) < 0 ? -1 : (int)state.mp_state;
}

/* The turn goes to the next vCPU that is on; false where none is */
static bool turn_to_next(void)
{
	int nr, last = vcpu_nr + NR_VCPUS;

	for (nr = vcpu_nr + 1; nr <= last; nr++) {
		turn_to(nr % NR_VCPUS);
		if (get_mp_state() != KVM_MP_STATE_STOPPED)
			return true;
	}
	return false;
}

static int try_set_vcpu_events(const struct kvm_vcpu_events *events)
{
	return vcpu_call(KVM_SET_VCPU_EVENTS, events);
}

static void set_vcpu_events(const struct kvm_vcpu_events *events)
{
	succeed(try_set_vcpu_events(events), "KVM_SET_VCPU_EVENTS");
}

static struct kvm_vcpu_events vcpu_events;

static int get_vcpu_events(void)
{
	return vcpu_call(KVM_GET_VCPU_EVENTS, &vcpu_events);
}

static void expect_vcpu_events(const struct kvm_vcpu_events *events)
{
	if (memcmp(events, &vcpu_events, sizeof(*events)))
		fail("KVM_GET_VCPU_EVENTS: serror %u, with esr %u: %#llx, ext_dabt %u",
		     vcpu_events.exception.serror_pending,
		     vcpu_events.exception.serror_has_esr,
		     (unsigned long long)vcpu_events.exception.serror_esr,
		     vcpu_events.exception.ext_dabt_pending);
}

/* The signal that the next KVM_RUN lets through, and nothing else */
static struct kicks {
	struct kvm_signal_mask mask;
	uint64_t none_blocked;
} __attribute__((packed)) kicks = { .mask.len = sizeof(uint64_t) };

static void pend_signal(void)
{
	sigset_t usr1;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	raise(SIGUSR1);
	succeed(vcpu_call(KVM_SET_SIGNAL_MASK, &kicks.mask), "KVM_SET_SIGNAL_MASK");
}

/* The VMM takes it: later runs have the VMM's own mask */
static void take_signal(void)
{
	static const struct timespec at_once;
	sigset_t usr1;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	if (sigtimedwait(&usr1, NULL, &at_once) == SIGUSR1)
		succeed(vcpu_call(KVM_SET_SIGNAL_MASK, (struct kvm_signal_mask *)NULL),
			"KVM_SET_SIGNAL_MASK");
	sigprocmask(SIG_UNBLOCK, &usr1, NULL);
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
