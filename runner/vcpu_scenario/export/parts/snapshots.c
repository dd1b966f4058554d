/* Snapshots: what a VMM has of its vCPU and of guest memory, to go on from later */

/* Each register in the order of KVM_GET_REG_LIST, with room for the largest */
struct snapshot {
	struct kvm_reg_list *list;
	uint64_t values[MAX_REGS][32];
	struct kvm_mp_state mp_state;
	bool has_events;
	struct kvm_vcpu_events events;
	uint8_t *memory[NR_MEMSLOTS];
};

static void save_memory(struct snapshot *snapshot)
{
	struct memslot *slot;
	int i;

	for (i = 0; i < nr_memslots; i++) {
		slot = &memslots[i];
		if (!snapshot->memory[i])
			snapshot->memory[i] = map_memory(slot->size);
		read_guest(slot->base, snapshot->memory[i], slot->size);
	}
}

static void take_snapshot(struct snapshot *snapshot)
{
	struct kvm_one_reg reg;
	uint64_t i;

	snapshot->list = new_reg_list();
	for (i = 0; i < snapshot->list->n; i++) {
		reg.id = snapshot->list->reg[i];
		reg.addr = (uintptr_t)snapshot->values[i];
		succeed(vcpu_call(KVM_GET_ONE_REG, &reg), "KVM_GET_ONE_REG");
	}
	succeed(vcpu_call(KVM_GET_MP_STATE, &snapshot->mp_state), "KVM_GET_MP_STATE");
	snapshot->has_events = check_extension(KVM_CAP_VCPU_EVENTS) > 0;
	if (snapshot->has_events)
		succeed(vcpu_call(KVM_GET_VCPU_EVENTS, &snapshot->events), "KVM_GET_VCPU_EVENTS");
	save_memory(snapshot);
}

/* Registers that KVM is to refuse as a snapshot is restored */
static struct refusal {
	uint64_t id;
	int error;
} refusals[16];

static int nr_refusals;

static void expect_refusal(uint64_t id, int error)
{
	refusals[nr_refusals].id = id;
	refusals[nr_refusals].error = error;
	nr_refusals++;
}

/* The errno with which KVM is to refuse a register, 0 where it is to take it */
static int refusal_of(uint64_t id)
{
	int i;

	for (i = 0; i < nr_refusals; i++)
		if (refusals[i].id == id)
			return refusals[i].error;
	return 0;
}

static void restore_reg(uint64_t id, const uint64_t *value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)value };
	int error = vcpu_call(KVM_SET_ONE_REG, &reg) < 0 ? errno : 0;

	if (error != refusal_of(id))
		fail("KVM_SET_ONE_REG of %#llx = %#llx: %s, expected: %s", (unsigned long long)id,
		     (unsigned long long)value[0], strerror(error), strerror(refusal_of(id)));
}

/* The vCPU is one that KVM_ARM_VCPU_INIT has made */
static void restore_snapshot(struct snapshot *snapshot)
{
	uint64_t i;
	int slot, refused = 0;

	for (slot = 0; slot < nr_memslots; slot++)
		write_guest(memslots[slot].base, snapshot->memory[slot], memslots[slot].size);
	for (i = 0; i < snapshot->list->n; i++) {
		restore_reg(snapshot->list->reg[i], snapshot->values[i]);
		refused += refusal_of(snapshot->list->reg[i]) != 0;
	}
	if (refused != nr_refusals)
		fail("the snapshot lacks a register that was to be refused");
	nr_refusals = 0;
	if (snapshot->has_events)
		succeed(vcpu_call(KVM_SET_VCPU_EVENTS, &snapshot->events), "KVM_SET_VCPU_EVENTS");
	succeed(vcpu_call(KVM_SET_MP_STATE, &snapshot->mp_state), "KVM_SET_MP_STATE");
}

/* The VM ends, and what it had of the VMM's memory */
static void release_vm(void)
{
	size_t size = must_ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	munmap(run, size);
	close(vcpu_fd);
	close(vm_fd);
	close(kvm_fd);
	while (nr_memslots) {
		nr_memslots--;
		munmap(memslots[nr_memslots].host, memslots[nr_memslots].size);
	}
}

/* variant: selftest */
static void release_vm(void)
{
	kvm_vm_free(vm);
	while (nr_memslots) {
		nr_memslots--;
		munmap(memslots[nr_memslots].host, memslots[nr_memslots].size);
	}
}
