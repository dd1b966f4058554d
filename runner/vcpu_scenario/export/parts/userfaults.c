/* Guest memory that a userfaultfd puts back */

#define GUEST_PAGE	4096

/* A slot's memory as it was, and a bit for each page that was touched, and that was written */
static struct userfaults {
	int fd;
	uint8_t *host, *kept;
	volatile uint64_t touched, written;
} userfaults = { .fd = -1 };

static void *serve_userfaults(void *unused)
{
	struct uffdio_copy copy = { .len = GUEST_PAGE };
	struct uffd_msg msg;
	uint64_t offset, bit;

	while (read(userfaults.fd, &msg, sizeof(msg)) == sizeof(msg)) {
		offset = (msg.arg.pagefault.address - (uintptr_t)userfaults.host) & -GUEST_PAGE;
		/* The last bit stands for all pages from there on */
		bit = 1ull << (offset / GUEST_PAGE < 63 ? offset / GUEST_PAGE : 63);
		userfaults.touched |= bit;
		if (msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WRITE)
			userfaults.written |= bit;
		copy.dst = (uintptr_t)userfaults.host + offset;
		copy.src = (uintptr_t)userfaults.kept + offset;
		ioctl(userfaults.fd, UFFDIO_COPY, &copy);
	}
	return unused;
}

static int watch_userfaults(uint8_t *host, uint64_t size)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range = { .start = (uintptr_t)host, .len = size },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	sigset_t every, mask;
	pthread_t thread;

	userfaults.fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (userfaults.fd < 0)
		skip("no userfaultfd for this user: %s", strerror(errno));
	userfaults.host = host;
	if (ioctl(userfaults.fd, UFFDIO_API, &api) < 0 ||
	    ioctl(userfaults.fd, UFFDIO_REGISTER, &range) < 0)
		return -1;
	/* The thread takes none of the signals that are to end KVM_RUN */
	sigfillset(&every);
	sigprocmask(SIG_BLOCK, &every, &mask);
	errno = pthread_create(&thread, NULL, serve_userfaults, NULL);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return errno ? -1 : 0;
}

/* Each page of a slot is put back as it was once it is touched */
static int discard_with_userfaultfd(uint32_t nr)
{
	struct memslot *slot = &memslots[slot_index(nr)];

	if (!userfaults.kept)
		userfaults.kept = map_memory(slot->size);
	memcpy(userfaults.kept, slot->host, slot->size);
	if (userfaults.fd < 0 && watch_userfaults(slot->host, slot->size) < 0)
		return -1;
	userfaults.touched = 0;
	userfaults.written = 0;
	return madvise(slot->host, slot->size, MADV_DONTNEED);
}

/* The pages that were touched since this was asked last, and those of them that were written */
static void expect_userfaults(uint64_t touched, uint64_t written)
{
	if (userfaults.touched != touched || userfaults.written != written)
		fail("pages touched: %#llx, written: %#llx",
		     (unsigned long long)userfaults.touched,
		     (unsigned long long)userfaults.written);
	userfaults.touched = 0;
	userfaults.written = 0;
}
