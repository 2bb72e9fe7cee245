/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The nodes that speak: a key slot each, as a gateway holds it, and the next serial. From the
 * realm's master secret (nodes 1 ... N), or from node key files.
 *
 * Serials. With a master each node begins where a new state file would (client/serial_priv.h): the
 * second is the incarnation, the part of it that is over the counter, so runs one after another
 * never meet. With key files they are drawn from KEYFILE.serial in blocks, as everybody who uses
 * the key does.
 */

#include <stdbool.h>
#include <stdint.h>

#include "crypto/slot.h"
#include "perf/loadgen/settings.h"

struct cg_key;

struct keys {
	uint32_t count;
	struct key_slot *slots;
	struct key_slot *replies; /* NULL unless replies are wanted */
	uint64_t *serials;        /* next of each node */
	uint64_t *ends;           /* of the drawn block; NULL with a master: no end */
	struct cg_key **files;    /* NULL with a master */
	uint64_t slots_size;      /* of each mapping of slots */
};

/* 0, or -1 and said why. Takes some seconds for a million nodes. */
int keys_init(struct keys *keys, const struct settings *settings);

/* Wipes all. */
void keys_fini(struct keys *keys);

/* Draws a new block of the node's serials. Dies if the state file cannot give one. */
void keys_refill(struct keys *keys, uint32_t index);

/* The node's next serial, and the one after it becomes the next. */
static inline uint64_t
keys_serial_take(struct keys *keys, uint32_t index)
{
	if (keys->ends != NULL && keys->serials[index] == keys->ends[index])
		keys_refill(keys, index);
	return keys->serials[index]++;
}
