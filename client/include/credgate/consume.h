/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CREDGATE_CONSUME_H
#define CREDGATE_CONSUME_H

/*
 * Reading verdicts from the gateway's shared memory, as an observer: never slows the gateway, may
 * lose records when it is too slow, and then knows how many.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cg_reader;

/*
 * What the mode of the credential's realm makes of a refusal (docs/rollout.md). A verdict says what
 * is true of a credential; the advice says what to do about it during a roll-out.
 */
enum cg_advice {
	CG_ADVICE_OBEY = 0, /* the verdict decides */
	CG_ADVICE_PASS = 1, /* whatever decided before credgate came decides still */
};

/* One verdict. Addresses in network order, IPv4 as ::ffff:a.b.c.d; payload points into the
 * reader's memory until the next cg_reader_next. */
struct cg_record {
	size_t size;      /* sizeof(struct cg_record), set by the caller */
	unsigned verdict; /* enum cg_verdict */
	int is_proved;    /* the tag was found right: realm, node, uid and gid are true */
	unsigned kind;
	uint64_t time_us;
	uint64_t serial;
	uint32_t realm;
	uint32_t node;
	uint32_t epoch;
	uint32_t audience;
	uint32_t uid;
	uint32_t gid;
	uint8_t source[16];
	uint16_t port;
	unsigned worker;
	const void *payload;
	size_t payload_size;
	unsigned advice; /* enum cg_advice */
};

#define CG_SOCKET_DEFAULT "/run/credgate/consumer.sock"

/*
 * Attaches to the delivery rings of `group`, or with group NULL to the refusal rings (where the
 * gateway lets the caller). `socket_path` NULL: CG_SOCKET_DEFAULT. -EACCES: the gateway does not
 * give this group to our uid and gid.
 */
int cg_reader_open(struct cg_reader **reader, const char *socket_path, const char *group);
void cg_reader_close(struct cg_reader *reader);

/*
 * Next verdict of any worker. 1: there was one; 0: none now; -EPIPE: the gateway is gone and
 * everything was read: open again. One thread per reader.
 */
int cg_reader_next(struct cg_reader *reader, struct cg_record *record);

/* Sleeps until there may be something to read, at most timeout_ms (-1: no limit). 1, 0 on timeout,
 * -EPIPE as above, -EINTR on a signal. */
int cg_reader_wait(struct cg_reader *reader, int timeout_ms);

/* Slots of 64 bytes (a record, or 64 bytes of payload) lost so far by being too slow. */
uint64_t cg_reader_lost(const struct cg_reader *reader);

#ifdef __cplusplus
}
#endif

#endif
