/* A NOR flash: two chips of 16 bits side by side, with Intel's commands (JESD68.01) */

#define FLASH_BLOCK	(256 << 10)
#define FLASH_BANK	4
#define FLASH_CONFIRM	0xd0
#define FLASH_READY	0x80

/* A command was not confirmed */
#define FLASH_SEQUENCE	0x30

/* What it reads as: the array is a read-only slot, all else exits */
enum flash_mode { FLASH_ARRAY, FLASH_STATUS, FLASH_ID, FLASH_QUERY };

/* next takes the next cycle of a command that has more than one */
struct cfi_flash {
	uint64_t base, size;
	uint32_t slot;
	enum flash_mode mode;
	uint8_t status;
	void (*next)(struct cfi_flash *flash, uint64_t offset, uint32_t len, uint64_t data);
	int words_left, nr_buffered;
	struct {
		uint64_t offset, data;
		uint32_t len;
	} buffer[1024];
};

/* A slot that is deleted keeps its memory here: what is programmed goes there */
static uint8_t *flash_memory(const struct cfi_flash *flash)
{
	return memslots[slot_index(flash->slot)].host;
}

static void flash_show(struct cfi_flash *flash, enum flash_mode mode)
{
	uint64_t size = mode == FLASH_ARRAY ? flash->size : 0;
	bool was_array = flash->mode == FLASH_ARRAY;

	flash->mode = mode;
	if (was_array == (mode == FLASH_ARRAY))
		return;
	sync_caches(flash_memory(flash), flash->size);
	succeed(set_memory_region(flash->slot, flash->base, size, size ? KVM_MEM_READONLY : 0),
		"KVM_SET_USER_MEMORY_REGION");
}

/* Programming clears bits, erasing sets them */
static void flash_clear(struct cfi_flash *flash, uint64_t offset, uint32_t len, uint64_t data)
{
	uint8_t *memory = flash_memory(flash);

	for (; len-- && offset < flash->size; data >>= 8)
		memory[offset++] &= data;
}

static void flash_program(struct cfi_flash *flash, uint64_t offset, uint32_t len, uint64_t data)
{
	flash->next = NULL;
	flash_clear(flash, offset, len, data);
}

/* The last cycle of a command */
static bool flash_confirmed(struct cfi_flash *flash, uint64_t data)
{
	flash->next = NULL;
	if ((data & 0xff) == FLASH_CONFIRM)
		return true;
	flash->status |= FLASH_SEQUENCE;
	return false;
}

static void flash_erase(struct cfi_flash *flash, uint64_t offset, uint32_t len, uint64_t data)
{
	(void)len;
	if (flash_confirmed(flash, data))
		memset(flash_memory(flash) + offset / FLASH_BLOCK * FLASH_BLOCK, 0xff, FLASH_BLOCK);
}

/* No block is ever locked */
static void flash_lock(struct cfi_flash *flash, uint64_t offset, uint32_t len, uint64_t data)
{
	(void)offset, (void)len, (void)data;
	flash->next = NULL;
}

static void flash_flush(struct cfi_flash *flash, uint64_t offset, uint32_t len, uint64_t data)
{
	int i;

	(void)offset, (void)len;
	if (!flash_confirmed(flash, data))
		return;
	for (i = 0; i < flash->nr_buffered; i++)
		flash_clear(flash, flash->buffer[i].offset, flash->buffer[i].len,
			    flash->buffer[i].data);
}

static void flash_fill(struct cfi_flash *flash, uint64_t offset, uint32_t len, uint64_t data)
{
	int nr = flash->nr_buffered++;

	if (nr == ARRAY_SIZE(flash->buffer))
		fail("the guest fills more than the flash's buffer");
	flash->buffer[nr].offset = offset;
	flash->buffer[nr].data = data;
	flash->buffer[nr].len = len;
	flash->words_left -= len > FLASH_BANK ? len / FLASH_BANK : 1;
	if (flash->words_left <= 0)
		flash->next = flash_flush;
}

static void flash_count(struct cfi_flash *flash, uint64_t offset, uint32_t len, uint64_t data)
{
	(void)offset, (void)len;
	flash->words_left = (data & 0xffff) + 1;
	flash->nr_buffered = 0;
	flash->next = flash_fill;
}

/* The first cycle of a command */
static void flash_command(struct cfi_flash *flash, uint8_t command)
{
	switch (command) {
	case 0xf0:
	case 0xff:
		flash_show(flash, FLASH_ARRAY);
		break;
	case 0x70:
		flash_show(flash, FLASH_STATUS);
		break;
	case 0x90:
		flash_show(flash, FLASH_ID);
		break;
	case 0x98:
		flash_show(flash, FLASH_QUERY);
		break;
	case 0x50:
		flash->status = FLASH_READY;
		break;
	case 0x10:
	case 0x40:
		flash->next = flash_program;
		break;
	case 0x20:
		flash->next = flash_erase;
		break;
	case 0x60:
		flash->next = flash_lock;
		break;
	case 0xe8:
		flash->next = flash_count;
		break;
	default:
		fail("command %#x, which this flash does not have", command);
	}
	if (flash->next)
		flash_show(flash, FLASH_STATUS);
}

static void flash_write(struct cfi_flash *flash, uint64_t offset, uint32_t len, uint64_t data)
{
	if (flash->next)
		flash->next(flash, offset, len, data);
	else
		flash_command(flash, data);
}

/* The answer of a chip of half the size to a query, its table 1 */
static uint8_t flash_query(uint64_t size, uint64_t word)
{
	const uint16_t blocks = size / FLASH_BLOCK - 1, block = FLASH_BLOCK / 2 / 256;
	const uint8_t table[] = {
		[0x10] = 'Q', 'R', 'Y', 1, 0, 0x31, 0,
		[0x1b] = 0x45, 0x55, 0, 0, 7, 7, 10, 0, 4, 4, 4, 0,
		[0x27] = 62 - __builtin_clzll(size), 2, 0, 11, 0, 1,
		[0x2d] = blocks, blocks >> 8, block & 0xff, block >> 8,
		[0x31] = 'P', 'R', 'I', '1', '0',
	};

	return word < sizeof(table) ? table[word] : 0;
}

/* What each chip has at a word; of an identifier the maker, the device and no lock bits */
static uint16_t flash_word(const struct cfi_flash *flash, uint64_t word)
{
	static const uint8_t id[] = { 0x89, 0x18 };

	if (flash->mode == FLASH_QUERY)
		return flash_query(flash->size, word);
	if (flash->mode == FLASH_STATUS)
		return flash->status;
	word %= FLASH_BLOCK / FLASH_BANK;
	return word < sizeof(id) ? id[word] : 0;
}

static uint64_t flash_read(const struct cfi_flash *flash, uint64_t offset, uint32_t len)
{
	uint16_t both[2 * 3];
	uint64_t i;

	if (len > flash->size - offset)
		len = flash->size - offset;
	if (flash->mode == FLASH_ARRAY)
		return load_le(flash_memory(flash) + offset, len);
	for (i = 0; i < ARRAY_SIZE(both); i++)
		both[i] = flash_word(flash, offset / FLASH_BANK + i / 2);
	return load_le((const uint8_t *)both + offset % FLASH_BANK, len);
}
