// SPDX-License-Identifier: GPL-2.0-only
/*
 * step over a store and a load that the VMM handles
 *
 * An access to the UART leaves the guest for the VMM, so the CPU never retires
 * it and no step exception follows: KVM has to end the step. Up to 4.14 nobody
 * did, and the instruction after the access ran unseen. 4.15 to 4.20 made up
 * the debug exit. 5.0 wanted the CPU to take a pending step instead
 * (bd7d95cafb49), but setting up guest debug for the next entry undid it, up to
 * 5.10; since 5.11 pc moves after that (cdb5e02ed133) and the step stays
 * pending.
 *
 * Made by `scenario export` from access-handled-by-userspace.vcpu.yaml. Build
 * it with `gcc -Wall -O2 -static -o access-handled-by-userspace
 * access-handled-by-userspace.c` on or for arm64. Exit status: 0 as expected, 1
 * not as expected, 4 skipped for want of a capability.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <linux/kvm.h>

#define TEST_NAME	"access-handled-by-userspace"
#define GUEST_CODE	0x40000000ul
#define NR_MEMSLOTS	1
#define UART_BASE	0x9000000

/* The guest, which is copied to GUEST_CODE */
asm(
"	.pushsection .text.guest, \"ax\"\n"
"	.balign	4096\n"
"guest_code:\n"
"start:  mov   x0, #0x09000000         // the UART\n"
"        mov   x1, #0x2a\n"
"store:  str   w1, [x0]\n"
"sent:   add   x1, x1, #1\n"
"load:   ldr   w2, [x0, #4]\n"
"got:    add   x2, x2, #1\n"
"trap:   brk   #7\n"
"off:    mov   w0, #8                  // PSCI SYSTEM_OFF is 0x84000008\n"
"        movk  w0, #0x8400, lsl #16\n"
"        hvc   #0\n"
"guest_end:\n"
"	.popsection\n"
);

/* They are in this file, not behind a global offset table */
#pragma GCC visibility push(hidden)
extern const uint8_t guest_code[], guest_end[];
extern const uint8_t at_start[] asm("start");
extern const uint8_t at_store[] asm("store");
extern const uint8_t at_sent[] asm("sent");
extern const uint8_t at_load[] asm("load");
extern const uint8_t at_got[] asm("got");
extern const uint8_t at_trap[] asm("trap");
extern const uint8_t at_off[] asm("off");
#pragma GCC visibility pop

/* Where a label of the guest is in its memory */
#define PC(label)	(GUEST_CODE + (uint64_t)(at_##label - guest_code))

#define KSFT_FAIL	1
#define KSFT_SKIP	4

#define CORE_REG(member)	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | \
				 KVM_REG_ARM_CORE_REG(member))

#define REG_X(n)	CORE_REG(regs.regs[n])

#define REG_PC		CORE_REG(regs.pc)

/* The syndrome of a debug exit, Arm ARM D24.2.40 */
#define ESR_EC(esr)		((esr) >> 26)
#define ESR_EC_BREAKPT_LOW	0x30
#define ESR_EC_SOFTSTP_LOW	0x32
#define ESR_EC_WATCHPT_LOW	0x34
#define ESR_EC_BRK64		0x3c

/* Software step: set if an instruction was executed since the vCPU was entered */
#define ESR_STEP_ISV(esr)	((esr) >> 24 & 1)

#define ESR_BRK_IMM(esr)	((esr) & 0xffff)

static int kvm_fd;
static int vm_fd;
static int vcpu_fd;
static struct kvm_run *run;

/* What the last KVM_RUN returned: 0 or a negative errno */
static int result;

static int nr_exits;

/* pc after the last exit */
static uint64_t exit_pc;

/* The running kernel, as uname -r has it */
#define RELEASE(version, patchlevel, sublevel) \
	((uint64_t)(version) << 40 | (uint64_t)(patchlevel) << 20 | (sublevel))

static uint64_t running_kernel(void)
{
	unsigned int version = 0, patchlevel = 0, sublevel = 0;
	struct utsname uts;
	const char *debian;

	uname(&uts);
	sscanf(uts.release, "%u.%u.%u", &version, &patchlevel, &sublevel);
	/* Debian counts its own changes in the place of the sublevel */
	debian = strstr(uts.version, "Debian ");
	if (debian)
		sscanf(debian, "Debian %u.%u.%u", &version, &patchlevel, &sublevel);
	return RELEASE(version, patchlevel, sublevel);
}

