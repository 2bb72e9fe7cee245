/* SPDX-License-Identifier: BSD-3-Clause */

/* Text form and node key files: round trips, every refusal by name, the vectors. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>

#include "tests/unit/wire/guard.h"
#include "tests/vectors/vectors.h"
#include "wire/text.h"

#define NATIVE "vectors/native-v1.txt"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static size_t
decode(const char *text)
{
	uint8_t out[CRED_SIZE_MAX];

	return text_decode(out, sizeof(out), text, strlen(text));
}

/* The short strings below carry 1 to 4 bytes: text_decode does not judge what is inside. */
static void
short_forms_decode(void **state)
{
	(void)state;
	assert_int_equal(decode("CGC1:AA:"), 1);
	assert_int_equal(decode("CGC1:AAA:"), 2);
	assert_int_equal(decode("CGC1:AAAA:"), 3);
	assert_int_equal(decode("CGC1:Q0dDMQ:"), 4);
}

#define REFUSED(name, text)                        \
	static void name(void **state)             \
	{                                          \
		(void)state;                       \
		assert_int_equal(decode(text), 0); \
	}

REFUSED(empty_refused, "")
REFUSED(nothing_inside_refused, "CGC1::")
REFUSED(missing_first_colon_refused, "CGC1AAAA:")
REFUSED(missing_last_colon_refused, "CGC1:AAAA")
REFUSED(missing_both_colons_refused, "CGC1AAAA")
REFUSED(prefix_alone_refused, "CGC1:")
REFUSED(prefix_of_a_key_file_refused, "CGK1:AAAA:")
REFUSED(prefix_in_small_letters_refused, "cgc1:AAAA:")
REFUSED(leading_space_refused, " CGC1:AAAA:")
REFUSED(space_inside_refused, "CGC1:AA AA:")
REFUSED(space_for_character_refused, "CGC1:AA A:")
REFUSED(tab_inside_refused, "CGC1:AA\tA:")
REFUSED(newline_inside_refused, "CGC1:AA\nA:")
REFUSED(carriage_return_inside_refused, "CGC1:AA\rA:")
REFUSED(space_before_last_colon_refused, "CGC1:AAA :")
REFUSED(length_1_mod_4_refused, "CGC1:A:")
REFUSED(length_5_refused, "CGC1:AAAAA:")
REFUSED(trailing_newline_refused, "CGC1:AAAA:\n")
REFUSED(trailing_space_refused, "CGC1:AAAA: ")
REFUSED(trailing_character_refused, "CGC1:AAAA:A")
REFUSED(second_colon_refused, "CGC1:AAAA::")
REFUSED(two_credentials_refused, "CGC1:AAAA:CGC1:AAAA:")
REFUSED(padding_1_refused, "CGC1:AAA=:")
REFUSED(padding_2_refused, "CGC1:AA==:")
REFUSED(standard_alphabet_plus_refused, "CGC1:AA+A:")
REFUSED(standard_alphabet_slash_refused, "CGC1:AA/A:")
REFUSED(high_byte_refused, "CGC1:AA\xc1"
			   "A:")

static void
nul_refused(void **state)
{
	uint8_t out[8];

	(void)state;
	assert_int_equal(text_decode(out, sizeof(out), "CGC1:AA\0A:", 10), 0);
	assert_int_equal(text_decode(out, sizeof(out), "CGC1:AAAA:\0", 11), 0);
	assert_int_equal(text_decode(out, sizeof(out), "CGC1:AAAA:", 10), 3);
}

/* Of two characters the second has 4 unused bits, of three the third has 2. */
static void
unused_bits_refused(void **state)
{
	char two[] = "CGC1:AA:", three[] = "CGC1:AAA:";
	unsigned i;

	(void)state;
	for (i = 0; i < 64; i++) {
		two[6] = alphabet[i];
		three[7] = alphabet[i];
		assert_int_equal(decode(two), i % 16 == 0 ? 1 : 0);
		assert_int_equal(decode(three), i % 4 == 0 ? 2 : 0);
	}
}

static void
every_character_at_every_place(void **state)
{
	char text[] = "CGC1:AAAA:";
	unsigned at, c;

	(void)state;
	for (at = 5; at < 9; at++) {
		for (c = 0; c < 256; c++) {
			uint8_t out[3];
			size_t size;

			memset(text + 5, 'A', 4);
			text[at] = (char)c;
			size = text_decode(out, sizeof(out), text, 10);
			assert_int_equal(size, memchr(alphabet, (int)c, 64) != NULL ? 3 : 0);
		}
	}
}

static void
random_fill(uint8_t *out, size_t size, uint64_t seed)
{
	for (seed = seed * 2 + 1; size != 0; size--) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		*out++ = (uint8_t)(seed >> 56);
	}
}

