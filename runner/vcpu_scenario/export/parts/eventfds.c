/* Interrupts by eventfd, and writes that do not exit */

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

/* Each ioeventfd as it was set up, and how often its eventfd was signalled */
static struct ioeventfd {
	struct kvm_ioeventfd request;
	uint64_t count;
} ioeventfds[NR_IOEVENTFDS];

static int nr_ioeventfds;

static int try_add_ioeventfd(uint64_t addr, uint32_t len, uint32_t flags, uint64_t datamatch)
{
	struct kvm_ioeventfd request = {
		.addr = addr,
		.len = len,
		.flags = flags,
		.datamatch = datamatch,
		.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
	};

	if (vm_call(KVM_IOEVENTFD, &request) < 0)
		return -1;
	ioeventfds[nr_ioeventfds++] = (struct ioeventfd) { .request = request };
	return 0;
}

static void add_ioeventfd(uint64_t addr, uint32_t len, uint32_t flags, uint64_t datamatch)
{
	succeed(try_add_ioeventfd(addr, len, flags, datamatch), "KVM_IOEVENTFD");
}

/* The last one that was set up like this; the kernel finds it by its eventfd too */
static int find_ioeventfd(uint64_t addr, uint32_t len, uint32_t flags, uint64_t datamatch)
{
	struct kvm_ioeventfd *request;
	int i;

	for (i = nr_ioeventfds - 1; i >= 0; i--) {
		request = &ioeventfds[i].request;
		if (request->addr == addr && request->len == len && request->flags == flags &&
		    request->datamatch == datamatch)
			break;
	}
	return i;
}

static int remove_ioeventfd(uint64_t addr, uint32_t len, uint32_t flags, uint64_t datamatch)
{
	int nr = find_ioeventfd(addr, len, flags, datamatch);
	struct kvm_ioeventfd request;

	if (nr < 0) {
		errno = ENOENT;
		return -1;
	}
	request = ioeventfds[nr].request;
	request.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
	return vm_call(KVM_IOEVENTFD, &request);
}

static uint64_t eventfd_count(int nr)
{
	uint64_t count;

	if (read(ioeventfds[nr].request.fd, &count, sizeof(count)) == sizeof(count))
		ioeventfds[nr].count += count;
	return ioeventfds[nr].count;
}

static void expect_ioeventfd(uint64_t addr, uint32_t len, uint32_t flags, uint64_t datamatch,
			     uint64_t count)
{
	int nr = find_ioeventfd(addr, len, flags, datamatch);

	if (nr < 0 || eventfd_count(nr) != count)
		fail("the eventfd of %#llx gave %llu, expected %llu", (unsigned long long)addr,
		     nr < 0 ? 0 : (unsigned long long)ioeventfds[nr].count,
		     (unsigned long long)count);
}

static int try_add_coalesced_zone(uint64_t addr, uint32_t size)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = addr, .size = size };

	return vm_call(KVM_REGISTER_COALESCED_MMIO, &zone);
}

static void add_coalesced_zone(uint64_t addr, uint32_t size)
{
	succeed(try_add_coalesced_zone(addr, size), "KVM_REGISTER_COALESCED_MMIO");
}

static int remove_coalesced_zone(uint64_t addr, uint32_t size)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = addr, .size = size };

	return vm_call(KVM_UNREGISTER_COALESCED_MMIO, &zone);
}
