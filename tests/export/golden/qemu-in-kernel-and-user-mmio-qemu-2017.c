// SPDX-License-Identifier: GPL-2.0-only
/*
 * which kernels and which QEMU report every instruction around an emulated
 * access
 *
 * The question of the 2017 thread: a debugger steps through a write that the
 * kernel's vGIC takes and a read that userspace emulates. Who has to see to it
 * that each instruction is reported once: the kernel, or QEMU, by leaving its
 * run loop after the I/O (vmm `qemu-2017`)?
 *
 * Without the QEMU patch, five instructions make three steps on kernels up to
 * 4.14 and from 5.0 to 5.10: `after_str` and `after_ldr` are skipped, each
 * executed in the same step as the access before it. 4.15 to 4.20 and 5.11 on
 * report each instruction once.
 *
 * The QEMU patch helps with the userspace access alone, and only up to 4.14:
 * `after_str` stays skipped, and the stop after the read shows x3 before the
 * read is complete. On every later kernel it reports one instruction twice.
 * Where pc is moved before the exit (4.15 to 4.20) that is `after_ldr`, once
 * with x3 old and once with x3 read; where it is moved at the completion it is
 * the read itself, `ldr`, twice before it is complete.
 *
 * Worse, from 5.13 to 6.13 the patch makes kernels skip `after_ldr` that report
 * it without: the first KVM_RUN after a stop of QEMU's has immediate_exit set,
 * completes the access and loses the step. From 5.3 to 5.10 `after_ldr` is
 * skipped with and without, from 5.0 to 5.2 it never runs, since the access is
 * completed twice. So the kernel is the one to do it.
 *
 * Made by `scenario export` from qemu-in-kernel-and-user-mmio.vcpu.yaml. Build
 * it with `gcc -Wall -O2 -static -o qemu-in-kernel-and-user-mmio-qemu-2017
 * qemu-in-kernel-and-user-mmio-qemu-2017.c` on or for arm64. Exit status: 0 as
 * expected, 1 not as expected, 4 skipped for want of a capability.
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

#define TEST_NAME	"qemu-in-kernel-and-user-mmio/qemu-2017"
#define GUEST_CODE	0x40000000ul
#define NR_MEMSLOTS	1
#define UART_BASE	0x9000000

/* The guest, which is copied to GUEST_CODE */
asm(
"	.pushsection .text.guest, \"ax\"\n"
"	.balign	4096\n"
"guest_code:\n"
"maps:      nop                  // the page, before anything else\n"
"start:     mov w0, #1\n"
"str:       str w1, [x10]            // GICD_CTLR, in the kernel\n"
"after_str: add x2, x2, #1\n"
"ldr:       ldr w3, [x11, #0x18]     // UARTFR, in userspace\n"
"after_ldr: add x4, x4, #1\n"
"end:       nop\n"
"guest_end:\n"
"	.popsection\n"
);

/* They are in this file, not behind a global offset table */
#pragma GCC visibility push(hidden)
extern const uint8_t guest_code[], guest_end[];
extern const uint8_t at_maps[] asm("maps");
extern const uint8_t at_start[] asm("start");
extern const uint8_t at_end[] asm("end");
extern const uint8_t at_str[] asm("str");
extern const uint8_t at_ldr[] asm("ldr");
extern const uint8_t at_after_ldr[] asm("after_ldr");
extern const uint8_t at_after_str[] asm("after_str");
#pragma GCC visibility pop

/* Where a label of the guest is in its memory */
#define PC(label)	(GUEST_CODE + (uint64_t)(at_##label - guest_code))

#define KSFT_FAIL	1
#define KSFT_SKIP	4

#define CORE_REG(member)	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | \
				 KVM_REG_ARM_CORE_REG(member))

#define REG_X(n)	CORE_REG(regs.regs[n])

#define REG_PC		CORE_REG(regs.pc)

#define REG_PSTATE	CORE_REG(regs.pstate)

/* The syndrome of a debug exit, Arm ARM D24.2.40 */
#define ESR_EC(esr)		((esr) >> 26)
#define ESR_EC_BREAKPT_LOW	0x30
#define ESR_EC_SOFTSTP_LOW	0x32
#define ESR_EC_WATCHPT_LOW	0x34
#define ESR_EC_BRK64		0x3c

