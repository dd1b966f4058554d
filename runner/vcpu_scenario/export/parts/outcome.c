/* How a program ends, and what must succeed or be refused */

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

#define kvm_call(request, arg)	ioctl(kvm_fd, request, arg)

/* variant: harness */
#define kvm_call(request, arg)	__kvm_ioctl(kvm_fd, request, arg)

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

/* Of any size: there is room for the largest register */
static int try_set_reg(uint64_t id, uint64_t value)
{
	uint64_t bytes[32] = { value };
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)bytes };

	return vcpu_call(KVM_SET_ONE_REG, &reg);
}

static int try_get_reg(uint64_t id)
{
	uint64_t bytes[32];
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)bytes };

	return vcpu_call(KVM_GET_ONE_REG, &reg);
}

static int try_set_wide_reg(uint64_t id, uint64_t high, uint64_t low)
{
	uint64_t value[2] = { low, high };
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)value };

	return vcpu_call(KVM_SET_ONE_REG, &reg);
}

static void set_wide_reg(uint64_t id, uint64_t high, uint64_t low)
{
	succeed(try_set_wide_reg(id, high, low), "KVM_SET_ONE_REG");
}

/* What an ioctl returns */
static void expect_answer(int answer, int expected, const char *what)
{
	if (answer < 0)
		refused(what);
	if (answer != expected)
		fail("%s gave %d, expected %d", what, answer, expected);
}

/* variant: harness */
static void expect_answer(int answer, int expected, const char *what)
{
	TEST_ASSERT(answer == expected, "%s gave %d, expected %d", what, answer, expected);
}