/* Every size, in buffers that end (and begin) where they are said to. */
static void
every_size_round_trip(void **state)
{
	struct guard bytes, chars;
	size_t size, length;
	uint8_t copy[CRED_SIZE_MAX], *m;
	char *text;

	(void)state;
	guard_init(&bytes);
	guard_init(&chars);
	for (size = CRED_SIZE_MIN; size <= CRED_SIZE_MAX; size++) {
		m = guard_high(&bytes, size);
		random_fill(m, size, size);
		memcpy(copy, m, size);
		length = 5 + TEXT_BASE64_SIZE(size) + 1;
		text = (char *)guard_high(&chars, length + 1);
		assert_int_equal(text_encode(text, length + 1, m, size), length);
		assert_int_equal(text[length], '\0');
		assert_int_equal(text_encode(text, length, m, size), 0);
		memset(m, 0, size);
		/* The NUL is not part of it: move the text against the guard page. */
		text = memmove(text + 1, text, length);
		assert_int_equal(text_decode(m, size, text, length), size);
		assert_memory_equal(m, copy, size);
		assert_int_equal(text_decode(m, size - 1, text, length), 0);
	}
	guard_fini(&chars);
	guard_fini(&bytes);
}

static void
sizes_out_of_range_not_encoded(void **state)
{
	uint8_t m[CRED_SIZE_MAX + 1] = {0};
	char text[TEXT_SIZE_MAX + 10];

	(void)state;
	assert_int_equal(text_encode(text, sizeof(text), m, 0), 0);
	assert_int_equal(text_encode(text, sizeof(text), m, CRED_SIZE_MIN - 1), 0);
	assert_int_equal(text_encode(text, sizeof(text), m, CRED_SIZE_MAX + 1), 0);
	assert_int_equal(text_encode(text, TEXT_SIZE_MAX + 1, m, CRED_SIZE_MAX), TEXT_SIZE_MAX);
}

static void
credential_vectors_both_ways(void **state)
{
	uint8_t m[CRED_SIZE_MAX], back[CRED_SIZE_MAX];
	char text[TEXT_SIZE_MAX + 1], wanted[TEXT_SIZE_MAX + 1];
	struct vectors v;
	unsigned count = 0;
	size_t size, length;

	(void)state;
	vectors_open(&v, NATIVE);
	for (; vectors_next(&v, "credential"); count++) {
		size = vectors_bytes(&v, "wire", m, sizeof(m));
		length = vectors_string(&v, "text", wanted, sizeof(wanted));
		assert_int_equal(text_encode(text, sizeof(text), m, size), length);
		assert_string_equal(text, wanted);
		assert_int_equal(text_decode(back, sizeof(back), wanted, length), size);
		assert_memory_equal(back, m, size);
	}
	vectors_close(&v);
	assert_true(count >= 53);
}

static void
text_refused_vectors(void **state)
{
	uint8_t text[4096], out[CRED_SIZE_MAX];
	struct vectors v;
	unsigned count = 0;

	(void)state;
	vectors_open(&v, NATIVE);
	for (; vectors_next(&v, "text_refused"); count++) {
		size_t length = vectors_bytes(&v, "text", text, sizeof(text));

		assert_int_equal(text_decode(out, sizeof(out), (const char *)text, length), 0);
	}
	vectors_close(&v);
	assert_true(count >= 24);
}

static void
key_load(const struct vectors *v, struct node_key *key)
{
	memset(key, 0, sizeof(*key));
	key->realm = (uint32_t)vectors_number(v, "realm");
	key->node = (uint32_t)vectors_number(v, "node");
	key->epoch = (uint16_t)vectors_number(v, "epoch");
	key->suite = (uint8_t)vectors_number(v, "suite");
	vectors_exactly(v, "node_key", key->key, sizeof(key->key));
}

static void
assert_key_equal(const struct node_key *a, const struct node_key *b)
{
	assert_int_equal(a->realm, b->realm);
	assert_int_equal(a->node, b->node);
	assert_int_equal(a->epoch, b->epoch);
	assert_int_equal(a->suite, b->suite);
	assert_memory_equal(a->key, b->key, sizeof(a->key));
}

static void
node_vectors_both_ways(void **state)
{
	char text[NODE_KEY_TEXT_SIZE + 1], wanted[NODE_KEY_TEXT_SIZE + 1];
	struct node_key key, back;
	struct vectors v;
	unsigned count = 0;
	size_t length;

	(void)state;
	vectors_open(&v, NATIVE);
	for (; vectors_next(&v, "node"); count++) {
		key_load(&v, &key);
		length = vectors_string(&v, "file", wanted, sizeof(wanted));
		node_key_encode(text, &key);
		assert_int_equal(strlen(text), NODE_KEY_TEXT_SIZE);
		assert_int_equal(text[NODE_KEY_TEXT_SIZE - 1], '\n');
		assert_int_equal(length, NODE_KEY_TEXT_SIZE - 1);
		assert_memory_equal(text, wanted, length);
		assert_int_equal(node_key_decode(&back, text, NODE_KEY_TEXT_SIZE), 0);
		assert_key_equal(&back, &key);
		assert_int_equal(node_key_decode(&back, wanted, length), 0);
		assert_key_equal(&back, &key);
	}
	vectors_close(&v);
	assert_int_equal(count, 6);
}

