/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAPPED_BITS 96u

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static int
is_mapped(const uint8_t address[16])
{
	return memcmp(address, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

/* The number after the slash, at most `max`; -1 if it is none. */
static int
length_parse(const char *text, unsigned max)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long length;

	if (digits == 0 || digits > 3 || text[digits] != '\0')
		return -1;
	length = strtoul(text, NULL, 10);
	return length <= max ? (int)length : -1;
}

const char *
address_parse(const char *text, uint8_t address[16], uint8_t *bits)
{
	char host[ADDRESS_TEXT_SIZE];
	const char *slash = strchr(text, '/');
	size_t length = slash != NULL ? (size_t)(slash - text) : strlen(text);
	unsigned first;
	int given;

	if (length >= sizeof(host))
		return "is too long for an address; write 10.0.0.1/24 or fd00::1/64";
	memcpy(host, text, length);
	host[length] = '\0';
	memcpy(address, mapped_prefix, sizeof(mapped_prefix));
	if (inet_pton(AF_INET, host, address + sizeof(mapped_prefix)) == 1)
		first = MAPPED_BITS;
	else if (inet_pton(AF_INET6, host, address) == 1)
		first = 0;
	else
		return "is no IPv4 or IPv6 address; write 10.0.0.1/24 or fd00::1/64";
	if (first == 0 && is_mapped(address))
		return "is an IPv4-mapped address; write it as IPv4, 10.0.0.1/24";
	given = slash == NULL ? (int)(128 - first) : length_parse(slash + 1, 128 - first);
	if (given < 0)
		return first != 0 ? "has no prefix length from 0 to 32 after the slash; write "
				    "10.0.0.1/24"
				  : "has no prefix length from 0 to 128 after the slash; write "
				    "fd00::1/64";
	*bits = (uint8_t)(first + (unsigned)given);
	return NULL;
}

int
address_has_host_bits(const uint8_t address[16], uint8_t bits)
{
	for (unsigned i = bits; i < 128; i++)
		if ((address[i / 8] & (0x80 >> (i % 8))) != 0)
			return 1;
	return 0;
}

bool
address_is_in(const uint8_t address[16], const uint8_t prefix[16], uint8_t bits)
{
	unsigned bytes = bits / 8, rest = bits % 8;
	uint8_t mask = (uint8_t)(0xff00u >> rest);

	if (memcmp(address, prefix, bytes) != 0)
		return false;
	return rest == 0 || ((address[bytes] ^ prefix[bytes]) & mask) == 0;
}

void
address_format(char text[ADDRESS_TEXT_SIZE], const uint8_t address[16], uint8_t bits, int is_short)
{
	int is_v4 = is_mapped(address) && bits >= MAPPED_BITS;
	char host[INET6_ADDRSTRLEN];

	if (is_v4)
		inet_ntop(AF_INET, address + sizeof(mapped_prefix), host, sizeof(host));
	else
		inet_ntop(AF_INET6, address, host, sizeof(host));
	if (is_short && bits == 128)
		snprintf(text, ADDRESS_TEXT_SIZE, "%s", host);
	else
		snprintf(text, ADDRESS_TEXT_SIZE, "%s/%u", host, is_v4 ? bits - MAPPED_BITS : bits);
}
