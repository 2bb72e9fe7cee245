/* SPDX-License-Identifier: BSD-3-Clause */
#include "tag_fixture.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SEED 0x9e3779b97f4a7c15u

static uint64_t random_state = SEED;

void
fence_init(struct fence *fence)
{
	unsigned i;

	fence->page_size = (size_t)sysconf(_SC_PAGESIZE);
	fence->map = mmap(NULL, (2 * FENCE_PLACES + 1) * fence->page_size, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(fence->map, MAP_FAILED);
	for (i = 0; i < FENCE_PLACES; i++)
		assert_int_equal(mprotect(fence->map + (2 * i + 1) * fence->page_size,
					 fence->page_size, PROT_READ | PROT_WRITE),
			0);
}

void
fence_fini(struct fence *fence)
{
	munmap(fence->map, (2 * FENCE_PLACES + 1) * fence->page_size);
}

uint8_t *
fence_place(const struct fence *fence, unsigned index, size_t size)
{
	uint8_t *page = fence->map + (2 * index + 1) * fence->page_size;

	assert_true(size <= fence->page_size);
	return index % 2 == 0 ? page + fence->page_size - size : page;
}

/* xorshift64* (Vigna, 2016): good enough to vary inputs, and the same in every run. */
static uint64_t
random_next(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 0x2545f4914f6cdd1du;
}

uint32_t
fixture_random(uint32_t limit)
{
	return (uint32_t)((random_next() >> 32) * limit >> 32);
}

void
fixture_random_bytes(void *bytes, size_t size)
{
	uint8_t *at = bytes;
	size_t part;

	for (; size > 0; size -= part, at += part) {
		const uint64_t word = random_next();

		part = size < sizeof(word) ? size : sizeof(word);
		memcpy(at, &word, part);
	}
}

void
model_cmac(uint8_t tag[CRED_TAG_SIZE], const uint8_t *key, unsigned key_size, const uint8_t *msg,
	size_t size)
{
	static EVP_MAC_CTX *contexts[2];
	EVP_MAC_CTX **context = &contexts[key_size == 32];
	char name128[] = "AES-128-CBC", name256[] = "AES-256-CBC";
	OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER,
				       key_size == 16 ? name128 : name256, 0),
		OSSL_PARAM_construct_end()};
	size_t written;

	if (*context == NULL) {
		EVP_MAC *mac = EVP_MAC_fetch(NULL, "CMAC", NULL);

		*context = EVP_MAC_CTX_new(mac);
		EVP_MAC_free(mac);
	}
	assert_int_equal(EVP_MAC_init(*context, key, key_size, params), 1);
	assert_int_equal(EVP_MAC_update(*context, msg, size), 1);
	assert_int_equal(EVP_MAC_final(*context, tag, &written, CRED_TAG_SIZE), 1);
	assert_int_equal(written, CRED_TAG_SIZE);
}

static void
model_cipher(const EVP_CIPHER *cipher, const uint8_t *key, const uint8_t *iv, const uint8_t *src,
	uint8_t *dst, size_t size)
{
	static EVP_CIPHER_CTX *context;
	int written;

	if (context == NULL)
		context = EVP_CIPHER_CTX_new();
	assert_int_equal(EVP_EncryptInit_ex(context, cipher, NULL, key, iv), 1);
	assert_int_equal(EVP_CIPHER_CTX_set_padding(context, 0), 1);
	assert_int_equal(EVP_EncryptUpdate(context, dst, &written, src, (int)size), 1);
	assert_int_equal(written, size);
}

void
model_ctr(const uint8_t *key, unsigned key_size, const struct tag_counter *counter,
	const uint8_t *src, uint8_t *dst, size_t size)
{
	model_cipher(key_size == 16 ? EVP_aes_128_ctr() : EVP_aes_256_ctr(), key, counter->bytes,
		src, dst, size);
}

