/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The configuration's realms and groups as the dataplane reads them. */

#include "ctrl/config.h"
#include "dataplane/table.h"

/* Fills `policy` but for its realm_hash and bucket_seed; floors are per realm, 0: none. */
void realms_table_make(struct table_policy *policy, const struct config *config,
	const uint64_t floors_us[TABLE_REALMS_MAX]);
