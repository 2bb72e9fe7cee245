/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * One way on which a node's beacons go: to one gateway, in one version of IP, from an address that
 * becomes their origin.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <credgate/credgate.h>

#include "ctrl/cli/cli.h"
#include "ctrl/cli/value.h"
#include "wire/beacon.h"

struct beacon_path {
	struct cli *cli;
	char host[VALUE_HOST_SIZE];
	char port[VALUE_PORT_SIZE];
	int family;         /* AF_INET or AF_INET6 */
	bool has_source;    /* else the system chooses it */
	uint8_t source[16]; /* IPv4 as ::ffff:a.b.c.d */
	bool is_optional;   /* the host may have no address of this family */
	uint32_t audience;
	bool has_no_reply;
	int fd; /* -1: not connected */
	uint8_t origin[16];
	unsigned failures; /* in a row */
	char told[256];    /* the last line about it, so that none is said twice */
};

/*
 * Sends one beacon with `key` and, unless has_no_reply, waits for its answer, at most timeout_ms.
 * Says what is wrong, or good again, only when that changes. True if it was accepted (or sent, where
 * no reply is wanted).
 */
bool beacon_path_send(struct beacon_path *path, struct cg_key *key,
	const struct wire_beacon *beacon, unsigned timeout_ms);

void beacon_path_close(struct beacon_path *path);
