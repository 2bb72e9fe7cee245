/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CREDGATE_EXCHANGE_H
#define CREDGATE_EXCHANGE_H

/* Sending a credential to a gateway and proving its answer. */

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <credgate/mint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cg_answer {
	size_t size;            /* sizeof(struct cg_answer) */
	unsigned verdict;       /* enum cg_verdict */
	unsigned first_verdict; /* what it was the first time, when verdict is CG_DUPLICATE */
	uint32_t retry_ms;
	uint64_t floor_serial;    /* 0: none told */
	uint64_t floor_issued_us; /* 0: none told */
	uint64_t gateway_time_us;
	unsigned sends;         /* datagrams it took */
	uint32_t round_trip_us; /* from the last send */
};

/*
 * A connected UDP socket to `host` (name or address) and `port`; `origin` gets its own address as
 * claims want it (getsockname). `port` is a number from 1 to 65535 in decimal, no service's name:
 * else -EINVAL. Returns the descriptor or a negative errno.
 */
int cg_connect(const char *host, const char *port, uint8_t origin[16]);

/*
 * Proves one datagram as the reply to `request`: the tag, realm, node, epoch, and the request's
 * tag inside. 0, or -EBADMSG: then it MUST be ignored.
 */
int cg_answer_verify(struct cg_key *key, const void *request, size_t request_size,
	const void *reply, size_t reply_size, struct cg_answer *answer);

/*
 * Sends a credential that wants a reply over a connected socket, retransmits the same bytes until
 * timeout_ms (at most 1,000; 0: that) and waits for a reply that proves. Forged answers are
 * ignored. BUSY and OVER_RATE are retried within the time. Returns 0, or -ETIMEDOUT: outcome
 * unknown, the gateway may or may not have accepted it. Never mints anew by itself.
 */
int cg_exchange(struct cg_key *key, int fd, const void *request, size_t request_size,
	unsigned timeout_ms, struct cg_answer *answer);

/*
 * Takes the floor that a proved answer tells (CG_FLOOR, CG_STALE): whatever is issued later with
 * this key has at least that serial (in every process: it goes to the serial state), and at least
 * that time where the claim says "now" (in this process). cg_exchange does it by itself. 0, or a
 * negative errno: the serial state could not be made durable.
 */
int cg_key_floor(struct cg_key *key, const struct cg_answer *answer);

#ifdef __cplusplus
}
#endif

#endif