void
model_block(uint8_t block[AES_BLOCK_SIZE], const uint8_t *key, unsigned key_size)
{
	model_cipher(key_size == 16 ? EVP_aes_128_ecb() : EVP_aes_256_ecb(), key, NULL, block,
		block, AES_BLOCK_SIZE);
}

void
model_seal(const struct key_slot *slot, uint8_t *msg, unsigned size)
{
	const unsigned key_size = cred_suite_key_size(slot->suite);
	struct tag_counter counter = {{0}};

	memcpy(counter.bytes, msg + CRED_AT_SALT, 4);
	memcpy(counter.bytes + 4, msg + CRED_AT_SERIAL, 8);
	if (cred_suite_is_sealed(slot->suite))
		model_ctr(slot->seal_key, key_size, &counter, msg + CRED_SEALED_FIRST,
			msg + CRED_SEALED_FIRST, size - CRED_SEALED_FIRST);
	model_cmac(msg + size, slot->tag_key, key_size, msg, size);
}

void
batch_init(struct batch *batch)
{
	unsigned i;

	fence_init(&batch->msg_fence);
	fence_init(&batch->slot_fence);
	for (i = 0; i < TAG_BATCH_MAX; i++)
		batch->slots[i] =
			(void *)fence_place(&batch->slot_fence, i, sizeof(struct key_slot));
}

void
batch_fini(struct batch *batch)
{
	fence_fini(&batch->msg_fence);
	fence_fini(&batch->slot_fence);
}

void
batch_fill(struct batch *batch, unsigned index, uint8_t suite, unsigned size)
{
	struct key_slot *slot = batch->slots[index];

	fixture_random_bytes(slot, sizeof(*slot));
	slot->suite = suite;
	tag_subkey(slot->k1, slot->tag_key, cred_suite_key_size(suite));
	fixture_random_bytes(batch->clears[index], size);
	memcpy(batch->wires[index], batch->clears[index], size);
	model_seal(slot, batch->wires[index], size);
	batch->sizes[index] = (uint16_t)size;
	batch->msgs[index] = fence_place(&batch->msg_fence, index, size + CRED_TAG_SIZE);
	batch_restore(batch, index);
}

void
batch_restore(struct batch *batch, unsigned index)
{
	memcpy(batch->msgs[index], batch->wires[index], batch->sizes[index] + CRED_TAG_SIZE);
}

void
batch_expect(struct batch *batch, struct tag_engine *engine, unsigned count, uint64_t expected)
{
	static const uint8_t zeroes[AES_BLOCK_SIZE];
	uint64_t proved;
	unsigned i;

	memset(batch->ids, 0xa5, sizeof(batch->ids));
	proved = tag_batch_verify(engine, (const struct key_slot *const *)batch->slots,
		(const uint8_t *const *)batch->msgs, batch->sizes, batch->ids, count);
	assert_int_equal(proved, expected);
	for (i = 0; i < count; i++)
		assert_memory_equal(batch->ids[i].bytes,
			proved >> i & 1 ? batch->clears[i] + CRED_SEALED_FIRST : zeroes,
			AES_BLOCK_SIZE);
	for (i = count * AES_BLOCK_SIZE; i < sizeof(batch->ids); i++)
		assert_int_equal(batch->ids[i / AES_BLOCK_SIZE].bytes[i % AES_BLOCK_SIZE], 0xa5);
}

const struct tag_kernel *
fixture_kernel(int argc, char **argv)
{
	static const struct tag_kernel *const kernels[TAG_KERNEL_COUNT] = {
		NULL, &tag_kernel_ipsecmb, &tag_kernel_aesni, &tag_kernel_vaes512};
	const int id = argc == 2 ? tag_kernel_find(argv[1]) : -1;

	if (id <= 0) {
		fprintf(stderr, "usage: %s KERNEL\n", argv[0]);
		exit(1);
	}
	if (!kernels[id]->is_supported()) {
		printf("skipped: this CPU, or what runs the test, cannot run kernel %s\n", argv[1]);
		exit(SKIPPED);
	}
	return kernels[id];
}
