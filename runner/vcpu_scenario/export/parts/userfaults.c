/* Guest memory that a userfaultfd puts back */

#define GUEST_PAGE	4096

/* A slot's memory as it was, and a bit for each page that was touched, and that was written */
static struct userfaults {
	int fd;
	uint8_t *host, *kept;
	volatile uint64_t touched, written;
} userfaults[NR_MEMSLOTS];

static void *serve_userfaults(void *of_slot)
{
	struct userfaults *faults = of_slot;
	struct uffdio_copy copy = { .len = GUEST_PAGE };
	struct uffd_msg msg;
	uint64_t offset, bit;

	while (read(faults->fd, &msg, sizeof(msg)) == sizeof(msg)) {
		offset = (msg.arg.pagefault.address - (uintptr_t)faults->host) & -GUEST_PAGE;
		/* The last bit stands for all pages from there on */
		bit = 1ull << (offset / GUEST_PAGE < 63 ? offset / GUEST_PAGE : 63);
		faults->touched |= bit;
		if (msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WRITE)
			faults->written |= bit;
		copy.dst = (uintptr_t)faults->host + offset;
		copy.src = (uintptr_t)faults->kept + offset;
		ioctl(faults->fd, UFFDIO_COPY, &copy);
	}
	return NULL;
}

static int watch_userfaults(struct userfaults *faults, uint64_t size)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range = { .start = (uintptr_t)faults->host, .len = size },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	sigset_t every, mask;
	pthread_t thread;

	faults->fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (faults->fd < 0)
		skip("no userfaultfd for this user: %s", strerror(errno));
	if (ioctl(faults->fd, UFFDIO_API, &api) < 0 ||
	    ioctl(faults->fd, UFFDIO_REGISTER, &range) < 0)
		return -1;
	/* The thread takes none of the signals that are to end KVM_RUN */
	sigfillset(&every);
	sigprocmask(SIG_BLOCK, &every, &mask);
	errno = pthread_create(&thread, NULL, serve_userfaults, faults);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return errno ? -1 : 0;
}

/* Each page of a slot is put back as it was once it is touched */
static int discard_with_userfaultfd(uint32_t nr)
{
	struct memslot *slot = &memslots[slot_index(nr)];
	struct userfaults *faults = &userfaults[slot_index(nr)];
	bool watched = faults->kept;

	if (!watched)
		faults->kept = map_memory(slot->size);
	memcpy(faults->kept, slot->host, slot->size);
	faults->host = slot->host;
	if (!watched && watch_userfaults(faults, slot->size) < 0)
		return -1;
	faults->touched = 0;
	faults->written = 0;
	return madvise(slot->host, slot->size, MADV_DONTNEED);
}

/* The pages that were touched since this was asked last, and those of them that were written */
static void expect_userfaults(uint32_t nr, uint64_t touched, uint64_t written)
{
	struct userfaults *faults = &userfaults[slot_index(nr)];

	if (faults->touched != touched || faults->written != written)
		fail("pages of slot %u touched: %#llx, written: %#llx", nr,
		     (unsigned long long)faults->touched, (unsigned long long)faults->written);
	faults->touched = 0;
	faults->written = 0;
}
