/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Neither branches nor addresses depend on secrets, as valgrind's memcheck sees it: keys, tags and
 * everything from byte 64 of a message on are declared undefined, memcheck follows the undefined
 * bits, and any branch or address made of them is an error that is counted. Results are declared
 * defined before they are looked at. The argument names the kernel, or is "kdf" for key derivation,
 * subkeys and masks. Plain C, because cmocka would look at the bytes. Skips (77) when it does not
 * run under valgrind, which has no AVX-512: for kernels with it there is crypto_trace_test.c.
 */

#include <stdio.h>
#include <valgrind/memcheck.h>

#include "crypto/ct.h"
#include "crypto/kdf.h"
#include "tests/unit/crypto/fixture.h"

#define COUNT 33u /* whole groups of lanes, and one left over */

static unsigned failures;
static volatile unsigned sink;

/* `is_leaky`: one of the functions below that are wrong on purpose. */
static void
expect_uses(const char *what, unsigned before, bool is_leaky)
{
	const unsigned uses = VALGRIND_COUNT_ERRORS - before;

	printf("%s: %u uses of secret bits\n", what, uses);
	if ((uses > 0) == is_leaky)
		return;
	printf("FAILED: %s\n", is_leaky ? "the leak was not seen" : "it must not use any");
	failures++;
}

static void
expect(bool is_right, const char *what)
{
	if (is_right)
		return;
	printf("FAILED: %s\n", what);
	failures++;
}

static void
hide(void *bytes, size_t size)
{
	(void)VALGRIND_MAKE_MEM_UNDEFINED(bytes, size);
}

static void
reveal(void *bytes, size_t size)
{
	(void)VALGRIND_MAKE_MEM_DEFINED(bytes, size);
}

/* Made of secrets, as memcheck knows: what it lost on the way through AES it could not report. */
static bool
is_hidden(const void *bytes, size_t size)
{
	static const uint8_t none[CRED_TAG_SIZE];
	uint8_t hidden[CRED_TAG_SIZE];

	(void)VALGRIND_GET_VBITS(bytes, hidden, size);
	return memcmp(hidden, none, size) != 0;
}

/* Deliberately wrong: stops at the first byte that differs. */
__attribute__((noinline)) static void
leaky_compare(const uint8_t *tag, const uint8_t *other)
{
	unsigned i;

	for (i = 0; i < CRED_TAG_SIZE && tag[i] == other[i]; i++)
		sink = i;
}

/* Deliberately wrong: AES by table is like this. */
__attribute__((noinline)) static void
leaky_table(const uint8_t *key)
{
	static const uint8_t table[256] = {1};

	sink = table[*key];
}

/* Without these, nothing below could fail. */
static void
leaks_are_seen(void)
{
	uint8_t tag[CRED_TAG_SIZE] = {0}, other[CRED_TAG_SIZE] = {0};
	unsigned before = VALGRIND_COUNT_ERRORS;

	hide(tag, sizeof(tag));
	leaky_compare(tag, other);
	expect_uses("leaky compare", before, true);
	before = VALGRIND_COUNT_ERRORS;
	leaky_table(tag);
	expect_uses("leaky table", before, true);
}

static void
keys_hide(struct batch *batch)
{
	unsigned i;

	for (i = 0; i < COUNT; i++) {
		hide(batch->slots[i].k1, sizeof(batch->slots[i].k1));
		hide(batch->slots[i].tag_key, sizeof(batch->slots[i].tag_key));
		hide(batch->slots[i].seal_key, sizeof(batch->slots[i].seal_key));
	}
}

static void
rows_hide(uint8_t (*rows)[CRED_SIZE_MAX])
{
	unsigned i;

	for (i = 0; i < COUNT; i++)
		hide(rows[i] + CRED_SEALED_FIRST, CRED_SIZE_MAX - CRED_SEALED_FIRST);
}

static void
batch_reveal(struct batch *batch)
{
	reveal(batch->slots, sizeof(batch->slots));
	reveal(batch->clear, sizeof(batch->clear));
	reveal(batch->sent, sizeof(batch->sent));
	reveal(batch->work, sizeof(batch->work));
}

/* Every third tag is wrong, each in another bit; returns the bitmap of the others. */
static uint64_t
tags_spoil(struct batch *batch)
{
	uint64_t good = fixture_all(COUNT);
	unsigned i;

	for (i = 0; i < COUNT; i += 3) {
		batch->sent[i][batch->sizes[i] + i % CRED_TAG_SIZE] ^= (uint8_t)(1 << i % 8);
		good &= ~((uint64_t)1 << i);
	}
	return good;
}

