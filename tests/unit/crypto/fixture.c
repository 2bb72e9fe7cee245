/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/crypto/fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/crypto/oracle.h"

const struct tag_kernel *const fixture_kernels[FIXTURE_KERNEL_COUNT] = {
	&tag_kernel_ipsecmb,
	&tag_kernel_aesni,
	&tag_kernel_vaes512,
};

uint64_t
random_next(struct random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

unsigned
random_below(struct random *random, unsigned limit)
{
	return (unsigned)(random_next(random) % limit);
}

void
random_fill(struct random *random, void *out, size_t size)
{
	uint8_t *bytes = out;
	uint64_t word;
	size_t at, part;

	for (at = 0; at < size; at += sizeof(word)) {
		word = random_next(random);
		part = size - at < sizeof(word) ? size - at : sizeof(word);
		memcpy(bytes + at, &word, part);
	}
}

const struct tag_kernel *
fixture_kernel(int argc, char **argv)
{
	unsigned k;

	for (k = 0; argc == 2 && k < FIXTURE_KERNEL_COUNT; k++) {
		if (strcmp(argv[1], fixture_kernels[k]->name) != 0)
			continue;
		if (fixture_kernels[k]->is_supported())
			return fixture_kernels[k];
		printf("skipped: this CPU cannot run the tag kernel %s\n", argv[1]);
		exit(77);
	}
	fprintf(stderr, "usage: %s ipsecmb|aesni|vaes512\n", argv[0]);
	exit(2);
}

struct tag_engine *
fixture_engine(const struct tag_kernel *kernel)
{
	struct tag_engine *engine = tag_engine_create_from(kernel);

	if (engine == NULL) {
		perror(kernel->name);
		exit(1);
	}
	return engine;
}

uint64_t
fixture_all(unsigned count)
{
	return count == 64 ? UINT64_MAX : ((uint64_t)1 << count) - 1;
}

struct batch *
batch_create(void)
{
	struct batch *batch = calloc(1, sizeof(*batch));
	unsigned i;

	if (batch == NULL)
		abort();
	for (i = 0; i < TAG_BATCH_MAX; i++) {
		batch->slot_list[i] = &batch->slots[i];
		batch->msgs[i] = batch->sent[i];
		batch->rows[i] = batch->work[i];
	}
	return batch;
}

void
batch_destroy(struct batch *batch)
{
	free(batch);
}

void
batch_slot(struct key_slot *slot, struct random *random, uint8_t suite)
{
	random_fill(random, slot, sizeof(*slot));
	slot->suite = suite;
	oracle_k1(slot->k1, slot->tag_key, cred_suite_key_size(suite));
}

void
batch_input(struct batch *batch, struct random *random, unsigned i, uint8_t suite, uint16_t size)
{
	batch_slot(&batch->slots[i], random, suite);
	batch->sizes[i] = size;
	random_fill(random, batch->clear[i], sizeof(batch->clear[i]));
	memcpy(batch->sent[i], batch->clear[i], sizeof(batch->sent[i]));
	oracle_seal(&batch->slots[i], batch->sent[i], size);
}

void
batch_uniform(
	struct batch *batch, struct random *random, uint8_t suite, uint16_t size, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		batch_input(batch, random, i, suite, size);
}

void
batch_mixed(struct batch *batch, struct random *random, unsigned count)
{
	unsigned i, more;

	for (i = 0; i < count; i++) {
		more = i % 2 == 0 ? 0 : random_below(random, CRED_PAYLOAD_SIZE_MAX + 1);
		batch_input(batch, random, i, (uint8_t)(1 + random_below(random, 4)),
			(uint16_t)(CRED_HEADER_SIZE + more));
	}
}
