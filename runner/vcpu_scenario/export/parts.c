/*
 * What exported programs are made of. vcpu_scenario.export.parts takes the
 * definitions that a program uses, in this order; each ends at an empty line
 * that is followed by one at the left margin.
 */

#define KSFT_FAIL	1
#define KSFT_SKIP	4

#define CORE_REG(member)	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | \
				 KVM_REG_ARM_CORE_REG(member))

#define FP_REG_32(member)	(KVM_REG_ARM64 | KVM_REG_SIZE_U32 | KVM_REG_ARM_CORE | \
				 KVM_REG_ARM_CORE_REG(fp_regs.member))

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

static int kvm_fd;

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

/* variant: selftest */
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

/* variant: selftest */
#define skip(fmt, ...)	ksft_exit_skip(fmt "\n", ##__VA_ARGS__)

static void __attribute__((noreturn)) pass(void)
{
	printf("ok 1 " TEST_NAME "\n");
	exit(0);
}

/* variant: selftest */
static void __attribute__((noreturn)) pass(void)
{
	kvm_vm_free(vm);
	ksft_test_result_pass("%s\n", TEST_NAME);
	ksft_finished();
}

/* The errno with which the set-up is to be refused; 0 once it is done */
static int expected_refusal;

/* KVM did not do what it was asked to */
static void __attribute__((noreturn)) refused(const char *what)
{
	fail("%s: %s", what, strerror(errno));
}

/* variant: refusal */
static void __attribute__((noreturn)) refused(const char *what)
{
	int error = errno;

	if (error == expected_refusal)
		pass();
	if (expected_refusal)
		fail("%s: %s, expected: %s", what, strerror(error), strerror(expected_refusal));
	fail("%s: %s", what, strerror(error));
}

static int must(int value, const char *what)
{
	if (value < 0)
		refused(what);
	return value;
}

#define must_ioctl(fd, request, arg)	must(ioctl(fd, request, arg), #request)

#define vm_call(request, arg)	ioctl(vm_fd, request, arg)

/* variant: harness */
#define vm_call(request, arg)	__vm_ioctl(vm, request, arg)

#define vcpu_call(request, arg)	ioctl(vcpu_fd, request, arg)

/* variant: harness */
#define vcpu_call(request, arg)	__vcpu_ioctl(vcpu, request, arg)

#define succeed(value, what)	must(value, what)

/* variant: harness */
#define succeed(value, what)	TEST_ASSERT((value) >= 0, "%s: %s", what, strerror(errno))

/* KVM refuses with this errno */
static void must_fail(int value, int error, const char *what)
{
	if (value >= 0)
		fail("%s: succeeded, expected: %s", what, strerror(error));
	if (errno != error)
		fail("%s: %s, expected: %s", what, strerror(errno), strerror(error));
}

static uint64_t get_reg(uint64_t id)
{
	uint64_t value = 0;
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&value };

	must_ioctl(vcpu_fd, KVM_GET_ONE_REG, &reg);
	return value;
}

/* variant: harness */
static uint64_t get_reg(uint64_t id)
{
	uint64_t value = 0;
	int ret = __vcpu_get_reg(vcpu, id, &value);

	TEST_ASSERT(!ret, KVM_IOCTL_ERROR(KVM_GET_ONE_REG, ret));
	return value;
}

static void set_reg(uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&value };

	must_ioctl(vcpu_fd, KVM_SET_ONE_REG, &reg);
}

/* variant: harness */
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
	slot->host = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (slot->host == MAP_FAILED)
		refused("mmap of guest memory");
	region.userspace_addr = (uintptr_t)slot->host;
	must_ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &region);
	nr_memslots++;
}

/* variant: harness */
static void add_memslot(uint64_t base, uint64_t size, uint32_t flags)
{
	struct memslot *slot = &memslots[nr_memslots];

	slot->base = base;
	slot->size = size;
	slot->host = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(slot->host != MAP_FAILED, "mmap of guest memory");
	vm_set_user_memory_region(vm, nr_memslots, flags, base, size, slot->host);
	nr_memslots++;
}

/* Where a slot is in memslots, by its number; those of the set-up have theirs from 0 */
static int slot_index(uint32_t nr)
{
	static uint32_t numbers[NR_MEMSLOTS];
	int i;

	for (i = 0; i < nr_memslots; i++)
		if ((numbers[i] ? numbers[i] : (uint32_t)i) == nr)
			return i;
	numbers[nr_memslots] = nr;
	return nr_memslots++;
}

