/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/address_priv.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

void
client_address_of(uint8_t address[16], const struct sockaddr *socket_address)
{
	memset(address, 0, 16);
	if (socket_address->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, socket_address, sizeof(in));
		memcpy(address, mapped, sizeof(mapped));
		memcpy(address + 12, &in.sin_addr, 4);
	} else if (socket_address->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, socket_address, sizeof(in6));
		memcpy(address, &in6.sin6_addr, 16);
	}
}

static bool
is_zero(const uint8_t *bytes, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++) {
		if (bytes[i] != 0)
			return false;
	}
	return true;
}

/* The two ways in which an IPv4 address is usually put in wrongly are named as such. */
const char *
client_address_fault(const uint8_t address[16])
{
	if (is_zero(address, 15) && address[15] <= 1)
		return NULL;
	if (is_zero(address, 12))
		return "has IPv4 in the last bytes only: write it as ::ffff:a.b.c.d";
	if (is_zero(address + 4, 12))
		return "has IPv4 in the first bytes: write it as ::ffff:a.b.c.d";
	if (address[0] == 0xff)
		return "is a multicast group, from which no packet comes";
	if (memcmp(address, mapped, sizeof(mapped)) != 0)
		return NULL;
	if (address[12] == 0 || address[12] >= 224)
		return "is an IPv4 address from which no packet comes";
	return NULL;
}
