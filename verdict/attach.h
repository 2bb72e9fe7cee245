/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * How a consumer gets its rings: a SOCK_SEQPACKET Unix socket of credgated. The consumer sends one
 * struct attach_request; credgated looks at the peer (SO_PEERCRED), answers with one struct
 * attach_reply and, if status is 0, ring_count read-only memfds (SCM_RIGHTS), worker 0 first. The
 * consumer keeps the connection open as its claim; credgated closes it when it stops, which tells
 * the consumer to attach again.
 */

#include <assert.h>
#include <stdint.h>

#define ATTACH_MAGIC      0x3148435454414743ull /* "CGATTCH1" as bytes */
#define ATTACH_VERSION    1u
#define ATTACH_GROUP_SIZE 32u
#define ATTACH_RINGS_MAX  16u

enum attach_what {
	ATTACH_DELIVERY = 1, /* the delivery rings of a group */
	ATTACH_REFUSALS = 2, /* the refusal rings; group is empty */
	ATTACH_MEMBERS = 3,  /* the member table, one "ring" (verdict/members.h); group is empty */
};

struct attach_request {
	uint64_t magic;
	uint32_t version;
	uint32_t what;                 /* enum attach_what */
	char group[ATTACH_GROUP_SIZE]; /* NUL-terminated name */
};
static_assert(sizeof(struct attach_request) == 48, "docs/shared-memory.md");

struct attach_reply {
	uint64_t magic;
	uint32_t version;
	int32_t status; /* 0, or an errno: EACCES (not your group), ENOENT (no such group) */
	uint32_t ring_count;
	uint32_t reserved;
	uint64_t ring_size[ATTACH_RINGS_MAX]; /* bytes to map, per ring */
	char text[104];                       /* why not, for a person; NUL-terminated */
};
static_assert(sizeof(struct attach_reply) == 256, "docs/shared-memory.md");
