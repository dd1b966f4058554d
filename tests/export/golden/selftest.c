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
 * What is expected is what Linux 6.12 does.
 *
 * Made by `scenario export` from access-handled-by-userspace.vcpu.yaml. It goes
 * to tools/testing/selftests/kvm/arm64/access-handled-by-userspace-6.12.c, with
 * this line in Makefile.kvm:
 *
 * TEST_GEN_PROGS_arm64 += arm64/access-handled-by-userspace-6.12
 *
 * Up to 6.13 the folder is aarch64 and the line in Makefile is
 * TEST_GEN_PROGS_aarch64 += aarch64/access-handled-by-userspace-6.12.
 */

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <linux/kvm.h>

#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

#define TEST_NAME	"access-handled-by-userspace@6.12"
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

static struct kvm_vm *vm;
static struct kvm_vcpu *vcpu;
static struct kvm_run *run;

/* What the last KVM_RUN returned: 0 or a negative errno */
static int result;

static int nr_exits;

/* pc after the last exit */
static uint64_t exit_pc;

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
	printf("\n");
	ksft_test_result_fail("%s\n", TEST_NAME);
	ksft_finished();
}

static void __attribute__((noreturn)) pass(void)
{
	kvm_vm_free(vm);
	ksft_test_result_pass("%s\n", TEST_NAME);
	ksft_finished();
}

/* KVM did not do what it was asked to */
static void __attribute__((noreturn)) refused(const char *what)
{
	fail("%s: %s", what, strerror(errno));
}

static uint64_t get_reg(uint64_t id)
{
	uint64_t value = 0;
	int ret = __vcpu_get_reg(vcpu, id, &value);

	TEST_ASSERT(!ret, KVM_IOCTL_ERROR(KVM_GET_ONE_REG, ret));
	return value;
}

static void set_reg(uint64_t id, uint64_t value)
{
	vcpu_set_reg(vcpu, id, value);
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

	slot->base = base;
	slot->size = size;
	slot->host = map_memory(size);
	vm_set_user_memory_region(vm, nr_memslots, flags, base, size, slot->host);
	nr_memslots++;
}

static uint8_t *guest_memory(uint64_t addr)
{
	int i;

	for (i = 0; i < nr_memslots; i++)
		if (addr - memslots[i].base < memslots[i].size)
			return memslots[i].host + (addr - memslots[i].base);
	TEST_FAIL("no guest memory at %#lx", addr);
	return NULL;
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
	vm = vm_create_barebones();
}

static void create_vcpu(void)
{
	vcpu = __vm_vcpu_add(vm, 0);
	run = vcpu->run;
}

static void init_vcpu(uint32_t features)
{
	struct kvm_vcpu_init init;

	vm_ioctl(vm, KVM_ARM_PREFERRED_TARGET, &init);
	init.features[0] |= features;
	vcpu_ioctl(vcpu, KVM_ARM_VCPU_INIT, &init);
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

static void set_guest_debug(struct kvm_guest_debug *debug)
{
	vcpu_guest_debug_set(vcpu, debug);
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
	result = __vcpu_run(vcpu) ? -errno : 0;
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
 * The CPU takes the step that the skip left pending, before anything else runs.
 */
static void expect_exits(void)
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
	ksft_print_header();
	ksft_set_plan(1);
	set_up();
	expect_exits();
	pass();
}
