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

static bool memory_is(uint64_t addr, const void *wanted, size_t len)
{
	uint8_t came[len];
	char what[64];

	read_guest(addr, came, len);
	snprintf(what, sizeof(what), "memory at %#llx", (unsigned long long)addr);
	return same_bytes(what, came, wanted, len);
}
