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
