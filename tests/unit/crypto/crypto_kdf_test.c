/* SPDX-License-Identifier: BSD-3-Clause */

/* Key derivation against docs/wire-format.md, the vectors, and OpenSSL's BLAKE2BMAC. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "crypto/kdf.h"
#include "tests/unit/crypto/fixture.h"
#include "tests/unit/crypto/oracle.h"
#include "tests/vectors/vectors.h"

#define ROUNDS 200u

static struct random random_numbers = {1};

/* kdf(n, id, ctx, K) of docs/wire-format.md, word for word, with OpenSSL. */
static void
model_kdf(uint8_t *out, size_t size, uint64_t id, const char *context, const uint8_t *key)
{
	uint8_t salt[16] = {0}, personal[16] = {0};

	memcpy(salt, &id, sizeof(id)); /* little-endian, as this CPU is */
	memcpy(personal, context, 8);
	oracle_blake2b(out, size, key, salt, personal);
}

static void
expect_hex(const uint8_t *bytes, size_t size, const char *hex)
{
	char text[2 * KDF_KEY_SIZE + 1];

	for (size_t i = 0; i < size; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	assert_string_equal(text, hex);
}

/* docs/wire-format.md, "Keys". */
static void
the_documented_vector(void **state)
{
	static const char *const keys[] = {"5b773975ba0d22f05eecdc56aee9c912",
		"4bd9566c53ad47e82b1e10e69364397d", "c1bd48efb03a668f25550305828cb14e",
		"801800578645c9b41c05f8b28d189837"};
	uint8_t master[KDF_KEY_SIZE], realm[KDF_KEY_SIZE], node[KDF_KEY_SIZE], key[KDF_KEY_SIZE];

	(void)state;
	for (unsigned i = 0; i < sizeof(master); i++)
		master[i] = (uint8_t)i;
	kdf_realm(realm, master, 7);
	kdf_node(node, realm, 0x01020304, 5);
	expect_hex(node, sizeof(node),
		"55557e6d41115275f5295769d28678741a7cd6bcf877fbe0a9a60f4ca5c4a342");
	for (unsigned purpose = KDF_REQUEST_TAG; purpose <= KDF_REPLY_SEAL; purpose++) {
		kdf_suite(key, node, CRED_SUITE_SEALED128, (enum kdf_purpose)purpose);
		expect_hex(key, 16, keys[purpose - 1]);
	}
}

static void
expect_key(const struct vectors *v, const char *name, const uint8_t *node_key, uint8_t suite,
	enum kdf_purpose purpose)
{
	const unsigned size = cred_suite_key_size(suite);
	uint8_t expected[KDF_KEY_SIZE], key[KDF_KEY_SIZE];

	vectors_exactly(v, name, expected, size);
	kdf_suite(key, node_key, suite, purpose);
	assert_memory_equal(key, expected, size);
}

static void
expect_node_record(const struct vectors *v, const uint8_t master[KDF_KEY_SIZE])
{
	const uint8_t suite = (uint8_t)vectors_number(v, "suite");
	uint8_t expected[KDF_KEY_SIZE], realm_key[KDF_KEY_SIZE], node_key[KDF_KEY_SIZE];

	kdf_realm(realm_key, master, (uint32_t)vectors_number(v, "realm"));
	vectors_exactly(v, "realm_key", expected, sizeof(expected));
	assert_memory_equal(realm_key, expected, sizeof(expected));
	kdf_node(node_key, realm_key, (uint32_t)vectors_number(v, "node"),
		(uint16_t)vectors_number(v, "epoch"));
	vectors_exactly(v, "node_key", expected, sizeof(expected));
	assert_memory_equal(node_key, expected, sizeof(expected));
	expect_key(v, "request_tag_key", node_key, suite, KDF_REQUEST_TAG);
	expect_key(v, "reply_tag_key", node_key, suite, KDF_REPLY_TAG);
	if (!cred_suite_is_sealed(suite))
		return;
	expect_key(v, "request_seal_key", node_key, suite, KDF_REQUEST_SEAL);
	expect_key(v, "reply_seal_key", node_key, suite, KDF_REPLY_SEAL);
}

static void
every_node_of_the_vectors(void **state)
{
	uint8_t master[KDF_KEY_SIZE];
	unsigned nodes = 0;
	struct vectors v;

	(void)state;
	vectors_open(&v, "vectors/native-v1.txt");
	assert_true(vectors_next(&v, "master"));
	vectors_exactly(&v, "key", master, sizeof(master));
	for (; vectors_next(&v, "node"); nodes++)
		expect_node_record(&v, master);
	vectors_close(&v);
	assert_true(nodes >= 4);
}

static void
openssl_gives_the_same_bytes(void **state)
{
	uint8_t parent[KDF_KEY_SIZE], key[KDF_KEY_SIZE], expected[KDF_KEY_SIZE];

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		const uint32_t realm = (uint32_t)random_next(&random_numbers),
			       node = (uint32_t)random_next(&random_numbers);
		const uint16_t epoch = (uint16_t)random_next(&random_numbers);
		const uint8_t suite = (uint8_t)(1 + round % 4);
		const unsigned size = cred_suite_key_size(suite);
		const enum kdf_purpose purpose = (enum kdf_purpose)(1 + round / 4 % 4);

		random_fill(&random_numbers, parent, sizeof(parent));
		kdf_realm(key, parent, realm);
		model_kdf(expected, sizeof(expected), realm, "CGC1rlm_", parent);
		assert_memory_equal(key, expected, sizeof(expected));
		kdf_node(key, parent, node, epoch);
		model_kdf(expected, sizeof(expected), (uint64_t)node << 32 | epoch, "CGC1node",
			parent);
		assert_memory_equal(key, expected, sizeof(expected));
		memset(key, 0xa5, sizeof(key));
		kdf_suite(key, parent, suite, purpose);
		model_kdf(expected, size, suite * 256u + purpose, "CGC1keys", parent);
		memset(expected + size, 0xa5, sizeof(expected) - size); /* not written */
		assert_memory_equal(key, expected, sizeof(expected));
	}
}

