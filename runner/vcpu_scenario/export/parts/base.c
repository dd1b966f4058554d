/* Constants, and the state of a program */

#define KSFT_FAIL	1
#define KSFT_SKIP	4

#define CORE_REG(member)	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | \
				 KVM_REG_ARM_CORE_REG(member))

#define FP_REG_32(member)	(KVM_REG_ARM64 | KVM_REG_SIZE_U32 | KVM_REG_ARM_CORE | \
				 KVM_REG_ARM_CORE_REG(fp_regs.member))

#define REG_X(n)	CORE_REG(regs.regs[n])

#define REG_PC		CORE_REG(regs.pc)

#define REG_PSTATE	CORE_REG(regs.pstate)

/* One of SIMD and floating point, 128 bits */
#define REG_V(n)	(KVM_REG_ARM64 | KVM_REG_SIZE_U128 | KVM_REG_ARM_CORE | \
			 KVM_REG_ARM_CORE_REG(fp_regs.vregs[n]))

/* The syndrome of a debug exit, Arm ARM D24.2.40 */
#define ESR_EC(esr)		((esr) >> 26)
#define ESR_EC_BREAKPT_LOW	0x30
#define ESR_EC_SOFTSTP_LOW	0x32
#define ESR_EC_WATCHPT_LOW	0x34
#define ESR_EC_BRK64		0x3c

/* Software step: set if an instruction was executed since the vCPU was entered */
#define ESR_STEP_ISV(esr)	((esr) >> 24 & 1)

#define ESR_BRK_IMM(esr)	((esr) & 0xffff)

/* Watchpoint: the access was a write */
#define ESR_WNR(esr)		((esr) >> 6 & 1)

/* A breakpoint at EL0 and EL1, on all four bytes of an instruction */
#define DBGBCR_E	(1 << 0)
#define DBGBCR_EL0_EL1	(3 << 1)
#define DBGBCR_LEN4	(0xf << 5)
#define DBG_BCR		(DBGBCR_LEN4 | DBGBCR_EL0_EL1 | DBGBCR_E)

/* BRK #0 */
#define BRK_0		0xd4200000

/* Headers of Linux 6.15 have it */
#ifndef KVM_CAP_ARM_WRITABLE_IMP_ID_REGS
#define KVM_CAP_ARM_WRITABLE_IMP_ID_REGS	239
#endif

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#endif

static int kvm_fd;

/* variant: selftest */
#define kvm_fd	(vm->kvm_fd)

static int vm_fd;

static int vcpu_fd;

static struct kvm_vm *vm;

static struct kvm_vcpu *vcpu;

/* variant: selftest */
#define vm_fd	(vm->fd)

/* variant: selftest */
#define vcpu_fd	(vcpu->fd)

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

/* The implementer and the part number of MIDR_EL1, which the kernel reads for EL0 */
static uint32_t running_cpu(void)
{
	uint64_t midr;

	asm("mrs %0, midr_el1" : "=r" (midr));
	return midr & 0xff00fff0;
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
