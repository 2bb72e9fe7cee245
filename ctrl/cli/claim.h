/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What a credential says, as options that `mint` and `send` share. */

#include <credgate/mint.h>

#include "ctrl/cli/cli.h"

struct claim {
	struct cg_claim claim;
	const char *key_path;
	bool has_origin; /* --origin was given */
	bool has_payload_text;
	bool has_payload_file;
	bool is_described; /* some option says what to issue; --key alone does not */
	uint8_t payload[CG_PAYLOAD_MAX];
};

extern const struct cli_option claim_options[];

void claim_init(struct claim *claim);

/* Is `id` one of claim_options? */
bool claim_has_id(int id);

/* Takes one of claim_options. Returns 0, or CLI_USAGE or CLI_FAILED after saying why. */
int claim_take(struct cli *cli, struct claim *claim, int id, const char *value);

/* Opens the key of --key, or says why not: CLI_USAGE if there is no --key. */
int claim_open_key(struct cli *cli, const struct claim *claim, struct cg_key **key);
