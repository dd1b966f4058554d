/* Guest memory */

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

/* variant: harness */
static void add_memslot(uint64_t base, uint64_t size, uint32_t flags)
{
	struct memslot *slot = &memslots[nr_memslots];

	slot->base = base;
	slot->size = size;
	slot->host = map_memory(size);
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

/*
 * Headers of Linux 6.8 have it as struct kvm_userspace_memory_region2, which
 * begins like struct kvm_userspace_memory_region
 */
struct memory_region {
	uint32_t slot;
	uint32_t flags;
	uint64_t guest_phys_addr;
	uint64_t memory_size;
	uint64_t userspace_addr;
	uint64_t guest_memfd_offset;
	uint32_t guest_memfd;
	uint32_t pad1;
	uint64_t pad2[14];
};

/* The slot as KVM is to have it; its memory is new where its size is */
static struct memory_region region_of(uint32_t nr, uint64_t base, uint64_t size, uint32_t flags)
{
	int i = slot_index(nr);
	struct memslot *slot = &memslots[i];

	if (!mapped[i])
		mapped[i] = slot->size;
	if (size && !slot->size && mapped[i] != size) {
		slot->host = map_memory(size);
		mapped[i] = size;
	}
	return (struct memory_region) {
		.slot = nr,
		.flags = flags,
		.guest_phys_addr = base,
		.memory_size = size,
		.userspace_addr = (uintptr_t)slot->host,
		.guest_memfd = -1,
	};
}

/* KVM has the slot so, or has refused it */
static int region_is_set(const struct memory_region *region, int ret)
{
	int i = slot_index(region->slot);
	struct memslot *slot = &memslots[i];

	if (ret < 0) {
		if (i == nr_memslots - 1 && !slot->size) {	/* it was new */
			mapped[i] = 0;
			nr_memslots--;
		}
		return -1;
	}
	slot->base = region->guest_phys_addr;
	slot->size = region->memory_size;
	return 0;
}

static int set_memory_region(uint32_t nr, uint64_t base, uint64_t size, uint32_t flags)
{
	struct memory_region region = region_of(nr, base, size, flags);

	return region_is_set(&region, vm_call(KVM_SET_USER_MEMORY_REGION,
					      (struct kvm_userspace_memory_region *)&region));
}

/* KVM_SET_USER_MEMORY_REGION2, without a guest_memfd */
static int set_memory_region2(uint32_t nr, uint64_t base, uint64_t size, uint32_t flags)
{
	struct memory_region region = region_of(nr, base, size, flags);

	return region_is_set(&region, vm_call(_IOW(KVMIO, 0x49, struct memory_region), &region));
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

/* Guest memory is zero from now on */
static int discard_memory(uint32_t nr)
{
	struct memslot *slot = &memslots[slot_index(nr)];

	return madvise(slot->host, slot->size, MADV_DONTNEED);
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
