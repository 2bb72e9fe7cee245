/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Addresses and prefixes between text and 16 bytes (IPv4 as ::ffff:a.b.c.d). */

#include <stdbool.h>
#include <stdint.h>

#define ADDRESS_TEXT_SIZE 64u

/*
 * Parses "10.0.0.1/24", "fd77::1/64" or an address alone (then the whole length). *bits counts
 * within 128. Returns NULL, or what is wrong and the cure.
 */
const char *address_parse(const char *text, uint8_t address[16], uint8_t *bits);

/* Does anything but zero stand behind the first `bits` bits? */
int address_has_host_bits(const uint8_t address[16], uint8_t bits);

/* Are the first `bits` bits those of `prefix`? */
bool address_is_in(const uint8_t address[16], const uint8_t prefix[16], uint8_t bits);

/* "10.0.0.1/24"; without "/..." if it is the whole length and `is_short` is set. */
void address_format(
	char text[ADDRESS_TEXT_SIZE], const uint8_t address[16], uint8_t bits, int is_short);
