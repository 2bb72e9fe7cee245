/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Where something listens: an address and a port, "127.0.0.1:9475" or "[::1]:9475". */

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define ENDPOINT_TEXT_SIZE 64u

struct endpoint {
	uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint16_t port;
};

/* Returns NULL, or what is wrong and the cure. Names are not looked up; port 0 is none. */
const char *endpoint_parse(struct endpoint *endpoint, const char *text);

void endpoint_format(char text[ENDPOINT_TEXT_SIZE], const struct endpoint *endpoint);

/* Can only this machine reach it? */
bool endpoint_is_loopback(const struct endpoint *endpoint);

/*
 * A bound socket, close-on-exec and non-blocking; `type` is SOCK_STREAM or SOCK_DGRAM. An IPv6 one
 * takes no IPv4. Returns it, or -errno.
 */
int endpoint_bind(const struct endpoint *endpoint, int type);
