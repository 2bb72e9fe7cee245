/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What the variants of stage parse share (dataplane/parse.c, dataplane/parse_avx512.c). */

#include "dataplane/burst.h"

/* Ethernet, IPv4 and UDP headers in front of a usual frame's credential. */
#define PARSE_USUAL_AT (FRAME_ETHER_SIZE + FRAME_IPV4_SIZE + FRAME_UDP_SIZE)

/*
 * How many frames ahead the loop fetches: far enough that a line from L3 is there in time, near
 * enough that three lines a frame stay within the CPU's outstanding misses.
 */
#define PARSE_PREFETCH_FRAMES 8u

/* Ethernet, IP and UDP headers and the fixed part of a credential. */
static inline void
parse_prefetch(const struct burst_frame *frame)
{
	__builtin_prefetch(frame->data);
	__builtin_prefetch(frame->data + 64);
	__builtin_prefetch(frame->data + 128);
}

/* Frame i by all the rules: true if its item is filled, else it is counted, or refused. */
bool parse_rare(struct worker *worker, unsigned i, struct burst_result *result);

/* burst_parse_t: on any CPU; and on one with AVX-512 VBMI, if parse_avx512_is_supported. */
unsigned parse_portable(struct worker *worker, unsigned count, struct burst_result *result);
unsigned parse_avx512(struct worker *worker, unsigned count, struct burst_result *result);
bool parse_avx512_is_supported(void);