/* A run that does not end in time is interrupted */
static void on_alarm(int signal)
{
	(void)signal;
}

static void catch_alarms(void)
{
	struct sigaction action = { .sa_handler = on_alarm };

	sigaction(SIGALRM, &action, NULL);
}

/* What the last check that failed has found */
static char found[256];

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *fmt, ...)
{
	va_list args;

	printf("# ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\nnot ok 1 " TEST_NAME "\n");
	exit(KSFT_FAIL);
}

static void __attribute__((noreturn, format(printf, 1, 2))) skip(const char *fmt, ...)
{
	va_list args;

	printf("ok 1 " TEST_NAME " # SKIP ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	exit(KSFT_SKIP);
}

static void __attribute__((noreturn)) pass(void)
{
	printf("ok 1 " TEST_NAME "\n");
	exit(0);
}

/* KVM did not do what it was asked to */
static void __attribute__((noreturn)) refused(const char *what)
{
	fail("%s: %s", what, strerror(errno));
}

static int must(int value, const char *what)
{
	if (value < 0)
		refused(what);
	return value;
}

#define must_ioctl(fd, request, arg)	must(ioctl(fd, request, arg), #request)

static uint64_t get_reg(uint64_t id)
{
	uint64_t value = 0;
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&value };

	must_ioctl(vcpu_fd, KVM_GET_ONE_REG, &reg);
	return value;
}

static void set_reg(uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&value };

	must_ioctl(vcpu_fd, KVM_SET_ONE_REG, &reg);
}

static struct memslot {
	uint64_t base;
	uint64_t size;
	uint8_t *host;
} memslots[NR_MEMSLOTS];

static int nr_memslots;

/* The VMM's memory of a slot, in huge pages where it is large and the host has them */
static uint8_t *map_memory(uint64_t size)
{
	uint64_t huge = 2 << 20, spare = size >= 8 * huge ? huge : 0;
	uint8_t *host = mmap(NULL, size + spare, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (host == MAP_FAILED)
		refused("mmap of guest memory");
	if (spare) {
		host += -(uintptr_t)host % huge;
		madvise(host, size, MADV_HUGEPAGE);
	}
	return host;
}

static void add_memslot(uint64_t base, uint64_t size, uint32_t flags)
{
	struct memslot *slot = &memslots[nr_memslots];
	struct kvm_userspace_memory_region region = {
		.slot = nr_memslots,
		.flags = flags,
		.guest_phys_addr = base,
		.memory_size = size,
	};

	slot->base = base;
	slot->size = size;
	slot->host = map_memory(size);
	region.userspace_addr = (uintptr_t)slot->host;
	must_ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &region);
	nr_memslots++;
}

static uint8_t *guest_memory(uint64_t addr)
{
	int i;

	for (i = 0; i < nr_memslots; i++)
		if (addr - memslots[i].base < memslots[i].size)
			return memslots[i].host + (addr - memslots[i].base);
	errno = EFAULT;
	refused("guest memory");
}

/*
 * The guest runs with its caches off: clean and drop what the host has in its
 * own, so that both see the same bytes, and what was fetched as instructions.
 */
static void sync_caches(const uint8_t *start, size_t len)
{
	uintptr_t line, end = (uintptr_t)start + len;

	for (line = (uintptr_t)start & ~15ul; line < end; line += 16)
		asm volatile("dc civac, %0" : : "r" (line) : "memory");
	asm volatile("dsb ish" : : : "memory");
	for (line = (uintptr_t)start & ~15ul; line < end; line += 16)
		asm volatile("ic ivau, %0" : : "r" (line) : "memory");
	asm volatile("dsb ish; isb" : : : "memory");
}

static void write_guest(uint64_t addr, const void *data, size_t len)
{
	uint8_t *host = guest_memory(addr);

	memcpy(host, data, len);
	sync_caches(host, len);
}