/* What a slot must hold. */
static void
model_slot(struct key_slot *slot, const uint8_t *node_key, uint8_t suite, unsigned tag_purpose)
{
	const unsigned size = cred_suite_key_size(suite);

	slot->suite = suite;
	memset(slot->tag_key, 0, sizeof(slot->tag_key));
	memset(slot->seal_key, 0, sizeof(slot->seal_key));
	model_kdf(slot->tag_key, size, suite * 256u + tag_purpose, "CGC1keys", node_key);
	if (cred_suite_is_sealed(suite))
		model_kdf(
			slot->seal_key, size, suite * 256u + tag_purpose + 1, "CGC1keys", node_key);
	oracle_k1(slot->k1, slot->tag_key, size);
}

static void
slots_hold_keys_and_k1_and_nothing_else_changes(void **state)
{
	uint8_t node_key[KDF_KEY_SIZE];
	struct key_slot slot, expected;

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		const uint8_t suite = (uint8_t)(1 + round % 4);

		random_fill(&random_numbers, node_key, sizeof(node_key));
		random_fill(&random_numbers, &slot, sizeof(slot));
		expected = slot;
		kdf_slot_request(&slot, node_key, suite);
		model_slot(&expected, node_key, suite, KDF_REQUEST_TAG);
		assert_memory_equal(&slot, &expected, sizeof(slot));
		kdf_slot_reply(&slot, node_key, suite);
		model_slot(&expected, node_key, suite, KDF_REPLY_TAG);
		assert_memory_equal(&slot, &expected, sizeof(slot));
	}
}

/* RFC 4493 section 4 and NIST SP 800-38B, D.3: K1 and K2. */
static void
published_subkeys(void **state)
{
	static const uint8_t key128[16] = {0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab,
		0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c};
	static const uint8_t key256[32] = {0x60, 0x3d, 0xeb, 0x10, 0x15, 0xca, 0x71, 0xbe, 0x2b,
		0x73, 0xae, 0xf0, 0x85, 0x7d, 0x77, 0x81, 0x1f, 0x35, 0x2c, 0x07, 0x3b, 0x61, 0x08,
		0xd7, 0x2d, 0x98, 0x10, 0xa3, 0x09, 0x14, 0xdf, 0xf4};
	uint8_t k1[16], k2[16];

	(void)state;
	tag_subkey(k1, key128, sizeof(key128));
	expect_hex(k1, sizeof(k1), "fbeed618357133667c85e08f7236a8de");
	tag_subkey_double(k2, k1);
	expect_hex(k2, sizeof(k2), "f7ddac306ae266ccf90bc11ee46d513b");
	tag_subkey(k1, key256, sizeof(key256));
	expect_hex(k1, sizeof(k1), "cad1ed03299eedac2e9a99808621502f");
	tag_subkey_double(k2, k1);
	expect_hex(k2, sizeof(k2), "95a3da06533ddb585d3533010c42a0d9");
}

/* The path for CPUs without AES instructions, on the CPU at hand. */
static void
soft_aes_is_openssls(void **state)
{
	uint8_t key[32], block[16], expected[16];

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		const unsigned key_size = round % 2 ? 16 : 32;

		random_fill(&random_numbers, key, sizeof(key));
		random_fill(&random_numbers, block, sizeof(block));
		oracle_block(expected, key, key_size, block);
		aes_soft_block(block, key, key_size);
		assert_memory_equal(block, expected, sizeof(block));
	}
}

/* Every byte through the S-box, which the random rounds might leave out. */
static void
soft_aes_of_every_byte(void **state)
{
	uint8_t key[16] = {0}, block[16], expected[16];

	(void)state;
	for (unsigned byte = 0; byte < 256; byte++) {
		memset(block, (int)byte, sizeof(block));
		oracle_block(expected, key, sizeof(key), block);
		aes_soft_block(block, key, sizeof(key));
		assert_memory_equal(block, expected, sizeof(block));
	}
}

static void
aesni_block_is_openssls(void **state)
{
	uint8_t key[32], block[16], expected[16];

	(void)state;
	if (!tag_kernel_is_supported(TAG_KERNEL_AESNI))
		skip();
	for (unsigned round = 0; round < ROUNDS; round++) {
		const unsigned key_size = round % 2 ? 16 : 32;

		random_fill(&random_numbers, key, sizeof(key));
		random_fill(&random_numbers, block, sizeof(block));
		oracle_block(expected, key, key_size, block);
		tag_aesni_block(block, key, key_size);
		assert_memory_equal(block, expected, sizeof(block));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_documented_vector),
		cmocka_unit_test(every_node_of_the_vectors),
		cmocka_unit_test(openssl_gives_the_same_bytes),
		cmocka_unit_test(slots_hold_keys_and_k1_and_nothing_else_changes),
		cmocka_unit_test(published_subkeys),
		cmocka_unit_test(soft_aes_is_openssls),
		cmocka_unit_test(soft_aes_of_every_byte),
		cmocka_unit_test(aesni_block_is_openssls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