static bool
is_identity(const struct tag_identity *id, const uint8_t *clear, bool is_good)
{
	static const uint8_t zero[sizeof(id->bytes)];

	return memcmp(id->bytes, is_good ? clear + CRED_SEALED_FIRST : zero, sizeof(zero)) == 0;
}

static void
verify_has_no_leak(struct tag_engine *engine, struct batch *batch)
{
	const uint64_t good = tags_spoil(batch);
	const unsigned before = VALGRIND_COUNT_ERRORS;
	struct tag_identity ids[TAG_BATCH_MAX];
	uint64_t proved;
	unsigned i;

	keys_hide(batch);
	rows_hide(batch->sent);
	proved = tag_batch_verify(engine, batch->slot_list, batch->msgs, batch->sizes, ids, COUNT);
	expect_uses("tag_batch_verify", before, false);
	expect(is_hidden(&proved, sizeof(proved)), "tag_batch_verify: secrets lost on the way");
	expect(is_hidden(&ids[1], sizeof(ids[1])), "tag_batch_verify: secrets lost on the way");
	reveal(&proved, sizeof(proved));
	reveal(ids, sizeof(ids));
	batch_reveal(batch);
	expect(proved == good, "tag_batch_verify: the bitmap is wrong");
	for (i = 0; i < COUNT; i++)
		expect(is_identity(&ids[i], batch->clear[i], good >> i & 1),
			"tag_batch_verify: an identity is wrong");
}

static void
seal_has_no_leak(struct tag_engine *engine, struct batch *batch)
{
	const unsigned before = VALGRIND_COUNT_ERRORS;
	unsigned i;

	memcpy(batch->work, batch->clear, sizeof(batch->work));
	keys_hide(batch);
	rows_hide(batch->work);
	tag_batch_seal(engine, batch->slot_list, batch->rows, batch->sizes, COUNT);
	expect_uses("tag_batch_seal", before, false);
	expect(is_hidden(batch->work[1] + batch->sizes[1], CRED_TAG_SIZE),
		"tag_batch_seal: secrets lost on the way");
	batch_reveal(batch);
	for (i = 0; i < COUNT; i++)
		expect(memcmp(batch->work[i], batch->sent[i], CRED_SIZE_MAX) == 0,
			"tag_batch_seal: a message is wrong");
}

/* From `sent`, as sealed by the oracle, to `work`. */
static void
unseal_has_no_leak(struct tag_engine *engine, struct batch *batch)
{
	const unsigned before = VALGRIND_COUNT_ERRORS;
	const uint8_t *srcs[COUNT];
	uint64_t serials[COUNT];
	uint32_t salts[COUNT];
	uint16_t sizes[COUNT];
	unsigned i;

	for (i = 0; i < COUNT; i++) {
		srcs[i] = batch->sent[i] + CRED_AT_PAYLOAD;
		sizes[i] = batch->sizes[i] - CRED_HEADER_SIZE;
		serials[i] = load_be64(batch->sent[i] + CRED_AT_SERIAL);
		memcpy(&salts[i], batch->sent[i] + CRED_AT_SALT, sizeof(salts[i]));
	}
	keys_hide(batch);
	rows_hide(batch->sent);
	tag_batch_unseal(engine, batch->slot_list, serials, salts, srcs, batch->rows, sizes, COUNT);
	expect_uses("tag_batch_unseal", before, false);
	batch_reveal(batch);
	for (i = 0; i < COUNT; i++)
		expect(memcmp(batch->work[i], batch->clear[i] + CRED_AT_PAYLOAD, sizes[i]) == 0,
			"tag_batch_unseal: a payload is wrong");
}

/* Seal and unseal first: verify spoils tags. */
static void
batch_has_no_leak(struct tag_engine *engine, struct batch *batch)
{
	seal_has_no_leak(engine, batch);
	unseal_has_no_leak(engine, batch);
	verify_has_no_leak(engine, batch);
}

