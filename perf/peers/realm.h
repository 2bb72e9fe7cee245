/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The realm that sender and validators share: node keys derived from one master secret, for nodes 1
 * to `nodes` of epoch 1. With a gateway's own master file the sender's credentials are genuine to
 * that gateway as well.
 */

#include <stdint.h>

#include "crypto/kdf.h"

#define REALM_ID_DEFAULT    7u
#define REALM_NODES_DEFAULT 4096u
#define REALM_NODES_MAX     (1u << 20)
#define REALM_EPOCH         1u

struct realm {
	uint32_t id;
	uint32_t nodes;
	uint8_t key[KDF_KEY_SIZE];
};

/*
 * Of the 32 bytes in the file at `master_path`; NULL: of a master that everybody knows, for sender
 * and validator of one benchmark. Returns 0 or -errno; -EBADMSG if the file is not of 32 bytes.
 * sodium_init() MUST have been called.
 */
int realm_init(struct realm *realm, uint32_t id, uint32_t nodes, const char *master_path);

/* K_node of docs/wire-format.md. */
void realm_node_key(const struct realm *realm, uint32_t node, uint8_t key[KDF_KEY_SIZE]);

/* Microseconds since the Unix epoch. */
uint64_t realm_now_us(void);
