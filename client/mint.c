/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <credgate/mint.h>

#include "client/address_priv.h"
#include "client/error_priv.h"
#include "client/key_priv.h"
#include "client/thread_priv.h"
#include "crypto/tag.h"
#include "wire/cred.h"

static_assert(CG_CREDENTIAL_MAX == CRED_SIZE_MAX, "docs/client.md");
static_assert(CG_PAYLOAD_MAX == CRED_PAYLOAD_SIZE_MAX, "docs/client.md");
static_assert(CG_ANYONE == CRED_ID_ANYONE, "docs/client.md");
static_assert((int)CG_KIND_ASSERT == (int)CRED_KIND_ASSERT, "docs/client.md");
static_assert((int)CG_KIND_BEACON == (int)CRED_KIND_BEACON, "docs/client.md");

/* The struct of the first release: callers built with it are served for ever. */
#define CLAIM_BASE 80u
static_assert(sizeof(struct cg_claim) >= CLAIM_BASE, "the ABI only grows");
static_assert(offsetof(struct cg_claim, payload_size) == CLAIM_BASE - 8, "the ABI only grows");

/* Everything that a chunk of a batch is minted from. */
struct batch {
	struct cg_key *key;
	struct client_thread *thread;
	const uint8_t *claims; /* `stride` bytes each: the caller's struct may be a newer one */
	size_t stride;
	void *const *buffers;
	size_t room;
	size_t *sizes;
	uint64_t serial; /* of claim 0 */
	uint64_t now_us;
};

void
cg_claim_init(struct cg_claim *claim)
{
	*claim = (struct cg_claim){
		.size = sizeof(*claim),
		.kind = CG_KIND_ASSERT,
		.uid = geteuid(),
		.gid = getegid(),
		.auth_uid = CG_ANYONE,
		.auth_gid = CG_ANYONE,
	};
}

static int
identity_check(const struct cg_claim *claim)
{
	if (claim->uid == CG_ANYONE)
		return client_fail(EINVAL, "uid must be a user's: 4294967295 is nobody's number");
	if (claim->gid == CG_ANYONE)
		return client_fail(EINVAL, "gid must be a group's: 4294967295 is nobody's number");
	return 0;
}

static int
payload_check(const struct cg_claim *claim, size_t room)
{
	if (claim->payload_size > CG_PAYLOAD_MAX)
		return client_fail(EMSGSIZE, "payload of %zu bytes: at most %d fit one packet",
			claim->payload_size, CG_PAYLOAD_MAX);
	if (claim->payload == NULL && claim->payload_size != 0)
		return client_fail(EINVAL, "payload is NULL, its size %zu", claim->payload_size);
	if (room < CRED_SIZE_MIN + claim->payload_size)
		return client_fail(ENOSPC, "buffer of %zu bytes, but the credential has %zu", room,
			CRED_SIZE_MIN + claim->payload_size);
	return 0;
}

/* Everything that may be wrong with a claim, before a serial is spent on it. */
static int
claim_check(const struct cg_claim *claim, size_t room)
{
	const char *why;
	int rc;

	if (claim->kind != CG_KIND_ASSERT && claim->kind != CG_KIND_BEACON)
		return client_fail(
			EINVAL, "kind %u: must be CG_KIND_ASSERT or CG_KIND_BEACON", claim->kind);
	if (claim->issued_us >= CRED_ISSUED_US_LIMIT)
		return client_fail(EINVAL, "issued_us is past 2^63: is it in microseconds?");
	why = client_address_fault(claim->origin);
	if (why != NULL)
		return client_fail(EINVAL, "origin %s", why);
	rc = identity_check(claim);
	return rc != 0 ? rc : payload_check(claim, room);
}

static int
claim_take(struct cg_claim *claim, const struct batch *batch, size_t index)
{
	return client_struct_take(
		claim, sizeof(*claim), CLAIM_BASE, batch->claims + index * batch->stride, "claim");
}