static void
kernel_has_no_leak(const struct tag_kernel *kernel)
{
	struct tag_engine *engine = fixture_engine(kernel);
	struct batch *batch = batch_create();
	struct random random = {1};
	uint8_t suite;

	for (suite = 1; suite < CRED_SUITE_COUNT; suite++) {
		printf("suite %u\n", suite);
		batch_uniform(batch, &random, suite, 96, COUNT);
		batch_has_no_leak(engine, batch);
	}
	printf("mixed\n");
	batch_mixed(batch, &random, COUNT);
	batch_has_no_leak(engine, batch);
	batch_destroy(batch);
	tag_engine_destroy(engine);
}

static void
masks_have_no_leak(void)
{
	uint8_t a[16] = {1, 2, 3}, b[16] = {1, 2, 3};
	const unsigned before = VALGRIND_COUNT_ERRORS;
	uint64_t same, other, zero;

	hide(a, sizeof(a));
	hide(b, sizeof(b));
	same = ct_mask_equal16(a, b);
	b[15] ^= 1;
	other = ct_mask_equal16(a, b);
	zero = ct_mask_zero(ct_hide(a[0]));
	expect_uses("ct.h", before, false);
	reveal(&same, sizeof(same));
	reveal(&other, sizeof(other));
	reveal(&zero, sizeof(zero));
	expect(same == UINT64_MAX && other == 0 && zero == 0, "ct.h: a mask is wrong");
}

static void
subkeys_have_no_leak(void)
{
	/* RFC 4493 section 4: the key, and the first bytes of its K1. */
	uint8_t key[32] = {0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab, 0xf7, 0x15, 0x88,
		0x09, 0xcf, 0x4f, 0x3c};
	static const uint8_t k1_first[4] = {0xfb, 0xee, 0xd6, 0x18};
	const unsigned before = VALGRIND_COUNT_ERRORS;
	uint8_t k1[16], k1_256[16], soft[16] = {0}, soft_256[16] = {0};

	hide(key, sizeof(key));
	tag_subkey(k1, key, 16);
	tag_subkey(k1_256, key, 32);
	aes_soft_block(soft, key, 16);
	aes_soft_block(soft_256, key, 32);
	tag_subkey_double(soft, soft);
	tag_subkey_double(soft_256, soft_256);
	expect_uses("tag_subkey, aes_soft_block", before, false);
	reveal(k1, sizeof(k1));
	reveal(k1_256, sizeof(k1_256));
	reveal(soft, sizeof(soft));
	reveal(soft_256, sizeof(soft_256));
	expect(memcmp(k1, k1_first, sizeof(k1_first)) == 0, "tag_subkey is wrong");
	expect(memcmp(k1, soft, sizeof(k1)) == 0, "aes_soft_block is wrong");
	expect(memcmp(k1_256, soft_256, sizeof(k1)) == 0, "aes_soft_block is wrong");
}

static void
kdf_has_no_leak(void)
{
	static const uint8_t node_key_first[4] = {0x55, 0x55, 0x7e, 0x6d}; /* docs/wire-format.md */
	uint8_t master[KDF_KEY_SIZE], realm_key[KDF_KEY_SIZE], node_key[KDF_KEY_SIZE];
	const unsigned before = VALGRIND_COUNT_ERRORS;
	struct key_slot slot = {0};
	unsigned i;
	uint8_t suite;

	for (i = 0; i < sizeof(master); i++)
		master[i] = (uint8_t)i;
	hide(master, sizeof(master));
	kdf_realm(realm_key, master, 7);
	kdf_node(node_key, realm_key, 0x01020304, 5);
	for (suite = 1; suite < CRED_SUITE_COUNT; suite++) {
		kdf_slot_request(&slot, node_key, suite);
		kdf_slot_reply(&slot, node_key, suite);
	}
	expect_uses("kdf", before, false);
	expect(is_hidden(node_key, CRED_TAG_SIZE) && is_hidden(slot.k1, sizeof(slot.k1)),
		"kdf: secrets lost on the way");
	reveal(node_key, sizeof(node_key));
	expect(memcmp(node_key, node_key_first, sizeof(node_key_first)) == 0, "kdf is wrong");
}

int
main(int argc, char **argv)
{
	if (RUNNING_ON_VALGRIND == 0) {
		printf("skipped: not under valgrind\n");
		return 77;
	}
	leaks_are_seen();
	if (argc == 2 && strcmp(argv[1], "kdf") == 0) {
		masks_have_no_leak();
		subkeys_have_no_leak();
		kdf_has_no_leak();
	} else {
		kernel_has_no_leak(fixture_kernel(argc, argv));
	}
	return failures != 0;
}
