/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/cli/beacon_path.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "ctrl/cli/print.h"
#include "verdict/verdict.h"

/* One lost answer is no news. */
#define FAILURES_TOLD 2u

/* ---- telling ---- */

__attribute__((format(printf, 2, 3))) static void
tell(struct beacon_path *path, const char *format, ...)
{
	char line[sizeof(path->told)];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (strcmp(line, path->told) == 0)
		return;
	memcpy(path->told, line, sizeof(line));
	cli_fail(path->cli, "%s over %s: %s", path->host,
		path->family == AF_INET6 ? "IPv6" : "IPv4", line);
}

/* A refusal, or silence: what is told is that nobody hears us. */
static bool
failed(struct beacon_path *path, const char *text)
{
	beacon_path_close(path);
	if (++path->failures >= FAILURES_TOLD || path->told[0] == '\0')
		tell(path, "%s", text);
	return false;
}

static bool
heard(struct beacon_path *path)
{
	char origin[PRINT_ADDRESS_SIZE];

	path->failures = 0;
	print_address(origin, path->origin);
	tell(path, "beacons of %s are %s", origin, path->has_no_reply ? "sent" : "accepted");
	return true;
}

/* ---- connecting ---- */

static void
address_take(uint8_t address[16], const struct sockaddr_storage *from)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (from->ss_family == AF_INET6) {
		memcpy(address, &((const struct sockaddr_in6 *)from)->sin6_addr, 16);
		return;
	}
	memcpy(address, mapped, sizeof(mapped));
	memcpy(address + 12, &((const struct sockaddr_in *)from)->sin_addr, 4);
}

static socklen_t
source_fill(const struct beacon_path *path, struct sockaddr_storage *to)
{
	memset(to, 0, sizeof(*to));
	to->ss_family = (sa_family_t)path->family;
	if (path->family == AF_INET6) {
		memcpy(&((struct sockaddr_in6 *)to)->sin6_addr, path->source, 16);
		return sizeof(struct sockaddr_in6);
	}
	memcpy(&((struct sockaddr_in *)to)->sin_addr, path->source + 12, 4);
	return sizeof(struct sockaddr_in);
}

/* 0 or -errno; the origin is what getsockname says of the connected socket. */
static int
socket_connect(struct beacon_path *path, const struct addrinfo *to)
{
	struct sockaddr_storage ours;
	socklen_t size = source_fill(path, &ours);

	path->fd = socket(path->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (path->fd < 0)
		return -errno;
	if ((path->has_source && bind(path->fd, (struct sockaddr *)&ours, size) != 0) ||
		connect(path->fd, to->ai_addr, to->ai_addrlen) != 0)
		return -errno;
	size = sizeof(ours);
	if (getsockname(path->fd, (struct sockaddr *)&ours, &size) != 0)
		return -errno;
	address_take(path->origin, &ours);
	return 0;
}

/* False: it cannot be reached now, which was told unless nobody expects it. */
static bool
is_connected(struct beacon_path *path)
{
	const struct addrinfo hints = {.ai_family = path->family, .ai_socktype = SOCK_DGRAM};
	struct addrinfo *found = NULL;
	int error;

	if (path->fd >= 0)
		return true;
	error = getaddrinfo(path->host, path->port, &hints, &found);
	if (error != 0)
		return !path->is_optional && failed(path, gai_strerror(error));
	error = socket_connect(path, found);
	freeaddrinfo(found);
	if (error == 0)
		return true;
	beacon_path_close(path);
	return !path->is_optional && failed(path, strerror(-error));
}

void
beacon_path_close(struct beacon_path *path)
{
	if (path->fd >= 0)
		close(path->fd);
	path->fd = -1;
}

/* ---- sending ---- */

static int
beacon_mint(const struct beacon_path *path, struct cg_key *key, const struct wire_beacon *beacon,
	uint8_t bytes[CG_CREDENTIAL_MAX])
{
	uint8_t payload[WIRE_BEACON_SIZE];
	struct cg_claim claim = {.size = sizeof(claim)};

	cg_claim_init(&claim);
	claim.kind = CG_KIND_BEACON;
	claim.wants_reply = !path->has_no_reply;
	claim.audience = path->audience;
	claim.payload = payload;
	claim.payload_size = wire_beacon_build(payload, beacon);
	memcpy(claim.origin, path->origin, sizeof(claim.origin));
	return cg_mint(key, &claim, bytes, CG_CREDENTIAL_MAX);
}

/* The verdict, or -errno with cg_error(). */
static int
beacon_exchange(struct beacon_path *path, struct cg_key *key, const struct wire_beacon *beacon,
	unsigned timeout_ms)
{
	struct cg_answer answer = {.size = sizeof(answer)};
	uint8_t bytes[CG_CREDENTIAL_MAX];
	int size = beacon_mint(path, key, beacon, bytes), error;

	if (size < 0)
		return size;
	if (path->has_no_reply)
		return write(path->fd, bytes, (size_t)size) == size ? CG_ACCEPTED : -errno;
	error = cg_exchange(key, path->fd, bytes, (size_t)size, timeout_ms, &answer);
	if (error < 0)
		return error;
	return (int)(answer.verdict == CG_DUPLICATE ? answer.first_verdict : answer.verdict);
}

static bool
refused(struct beacon_path *path, unsigned verdict)
{
	char text[200];

	snprintf(text, sizeof(text), "refused as %s; what to do: %s", verdict_text(verdict),
		verdict_cure(verdict));
	return failed(path, text);
}

/* A floor that a refusal told is taken by then (cg_exchange): the next try is above it. */
bool
beacon_path_send(struct beacon_path *path, struct cg_key *key, const struct wire_beacon *beacon,
	unsigned timeout_ms)
{
	int verdict;

	if (!is_connected(path))
		return false;
	verdict = beacon_exchange(path, key, beacon, timeout_ms);
	if (verdict == CG_FLOOR || verdict == CG_STALE)
		verdict = beacon_exchange(path, key, beacon, timeout_ms);
	if (verdict == CG_ACCEPTED)
		return heard(path);
	if (verdict == -ETIMEDOUT)
		return failed(path,
			"no answer: no gateway there, or one that does not know this key or "
			"address (on the gateway: credgate watch --refused)");
	return verdict < 0 ? failed(path, path->has_no_reply ? strerror(-verdict) : cg_error())
			   : refused(path, (unsigned)verdict);
}