/* Bytes of the memory that a slot has, also while it is deleted */
static uint64_t mapped[NR_MEMSLOTS];

static int set_memory_region(uint32_t nr, uint64_t base, uint64_t size, uint32_t flags)
{
	int i = slot_index(nr);
	struct memslot *slot = &memslots[i];
	struct kvm_userspace_memory_region region = {
		.slot = nr,
		.flags = flags,
		.guest_phys_addr = base,
		.memory_size = size,
	};

	if (!mapped[i])
		mapped[i] = slot->size;
	if (size && !slot->size && mapped[i] != size) {
		slot->host = mmap(NULL, size, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (slot->host == MAP_FAILED)
			refused("mmap of guest memory");
		mapped[i] = size;
	}
	region.userspace_addr = (uintptr_t)slot->host;
	if (vm_call(KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return -1;
	slot->base = base;
	slot->size = size;
	return 0;
}

static int protect_memory(uint32_t nr, int prot)
{
	struct memslot *slot = &memslots[slot_index(nr)];

	return mprotect(slot->host, slot->size, prot);
}

static int unmap_memory(uint32_t nr)
{
	struct memslot *slot = &memslots[slot_index(nr)];

	return munmap(slot->host, slot->size);
}

/* Guest memory becomes that of a file which ends before it */
static int map_past_end(uint32_t nr)
{
	struct memslot *slot = &memslots[slot_index(nr)];
	int fd = syscall(SYS_memfd_create, "guest", 0);

	if (fd < 0 || mmap(slot->host, slot->size, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		return -1;
	return 0;
}

/* A bit for each page, 256 MiB of them */
static uint64_t dirty_bitmap[1024];

static int get_dirty_log(uint32_t nr)
{
	struct kvm_dirty_log log = { .slot = nr, .dirty_bitmap = dirty_bitmap };

	memset(dirty_bitmap, 0, sizeof(dirty_bitmap));
	return vm_call(KVM_GET_DIRTY_LOG, &log);
}

static void expect_dirty(const uint32_t *pages, int nr_pages)
{
	uint64_t wanted[1024] = { 0 };
	int i;

	for (i = 0; i < nr_pages; i++)
		wanted[pages[i] / 64] |= 1ull << pages[i] % 64;
	if (memcmp(wanted, dirty_bitmap, sizeof(wanted)))
		fail("KVM_GET_DIRTY_LOG: other pages are dirty than expected");
}

/* first_page and nr_pages say what is looked at, pages have the bits that are set */
static int clear_dirty_log(uint32_t nr, uint64_t first_page, uint32_t nr_pages,
			   const uint32_t *pages, int nr_set)
{
	uint64_t bitmap[1024] = { 0 };
	struct kvm_clear_dirty_log log = {
		.slot = nr,
		.first_page = first_page,
		.num_pages = nr_pages,
		.dirty_bitmap = bitmap,
	};
	int i;

	for (i = 0; i < nr_set; i++)
		if (pages[i] >= first_page && pages[i] - first_page < 64 * 1024)
			bitmap[(pages[i] - first_page) / 64] |= 1ull << pages[i] % 64;
	return vm_call(KVM_CLEAR_DIRTY_LOG, &log);
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

/* variant: harness */
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

static void read_guest(uint64_t addr, void *data, size_t len)
{
	uint8_t *host = guest_memory(addr);

	sync_caches(host, len);
	memcpy(data, host, len);
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

/* variant: selftest */
static void create_vm(void)
{
	vm = vm_create_barebones();
}

static void enable_cap(uint32_t cap, const char *name)
{
	struct kvm_enable_cap enable = { .cap = cap };

	if (ioctl(vm_fd, KVM_ENABLE_CAP, &enable) < 0)
		skip("this kernel has no %s: %s", name, strerror(errno));
}

/* variant: harness */
static void enable_cap(uint32_t cap, const char *name)
{
	if (__vm_enable_cap(vm, cap, 0))
		skip("this kernel has no %s", name);
}

/* variant: refusal */
static void enable_cap(uint32_t cap, const char *name)
{
	struct kvm_enable_cap enable = { .cap = cap };

	if (ioctl(vm_fd, KVM_ENABLE_CAP, &enable) == 0)
		return;
	if (!expected_refusal)
		skip("this kernel has no %s: %s", name, strerror(errno));
	refused(name);
}

static void enable_cap_with(uint32_t cap, uint64_t argument, const char *name)
{
	struct kvm_enable_cap enable = { .cap = cap, .args = { argument } };

	if (vm_call(KVM_ENABLE_CAP, &enable) < 0)
		skip("this kernel has no %s: %s", name, strerror(errno));
}

/* variant: refusal */
static void enable_cap_with(uint32_t cap, uint64_t argument, const char *name)
{
	struct kvm_enable_cap enable = { .cap = cap, .args = { argument } };

	if (vm_call(KVM_ENABLE_CAP, &enable) == 0)
		return;
	if (!expected_refusal)
		skip("this kernel has no %s: %s", name, strerror(errno));
	refused(name);
}

static void create_vcpu(void)
{
	size_t size = must_ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	vcpu_fd = must_ioctl(vm_fd, KVM_CREATE_VCPU, 0);
	run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_fd, 0);
	if (run == MAP_FAILED)
		refused("mmap of the vCPU");
}

/* variant: selftest */
static void create_vcpu(void)
{
	vcpu = __vm_vcpu_add(vm, 0);
	run = vcpu->run;
}

static void init_vcpu(uint32_t features)
{
	struct kvm_vcpu_init init;

	must_ioctl(vm_fd, KVM_ARM_PREFERRED_TARGET, &init);
	init.features[0] |= features;
	must_ioctl(vcpu_fd, KVM_ARM_VCPU_INIT, &init);
}

/* variant: harness */
static void init_vcpu(uint32_t features)
{
	struct kvm_vcpu_init init;

	vm_ioctl(vm, KVM_ARM_PREFERRED_TARGET, &init);
	init.features[0] |= features;
	vcpu_ioctl(vcpu, KVM_ARM_VCPU_INIT, &init);
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

/* variant: harness */
static int create_vgic(uint32_t type)
{
	if (__kvm_test_create_device(vm, type))
		skip("this host's GIC has no such vGIC");
	return kvm_create_device(vm, type);
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

/* variant: harness */
static void set_vgic_attr(int vgic, uint32_t group, uint64_t attr, void *value)
{
	kvm_device_attr_set(vgic, group, attr, value);
}

static int vgic_fd = -1;

/* KVM_CREATE_DEVICE of a vGIC, and nothing more */
static int new_vgic(uint32_t type)
{
	struct kvm_create_device device = { .type = type };

	if (vm_call(KVM_CREATE_DEVICE, &device) < 0) {
		if (errno == ENODEV)
			skip("this host's GIC has no such vGIC");
		return -1;
	}
	vgic_fd = device.fd;
	return 0;
}

static int its_fd = -1;

/* KVM_CREATE_DEVICE by its type; one on trial has no file */
static int create_device(uint32_t type, uint32_t flags)
{
	struct kvm_create_device device = { .type = type, .flags = flags };

	if (vm_call(KVM_CREATE_DEVICE, &device) < 0)
		return -1;
	if (type == KVM_DEV_TYPE_ARM_VGIC_ITS && !flags)
		its_fd = device.fd;
	else if (!flags)
		vgic_fd = device.fd;
	return 0;
}

static int its_set(uint32_t group, uint64_t attr, const void *value)
{
	struct kvm_device_attr device_attr = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)value,
	};

	return ioctl(its_fd, KVM_SET_DEVICE_ATTR, &device_attr);
}

/* variant: harness */
static int its_set(uint32_t group, uint64_t attr, void *value)
{
	return __kvm_device_attr_set(its_fd, group, attr, value);
}

/* KVM_SET_GSI_ROUTING of pairs, a gsi and a pin of the vGIC */
static int set_gsi_routing(uint32_t (*routes)[2], uint32_t nr)
{
	struct kvm_irq_routing *asked;
	int ret;

	asked = calloc(1, sizeof(*asked) + nr * sizeof(asked->entries[0]));
	for (asked->nr = 0; asked->nr < nr; asked->nr++) {
		asked->entries[asked->nr].gsi = routes[asked->nr][0];
		asked->entries[asked->nr].type = KVM_IRQ_ROUTING_IRQCHIP;
		asked->entries[asked->nr].u.irqchip.pin = routes[asked->nr][1];
	}
	ret = vm_call(KVM_SET_GSI_ROUTING, asked);
	free(asked);
	return ret;
}

static int vgic_call(unsigned long request, uint32_t group, uint64_t attr, const void *value)
{
	struct kvm_device_attr device_attr = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)value,
	};

	return ioctl(vgic_fd, request, &device_attr);
}

static int vgic_set(uint32_t group, uint64_t attr, const void *value)
{
	return vgic_call(KVM_SET_DEVICE_ATTR, group, attr, value);
}

/* variant: harness */
static int vgic_set(uint32_t group, uint64_t attr, void *value)
{
	return __kvm_device_attr_set(vgic_fd, group, attr, value);
}

static int vgic_has(uint32_t group, uint64_t attr)
{
	return vgic_call(KVM_HAS_DEVICE_ATTR, group, attr, NULL);
}

/* variant: harness */
static int vgic_has(uint32_t group, uint64_t attr)
{
	return __kvm_has_device_attr(vgic_fd, group, attr);
}

/* What KVM_GET_DEVICE_ATTR gave last, be it 4 bytes or 8 */
static uint64_t vgic_value;

static int vgic_get(uint32_t group, uint64_t attr, uint64_t given)
{
	vgic_value = given;
	return vgic_call(KVM_GET_DEVICE_ATTR, group, attr, &vgic_value);
}

/* variant: harness */
static int vgic_get(uint32_t group, uint64_t attr, uint64_t given)
{
	vgic_value = given;
	return __kvm_device_attr_get(vgic_fd, group, attr, &vgic_value);
}

static void expect_vgic_value(uint64_t value)
{
	if (vgic_value != value)
		fail("KVM_GET_DEVICE_ATTR gave %#llx, expected %#llx",
		     (unsigned long long)vgic_value, (unsigned long long)value);
}

/* For each gsi the eventfd that raises its interrupt, and the one that tells of its end */
static struct irq_eventfds {
	uint32_t gsi;
	int raise;
	int ended;
} irq_eventfds[NR_IRQFDS];

static int nr_irqfds;

static struct irq_eventfds *eventfds_of(uint32_t gsi)
{
	struct irq_eventfds *of;

	for (of = irq_eventfds; of < irq_eventfds + nr_irqfds; of++) {
		if (of->gsi == gsi)
			return of;
	}
	nr_irqfds++;
	of->gsi = gsi;
	of->raise = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	of->ended = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return of;
}

static int add_irqfd(uint32_t gsi, uint32_t flags)
{
	struct kvm_irqfd request = {
		.fd = eventfds_of(gsi)->raise,
		.gsi = gsi,
		.flags = flags,
		.resamplefd = eventfds_of(gsi)->ended,
	};

	if (vm_call(KVM_IRQFD, &request) < 0)
		return -1;
	usleep(5000);	/* a worker injects what was signalled before */
	return 0;
}

static int remove_irqfd(uint32_t gsi)
{
	struct kvm_irqfd request = {
		.fd = eventfds_of(gsi)->raise,
		.gsi = gsi,
		.flags = KVM_IRQFD_FLAG_DEASSIGN,
	};

	return vm_call(KVM_IRQFD, &request);
}

static void signal_irqfd(uint32_t gsi)
{
	uint64_t one = 1;

	if (write(eventfds_of(gsi)->raise, &one, sizeof(one)) != sizeof(one))
		fail("write to an eventfd: %s", strerror(errno));
	usleep(5000);
}

/* How often resampling has told of its end since this was asked last */
static uint64_t resamples(uint32_t gsi)
{
	uint64_t count;
	int fd = eventfds_of(gsi)->ended;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void expect_resamples(uint32_t gsi, uint64_t count)
{
	uint64_t found = resamples(gsi);

	if (found != count)
		fail("the resamplefd of gsi %u gave %llu, expected %llu", gsi,
		     (unsigned long long)found, (unsigned long long)count);
}

static int eventfds[NR_EVENTFDS];

static int nr_eventfds;

static void add_ioeventfd(uint64_t addr, uint32_t len, uint32_t flags, uint64_t datamatch)
{
	struct kvm_ioeventfd request = {
		.addr = addr,
		.len = len,
		.flags = flags,
		.datamatch = datamatch,
		.fd = must(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd"),
	};

	must_ioctl(vm_fd, KVM_IOEVENTFD, &request);
	eventfds[nr_eventfds++] = request.fd;
}

/* variant: harness */
static void add_ioeventfd(uint64_t addr, uint32_t len, uint32_t flags, uint64_t datamatch)
{
	struct kvm_ioeventfd request = {
		.addr = addr,
		.len = len,
		.flags = flags,
		.datamatch = datamatch,
		.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
	};

	TEST_ASSERT(request.fd >= 0, "eventfd");
	vm_ioctl(vm, KVM_IOEVENTFD, &request);
	eventfds[nr_eventfds++] = request.fd;
}

/* The kernel finds it by its eventfd, and by what it was set up with */
static int remove_ioeventfd(uint64_t addr, uint32_t len, uint32_t flags, uint64_t datamatch)
{
	struct kvm_ioeventfd request = {
		.addr = addr,
		.len = len,
		.flags = flags | KVM_IOEVENTFD_FLAG_DEASSIGN,
		.datamatch = datamatch,
	};
	int i;

	for (i = 0; i < nr_eventfds; i++) {
		request.fd = eventfds[i];
		if (vm_call(KVM_IOEVENTFD, &request) == 0)
			return 0;
	}
	return -1;
}

static uint64_t eventfd_count(int nr)
{
	uint64_t count;

	return read(eventfds[nr], &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void add_coalesced_zone(uint64_t addr, uint32_t size)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = addr, .size = size };

	must_ioctl(vm_fd, KVM_REGISTER_COALESCED_MMIO, &zone);
}

/* variant: harness */
static void add_coalesced_zone(uint64_t addr, uint32_t size)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = addr, .size = size };

	vm_ioctl(vm, KVM_REGISTER_COALESCED_MMIO, &zone);
}

static void apply_guest_debug(const struct kvm_guest_debug *debug)
{
	must_ioctl(vcpu_fd, KVM_SET_GUEST_DEBUG, debug);
}

/* variant: harness */
static void apply_guest_debug(const struct kvm_guest_debug *debug)
{
	vcpu_ioctl(vcpu, KVM_SET_GUEST_DEBUG, (struct kvm_guest_debug *)debug);
}

static int remove_coalesced_zone(uint64_t addr, uint32_t size)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = addr, .size = size };

	return vm_call(KVM_UNREGISTER_COALESCED_MMIO, &zone);
}

/* Headers of Linux 6.4 have it as struct kvm_smccc_filter */
struct smccc_filter {
	uint32_t base;
	uint32_t nr_functions;
	uint8_t action;
	uint8_t pad[15];
};

/* KVM_ARM_VM_SMCCC_FILTER of KVM_ARM_VM_SMCCC_CTRL, both of them 0 */
static int set_smccc_filter(uint32_t base, uint32_t nr_functions, uint8_t action, int pad)
{
	struct smccc_filter filter = {
		.base = base,
		.nr_functions = nr_functions,
		.action = action,
	};
	struct kvm_device_attr attr = { .group = 0, .attr = 0, .addr = (uintptr_t)&filter };

	memset(filter.pad, pad, sizeof(filter.pad));
	if (vm_call(KVM_HAS_DEVICE_ATTR, &attr) < 0)
		skip("this kernel has no KVM_ARM_VM_SMCCC_FILTER");
	return vm_call(KVM_SET_DEVICE_ATTR, &attr);
}

/* Headers of Linux 6.4 have it as KVM_ARM_SET_COUNTER_OFFSET and KVM_CAP_COUNTER_OFFSET */
struct counter_offset {
	uint64_t counter_offset;
	uint64_t reserved;
};

static int set_counter_offset(uint64_t counter_offset, uint64_t reserved)
{
	struct counter_offset offset = {
		.counter_offset = counter_offset,
		.reserved = reserved,
	};

	if (vm_call(KVM_CHECK_EXTENSION, (void *)227) <= 0)
		skip("this kernel has no KVM_ARM_SET_COUNTER_OFFSET");
	return vm_call(_IOW(KVMIO, 0xb5, struct counter_offset), &offset);
}

static int set_steal_time(uint64_t ipa)
{
	struct kvm_device_attr attr = {
		.group = KVM_ARM_VCPU_PVTIME_CTRL,
		.attr = KVM_ARM_VCPU_PVTIME_IPA,
		.addr = (uintptr_t)&ipa,
	};

	if (vcpu_call(KVM_HAS_DEVICE_ATTR, &attr) < 0)
		skip("this kernel has no KVM_ARM_VCPU_PVTIME_IPA");
	return vcpu_call(KVM_SET_DEVICE_ATTR, &attr);
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

static void set_vcpu_events(const struct kvm_vcpu_events *events)
{
	must_ioctl(vcpu_fd, KVM_SET_VCPU_EVENTS, events);
}

/* variant: harness */
static void set_vcpu_events(struct kvm_vcpu_events *events)
{
	vcpu_events_set(vcpu, events);
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

/* The exception class that a debugger is told of */
static int told_class(void)
{
	return debug_class();
}

/* variant: leaves_at_mmio */
static int told_class(void)
{
	return stops_at_mmio() ? ESR_EC_SOFTSTP_LOW : debug_class();
}

/* Whether a debugger is told of the last exit */
static bool is_told(void)
{
	switch (debug_class()) {
	case ESR_EC_BREAKPT_LOW:
	case ESR_EC_SOFTSTP_LOW:
	case ESR_EC_WATCHPT_LOW:
	case ESR_EC_BRK64:
		return true;
	default:
		return false;
	}
}

/* variant: qemu */
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

static void expect_the_end(void)
{
	if (!is_over()) {
		print_exit();
		fail("no exit was expected after exit %d, but the guest goes on", nr_exits - 1);
	}
}

/* How often an expected exit comes: once, at most once, any number of times */
enum how_often { ONCE, MAYBE, ANY };

struct expected_exit {
	int nr;
	enum how_often how_often;
};

/* Where the exits so far may have led to, with what may be left out */
static uint64_t may_be_at(uint64_t places, const struct expected_exit *exits, int count)
{
	int i;

	for (i = 0; i < count; i++)
		if (places >> i & 1 && exits[i].how_often != ONCE)
			places |= 1ull << (i + 1);
	return places;
}

/* The places after one more exit, none if it fits nowhere */
static uint64_t one_further(uint64_t places, const struct expected_exit *exits, int count,
			    bool (*fits)(int nr))
{
	uint64_t after = 0;
	int i;

	for (i = 0; i < count; i++)
		if (places >> i & 1 && fits(exits[i].nr))
			after |= 1ull << (exits[i].how_often == ANY ? i : i + 1);
	return after;
}

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
	if (!result)
		snprintf(found, sizeof(found), "KVM_RUN: it returned 0");
	return result;
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

static int vcpu_attr_call(unsigned long request, uint32_t group, uint64_t attr, const void *value)
{
	struct kvm_device_attr device_attr = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)value,
	};

	return vcpu_call(request, &device_attr);
}

/* The kernel takes as many bytes of a value as the attribute has */
static int vcpu_attr_set(uint32_t group, uint64_t attr, const void *value)
{
	return vcpu_attr_call(KVM_SET_DEVICE_ATTR, group, attr, value);
}

static int vcpu_attr_has(uint32_t group, uint64_t attr)
{
	return vcpu_attr_call(KVM_HAS_DEVICE_ATTR, group, attr, NULL);
}

/* What KVM_GET_DEVICE_ATTR of the vCPU gave last */
static uint64_t vcpu_attr_value;

static int vcpu_attr_get(uint32_t group, uint64_t attr)
{
	vcpu_attr_value = 0;
	return vcpu_attr_call(KVM_GET_DEVICE_ATTR, group, attr, &vcpu_attr_value);
}

static void expect_vcpu_attr(uint64_t value)
{
	if (vcpu_attr_value != value)
		fail("KVM_GET_DEVICE_ATTR gave %#llx, expected %#llx",
		     (unsigned long long)vcpu_attr_value, (unsigned long long)value);
}

static void need_pmu(void)
{
	if (vm_call(KVM_CHECK_EXTENSION, (void *)KVM_CAP_ARM_PMU_V3) <= 0)
		skip("this kernel has no KVM_CAP_ARM_PMU_V3");
}