static void create_vm(void)
{
	int ipa_bits;

	kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm_fd < 0)
		skip("/dev/kvm: %s", strerror(errno));
	vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	if (vm_fd < 0 && errno == EINVAL) {
		/* A CPU that has less than the default of 40 bits */
		ipa_bits = must_ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE);
		vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, KVM_VM_TYPE_ARM_IPA_SIZE(ipa_bits));
	}
	must(vm_fd, "KVM_CREATE_VM");
}

static void create_vcpu(void)
{
	size_t size = must_ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	vcpu_fd = must_ioctl(vm_fd, KVM_CREATE_VCPU, 0);
	run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_fd, 0);
	if (run == MAP_FAILED)
		refused("mmap of the vCPU");
}

static void init_vcpu(uint32_t features)
{
	struct kvm_vcpu_init init;

	must_ioctl(vm_fd, KVM_ARM_PREFERRED_TARGET, &init);
	init.features[0] |= features;
	must_ioctl(vcpu_fd, KVM_ARM_VCPU_INIT, &init);
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

static void skip_instruction(void)
{
	set_reg(REG_PC, get_reg(REG_PC) + 4);
}

static void set_guest_debug(const struct kvm_guest_debug *debug)
{
	must_ioctl(vcpu_fd, KVM_SET_GUEST_DEBUG, debug);
}

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

#define expect(condition)	do { if (!(condition)) unexpected(#condition); } while (0)

static bool same_value(const char *what, uint64_t came, uint64_t wanted)
{
	if (came != wanted)
		snprintf(found, sizeof(found), "%s is %#llx, not %#llx", what,
			 (unsigned long long)came, (unsigned long long)wanted);
	return came == wanted;
}

#define same(what, wanted)	same_value(#what, what, wanted)

/* Whether nothing comes after the last exit */
static bool is_over(void)
{
	if (!nr_exits || result == -EINTR)
		return false;
	return result || run->exit_reason == KVM_EXIT_SYSTEM_EVENT;
}

/* KVM_RUN has returned 0 */
static bool returned(void)
{
	if (result)
		snprintf(found, sizeof(found), "KVM_RUN failed: %s", strerror(-result));
	return !result;
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

static uint64_t read_device(uint64_t addr)
{
	switch (addr) {
	case UART_BASE + 0x4:
		return 0x8877665544332211;
	}
	return 0x8877665544332211;
}

static void handle_mmio(void)
{
	if (!run->mmio.is_write)
		set_mmio_data(read_device(run->mmio.phys_addr));
}

/* The next exit; a run that does not end in time is interrupted */
static void run_vcpu(void)
{
	static const struct itimerval limit = {
		.it_value.tv_usec = 300000,
		.it_interval.tv_usec = 50000,
	};
	static const struct itimerval off;

	if (is_over()) {
		print_exit();
		fail("another exit was expected after exit %d", nr_exits - 1);
	}
	setitimer(ITIMER_REAL, &limit, NULL);
	result = ioctl(vcpu_fd, KVM_RUN, 0) < 0 ? -errno : 0;
	setitimer(ITIMER_REAL, &off, NULL);
	run->immediate_exit = 0;
	exit_pc = get_reg(REG_PC);
	nr_exits++;
}

static void add_memory(void)
{
	add_memslot(0x40000000, 0x100000, 0);
}

static void load_guest(void)
{
	write_guest(GUEST_CODE, guest_code, guest_end - guest_code);
}

static void set_registers(void)
{
	set_reg(REG_PC, PC(start));
}

static void set_debug(void)
{
	set_guest_debug(&(struct kvm_guest_debug) {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP,
	});
}

static void set_up(void)
{
	catch_alarms();
	create_vm();
	add_memory();
	load_guest();
	create_vcpu();
	init_vcpu(1 << KVM_ARM_VCPU_PSCI_0_2);
	set_registers();
	set_debug();
}

/*
 * 4.14: Nothing ends the step of an emulated access; it ends with the
 * instruction after it.
 */
static void expect_4_14(void)
{
	run_vcpu();
	expect(is_step(PC(start) + 4));

	run_vcpu();
	expect(is_step(PC(store)));
	expect(same(get_reg(REG_X(1)), 0x2a));

	/*
	 * 4.14: pc has moved before the VMM sees the access 5.0..5.10: pc now moves at
	 * completion
	 */
	run_vcpu();
	expect(is_mmio_write(UART_BASE));
	expect(same(run->mmio.len, 4));
	expect(same(written_data(4), 0x2a));
	expect(same(exit_pc, PC(sent)));
	handle_mmio();

	/* 4.14, 5.0..5.10: `sent` ran, and was never reported */
	run_vcpu();
	expect(is_step(PC(load)));
	expect(same(get_reg(REG_X(1)), 0x2b));

	run_vcpu();
	expect(is_mmio_read(UART_BASE + 4));
	expect(same(run->mmio.len, 4));
	expect(same(exit_pc, PC(got)));
	handle_mmio();

	/* 4.14, 5.0..5.10: nor was `got` */
	run_vcpu();
	expect(is_step(PC(trap)));
	expect(same(get_reg(REG_X(2)), 0x44332212));

	run_vcpu();
	expect(is_brk(PC(trap)));
	expect(same(ESR_BRK_IMM(run->debug.arch.hsr), 7));
	skip_instruction();

	/* 4.14: the VMM has moved pc past the BRK */
	run_vcpu();
	expect(is_step(PC(off) + 4));

	run_vcpu();
	expect(is_step(PC(off) + 8));

	run_vcpu();
	expect(is_system_event(KVM_SYSTEM_EVENT_SHUTDOWN));
}

/*
 * 4.15 to 4.20: KVM makes up a debug exit once an access is complete, and after
 * every fault it handles.
 */
static void expect_4_15_to_4_20(void)
{
	/* the first fetch faulted; nothing ran */
	run_vcpu();
	expect(is_step(PC(start)));
	expect(same(ESR_STEP_ISV(run->debug.arch.hsr), 0));

	run_vcpu();
	expect(is_step(PC(start) + 4));

	run_vcpu();
	expect(is_step(PC(store)));
	expect(same(get_reg(REG_X(1)), 0x2a));

	/*
	 * 4.14: pc has moved before the VMM sees the access 5.0..5.10: pc now moves at
	 * completion
	 */
	run_vcpu();
	expect(is_mmio_write(UART_BASE));
	expect(same(run->mmio.len, 4));
	expect(same(written_data(4), 0x2a));
	expect(same(exit_pc, PC(sent)));
	handle_mmio();

	/* 4.15..4.20: made up */
	run_vcpu();
	expect(is_step(PC(sent)));
	expect(same(ESR_STEP_ISV(run->debug.arch.hsr), 0));

	/* 4.14, 5.0..5.10: `sent` ran, and was never reported */
	run_vcpu();
	expect(is_step(PC(load)));
	expect(same(get_reg(REG_X(1)), 0x2b));

	run_vcpu();
	expect(is_mmio_read(UART_BASE + 4));
	expect(same(run->mmio.len, 4));
	expect(same(exit_pc, PC(got)));
	handle_mmio();

	/* 4.15..4.20: made up */
	run_vcpu();
	expect(is_step(PC(got)));
	expect(same(ESR_STEP_ISV(run->debug.arch.hsr), 0));
	expect(same(get_reg(REG_X(2)), 0x44332211));

	/* 4.14, 5.0..5.10: nor was `got` */
	run_vcpu();
	expect(is_step(PC(trap)));
	expect(same(get_reg(REG_X(2)), 0x44332212));

	run_vcpu();
	expect(is_brk(PC(trap)));
	expect(same(ESR_BRK_IMM(run->debug.arch.hsr), 7));
	skip_instruction();

	/* 4.14: the VMM has moved pc past the BRK */
	run_vcpu();
	expect(is_step(PC(off) + 4));

	run_vcpu();
	expect(is_step(PC(off) + 8));

	run_vcpu();
	expect(is_system_event(KVM_SYSTEM_EVENT_SHUTDOWN));
}

/*
 * 5.0 to 5.10: The entry after a skip starts the step anew, so it ends one
 * instruction too late.
 */
static void expect_5_0_to_5_10(void)
{
	run_vcpu();
	expect(is_step(PC(start) + 4));

	run_vcpu();
	expect(is_step(PC(store)));
	expect(same(get_reg(REG_X(1)), 0x2a));

	/*
	 * 4.14: pc has moved before the VMM sees the access 5.0..5.10: pc now moves at
	 * completion
	 */
	run_vcpu();
	expect(is_mmio_write(UART_BASE));
	expect(same(run->mmio.len, 4));
	expect(same(written_data(4), 0x2a));
	expect(same(exit_pc, PC(store)));
	handle_mmio();

	/* 4.14, 5.0..5.10: `sent` ran, and was never reported */
	run_vcpu();
	expect(is_step(PC(load)));
	expect(same(get_reg(REG_X(1)), 0x2b));

	run_vcpu();
	expect(is_mmio_read(UART_BASE + 4));
	expect(same(run->mmio.len, 4));
	expect(same(exit_pc, PC(load)));
	handle_mmio();

	/* 4.14, 5.0..5.10: nor was `got` */
	run_vcpu();
	expect(is_step(PC(trap)));
	expect(same(get_reg(REG_X(2)), 0x44332212));

	run_vcpu();
	expect(is_brk(PC(trap)));
	expect(same(ESR_BRK_IMM(run->debug.arch.hsr), 7));
	skip_instruction();

	/* 4.14: the VMM has moved pc past the BRK */
	run_vcpu();
	expect(is_step(PC(off) + 4));

	run_vcpu();
	expect(is_step(PC(off) + 8));

	run_vcpu();
	expect(is_system_event(KVM_SYSTEM_EVENT_SHUTDOWN));
}

/*
 * from 5.11: The CPU takes the step that the skip left pending, before anything
 * else runs.
 */
static void expect_from_5_11(void)
{
	run_vcpu();
	expect(is_step(PC(start) + 4));

	run_vcpu();
	expect(is_step(PC(store)));
	expect(same(get_reg(REG_X(1)), 0x2a));

	/*
	 * 4.14: pc has moved before the VMM sees the access 5.0..5.10: pc now moves at
	 * completion
	 */
	run_vcpu();
	expect(is_mmio_write(UART_BASE));
	expect(same(run->mmio.len, 4));
	expect(same(written_data(4), 0x2a));
	expect(same(exit_pc, PC(store)));
	handle_mmio();

	/* 4.15..4.20: made up */
	run_vcpu();
	expect(is_step(PC(sent)));
	expect(same(ESR_STEP_ISV(run->debug.arch.hsr), 0));

	/* 4.14, 5.0..5.10: `sent` ran, and was never reported */
	run_vcpu();
	expect(is_step(PC(load)));
	expect(same(get_reg(REG_X(1)), 0x2b));

	run_vcpu();
	expect(is_mmio_read(UART_BASE + 4));
	expect(same(run->mmio.len, 4));
	expect(same(exit_pc, PC(load)));
	handle_mmio();

	/* 4.15..4.20: made up */
	run_vcpu();
	expect(is_step(PC(got)));
	expect(same(ESR_STEP_ISV(run->debug.arch.hsr), 0));
	expect(same(get_reg(REG_X(2)), 0x44332211));

	/* 4.14, 5.0..5.10: nor was `got` */
	run_vcpu();
	expect(is_step(PC(trap)));
	expect(same(get_reg(REG_X(2)), 0x44332212));

	run_vcpu();
	expect(is_brk(PC(trap)));
	expect(same(ESR_BRK_IMM(run->debug.arch.hsr), 7));
	skip_instruction();

	/* 4.14: the VMM has moved pc past the BRK */
	run_vcpu();
	expect(is_step(PC(off) + 4));

	run_vcpu();
	expect(is_step(PC(off) + 8));

	run_vcpu();
	expect(is_system_event(KVM_SYSTEM_EVENT_SHUTDOWN));
}

int main(void)
{
	uint64_t kernel = running_kernel();
	void (*test)(void) = NULL;

	printf("TAP version 13\n1..1\n");
	if (kernel >= RELEASE(4, 14, 0) && kernel < RELEASE(4, 15, 0))
		test = expect_4_14;
	else if (kernel >= RELEASE(4, 15, 0) && kernel < RELEASE(4, 21, 0))
		test = expect_4_15_to_4_20;
	else if (kernel >= RELEASE(5, 0, 0) && kernel < RELEASE(5, 11, 0))
		test = expect_5_0_to_5_10;
	else if (kernel >= RELEASE(5, 11, 0))
		test = expect_from_5_11;

	if (!test)
		skip("nothing is expected of this kernel");

	set_up();
	test();
	pass();
}
