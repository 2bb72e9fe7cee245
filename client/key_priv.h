/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* A loaded node key: what is secret lies in guarded memory of its own. */

#include <stdatomic.h>
#include <stdint.h>

#include <credgate/mint.h>

#include "client/serial_priv.h"
#include "crypto/slot.h"
#include "wire/text.h"

/*
 * One sodium_malloc: between guard pages, locked in memory as far as RLIMIT_MEMLOCK lets it, not
 * dumped; read-only after loading; wiped when freed. `loading` is wiped as soon as the slots are
 * made: K_node is not kept.
 */
struct key_secrets {
	struct key_slot request;
	struct key_slot reply;
	struct {
		struct node_key node;
		char text[NODE_KEY_TEXT_SIZE + 1]; /* one more, to see that the file is longer */
	} loading;
};

struct cg_key {
	uint32_t realm;
	uint32_t node;
	uint16_t epoch;
	uint8_t suite;
	struct key_secrets *secrets;
	struct serial_file serial;
	/* A floor that a gateway told: "now" is never before it (cg_key_floor). */
	_Atomic uint64_t floor_issued_us;
};

/* cg_key_open with the boot id of another file. For tests: a reboot in a file. */
int key_open(struct cg_key **key, const char *path, const char *boot_id_path);
