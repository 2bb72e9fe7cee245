/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The usual packet: a frame shape (dataplane/frame.h) and a claim shape (dataplane/claim.h) in one,
 * as wide as a register of AVX-512, for the variant of stage parse that has such. It is learnt from
 * a packet that both found usual, says no more than they do, and holds as long as they do.
 */

#include <stdint.h>

#include "dataplane/table.h"

#define PACKET_SHAPES_LOG2 6u
#define PACKET_SHAPES      (1u << PACKET_SHAPES_LOG2)

struct packet_shape {
	_Alignas(64) uint8_t frame[64]; /* the first bytes, under packet_frame_mask */
	uint8_t claim[64];              /* the credential's first bytes in host order ... */
	uint8_t claim_mask[64];         /* ... under this one */
	uint8_t addends[64];            /* by 16 bits, to the verdict record */
	const struct table_realm *realm;
	uint64_t skew_us;
	uint64_t age_us_max;
	uint64_t floor_us;
	uint64_t serial_max;
	uint32_t descriptor;  /* size, port and checksum of the burst_frame; 0: no shape */
	uint32_t origin_mask; /* of the last four bytes of origin and source: have to be the same */
	uint32_t base;
	uint32_t nodes_max;
	uint32_t groups;
	uint32_t column;
	uint64_t item_word; /* struct burst_item's slot_word, without the epoch, and what follows */
};
static_assert(sizeof(struct packet_shape) == 6 * 64, "six lines");
