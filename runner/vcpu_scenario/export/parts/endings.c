/* What a debugger is told, and the end of a run */

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

/*
 * Which of the expected exits the next one may be, behind the last of them
 * whether none need come: a place each. What may be left out leads on.
 */
static void leave_out(bool *places, const struct expected_exit *exits, int count)
{
	int i;

	for (i = 0; i < count; i++)
		if (places[i] && exits[i].how_often != ONCE)
			places[i + 1] = true;
}

/* One more exit has come: whether it fits in any of the places */
static bool go_further(bool *places, const struct expected_exit *exits, int count,
		       bool (*fits)(int nr))
{
	bool fit, any = false;
	int i;

	places[count] = false;
	for (i = count - 1; i >= 0; i--) {
		fit = places[i] && fits(exits[i].nr);
		places[i] = fit && exits[i].how_often == ANY;
		if (fit && !places[i])
			places[i + 1] = true;
		any |= fit;
	}
	leave_out(places, exits, count);
	return any;
}