static void
file_refused_vectors(void **state)
{
	static const struct node_key none;
	uint8_t text[4096];
	struct node_key key;
	struct vectors v;
	unsigned count = 0;
	size_t length;

	(void)state;
	vectors_open(&v, NATIVE);
	for (; vectors_next(&v, "file_refused"); count++) {
		length = vectors_bytes(&v, "text", text, sizeof(text));
		memset(&key, 0xa5, sizeof(key));
		assert_int_equal(node_key_decode(&key, (const char *)text, length), -EBADMSG);
		/* No key bytes are left behind by a refusal. */
		assert_memory_equal(key.key, none.key, sizeof(key.key));
	}
	vectors_close(&v);
	assert_true(count >= 22);
}

/* Every value of every key byte survives, written and read between guard pages. */
static void
every_key_byte_round_trip(void **state)
{
	struct node_key key = {.realm = 1, .node = 2, .epoch = 3, .suite = 4}, back;
	struct guard g;
	unsigned at, value;
	char *text;

	(void)state;
	guard_init(&g);
	for (at = 0; at < 32; at++) {
		for (value = 0; value < 256; value++) {
			random_fill(key.key, sizeof(key.key), at * 256 + value);
			key.key[at] = (uint8_t)value;
			text = (char *)guard_high(&g, NODE_KEY_TEXT_SIZE + 1);
			node_key_encode(text, &key);
			text = memmove(text + 1, text, NODE_KEY_TEXT_SIZE);
			assert_int_equal(node_key_decode(&back, text, NODE_KEY_TEXT_SIZE), 0);
			assert_key_equal(&back, &key);
		}
	}
	guard_fini(&g);
}

/* Every shorter piece of a key line, at either guard page. */
static void
cut_key_line_refused(void **state)
{
	struct node_key key = {.realm = 1, .node = 2, .epoch = 3, .suite = 4}, back;
	char text[NODE_KEY_TEXT_SIZE + 1];
	struct guard g;
	size_t length;
	unsigned side;
	char *cut;

	(void)state;
	guard_init(&g);
	node_key_encode(text, &key);
	for (length = 0; length <= NODE_KEY_TEXT_SIZE; length++) {
		for (side = 0; side < 2; side++) {
			cut = (char *)(side == 0 ? guard_low(&g) : guard_high(&g, length));
			memcpy(cut, text, length);
			assert_int_equal(node_key_decode(&back, cut, length),
				length >= NODE_KEY_TEXT_SIZE - 1 ? 0 : -EBADMSG);
			assert_true(text_decode(back.key, sizeof(back.key), cut, length) == 0);
		}
	}
	guard_fini(&g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_forms_decode),
		cmocka_unit_test(empty_refused),
		cmocka_unit_test(nothing_inside_refused),
		cmocka_unit_test(missing_first_colon_refused),
		cmocka_unit_test(missing_last_colon_refused),
		cmocka_unit_test(missing_both_colons_refused),
		cmocka_unit_test(prefix_alone_refused),
		cmocka_unit_test(prefix_of_a_key_file_refused),
		cmocka_unit_test(prefix_in_small_letters_refused),
		cmocka_unit_test(leading_space_refused),
		cmocka_unit_test(space_inside_refused),
		cmocka_unit_test(space_for_character_refused),
		cmocka_unit_test(tab_inside_refused),
		cmocka_unit_test(newline_inside_refused),
		cmocka_unit_test(carriage_return_inside_refused),
		cmocka_unit_test(space_before_last_colon_refused),
		cmocka_unit_test(length_1_mod_4_refused),
		cmocka_unit_test(length_5_refused),
		cmocka_unit_test(trailing_newline_refused),
		cmocka_unit_test(trailing_space_refused),
		cmocka_unit_test(trailing_character_refused),
		cmocka_unit_test(second_colon_refused),
		cmocka_unit_test(two_credentials_refused),
		cmocka_unit_test(padding_1_refused),
		cmocka_unit_test(padding_2_refused),
		cmocka_unit_test(standard_alphabet_plus_refused),
		cmocka_unit_test(standard_alphabet_slash_refused),
		cmocka_unit_test(high_byte_refused),
		cmocka_unit_test(nul_refused),
		cmocka_unit_test(unused_bits_refused),
		cmocka_unit_test(every_character_at_every_place),
		cmocka_unit_test(every_size_round_trip),
		cmocka_unit_test(sizes_out_of_range_not_encoded),
		cmocka_unit_test(credential_vectors_both_ways),
		cmocka_unit_test(text_refused_vectors),
		cmocka_unit_test(node_vectors_both_ways),
		cmocka_unit_test(file_refused_vectors),
		cmocka_unit_test(every_key_byte_round_trip),
		cmocka_unit_test(cut_key_line_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
