/* What an exit is, by its fields */

/* KVM_RUN has returned 0 */
static bool returned(void)
{
	if (result)
		snprintf(found, sizeof(found), "KVM_RUN failed: %s", strerror(-result));
	return !result;
}

static bool failed_with(int error)
{
	if (result != -error)
		snprintf(found, sizeof(found), "KVM_RUN: %s",
			 result ? strerror(-result) : "it returned 0");
	return result == -error;
}

static bool failed(void)
{
	bool interrupted = result == -EINTR;

	if (!result || interrupted)
		snprintf(found, sizeof(found), "KVM_RUN: %s",
			 interrupted ? strerror(EINTR) : "it returned 0");
	return result && !interrupted;
}

static bool is_exit(uint32_t reason)
{
	return returned() && same(run->exit_reason, reason);
}

static bool is_debug(uint32_t ec, uint64_t pc)
{
	return is_exit(KVM_EXIT_DEBUG) && same(ESR_EC(run->debug.arch.hsr), ec) &&
	       same(exit_pc, pc);
}

static bool is_step(uint64_t pc)
{
	return is_debug(ESR_EC_SOFTSTP_LOW, pc);
}

static bool is_brk(uint64_t pc)
{
	return is_debug(ESR_EC_BRK64, pc);
}

static bool is_hw_breakpoint(uint64_t pc)
{
	return is_debug(ESR_EC_BREAKPT_LOW, pc);
}

static bool is_watchpoint(uint64_t pc)
{
	return is_debug(ESR_EC_WATCHPT_LOW, pc);
}

static bool is_mmio(bool write, uint64_t addr)
{
	return is_exit(KVM_EXIT_MMIO) && same(run->mmio.is_write, write) &&
	       same(run->mmio.phys_addr, addr);
}

static bool is_mmio_read(uint64_t addr)
{
	return is_mmio(false, addr);
}

static bool is_mmio_write(uint64_t addr)
{
	return is_mmio(true, addr);
}

static bool is_system_event(uint32_t type)
{
	return is_exit(KVM_EXIT_SYSTEM_EVENT) && same(run->system_event.type, type);
}

static struct kvm_coalesced_mmio_ring *coalesced_ring(void)
{
	return (void *)run + KVM_COALESCED_MMIO_PAGE_OFFSET * sysconf(_SC_PAGESIZE);
}

static void empty_ring(uint32_t at)
{
	coalesced_ring()->first = at;
	coalesced_ring()->last = at;
}

static bool entries_in_ring(uint32_t wanted)
{
	struct kvm_coalesced_mmio_ring *ring = coalesced_ring();
	uint32_t max = (sysconf(_SC_PAGESIZE) - sizeof(*ring)) / sizeof(*ring->coalesced_mmio);

	return same((ring->last + max - ring->first) % max, wanted);
}

static bool ring_entry_is(uint32_t nr, uint64_t addr, uint32_t len, const void *data, size_t size)
{
	struct kvm_coalesced_mmio_ring *ring = coalesced_ring();
	uint32_t max = (sysconf(_SC_PAGESIZE) - sizeof(*ring)) / sizeof(*ring->coalesced_mmio);
	struct kvm_coalesced_mmio *entry = &ring->coalesced_mmio[(ring->first + nr) % max];

	return same(entry->phys_addr, addr) && same(entry->len, len) &&
	       same_bytes("the coalesced write", entry->data, data, size);
}
