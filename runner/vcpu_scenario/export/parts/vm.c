/* A VM and its vCPU */

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

#define PREFERRED_TARGET	-1

static int try_init_vcpu_as(int target, uint64_t features)
{
	struct kvm_vcpu_init init = { 0 };

	succeed(vm_call(KVM_ARM_PREFERRED_TARGET, &init), "KVM_ARM_PREFERRED_TARGET");
	if (target != PREFERRED_TARGET)
		init.target = target;
	init.features[0] = (uint32_t)features;
	init.features[1] = features >> 32;
	return vcpu_call(KVM_ARM_VCPU_INIT, &init);
}

static void init_vcpu_as(int target, uint64_t features)
{
	succeed(try_init_vcpu_as(target, features), "KVM_ARM_VCPU_INIT");
}

static int try_init_vcpu(uint32_t features)
{
	return try_init_vcpu_as(PREFERRED_TARGET, features);
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

/* All vCPUs; vcpu_fd and run are those of the one whose turn it is */
static struct one_vcpu {
	int fd;
	struct kvm_run *run;
} vcpus[NR_VCPUS];

/* variant: selftest */
static struct kvm_vcpu *vcpus[NR_VCPUS];

static int vcpu_nr;

static void turn_to(int nr)
{
	vcpus[vcpu_nr].fd = vcpu_fd;
	vcpus[vcpu_nr].run = run;
	vcpu_nr = nr;
	vcpu_fd = vcpus[nr].fd;
	run = vcpus[nr].run;
}

/* variant: selftest */
static void turn_to(int nr)
{
	vcpus[vcpu_nr] = vcpu;
	vcpu_nr = nr;
	vcpu = vcpus[nr];
	run = vcpu->run;
}

static int try_add_vcpu(int nr)
{
	return vm_call(KVM_CREATE_VCPU, (void *)(uintptr_t)nr);
}

static void add_vcpu(int nr)
{
	size_t size = must_ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	vcpus[nr].fd = must(try_add_vcpu(nr), "KVM_CREATE_VCPU");
	vcpus[nr].run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpus[nr].fd, 0);
	if (vcpus[nr].run == MAP_FAILED)
		refused("mmap of the vCPU");
}

/* variant: selftest */
static void add_vcpu(int nr)
{
	vcpus[nr] = __vm_vcpu_add(vm, nr);
}

/* KVM_CREATE_VM of another VM, which is closed at once */
static int try_vm(int type)
{
	int fd = kvm_call(KVM_CREATE_VM, (void *)(uintptr_t)type);

	return fd < 0 ? -1 : close(fd);
}

static int enable_vm_cap(uint32_t cap, uint32_t flags, uint64_t argument)
{
	struct kvm_enable_cap enable = { .cap = cap, .flags = flags, .args = { argument } };

	return vm_call(KVM_ENABLE_CAP, &enable);
}

static int check_extension(uint32_t cap)
{
	return vm_call(KVM_CHECK_EXTENSION, (void *)(uintptr_t)cap);
}

/* Of /dev/kvm, not of the VM */
static int system_extension(uint32_t cap)
{
	return kvm_call(KVM_CHECK_EXTENSION, (void *)(uintptr_t)cap);
}

static int preferred_target(void)
{
	struct kvm_vcpu_init init;

	return vm_call(KVM_ARM_PREFERRED_TARGET, &init) < 0 ? -1 : (int)init.target;
}

static int has_vm_attr(uint32_t group, uint64_t attr)
{
	struct kvm_device_attr device_attr = { .group = group, .attr = attr };

	return vm_call(KVM_HAS_DEVICE_ATTR, &device_attr);
}

static int set_device_addr(uint64_t id, uint64_t addr)
{
	struct kvm_arm_device_addr device_addr = { .id = id, .addr = addr };

	return vm_call(KVM_ARM_SET_DEVICE_ADDR, &device_addr);
}