/* Software step: set if an instruction was executed since the vCPU was entered */
#define ESR_STEP_ISV(esr)	((esr) >> 24 & 1)

#define ESR_BRK_IMM(esr)	((esr) & 0xffff)

/* A breakpoint at EL0 and EL1, on all four bytes of an instruction */
#define DBGBCR_E	(1 << 0)
#define DBGBCR_EL0_EL1	(3 << 1)
#define DBGBCR_LEN4	(0xf << 5)
#define DBG_BCR		(DBGBCR_LEN4 | DBGBCR_EL0_EL1 | DBGBCR_E)

/* BRK #0 */
#define BRK_0		0xd4200000

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

#define vcpu_call(request, arg)	ioctl(vcpu_fd, request, arg)

#define succeed(value, what)	must(value, what)

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

static int create_vgic(uint32_t type)
{
	struct kvm_create_device device = { .type = type };

	if (ioctl(vm_fd, KVM_CREATE_DEVICE, &device) < 0) {
		if (errno == ENODEV)
			skip("this host's GIC has no such vGIC");
		refused("KVM_CREATE_DEVICE");
	}
	return device.fd;
}

static void set_vgic_attr(int vgic, uint32_t group, uint64_t attr, const void *value)
{
	struct kvm_device_attr device_attr = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)value,
	};

	must_ioctl(vgic, KVM_SET_DEVICE_ATTR, &device_attr);
}

static int try_set_vcpu_events(const struct kvm_vcpu_events *events)
{
	return vcpu_call(KVM_SET_VCPU_EVENTS, events);
}

