/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/cli/value.h"
#include "wire/cred.h"

int
value_number(const char *text, uint64_t min, uint64_t max, uint64_t *number)
{
	unsigned long long n;
	char *end;

	/* strtoull takes blanks and signs, and negates. */
	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, text[0] == '0' && (text[1] | 0x20) == 'x' ? 16 : 10);
	if (*end || errno || n < min || n > max)
		return -EINVAL;
	*number = n;
	return 0;
}

static const struct {
	const char *name;
	uint64_t us;
} units[] = {
	{"us", 1},
	{"ms", 1000},
	{"s", 1000000},
	{"m", 60 * 1000000ull},
	{"h", 3600 * 1000000ull},
	{"d", 86400 * 1000000ull},
};

static uint64_t
unit_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(name, units[i].name) == 0)
			return units[i].us;
	return 0;
}

int
value_duration(const char *text, uint64_t unit_us, uint64_t max_us, uint64_t *duration_us)
{
	unsigned long long n;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (*end)
		unit_us = unit_find(end);
	if (errno || unit_us == 0 || n > max_us / unit_us)
		return -EINVAL;
	*duration_us = n * unit_us;
	return 0;
}

int
value_instant(const char *text, uint64_t now_us, uint64_t *instant_us)
{
	uint64_t delta_us;

	if (text[0] != '+' && text[0] != '-')
		return value_number(text, 1, CRED_ISSUED_US_LIMIT - 1, instant_us);
	if (value_duration(text + 1, 1000000, CRED_ISSUED_US_LIMIT - 1 - now_us, &delta_us))
		return -EINVAL;
	if (text[0] == '-' && delta_us >= now_us)
		return -EINVAL;
	*instant_us = text[0] == '+' ? now_us + delta_us : now_us - delta_us;
	return 0;
}

int
value_address(const char *text, uint8_t address[16])
{
	uint8_t parsed[16] = {[10] = 0xff, [11] = 0xff};

	if (inet_pton(AF_INET, text, parsed + 12) != 1 && inet_pton(AF_INET6, text, parsed) != 1)
		return -EINVAL;
	memcpy(address, parsed, sizeof(parsed));
	return 0;
}

static const char *const suite_names[CRED_SUITE_COUNT] = {
	[CRED_SUITE_CMAC128] = "cmac128",
	[CRED_SUITE_CMAC256] = "cmac256",
	[CRED_SUITE_SEALED128] = "sealed128",
	[CRED_SUITE_SEALED256] = "sealed256",
};

const char *
value_suite_name(unsigned suite)
{
	return suite > 0 && suite < CRED_SUITE_COUNT ? suite_names[suite] : "unknown";
}

int
value_suite(const char *text, unsigned *suite)
{
	uint64_t number;
	unsigned i;

	for (i = 1; i < CRED_SUITE_COUNT; i++)
		if (strcmp(text, suite_names[i]) == 0)
			break;
	if (i == CRED_SUITE_COUNT) {
		if (value_number(text, 1, CRED_SUITE_COUNT - 1, &number))
			return -EINVAL;
		i = (unsigned)number;
	}
	*suite = i;
	return 0;
}

/* Numbers and "anyone"; names are the caller's. */
static int
value_id(const char *text, bool may_be_anyone, uint32_t *id)
{
	uint64_t number;

	if (may_be_anyone && strcmp(text, "anyone") == 0) {
		*id = CRED_ID_ANYONE;
		return 0;
	}
	if (value_number(text, 0, UINT32_MAX - (may_be_anyone ? 0 : 1), &number))
		return -EINVAL;
	*id = (uint32_t)number;
	return 0;
}

int
value_uid(const char *text, bool may_be_anyone, uint32_t *uid)
{
	const struct passwd *user;

	if (value_id(text, may_be_anyone, uid) == 0)
		return 0;
	user = getpwnam(text);
	if (!user)
		return -EINVAL;
	*uid = user->pw_uid;
	return 0;
}

int
value_gid(const char *text, bool may_be_anyone, uint32_t *gid)
{
	const struct group *group;

	if (value_id(text, may_be_anyone, gid) == 0)
		return 0;
	group = getgrnam(text);
	if (!group)
		return -EINVAL;
	*gid = group->gr_gid;
	return 0;
}

static int
copy(char *to, size_t room, const char *from, size_t size)
{
	if (size == 0 || size >= room)
		return -EINVAL;
	memcpy(to, from, size);
	to[size] = '\0';
	return 0;
}

int
value_endpoint(const char *text, const char *port_default, char host[VALUE_HOST_SIZE],
	char port[VALUE_PORT_SIZE])
{
	const char *first = text[0] == '[' ? text + 1 : text, *end, *colon;

	if (text[0] == '[') {
		end = strchr(first, ']');
		if (!end || (end[1] != '\0' && end[1] != ':'))
			return -EINVAL;
		colon = end[1] ? end + 1 : NULL;
	} else {
		colon = strchr(first, ':');
		/* More than one colon: an IPv6 address without brackets, hence without a port. */
		if (colon && strchr(colon + 1, ':'))
			colon = NULL;
		end = colon ? colon : first + strlen(first);
	}
	if (copy(host, VALUE_HOST_SIZE, first, (size_t)(end - first)))
		return -EINVAL;
	if (!colon)
		return copy(port, VALUE_PORT_SIZE, port_default, strlen(port_default));
	return copy(port, VALUE_PORT_SIZE, colon + 1, strlen(colon + 1));
}

int
value_port(const char *text, uint16_t *port)
{
	uint64_t number;

	if (text[strspn(text, "0123456789")] != '\0' || value_number(text, 1, UINT16_MAX, &number))
		return -EINVAL;
	*port = (uint16_t)number;
	return 0;
}

int
value_endpoint_meant(const char *host, char meant[VALUE_MEANT_SIZE])
{
	const char *colon = strrchr(host, ':');
	char address[INET6_ADDRSTRLEN];
	uint8_t parsed[16];
	uint16_t port;

	/* Fewer than four digits are rather a host's number than a port. */
	if (!colon || value_port(colon + 1, &port) || port < 1000)
		return -EINVAL;
	if (copy(address, sizeof(address), host, (size_t)(colon - host)) ||
		inet_pton(AF_INET6, address, parsed) != 1)
		return -EINVAL;
	snprintf(meant, VALUE_MEANT_SIZE, "[%s]:%u", address, port);
	return 0;
}
