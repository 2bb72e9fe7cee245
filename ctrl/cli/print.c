/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctrl/cli/print.h"

#define SECOND_US 1000000ull

/* The form of one byte; at most 4 characters. */
static size_t
escape_byte(char text[5], uint8_t byte)
{
	static const char plain[] = "\n\r\t\\", letters[] = "nrt\\";
	const char *found = byte ? strchr(plain, byte) : NULL;

	if (found)
		return (size_t)snprintf(text, 5, "\\%c", letters[found - plain]);
	return (size_t)snprintf(text, 5, byte >= 0x20 && byte < 0x7f ? "%c" : "\\x%02x", byte);
}

size_t
print_escape(char *text, size_t room, const void *bytes, size_t size)
{
	const uint8_t *byte = bytes;
	size_t used = 0, keep = 0, i, width;
	char form[5];

	for (i = 0; i < size; i++) {
		width = escape_byte(form, byte[i]);
		if (used + width >= room) {
			memcpy(text + keep, "...", 4);
			return keep + 3;
		}
		memcpy(text + used, form, width);
		used += width;
		/* The last place from which the dots would fit. */
		if (used + 3 < room)
			keep = used;
	}
	text[used] = '\0';
	return used;
}

void
print_address(char text[PRINT_ADDRESS_SIZE], const uint8_t address[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (memcmp(address, mapped, sizeof(mapped)) == 0)
		inet_ntop(AF_INET, address + 12, text, PRINT_ADDRESS_SIZE);
	else
		inet_ntop(AF_INET6, address, text, PRINT_ADDRESS_SIZE);
}

void
print_endpoint(char text[PRINT_ENDPOINT_SIZE], const uint8_t address[16], uint16_t port)
{
	char host[PRINT_ADDRESS_SIZE];

	print_address(host, address);
	snprintf(text, PRINT_ENDPOINT_SIZE, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
}

static void
print_local(char text[PRINT_TIME_SIZE], bool has_date, uint64_t time_us)
{
	time_t seconds = (time_t)(time_us / SECOND_US);
	size_t size;
	struct tm local;

	if (!localtime_r(&seconds, &local)) {
		snprintf(text, PRINT_TIME_SIZE, "%" PRIu64 " us", time_us);
		return;
	}
	size = has_date ? strftime(text, PRINT_TIME_SIZE, "%Y-%m-%d %H:%M:%S", &local)
			: strftime(text, PRINT_TIME_SIZE, "%H:%M:%S", &local);
	snprintf(text + size, PRINT_TIME_SIZE - size, ".%06u", (unsigned)(time_us % SECOND_US));
}

void
print_time(char text[PRINT_TIME_SIZE], uint64_t time_us)
{
	print_local(text, false, time_us);
}

void
print_date_time(char text[PRINT_TIME_SIZE], uint64_t time_us)
{
	print_local(text, true, time_us);
}

void
print_age(char text[PRINT_AGE_SIZE], uint64_t duration_us)
{
	uint64_t s = duration_us / SECOND_US;

	if (s < 120)
		snprintf(text, PRINT_AGE_SIZE, "%" PRIu64 " s", s);
	else if (s < 2 * 3600)
		snprintf(text, PRINT_AGE_SIZE, "%" PRIu64 " min", s / 60);
	else if (s < 2 * 86400)
		snprintf(text, PRINT_AGE_SIZE, "%" PRIu64 " h", s / 3600);
	else
		snprintf(text, PRINT_AGE_SIZE, "%" PRIu64 " d", s / 86400);
}