static void set_vcpu_events(const struct kvm_vcpu_events *events)
{
	succeed(try_set_vcpu_events(events), "KVM_SET_VCPU_EVENTS");
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

static void apply_guest_debug(const struct kvm_guest_debug *debug)
{
	must_ioctl(vcpu_fd, KVM_SET_GUEST_DEBUG, debug);
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

static int told_class(void)
{
	return stops_at_mmio() ? ESR_EC_SOFTSTP_LOW : debug_class();
}

static bool is_told(void)
{
	if (stops_at_mmio())
		return true;
	switch (debug_class()) {
	case ESR_EC_BREAKPT_LOW:
		return is_hw_breakpoint_of_debugger(exit_pc);
	case ESR_EC_SOFTSTP_LOW:
		return asked.control & KVM_GUESTDBG_SINGLESTEP;
	case ESR_EC_WATCHPT_LOW:
		return is_watched_by_debugger(run->debug.arch.far);
	case ESR_EC_BRK64:
		return is_sw_breakpoint_of_debugger(exit_pc);
	default:
		return false;
	}
}

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

static bool is_hw_breakpoint(uint64_t pc)
{
	return is_debug(ESR_EC_BREAKPT_LOW, pc);
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

#define UARTDR		0x000
#define UARTFR		0x018
#define UARTFR_RXFE	(1 << 4)
#define UARTFR_TXFE	(1 << 7)
#define UARTPeriphID0	0xfe0

/*
 * A PL011 (DDI 0183) whose transmitter is always ready, without an interrupt;
 * input has all that is ever received
 */
struct pl011 {
	uint8_t input[4096];
	size_t arrived, taken;
	uint8_t output[1 << 16];
	size_t sent;
	uint64_t registers[UARTPeriphID0];
};

static uint64_t pl011_identify(uint64_t offset)
{
	static const uint8_t id[] = { 0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

	return offset % 4 || offset >= 0x1000 ? 0 : id[(offset - UARTPeriphID0) / 4];
}

static uint64_t pl011_read(struct pl011 *uart, uint64_t offset)
{
	bool empty = uart->taken == uart->arrived;

	if (offset >= UARTPeriphID0)
		return pl011_identify(offset);
	if (offset == UARTDR)
		return empty ? 0 : uart->input[uart->taken++];
	if (offset == UARTFR)
		return UARTFR_TXFE | (empty ? UARTFR_RXFE : 0);
	return uart->registers[offset];
}

static void pl011_write(struct pl011 *uart, uint64_t offset, uint64_t data)
{
	if (offset == UARTDR && uart->sent < sizeof(uart->output))
		uart->output[uart->sent++] = data;
	else if (offset < UARTPeriphID0)
		uart->registers[offset] = data;
}

static struct pl011 uart_pl011;

static uint64_t read_device(uint64_t addr)
{
	uint64_t offset;

	offset = addr - UART_BASE;
	if (offset < 0x1000)
		return pl011_read(&uart_pl011, offset);
	return 0x8877665544332211;
}

static void write_device(uint64_t addr, uint64_t data)
{
	uint64_t offset;

	offset = addr - UART_BASE;
	if (offset < 0x1000)
		pl011_write(&uart_pl011, offset, data);
}

static void handle_mmio(void)
{
	if (run->mmio.is_write)
		write_device(run->mmio.phys_addr, written_data(run->mmio.len));
	else
		set_mmio_data(read_device(run->mmio.phys_addr));
}

/* Called when a debugger is told of an exit */
static void (*when_told)(int nr);
static int nr_stops;

/* The next exit; a run that does not end in time is interrupted */
static void run_vcpu(void)
{
	static const struct itimerval limit = {
		.it_value.tv_usec = 300000,
		.it_interval.tv_usec = 50000,
	};
	static const struct itimerval off;
	bool kicked;

	if (is_over()) {
		print_exit();
		fail("another exit was expected after exit %d", nr_exits - 1);
	}
	resume();
	do {
		kicked = kick;
		kick = false;
		run->immediate_exit = kicked;
		setitimer(ITIMER_REAL, &limit, NULL);
		result = ioctl(vcpu_fd, KVM_RUN, 0) < 0 ? -errno : 0;
		setitimer(ITIMER_REAL, &off, NULL);
		run->immediate_exit = 0;
	} while (kicked && result == -EINTR);
	exit_pc = get_reg(REG_PC);
	nr_exits++;
	if (when_told && is_told())
		when_told(nr_stops++);
}

/* What the VMM does of itself after an exit */
static void handle_exit(bool skip_brk)
{
	told = is_told();
	if (!result && run->exit_reason == KVM_EXIT_MMIO)
		handle_mmio();
	if (told)
		stop_stepping();
	if (!told && is_for_the_guest())
		give_to_the_guest();
	else if (skip_brk && debug_class() == ESR_EC_BRK64)
		skip_instruction();
}

static void add_memory(void)
{
	add_memslot(0x40000000, 0x100000, 0);
}

static void load_guest(void)
{
	write_guest(GUEST_CODE, guest_code, guest_end - guest_code);
}

static void add_vgic(void)
{
	int vgic = create_vgic(KVM_DEV_TYPE_ARM_VGIC_V3);

	set_vgic_attr(vgic, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST,
		      &(uint64_t){ 0x8000000 });
	set_vgic_attr(vgic, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST,
		      &(uint64_t){ 0x80a0000 });
	/* SGIs, PPIs and 32 SPIs: the fewest that there can be */
	set_vgic_attr(vgic, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &(uint32_t){ 64 });
	set_vgic_attr(vgic, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
}

static void set_registers(void)
{
	set_reg(REG_X(10), 0x8000000);
	set_reg(REG_X(11), 0x9000000);
	set_reg(REG_PC, PC(maps));
}

static void set_debug(void)
{
	set_guest_debug(&(struct kvm_guest_debug) {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW,
		.arch.dbg_bcr[0] = DBG_BCR,
		.arch.dbg_bvr[0] = PC(start),
	});
}

static void begin(void)
{
	debugger_writes(PC(end), &(uint32_t){ BRK_0 }, 4);
}

static void set_up(void)
{
	catch_alarms();
	create_vm();
	add_memory();
	load_guest();
	create_vcpu();
	init_vcpu(1 << KVM_ARM_VCPU_PSCI_0_2);
	add_vgic();
	set_registers();
	set_debug();
	begin();
}

/* What a debugger is told of, in this order */
static void check_stop_4_14(int nr)
{
	switch (nr) {
	case 0:
		expect(same(exit_pc, PC(start)));
		expect(same(told_class(), ESR_EC_BREAKPT_LOW));
		break;
	case 1:
		expect(same(exit_pc, PC(str)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		break;
	case 2:
		expect(same(exit_pc, PC(ldr)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		expect(same(get_reg(REG_X(2)), 0x1));
		break;
	case 3:
		expect(same(exit_pc, PC(after_ldr)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		expect(same(get_reg(REG_X(3)), 0x0));
		expect(same(get_reg(REG_X(4)), 0x0));
		break;
	case 4:
		expect(same(exit_pc, PC(end)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		expect(same(get_reg(REG_X(3)), 0x90));
		expect(same(get_reg(REG_X(4)), 0x1));
		break;
	case 5:
		expect(same(exit_pc, PC(end)));
		expect(same(told_class(), ESR_EC_BRK64));
		break;
	default:
		unexpected("nothing more to stop for");
	}
}

/*
 * 4.14: after_str is still skipped; the stop at after_ldr comes before the read
 * is complete.
 */
static void expect_4_14(void)
{
	when_told = check_stop_4_14;

	run_vcpu();
	expect(is_hw_breakpoint(PC(start)));
	handle_exit(false);
	set_guest_debug(&(struct kvm_guest_debug) {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP,
	});

	run_vcpu();
	expect(is_step(PC(str)));
	handle_exit(true);

	/* after_str was executed and not reported */
	run_vcpu();
	expect(is_step(PC(ldr)));
	expect(same(get_reg(REG_X(2)), 0x1));
	handle_exit(true);

	run_vcpu();
	expect(is_mmio_read(UART_BASE + 0x18));
	expect(same(run->mmio.len, 4));
	expect(same(exit_pc, PC(after_ldr)));
	expect(same(get_reg(REG_X(3)), 0x0));
	handle_exit(true);

	run_vcpu();
	expect(is_step(PC(end)));
	expect(same(get_reg(REG_X(3)), 0x90));
	expect(same(get_reg(REG_X(4)), 0x1));
	handle_exit(true);

	run_vcpu();
	expect(is_brk(PC(end)));
	expect(same(ESR_BRK_IMM(run->debug.arch.hsr), 0));

	expect_at_the_end(same(nr_stops, 6));
}

/* What a debugger is told of, in this order */
static void check_stop_4_15_to_4_20(int nr)
{
	switch (nr) {
	case 0:
		expect(same(exit_pc, PC(start)));
		expect(same(told_class(), ESR_EC_BREAKPT_LOW));
		break;
	case 1:
		expect(same(exit_pc, PC(str)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		break;
	case 2:
		expect(same(exit_pc, PC(after_str)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		break;
	case 3:
		expect(same(exit_pc, PC(ldr)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		expect(same(get_reg(REG_X(2)), 0x1));
		break;
	case 4:
		expect(same(exit_pc, PC(after_ldr)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		expect(same(get_reg(REG_X(3)), 0x0));
		expect(same(get_reg(REG_X(4)), 0x0));
		break;
	case 5:
		expect(same(exit_pc, PC(after_ldr)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		expect(same(get_reg(REG_X(3)), 0x90));
		expect(same(get_reg(REG_X(4)), 0x0));
		break;
	case 6:
		expect(same(exit_pc, PC(end)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		expect(same(get_reg(REG_X(4)), 0x1));
		break;
	case 7:
		expect(same(exit_pc, PC(end)));
		expect(same(told_class(), ESR_EC_BRK64));
		break;
	default:
		unexpected("nothing more to stop for");
	}
}

/* 4.15 to 4.20: after_ldr is reported twice, first with x3 old. */
static void expect_4_15_to_4_20(void)
{
	when_told = check_stop_4_15_to_4_20;

	run_vcpu();
	expect(is_hw_breakpoint(PC(start)));
	handle_exit(false);
	set_guest_debug(&(struct kvm_guest_debug) {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP,
	});

	run_vcpu();
	expect(is_step(PC(str)));
	handle_exit(true);

	run_vcpu();
	expect(is_exit(KVM_EXIT_DEBUG));
	expect(same(run->debug.arch.hsr, 0xc8000000));
	expect(same(exit_pc, PC(after_str)));
	handle_exit(true);

	run_vcpu();
	expect(is_step(PC(ldr)));
	expect(same(get_reg(REG_X(2)), 0x1));
	handle_exit(true);

	run_vcpu();
	expect(is_mmio_read(UART_BASE + 0x18));
	expect(same(run->mmio.len, 4));
	expect(same(exit_pc, PC(after_ldr)));
	expect(same(get_reg(REG_X(3)), 0x0));
	handle_exit(true);

	run_vcpu();
	expect(is_exit(KVM_EXIT_DEBUG));
	expect(same(run->debug.arch.hsr, 0xc8000000));
	expect(same(exit_pc, PC(after_ldr)));
	expect(same(get_reg(REG_X(3)), 0x90));
	expect(same(get_reg(REG_X(4)), 0x0));
	handle_exit(true);

	run_vcpu();
	expect(is_step(PC(end)));
	expect(same(get_reg(REG_X(4)), 0x1));
	handle_exit(true);

	run_vcpu();
	expect(is_brk(PC(end)));
	expect(same(ESR_BRK_IMM(run->debug.arch.hsr), 0));

	expect_at_the_end(same(nr_stops, 8));
}

/* What a debugger is told of, in this order */
static void check_stop_5_0_to_5_2(int nr)
{
	switch (nr) {
	case 0:
		expect(same(exit_pc, PC(start)));
		expect(same(told_class(), ESR_EC_BREAKPT_LOW));
		break;
	case 1:
		expect(same(exit_pc, PC(str)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		break;
	case 2:
		expect(same(exit_pc, PC(ldr)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		expect(same(get_reg(REG_X(2)), 0x1));
		break;
	case 3:
		expect(same(exit_pc, PC(ldr)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		expect(same(get_reg(REG_X(3)), 0x0));
		break;
	case 4:
		expect(same(exit_pc, PC(end)));
		expect(same(told_class(), ESR_EC_BRK64));
		expect(same(get_reg(REG_X(3)), 0x90));
		expect(same(get_reg(REG_X(4)), 0x0));
		break;
	default:
		unexpected("nothing more to stop for");
	}
}

/*
 * 5.0 to 5.2: ldr is reported twice and completed twice, after_str is skipped,
 * after_ldr never runs.
 */
static void expect_5_0_to_5_2(void)
{
	when_told = check_stop_5_0_to_5_2;

	run_vcpu();
	expect(is_hw_breakpoint(PC(start)));
	handle_exit(false);
	set_guest_debug(&(struct kvm_guest_debug) {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP,
	});

	run_vcpu();
	expect(is_step(PC(str)));
	handle_exit(true);

	/* after_str was executed and not reported */
	run_vcpu();
	expect(is_step(PC(ldr)));
	expect(same(get_reg(REG_X(2)), 0x1));
	handle_exit(true);

	run_vcpu();
	expect(is_mmio_read(UART_BASE + 0x18));
	expect(same(run->mmio.len, 4));
	expect(same(exit_pc, PC(ldr)));
	expect(same(get_reg(REG_X(3)), 0x0));
	handle_exit(true);

	/* pc moved by 8 from ldr */
	run_vcpu();
	expect(is_brk(PC(end)));
	expect(same(ESR_BRK_IMM(run->debug.arch.hsr), 0));
	expect(same(get_reg(REG_X(3)), 0x90));
	expect(same(get_reg(REG_X(4)), 0x0));

	expect_at_the_end(same(nr_stops, 5));
}

/* What a debugger is told of, in this order */
static void check_stop_5_3_to_5_10(int nr)
{
	switch (nr) {
	case 0:
		expect(same(exit_pc, PC(start)));
		expect(same(told_class(), ESR_EC_BREAKPT_LOW));
		break;
	case 1:
		expect(same(exit_pc, PC(str)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		break;
	case 2:
		expect(same(exit_pc, PC(ldr)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		expect(same(get_reg(REG_X(2)), 0x1));
		break;
	case 3:
		expect(same(exit_pc, PC(ldr)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		expect(same(get_reg(REG_X(3)), 0x0));
		break;
	case 4:
		expect(same(exit_pc, PC(end)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		expect(same(get_reg(REG_X(3)), 0x90));
		expect(same(get_reg(REG_X(4)), 0x1));
		break;
	case 5:
		expect(same(exit_pc, PC(end)));
		expect(same(told_class(), ESR_EC_BRK64));
		break;
	default:
		unexpected("nothing more to stop for");
	}
}

/*
 * 5.3 to 5.10: ldr is reported twice without progress between, after_str and
 * after_ldr are skipped.
 */
static void expect_5_3_to_5_10(void)
{
	when_told = check_stop_5_3_to_5_10;

	run_vcpu();
	expect(is_hw_breakpoint(PC(start)));
	handle_exit(false);
	set_guest_debug(&(struct kvm_guest_debug) {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP,
	});

	run_vcpu();
	expect(is_step(PC(str)));
	handle_exit(true);

	/* after_str was executed and not reported */
	run_vcpu();
	expect(is_step(PC(ldr)));
	expect(same(get_reg(REG_X(2)), 0x1));
	handle_exit(true);

	run_vcpu();
	expect(is_mmio_read(UART_BASE + 0x18));
	expect(same(run->mmio.len, 4));
	expect(same(exit_pc, PC(ldr)));
	expect(same(get_reg(REG_X(3)), 0x0));
	handle_exit(true);

	/* after_ldr was executed and not reported */
	run_vcpu();
	expect(is_step(PC(end)));
	expect(same(get_reg(REG_X(3)), 0x90));
	expect(same(get_reg(REG_X(4)), 0x1));
	handle_exit(true);

	run_vcpu();
	expect(is_brk(PC(end)));
	expect(same(ESR_BRK_IMM(run->debug.arch.hsr), 0));

	expect_at_the_end(same(nr_stops, 6));
}

/* What a debugger is told of, in this order */
static void check_stop_5_11_to_5_12_and_from_6_14(int nr)
{
	switch (nr) {
	case 0:
		expect(same(exit_pc, PC(start)));
		expect(same(told_class(), ESR_EC_BREAKPT_LOW));
		break;
	case 1:
		expect(same(exit_pc, PC(str)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		break;
	case 2:
		expect(same(exit_pc, PC(after_str)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		break;
	case 3:
		expect(same(exit_pc, PC(ldr)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		expect(same(get_reg(REG_X(2)), 0x1));
		break;
	case 4:
		expect(same(exit_pc, PC(ldr)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		expect(same(get_reg(REG_X(3)), 0x0));
		break;
	case 5:
		expect(same(exit_pc, PC(after_ldr)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		expect(same(get_reg(REG_X(3)), 0x90));
		expect(same(get_reg(REG_X(4)), 0x0));
		break;
	case 6:
		expect(same(exit_pc, PC(end)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		expect(same(get_reg(REG_X(4)), 0x1));
		break;
	case 7:
		expect(same(exit_pc, PC(end)));
		expect(same(told_class(), ESR_EC_BRK64));
		break;
	default:
		unexpected("nothing more to stop for");
	}
}

/*
 * 5.11 to 5.12 and from 6.14: ldr is reported twice, before it and at its exit,
 * x3 old both times.
 */
static void expect_5_11_to_5_12_and_from_6_14(void)
{
	when_told = check_stop_5_11_to_5_12_and_from_6_14;

	run_vcpu();
	expect(is_hw_breakpoint(PC(start)));
	handle_exit(false);
	set_guest_debug(&(struct kvm_guest_debug) {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP,
	});

	run_vcpu();
	expect(is_step(PC(str)));
	handle_exit(true);

	run_vcpu();
	expect(is_step(PC(after_str)));
	expect(same(ESR_STEP_ISV(run->debug.arch.hsr), 0));
	handle_exit(true);

	run_vcpu();
	expect(is_step(PC(ldr)));
	expect(same(get_reg(REG_X(2)), 0x1));
	handle_exit(true);

	run_vcpu();
	expect(is_mmio_read(UART_BASE + 0x18));
	expect(same(run->mmio.len, 4));
	expect(same(exit_pc, PC(ldr)));
	expect(same(get_reg(REG_X(3)), 0x0));
	handle_exit(true);

	run_vcpu();
	expect(is_step(PC(after_ldr)));
	expect(same(ESR_STEP_ISV(run->debug.arch.hsr), 0));
	expect(same(get_reg(REG_X(3)), 0x90));
	expect(same(get_reg(REG_X(4)), 0x0));
	handle_exit(true);

	run_vcpu();
	expect(is_step(PC(end)));
	expect(same(get_reg(REG_X(4)), 0x1));
	handle_exit(true);

	run_vcpu();
	expect(is_brk(PC(end)));
	expect(same(ESR_BRK_IMM(run->debug.arch.hsr), 0));

	expect_at_the_end(same(nr_stops, 8));
}

/* What a debugger is told of, in this order */
static void check_stop_5_13_to_6_13(int nr)
{
	switch (nr) {
	case 0:
		expect(same(exit_pc, PC(start)));
		expect(same(told_class(), ESR_EC_BREAKPT_LOW));
		break;
	case 1:
		expect(same(exit_pc, PC(str)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		break;
	case 2:
		expect(same(exit_pc, PC(after_str)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		break;
	case 3:
		expect(same(exit_pc, PC(ldr)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		expect(same(get_reg(REG_X(2)), 0x1));
		break;
	case 4:
		expect(same(exit_pc, PC(ldr)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		expect(same(get_reg(REG_X(3)), 0x0));
		break;
	case 5:
		expect(same(exit_pc, PC(end)));
		expect(same(told_class(), ESR_EC_SOFTSTP_LOW));
		expect(same(get_reg(REG_X(3)), 0x90));
		expect(same(get_reg(REG_X(4)), 0x1));
		break;
	case 6:
		expect(same(exit_pc, PC(end)));
		expect(same(told_class(), ESR_EC_BRK64));
		break;
	default:
		unexpected("nothing more to stop for");
	}
}

/*
 * 5.13 to 6.13: ldr is reported twice without progress between, after_ldr is
 * skipped.
 */
static void expect_5_13_to_6_13(void)
{
	when_told = check_stop_5_13_to_6_13;

	run_vcpu();
	expect(is_hw_breakpoint(PC(start)));
	handle_exit(false);
	set_guest_debug(&(struct kvm_guest_debug) {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP,
	});

	run_vcpu();
	expect(is_step(PC(str)));
	handle_exit(true);

	run_vcpu();
	expect(is_step(PC(after_str)));
	expect(same(ESR_STEP_ISV(run->debug.arch.hsr), 0));
	handle_exit(true);

	run_vcpu();
	expect(is_step(PC(ldr)));
	expect(same(get_reg(REG_X(2)), 0x1));
	handle_exit(true);

	run_vcpu();
	expect(is_mmio_read(UART_BASE + 0x18));
	expect(same(run->mmio.len, 4));
	expect(same(exit_pc, PC(ldr)));
	expect(same(get_reg(REG_X(3)), 0x0));
	handle_exit(true);

	/* after_ldr was executed and not reported */
	run_vcpu();
	expect(is_step(PC(end)));
	expect(same(get_reg(REG_X(3)), 0x90));
	expect(same(get_reg(REG_X(4)), 0x1));
	handle_exit(true);

	run_vcpu();
	expect(is_brk(PC(end)));
	expect(same(ESR_BRK_IMM(run->debug.arch.hsr), 0));

	expect_at_the_end(same(nr_stops, 7));
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
	else if (kernel >= RELEASE(5, 0, 0) && kernel < RELEASE(5, 3, 0))
		test = expect_5_0_to_5_2;
	else if (kernel >= RELEASE(5, 3, 0) && kernel < RELEASE(5, 11, 0))
		test = expect_5_3_to_5_10;
	else if ((kernel >= RELEASE(5, 11, 0) && kernel < RELEASE(5, 13, 0)) ||
		 kernel >= RELEASE(6, 14, 0))
		test = expect_5_11_to_5_12_and_from_6_14;
	else if (kernel >= RELEASE(5, 13, 0) && kernel < RELEASE(6, 14, 0))
		test = expect_5_13_to_6_13;

	if (!test)
		skip("nothing is expected of this kernel");

	set_up();
	test();
	pass();
}
