/* An exit printed, and held to what was expected */

static const char *exit_name(uint32_t reason)
{
	switch (reason) {
	case KVM_EXIT_HYPERCALL:	return "KVM_EXIT_HYPERCALL";
	case KVM_EXIT_DEBUG:		return "KVM_EXIT_DEBUG";
	case KVM_EXIT_MMIO:		return "KVM_EXIT_MMIO";
	case KVM_EXIT_FAIL_ENTRY:	return "KVM_EXIT_FAIL_ENTRY";
	case KVM_EXIT_INTR:		return "KVM_EXIT_INTR";
	case KVM_EXIT_INTERNAL_ERROR:	return "KVM_EXIT_INTERNAL_ERROR";
	case KVM_EXIT_SYSTEM_EVENT:	return "KVM_EXIT_SYSTEM_EVENT";
	case KVM_EXIT_ARM_NISV:		return "KVM_EXIT_ARM_NISV";
	default:			return "another exit";
	}
}

static void print_exit(void)
{
	printf("# exit %d: ", nr_exits - 1);
	if (result)
		printf("KVM_RUN failed: %s, ", strerror(-result));
	printf("%s (%u), pc %#llx", exit_name(run->exit_reason), run->exit_reason,
	       (unsigned long long)exit_pc);
	switch (run->exit_reason) {
	case KVM_EXIT_DEBUG:
		printf(", hsr %#x, far %#llx", run->debug.arch.hsr,
		       (unsigned long long)run->debug.arch.far);
		break;
	case KVM_EXIT_MMIO:
		printf(", %s of %u at %#llx", run->mmio.is_write ? "write" : "read",
		       run->mmio.len, (unsigned long long)run->mmio.phys_addr);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		printf(", type %u", run->system_event.type);
		break;
	case KVM_EXIT_ARM_NISV:
		printf(", esr_iss %#llx, fault_ipa %#llx",
		       (unsigned long long)run->arm_nisv.esr_iss,
		       (unsigned long long)run->arm_nisv.fault_ipa);
		break;
	}
	printf("\n");
}

static void __attribute__((noreturn)) unexpected(const char *expected)
{
	print_exit();
	fail("exit %d: expected %s: %s", nr_exits - 1, expected, found);
}

static void __attribute__((noreturn)) unexpected_at_all(void)
{
	print_exit();
	fail("exit %d must never come", nr_exits - 1);
}

#define expect(condition)	do { if (!(condition)) unexpected(#condition); } while (0)

#define check(condition)	do { if (!(condition)) fail("%s", found); } while (0)

#define expect_at_the_end(condition) \
	do { if (!(condition)) fail("at the end: %s", found); } while (0)

static bool same_value(const char *what, uint64_t came, uint64_t wanted)
{
	if (came != wanted)
		snprintf(found, sizeof(found), "%s is %#llx, not %#llx", what,
			 (unsigned long long)came, (unsigned long long)wanted);
	return came == wanted;
}

#define same(what, wanted)	same_value(#what, what, wanted)

static bool same_bytes(const char *what, const void *came, const void *wanted, size_t len)
{
	size_t at;

	for (at = 0; at < len; at++)
		if (((const uint8_t *)came)[at] != ((const uint8_t *)wanted)[at])
			break;
	if (at < len)
		snprintf(found, sizeof(found), "byte %zu of %s is %#x, not %#x", at, what,
			 ((const uint8_t *)came)[at], ((const uint8_t *)wanted)[at]);
	return at == len;
}

static bool is_wide_reg(uint64_t id, uint64_t high, uint64_t low)
{
	uint64_t value[2] = { 0 };
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)value };

	succeed(vcpu_call(KVM_GET_ONE_REG, &reg), "KVM_GET_ONE_REG");
	return same_value("its upper half", value[1], high) &&
	       same_value("its lower half", value[0], low);
}

#define MAX_REGS	4096

static struct kvm_reg_list *new_reg_list(void)
{
	struct kvm_reg_list *list = calloc(1 + MAX_REGS, sizeof(uint64_t));

	list->n = MAX_REGS;
	succeed(vcpu_call(KVM_GET_REG_LIST, list), "KVM_GET_REG_LIST");
	return list;
}

/* variant: harness */
static struct kvm_reg_list *new_reg_list(void)
{
	return vcpu_get_reg_list(vcpu);
}

static struct kvm_reg_list *reg_list(void)
{
	static struct kvm_reg_list *list;

	if (!list)
		list = new_reg_list();
	return list;
}

/* Whether KVM_GET_REG_LIST has a register, or has it not, as it should */
static bool listed(uint64_t id, bool wanted)
{
	struct kvm_reg_list *list = reg_list();
	uint64_t i;

	for (i = 0; i < list->n && list->reg[i] != id; i++)
		;
	snprintf(found, sizeof(found), "KVM_GET_REG_LIST %s %#llx",
		 i < list->n ? "has" : "lacks", (unsigned long long)id);
	return (i < list->n) == wanted;
}

static bool memory_is(uint64_t addr, const void *wanted, size_t len)
{
	uint8_t came[len];
	char what[64];

	read_guest(addr, came, len);
	snprintf(what, sizeof(what), "memory at %#llx", (unsigned long long)addr);
	return same_bytes(what, came, wanted, len);
}
