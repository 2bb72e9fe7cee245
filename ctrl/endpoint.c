/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
static const uint8_t loopback6[16] = {[15] = 1};

static bool
is_v4(const struct endpoint *endpoint)
{
	return memcmp(endpoint->address, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

static bool
port_parse(const char *text, uint16_t *port)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long value = strtoul(text, NULL, 10);

	if (digits == 0 || digits > 5 || text[digits] != '\0' || value == 0 || value > UINT16_MAX)
		return false;
	*port = (uint16_t)value;
	return true;
}

const char *
endpoint_parse(struct endpoint *endpoint, const char *text)
{
	const char *colon = strrchr(text, ':');
	size_t length = colon != NULL ? (size_t)(colon - text) : 0;
	bool is_v6 = length > 2 && text[0] == '[' && text[length - 1] == ']';
	char host[INET6_ADDRSTRLEN];

	if (length == 0 || length - 2 * is_v6 >= sizeof(host))
		return "is no address with a port; write 127.0.0.1:9475 or [::1]:9475";
	snprintf(host, sizeof(host), "%.*s", (int)(length - 2 * is_v6), text + is_v6);
	memcpy(endpoint->address, mapped_prefix, sizeof(mapped_prefix));
	if (inet_pton(is_v6 ? AF_INET6 : AF_INET, host, &endpoint->address[is_v6 ? 0 : 12]) != 1)
		return "is no address with a port; write 127.0.0.1:9475 or [::1]:9475, numbers "
		       "and no names";
	if (is_v6 && is_v4(endpoint))
		return "is an IPv4-mapped address; write it as IPv4, 127.0.0.1:9475";
	if (!port_parse(colon + 1, &endpoint->port))
		return "has no port from 1 to 65535 after the last colon; write 127.0.0.1:9475";
	return NULL;
}

void
endpoint_format(char text[ENDPOINT_TEXT_SIZE], const struct endpoint *endpoint)
{
	char host[INET6_ADDRSTRLEN];

	if (is_v4(endpoint)) {
		inet_ntop(AF_INET, &endpoint->address[12], host, sizeof(host));
		snprintf(text, ENDPOINT_TEXT_SIZE, "%s:%u", host, endpoint->port);
	} else {
		inet_ntop(AF_INET6, endpoint->address, host, sizeof(host));
		snprintf(text, ENDPOINT_TEXT_SIZE, "[%s]:%u", host, endpoint->port);
	}
}

bool
endpoint_is_loopback(const struct endpoint *endpoint)
{
	if (is_v4(endpoint))
		return endpoint->address[12] == 127;
	return memcmp(endpoint->address, loopback6, sizeof(loopback6)) == 0;
}

static socklen_t
socket_address(struct sockaddr_storage *to, const struct endpoint *from)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(from->port)};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(from->port)};

	if (is_v4(from)) {
		memcpy(&v4.sin_addr, &from->address[12], sizeof(v4.sin_addr));
		memcpy(to, &v4, sizeof(v4));
		return sizeof(v4);
	}
	memcpy(&v6.sin6_addr, from->address, sizeof(v6.sin6_addr));
	memcpy(to, &v6, sizeof(v6));
	return sizeof(v6);
}

int
endpoint_bind(const struct endpoint *endpoint, int type)
{
	struct sockaddr_storage address = {0};
	socklen_t size = socket_address(&address, endpoint);
	int fd = socket(address.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error, one = 1;

	if (fd < 0)
		return -errno;
	/* A restarted gateway finds connections of the last one in TIME_WAIT. */
	if ((type != SOCK_STREAM ||
		    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0) &&
		(address.ss_family == AF_INET ||
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) == 0) &&
		bind(fd, (const struct sockaddr *)&address, size) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}