static int
claims_check(const struct batch *batch, size_t count)
{
	struct cg_claim claim;
	size_t i;
	int rc;

	for (i = 0; i < count; i++) {
		rc = claim_take(&claim, batch, i);
		if (rc != 0)
			return rc;
		if (claim.size != batch->stride)
			return client_fail(EINVAL, "claims of one batch differ in size");
		rc = claim_check(&claim, batch->room);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* Now, but not before what a gateway said it will take (cg_key_floor). */
static uint64_t
issue_time_us(const struct cg_key *key)
{
	uint64_t floor_us = atomic_load_explicit(&key->floor_issued_us, memory_order_relaxed);
	struct timespec ts;
	uint64_t now_us;

	clock_gettime(CLOCK_REALTIME, &ts);
	now_us = (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
	return now_us > floor_us ? now_us : floor_us;
}

static void
fields_fill(struct cred_fields *fields, const struct batch *batch, const struct cg_claim *claim,
	uint64_t serial)
{
	*fields = (struct cred_fields){
		.suite = batch->key->suite,
		.kind = (uint8_t)claim->kind,
		.epoch = batch->key->epoch,
		.realm = batch->key->realm,
		.node = batch->key->node,
		.flags = claim->wants_reply ? CRED_FLAG_REPLY : 0,
		.ttl_s = claim->ttl_s,
		.serial = serial,
		.issued_us = claim->issued_us != 0 ? claim->issued_us : batch->now_us,
		.audience = claim->audience,
		.uid = claim->uid,
		.gid = claim->gid,
		.auth_uid = claim->auth_uid,
		.auth_gid = claim->auth_gid,
		.payload = claim->payload,
		.payload_size = claim->payload_size,
	};
	memcpy(fields->origin, claim->origin, sizeof(fields->origin));
}

/* One credential in clear. Checked before: fails only if another thread changes the claim. */
static int
build(const struct batch *batch, size_t index)
{
	struct cred_fields fields;
	struct cg_claim claim;
	int rc = claim_take(&claim, batch, index);

	if (rc != 0)
		return rc;
	fields_fill(&fields, batch, &claim, batch->serial + index);
	rc = client_thread_salt(batch->thread, fields.salt);
	if (rc != 0)
		return rc;
	batch->sizes[index] = cred_build(batch->buffers[index], batch->room, &fields);
	if (batch->sizes[index] == 0)
		return client_fail(EINVAL, "claim %zu was changed while it was issued", index);
	return 0;
}

static int
chunk(const struct batch *batch, size_t first, unsigned count)
{
	const struct key_slot *slots[TAG_BATCH_MAX];
	uint8_t *msgs[TAG_BATCH_MAX];
	uint16_t spans[TAG_BATCH_MAX];
	unsigned i;
	int rc;

	for (i = 0; i < count; i++) {
		rc = build(batch, first + i);
		if (rc != 0)
			return rc;
		slots[i] = &batch->key->secrets->request;
		msgs[i] = batch->buffers[first + i];
		spans[i] = (uint16_t)(batch->sizes[first + i] - CRED_TAG_SIZE);
	}
	tag_batch_seal(batch->thread->engine, slots, msgs, spans, count);
	return 0;
}

static int
chunks(const struct batch *batch, size_t count)
{
	size_t first;
	int rc;

	for (first = 0; first < count; first += TAG_BATCH_MAX) {
		size_t left = count - first;

		rc = chunk(batch, first, left < TAG_BATCH_MAX ? (unsigned)left : TAG_BATCH_MAX);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* A clear credential must not be left behind where the caller expects a sealed one. */
static void
wipe(const struct batch *batch, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		explicit_bzero(batch->buffers[i], batch->room);
}

int
cg_mint_batch(struct cg_key *key, const struct cg_claim *claims, size_t count, void *const *buffers,
	size_t room, size_t *sizes)
{
	struct batch batch = {
		.key = key,
		.claims = (const uint8_t *)claims,
		.buffers = buffers,
		.room = room,
		.sizes = sizes,
	};
	int rc;

	if (key == NULL || claims == NULL || buffers == NULL || sizes == NULL)
		return client_fail(EINVAL, "key, claims, buffers and sizes must not be NULL");
	if (count == 0 || count > SERIAL_TAKE_MAX)
		return client_fail(
			EINVAL, "a batch has 1 to %u credentials, not %zu", SERIAL_TAKE_MAX, count);
	batch.stride = claims->size;
	rc = claims_check(&batch, count);
	if (rc != 0)
		return rc;
	batch.thread = client_thread_get();
	if (batch.thread == NULL)
		return -errno;
	rc = serial_take(&key->serial, (uint32_t)count, &batch.serial);
	if (rc != 0)
		return rc;
	batch.now_us = issue_time_us(key);
	rc = chunks(&batch, count);
	if (rc != 0) {
		wipe(&batch, count);
		return rc;
	}
	return (int)count;
}

int
cg_mint(struct cg_key *key, const struct cg_claim *claim, void *buffer, size_t room)
{
	size_t size;
	int rc;

	if (buffer == NULL)
		return client_fail(EINVAL, "buffer must not be NULL");
	rc = cg_mint_batch(key, claim, 1, &buffer, room, &size);
	return rc < 0 ? rc : (int)size;
}
