/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* A verdict record as the eight words that it is written and copied in. */

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "verdict/ring.h"

#define RECORD_AT_START  0 /* stamp, audience */
#define RECORD_AT_TIME   offsetof(struct verdict_record, time_us)
#define RECORD_AT_SERIAL offsetof(struct verdict_record, serial)
#define RECORD_AT_SOURCE offsetof(struct verdict_record, source) /* two words */
#define RECORD_AT_NAMES  offsetof(struct verdict_record, realm)  /* realm, node */
#define RECORD_AT_IDS    offsetof(struct verdict_record, uid)    /* uid, gid */
#define RECORD_AT_TAIL   offsetof(struct verdict_record, port)   /* port ... verdict */
static_assert(RECORD_AT_TAIL + 6 == offsetof(struct verdict_record, kind), "record_fill");
static_assert(RECORD_AT_TAIL + 7 == offsetof(struct verdict_record, verdict), "record_fill");

static inline void
record_store(struct verdict_record *record, size_t at, uint64_t word)
{
	memcpy((uint8_t *)record + at, &word, sizeof(word));
}

static inline uint64_t
record_load(const struct verdict_record *record, size_t at)
{
	uint64_t word;

	memcpy(&word, (const uint8_t *)record + at, sizeof(word));
	return word;
}
