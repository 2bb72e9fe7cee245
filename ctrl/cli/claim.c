/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <time.h>

#include <credgate/credgate.h>

#include "ctrl/cli/claim.h"
#include "ctrl/cli/file.h"
#include "ctrl/cli/value.h"

#define SECOND_US 1000000ull

enum {
	CLAIM_KEY = CLI_ID_SHARED,
	CLAIM_UID,
	CLAIM_GID,
	CLAIM_AUTH_UID,
	CLAIM_AUTH_GID,
	CLAIM_AUDIENCE,
	CLAIM_TTL,
	CLAIM_ORIGIN,
	CLAIM_PAYLOAD,
	CLAIM_PAYLOAD_FILE,
	CLAIM_BEACON,
	CLAIM_ISSUED,
	CLAIM_END,
};

const struct cli_option claim_options[] = {
	{"key", CLAIM_KEY, "FILE", "the node's key file; its serial state is kept beside it"},
	{"uid", CLAIM_UID, "U", "who speaks: a number or name (default: the caller)"},
	{"gid", CLAIM_GID, "G", "likewise the group"},
	{"auth-uid", CLAIM_AUTH_UID, "U", "the only user who may read it (default: anyone)"},
	{"auth-gid", CLAIM_AUTH_GID, "G", "the only group that may read it (default: anyone)"},
	{"audience", CLAIM_AUDIENCE, "N",
		"number of the service it is meant for (default: 0, any)"},
	{"ttl", CLAIM_TTL, "TIME", "time to live, as 60, 90s or 5m (default: the realm's)"},
	{"origin", CLAIM_ORIGIN, "ADDR", "the address it is sent from"},
	{"payload", CLAIM_PAYLOAD, "TEXT", "the payload, up to 1136 bytes"},
	{"payload-file", CLAIM_PAYLOAD_FILE, "FILE",
		"the payload from a file, - for standard input"},
	{"beacon", CLAIM_BEACON, NULL, "kind beacon (a sign of life) instead of assert"},
	{"issued", CLAIM_ISSUED, "US", "microseconds since 1970, or +TIME, -TIME from now"},
	{NULL, 0, NULL, NULL},
};

void
claim_init(struct claim *claim)
{
	*claim = (struct claim){0};
	cg_claim_init(&claim->claim);
}

bool
claim_has_id(int id)
{
	return id >= CLAIM_KEY && id < CLAIM_END;
}

static int
take_id(struct cli *cli, struct cg_claim *claim, int id, const char *value)
{
	if (id == CLAIM_UID && value_uid(value, false, &claim->uid))
		return cli_bad_value(cli, id, value, "a user's number or name");
	if (id == CLAIM_GID && value_gid(value, false, &claim->gid))
		return cli_bad_value(cli, id, value, "a group's number or name");
	if (id == CLAIM_AUTH_UID && value_uid(value, true, &claim->auth_uid))
		return cli_bad_value(cli, id, value, "a user's number or name, or anyone");
	if (id == CLAIM_AUTH_GID && value_gid(value, true, &claim->auth_gid))
		return cli_bad_value(cli, id, value, "a group's number or name, or anyone");
	return CLI_DONE;
}

static int
take_audience(struct cli *cli, struct cg_claim *claim, const char *value)
{
	uint64_t number;

	if (value_number(value, 0, UINT32_MAX, &number))
		return cli_bad_value(cli, CLAIM_AUDIENCE, value, "a number from 0 to 4294967295");
	claim->audience = (uint32_t)number;
	return CLI_DONE;
}

static int
take_ttl(struct cli *cli, struct cg_claim *claim, const char *value)
{
	uint64_t us;

	if (value_duration(value, SECOND_US, UINT32_MAX * SECOND_US, &us) || us % SECOND_US || !us)
		return cli_bad_value(cli, CLAIM_TTL, value, "whole seconds, as 60, 90s, 5m or 1h");
	claim->ttl_s = (uint32_t)(us / SECOND_US);
	return CLI_DONE;
}

static int
take_issued(struct cli *cli, struct cg_claim *claim, const char *value)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (value_instant(value, (uint64_t)now.tv_sec * SECOND_US + (uint64_t)now.tv_nsec / 1000,
		    &claim->issued_us))
		return cli_bad_value(cli, CLAIM_ISSUED, value,
			"microseconds since 1970, or a time from now as -10m or +5s");
	return CLI_DONE;
}

static int
take_origin(struct cli *cli, struct claim *claim, const char *value)
{
	if (value_address(value, claim->claim.origin))
		return cli_bad_value(cli, CLAIM_ORIGIN, value, "an IPv4 or IPv6 address");
	claim->has_origin = true;
	return CLI_DONE;
}

static int
payload_twice(struct cli *cli)
{
	return cli_usage(cli, "--payload and --payload-file exclude each other");
}

static int
take_payload(struct cli *cli, struct claim *claim, const char *text)
{
	size_t size = strlen(text);

	claim->has_payload_text = true;
	if (claim->has_payload_file)
		return payload_twice(cli);
	if (size > CG_PAYLOAD_MAX)
		return cli_usage(
			cli, "the payload has %zu bytes, %d is the most", size, CG_PAYLOAD_MAX);
	memcpy(claim->payload, text, size);
	claim->claim.payload = claim->payload;
	claim->claim.payload_size = size;
	return CLI_DONE;
}

static int
take_payload_file(struct cli *cli, struct claim *claim, const char *path)
{
	int status;

	claim->has_payload_file = true;
	if (claim->has_payload_text)
		return payload_twice(cli);
	status =
		file_read(path, claim->payload, sizeof(claim->payload), &claim->claim.payload_size);
	if (status == -EFBIG)
		return cli_usage(cli, "%s: a payload has at most %d bytes", path, CG_PAYLOAD_MAX);
	if (status)
		return cli_fail(cli, "%s: %s", path, strerror(-status));
	claim->claim.payload = claim->payload;
	return CLI_DONE;
}

int
claim_take(struct cli *cli, struct claim *claim, int id, const char *value)
{
	claim->is_described |= id != CLAIM_KEY;
	switch (id) {
	case CLAIM_KEY:
		claim->key_path = value;
		return CLI_DONE;
	case CLAIM_BEACON:
		claim->claim.kind = CG_KIND_BEACON;
		return CLI_DONE;
	case CLAIM_AUDIENCE:
		return take_audience(cli, &claim->claim, value);
	case CLAIM_TTL:
		return take_ttl(cli, &claim->claim, value);
	case CLAIM_ISSUED:
		return take_issued(cli, &claim->claim, value);
	case CLAIM_ORIGIN:
		return take_origin(cli, claim, value);
	case CLAIM_PAYLOAD:
		return take_payload(cli, claim, value);
	case CLAIM_PAYLOAD_FILE:
		return take_payload_file(cli, claim, value);
	default:
		return take_id(cli, &claim->claim, id, value);
	}
}

int
claim_open_key(struct cli *cli, const struct claim *claim, struct cg_key **key)
{
	if (!claim->key_path)
		return cli_usage(cli, "--key FILE is missing (made by: credgate node key)");
	if (cg_key_open(key, claim->key_path) < 0)
		return cli_fail(cli, "%s", cg_error());
	return CLI_DONE;
}
