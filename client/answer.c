/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/answer_priv.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "client/error_priv.h"
#include "client/key_priv.h"
#include "client/thread_priv.h"
#include "crypto/ct.h"
#include "crypto/tag.h"
#include "verdict/verdict.h"
#include "wire/cred.h"
#include "wire/reply.h"

static_assert(sizeof(struct cg_answer) >= ANSWER_BASE, "the ABI only grows");
static_assert(offsetof(struct cg_answer, round_trip_us) == ANSWER_BASE - 4, "the ABI only grows");

static uint64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

int
answer_request_check(const struct cg_key *key, const void *request, size_t request_size)
{
	struct wire_cred cred;

	if (key == NULL || request == NULL)
		return client_fail(EINVAL, "key and request must not be NULL");
	if (cred_parse(request, request_size, &cred) != WIRE_OK)
		return client_fail(EINVAL, "the request is no credential");
	if (cred.realm != key->realm || cred.node != key->node || cred.epoch != key->epoch ||
		cred.suite != key->suite)
		return client_fail(EINVAL, "the request was issued with another key");
	return 0;
}

/* All public: which request does this datagram say it answers? */
static bool
is_reply_to(const struct wire_cred *reply, const uint8_t *request, size_t request_size)
{
	return reply->suite == request[CRED_AT_SUITE] &&
	       reply->kind == (request[CRED_AT_KIND] | CRED_KIND_REPLY) &&
	       reply->realm == load_be32(request + CRED_AT_REALM) &&
	       reply->node == load_be32(request + CRED_AT_NODE) &&
	       reply->epoch == load_be16(request + CRED_AT_EPOCH) && reply->size <= request_size &&
	       ct_mask_equal16(reply->msg + REPLY_AT_REQUEST_TAG,
		       request + request_size - CRED_TAG_SIZE) != 0;
}

/* Proves the tag and forms the header in clear, with its sealed part, in `clear`. */
static int
unseal(struct cg_key *key, const struct wire_cred *cred, uint8_t clear[CRED_SIZE_MIN])
{
	const struct key_slot *slot = &key->secrets->reply;
	struct client_thread *thread = client_thread_get();
	struct tag_identity inside;

	if (thread == NULL)
		return -errno;
	if (tag_batch_verify(thread->engine, &slot, &cred->msg, &cred->span_size, &inside, 1) != 1)
		return client_fail(EBADMSG, "the reply's tag is wrong: forged, or for another key");
	memcpy(clear, cred->msg, CRED_HEADER_SIZE);
	memcpy(clear + CRED_SEALED_FIRST, inside.bytes, sizeof(inside.bytes));
	return 0;
}

/* A gateway may move an issuer ahead, but not out of the numbers it has. */
static void
floor_take(struct cg_answer *answer, const struct reply_fields *reply, uint64_t request_serial)
{
	if (reply->hint == REPLY_HINT_SERIAL && reply->floor > request_serial) {
		if (reply->floor - request_serial <= ANSWER_FLOOR_SERIALS_MAX)
			answer->floor_serial = reply->floor;
		else
			client_fail(ERANGE,
				"the gateway tells floor serial %llu, more than 2^40 ahead: "
				"ignored",
				(unsigned long long)reply->floor);
	} else if (reply->hint == REPLY_HINT_ISSUED) {
		if (reply->floor <= now_us() + ANSWER_FLOOR_US_MAX)
			answer->floor_issued_us = reply->floor;
		else
			client_fail(ERANGE,
				"the gateway tells floor time %llu us, more than an hour ahead: "
				"ignored; compare the clocks",
				(unsigned long long)reply->floor);
	}
}

static void
answer_fill(struct cg_answer *answer, const struct reply_fields *reply, uint64_t request_serial)
{
	*answer = (struct cg_answer){
		.size = sizeof(*answer),
		.verdict = reply->verdict,
		.first_verdict = reply->first,
		.retry_ms = reply->retry_ms,
		.gateway_time_us = reply->issued_us,
	};
	floor_take(answer, reply, request_serial);
}

int
answer_prove(struct cg_key *key, const uint8_t *request, size_t request_size, const uint8_t *reply,
	size_t reply_size, struct cg_answer *answer, uint64_t *serial)
{
	uint8_t clear[CRED_SIZE_MIN] = {0};
	struct reply_fields inside;
	struct wire_cred cred;
	int rc;

	if (reply_parse(reply, reply_size, &cred) != WIRE_OK ||
		!is_reply_to(&cred, request, request_size))
		return client_fail(EBADMSG, "not a reply to this request");
	rc = unseal(key, &cred, clear);
	if (rc != 0)
		return rc;
	reply_inside_parse(clear, sizeof(clear), &inside);
	if (inside.verdict == VERDICT_NONE)
		return client_fail(EBADMSG, "a reply without a verdict");
	answer_fill(answer, &inside, load_be64(request + CRED_AT_SERIAL));
	*serial = inside.serial;
	return 0;
}

int
cg_answer_verify(struct cg_key *key, const void *request, size_t request_size, const void *reply,
	size_t reply_size, struct cg_answer *answer)
{
	struct cg_answer proved;
	uint64_t serial;
	int rc = client_struct_check(answer, ANSWER_BASE, "answer");

	if (rc == 0)
		rc = answer_request_check(key, request, request_size);
	if (rc != 0)
		return rc;
	if (reply == NULL)
		return client_fail(EINVAL, "reply must not be NULL");
	rc = answer_prove(key, request, request_size, reply, reply_size, &proved, &serial);
	if (rc == 0)
		client_struct_give(answer, &proved, sizeof(proved));
	return rc;
}

static void
floor_time_raise(struct cg_key *key, uint64_t floor_us)
{
	uint64_t seen = atomic_load(&key->floor_issued_us);

	while (seen < floor_us &&
		!atomic_compare_exchange_weak(&key->floor_issued_us, &seen, floor_us))
		;
}

int
cg_key_floor(struct cg_key *key, const struct cg_answer *answer)
{
	struct cg_answer told;
	int rc;

	if (key == NULL)
		return client_fail(EINVAL, "key must not be NULL");
	rc = client_struct_take(&told, sizeof(told), ANSWER_BASE, answer, "answer");
	if (rc != 0)
		return rc;
	if (told.floor_issued_us > now_us() + ANSWER_FLOOR_US_MAX)
		return client_fail(ERANGE, "floor_issued_us is more than an hour ahead");
	floor_time_raise(key, told.floor_issued_us);
	return told.floor_serial != 0 ? serial_raise(&key->serial, told.floor_serial) : 0;
}
