/* A program as a board's firmware begins: it greets on the UART, counts, and switches itself off. */
#define UART ((volatile unsigned int *)0x09000000)
#define DR (UART[0x00 / 4])
#define FR (UART[0x18 / 4])
#define TXFF (1u << 5)

const char greeting[] = "hello\n";
unsigned int sent;

__attribute__((noinline)) void put(char c)
{
	while (FR & TXFF)
		;
	DR = c;
	sent++;
}

__attribute__((noinline)) void off(void)
{
	register unsigned long x0 asm("x0") = 0x84000008; /* PSCI SYSTEM_OFF */

	asm volatile("hvc #0" : "+r"(x0) : : "x1", "x2", "x3", "memory");
}

__attribute__((noinline)) void greet(void)
{
	for (const char *c = greeting; *c; c++)
		put(*c);
	off();
}

asm(".globl _start\n"
    "_start: adrp x0, stack_top\n"
    "        add  x0, x0, :lo12:stack_top\n"
    "        mov  sp, x0\n"
    "        b    greet\n");

char stack[1024] __attribute__((aligned(16)));
asm(".globl stack_top\n.set stack_top, stack + 1024\n");
