/* A PL011 (DDI 0183) whose transmitter is always ready */

#define UARTDR		0x000
#define UARTFR		0x018
#define UARTFR_RXFE	(1 << 4)
#define UARTFR_TXFE	(1 << 7)
#define UARTPeriphID0	0xfe0

/* What was received or sent interrupts */
#define UARTIMSC	0x038
#define UARTRIS		0x03c
#define UARTMIS		0x040
#define UARTICR		0x044
#define UART_RX		(1 << 4)
#define UART_TX		(1 << 5)

/* What is typed once the guest has sent something; a row without a length ends them */
struct typed {
	const char *after;
	size_t after_len;
	const char *text;
	size_t len;
};

/*
 * A PL011 (DDI 0183) whose transmitter is always ready, without an interrupt;
 * input has all that is ever received
 */
struct pl011 {
	uint8_t input[4096];
	size_t arrived, taken;
	uint8_t output[1 << 16];
	size_t sent;
	uint64_t registers[UARTPeriphID0];
};

/* variant: typed */
/*
 * A PL011 (DDI 0183) whose transmitter is always ready. spi is 0 where it has
 * no interrupt: then UARTRIS, UARTMIS and UARTICR keep what is written.
 */
struct pl011 {
	uint32_t spi;
	bool level;
	uint32_t raw;
	const struct typed *typed;
	uint8_t input[4096];
	size_t arrived, taken;
	uint8_t output[1 << 16];
	size_t sent, looked_at;
	uint64_t registers[UARTPeriphID0];
};

/* The line is up while UARTMIS is not 0 */
static void pl011_signal(struct pl011 *uart)
{
	bool level = uart->raw & uart->registers[UARTIMSC];

	if (!uart->spi || level == uart->level)
		return;
	uart->level = level;
	irq_line(KVM_ARM_IRQ_TYPE_SPI, uart->spi, level);
}

static void pl011_receive(struct pl011 *uart, const char *text, size_t len)
{
	memcpy(uart->input + uart->arrived, text, len);
	uart->arrived += len;
	uart->raw |= UART_RX;
}

static void pl011_send(struct pl011 *uart, uint8_t character)
{
	const struct typed *next = uart->typed;
	size_t before;

	if (uart->sent == sizeof(uart->output))
		fail("the guest sends more than %zu characters", sizeof(uart->output));
	uart->output[uart->sent++] = character;
	uart->raw |= UART_TX;
	if (!next || !next->len || uart->sent < uart->looked_at + next->after_len)
		return;
	before = uart->sent - next->after_len;
	if (memcmp(uart->output + before, next->after, next->after_len))
		return;
	uart->looked_at = uart->sent;
	pl011_receive(uart, next->text, next->len);
	uart->typed++;
}

static uint64_t pl011_identify(uint64_t offset)
{
	static const uint8_t id[] = { 0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

	return offset % 4 || offset >= 0x1000 ? 0 : id[(offset - UARTPeriphID0) / 4];
}

static uint64_t pl011_take(struct pl011 *uart)
{
	uint8_t character;

	if (uart->taken == uart->arrived)
		return 0;
	character = uart->input[uart->taken++];
	if (uart->taken == uart->arrived)
		uart->raw &= ~UART_RX;
	pl011_signal(uart);
	return character;
}

static uint64_t pl011_read(struct pl011 *uart, uint64_t offset)
{
	bool empty = uart->taken == uart->arrived;

	if (offset >= UARTPeriphID0)
		return pl011_identify(offset);
	if (offset == UARTDR)
		return empty ? 0 : uart->input[uart->taken++];
	if (offset == UARTFR)
		return UARTFR_TXFE | (empty ? UARTFR_RXFE : 0);
	return uart->registers[offset];
}

/* variant: typed */
static uint64_t pl011_read(struct pl011 *uart, uint64_t offset)
{
	if (offset >= UARTPeriphID0)
		return pl011_identify(offset);
	if (offset == UARTDR)
		return pl011_take(uart);
	if (offset == UARTFR)
		return UARTFR_TXFE | (uart->taken == uart->arrived ? UARTFR_RXFE : 0);
	if (uart->spi && offset == UARTRIS)
		return uart->raw;
	if (uart->spi && offset == UARTMIS)
		return uart->raw & uart->registers[UARTIMSC];
	return uart->registers[offset];
}

static void pl011_write(struct pl011 *uart, uint64_t offset, uint64_t data)
{
	if (offset == UARTDR && uart->sent < sizeof(uart->output))
		uart->output[uart->sent++] = data;
	else if (offset < UARTPeriphID0)
		uart->registers[offset] = data;
}

/* variant: typed */
static void pl011_write(struct pl011 *uart, uint64_t offset, uint64_t data)
{
	if (offset == UARTDR)
		pl011_send(uart, data);
	else if (uart->spi && offset == UARTICR)
		uart->raw &= ~data;
	else if (offset < UARTPeriphID0)
		uart->registers[offset] = data;
	pl011_signal(uart);
}
