/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What people write on a command line. All functions return 0, or -EINVAL and leave the result
 * alone; none of them takes white space, signs where none is meant, or anything behind the value.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decimal, or hexadecimal after 0x; from `min` to `max`. */
int value_number(const char *text, uint64_t min, uint64_t max, uint64_t *number);

/*
 * A length of time: digits with an optional unit us, ms, s, m, h or d; without one they count
 * `unit_us` microseconds each. At most `max_us`.
 */
int value_duration(const char *text, uint64_t unit_us, uint64_t max_us, uint64_t *duration_us);

/* An instant: microseconds since the Unix epoch, or +DURATION and -DURATION from `now_us`. */
int value_instant(const char *text, uint64_t now_us, uint64_t *instant_us);

/* An IPv4 or IPv6 address without a zone; IPv4 becomes ::ffff:a.b.c.d, written so or not. */
int value_address(const char *text, uint8_t address[16]);

/* 1 ... 4, or cmac128, cmac256, sealed128, sealed256. */
int value_suite(const char *text, unsigned *suite);
const char *value_suite_name(unsigned suite);

/* A number, a name the system knows, or (if `may_be_anyone`) "anyone": UINT32_MAX. */
int value_uid(const char *text, bool may_be_anyone, uint32_t *uid);
int value_gid(const char *text, bool may_be_anyone, uint32_t *gid);

/* HOST, HOST:PORT, [V6]:PORT, [V6] or a bare V6. `port` becomes `port_default` if there is none. */
#define VALUE_HOST_SIZE 256
#define VALUE_PORT_SIZE 32
int value_endpoint(const char *text, const char *port_default, char host[VALUE_HOST_SIZE],
	char port[VALUE_PORT_SIZE]);

/* A UDP port: decimal digits from 1 to 65535. */
int value_port(const char *text, uint16_t *port);

/*
 * What HOST without brackets was perhaps meant to be: "[fd77::1]:7475" for "fd77::1:7475". -EINVAL
 * if its last group is no likely port, or what is before it no address.
 */
#define VALUE_MEANT_SIZE 64
int value_endpoint_meant(const char *host, char meant[VALUE_MEANT_SIZE]);
