/* A debugger, and QEMU before one */

static void apply_guest_debug(const struct kvm_guest_debug *debug)
{
	must_ioctl(vcpu_fd, KVM_SET_GUEST_DEBUG, debug);
}

/* variant: harness */
static void apply_guest_debug(const struct kvm_guest_debug *debug)
{
	vcpu_ioctl(vcpu, KVM_SET_GUEST_DEBUG, (struct kvm_guest_debug *)debug);
}

static int try_set_guest_debug(const struct kvm_guest_debug *debug)
{
	return vcpu_call(KVM_SET_GUEST_DEBUG, debug);
}

static void set_guest_debug(const struct kvm_guest_debug *debug)
{
	must_ioctl(vcpu_fd, KVM_SET_GUEST_DEBUG, debug);
}

/* variant: harness */
static void set_guest_debug(struct kvm_guest_debug *debug)
{
	vcpu_guest_debug_set(vcpu, debug);
}

/* The exception class of a debug exit, -1 of any other */
static int debug_class(void)
{
	if (result || run->exit_reason != KVM_EXIT_DEBUG)
		return -1;
	return ESR_EC(run->debug.arch.hsr);
}

/* What the debugger asks for */
static struct kvm_guest_debug asked;

/* variant: qemu */
static void set_guest_debug(const struct kvm_guest_debug *debug)
{
	asked = *debug;
	apply_guest_debug(debug);
}

/* Where the debugger has written BRK #0 */
static uint64_t sw_breakpoints[64];

static int nr_sw_breakpoints;

static bool is_sw_breakpoint_of_debugger(uint64_t pc)
{
	int i;

	for (i = 0; i < nr_sw_breakpoints; i++)
		if (sw_breakpoints[i] == pc)
			return true;
	return false;
}

static void debugger_writes(uint64_t addr, const void *data, size_t len)
{
	uint64_t at;
	uint32_t word;
	int i;

	write_guest(addr, data, len);
	for (at = (addr + 3) & ~3ul; at + 4 <= addr + len; at += 4) {
		for (i = 0; i < nr_sw_breakpoints; i++)
			if (sw_breakpoints[i] == at)
				sw_breakpoints[i] = sw_breakpoints[--nr_sw_breakpoints];
		memcpy(&word, (const uint8_t *)data + (at - addr), sizeof(word));
		if (word == BRK_0)
			sw_breakpoints[nr_sw_breakpoints++] = at;
	}
}

static bool is_hw_breakpoint_of_debugger(uint64_t pc)
{
	int i;

	for (i = 0; i < KVM_ARM_MAX_DBG_REGS; i++)
		if (asked.arch.dbg_bcr[i] && asked.arch.dbg_bvr[i] == pc)
			return true;
	return false;
}

/* QEMU looks for the first byte alone, or for a range with one byte behind it */
static bool is_watched_by_debugger(uint64_t far)
{
	uint64_t first, wcr;
	int i;

	for (i = 0; i < KVM_ARM_MAX_DBG_REGS; i++) {
		wcr = asked.arch.dbg_wcr[i];
		first = asked.arch.dbg_wvr[i];
		if (!wcr)
			continue;
		if (!(wcr >> 24)) {
			if (far == first + __builtin_ctzll(wcr >> 5 & 0xff))
				return true;
		} else if (far - first <= 1ull << (wcr >> 24 & 0xf)) {
			return true;
		}
	}
	return false;
}

static bool stops_at_mmio(void)
{
	return false;
}

/* variant: leaves_at_mmio */
/* With the patch of 2017 QEMU leaves its loop at an access that it steps over */
static bool stops_at_mmio(void)
{
	return !result && run->exit_reason == KVM_EXIT_MMIO &&
	       asked.control & KVM_GUESTDBG_SINGLESTEP;
}

/* Whether the debugger is told of the last exit */
static bool told;

/* While the debugger looks, QEMU does not step: its breakpoints alone stay */
static void stop_stepping(void)
{
	struct kvm_guest_debug debug = asked;

	if (!(asked.control & KVM_GUESTDBG_SINGLESTEP))
		return;
	debug.control &= ~KVM_GUESTDBG_SINGLESTEP;
	if (!asked.arch.dbg_bcr[0] && !asked.arch.dbg_wcr[0] && !nr_sw_breakpoints)
		debug.control = 0;
	apply_guest_debug(&debug);
}

/* QEMU kicks its vCPU as it stops and as it goes on: the next KVM_RUN returns EINTR */
static bool kick = true;

static void resume(void)
{
	if (!told)
		return;
	if (asked.control || asked.arch.dbg_bcr[0] || asked.arch.dbg_wcr[0])
		apply_guest_debug(&asked);
	kick = true;
}

/* What the debugger has not asked for is the guest's own */
static bool is_for_the_guest(void)
{
	if (!result && run->exit_reason == KVM_EXIT_ARM_NISV)
		return true;
	switch (debug_class()) {
	case ESR_EC_BREAKPT_LOW:
	case ESR_EC_WATCHPT_LOW:
	case ESR_EC_BRK64:
		return true;
	default:
		return false;
	}
}

#define REG_VBAR	ARM64_SYS_REG(3, 0, 12, 0, 0)

#define REG_ESR		ARM64_SYS_REG(3, 0, 5, 2, 0)

/* An exception to EL1 with the syndrome of the exit */
static void give_to_the_guest(void)
{
	uint64_t pstate = get_reg(REG_PSTATE), vector = 0x200;

	if (run->exit_reason == KVM_EXIT_ARM_NISV) {
		set_vcpu_events(&(struct kvm_vcpu_events) { .exception.ext_dabt_pending = 1 });
		return;
	}
	if ((pstate & 0xf) <= 4)
		vector = (pstate & 0xf) == 4 ? 0 : 0x400;
	set_reg(REG_ESR, run->debug.arch.hsr);
	set_reg(CORE_REG(spsr[KVM_SPSR_EL1]), pstate);
	set_reg(CORE_REG(elr_el1), get_reg(REG_PC));
	set_reg(REG_PSTATE, 0x3c5);
	set_reg(REG_PC, get_reg(REG_VBAR) + vector);
}
