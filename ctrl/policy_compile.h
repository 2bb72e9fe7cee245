/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Compiles the policies of all realms into one image of dataplane/table_rules.h. Rules are not
 * compiled for every node: nodes that the same rules and limits concern have a class, which is made
 * when the first of them is met. An image only grows; a change of policy, mode or audiences makes
 * another one, which takes the place of the old one as a whole. One thread at a time.
 */

#include <stdbool.h>
#include <stdint.h>

#include "ctrl/config.h"
#include "ctrl/policy_file.h"
#include "ctrl/reason.h"
#include "dataplane/table_rules.h"

/* Classes that every image has. */
#define POLICY_CLASS_FREE 0u /* no rules, no limits */
#define POLICY_CLASS_DENY 1u /* suspended, or not on the whitelist: FORBIDDEN in every mode */

struct policy_image;

/* Whom a class is for. */
struct policy_subject {
	const char *name;
	const char *const *roles;
	unsigned role_count;
	bool is_suspended;
	bool is_unlisted; /* the realm has a whitelist, and it is not on it */
};

/* A limit that nodes share, under its index in the rules. */
struct policy_shared {
	bool is_used;
	unsigned realm_index;
	char text[POLICY_LIMIT_TEXT_SIZE];
	double rate;
	double burst;
};

/*
 * An empty image. Shared limits that are in `before` (may be NULL) too keep their indices. NULL
 * without memory.
 */
struct policy_image *policy_image_create(const struct policy_image *before);
void policy_image_destroy(struct policy_image *image);

/*
 * Gives a realm its policy, which MUST outlive the image; NULL: none. The mode decides what happens
 * to whom no rule concerns. Once per realm. 0, -ENOSPC with the cure if there are too many shared
 * limits, or -ENOMEM.
 */
int policy_image_realm(struct policy_image *image, unsigned realm_index,
	const struct config_realm *realm, enum table_mode mode, const struct policy *policy,
	struct reason *reason);

/*
 * The class of a node. 0, or -ENOSPC with the bound that was reached and the cure; then the image is
 * as before but for what can no more be used.
 */
int policy_node_class(struct policy_image *image, unsigned realm_index,
	const struct policy_subject *subject, uint16_t *class, struct reason *reason);

/* The rules as they are now, and whether they changed since this was last asked. */
const struct table_rules *policy_image_rules(const struct policy_image *image);
bool policy_image_is_changed(struct policy_image *image);

/* Shared limits 1 ... count - 1, some of them unused; count is 0 without any. */
unsigned policy_image_limits(
	const struct policy_image *image, struct policy_shared limits[TABLE_LIMITS_MAX]);

/* Has any node matched the nodes of this rule, or of this limit, so far? For warnings. */
bool policy_image_rule_is_met(
	const struct policy_image *image, unsigned realm_index, unsigned rule);
bool policy_image_limit_is_met(
	const struct policy_image *image, unsigned realm_index, unsigned limit);

/* What the image takes of each bound, for people. */
struct policy_sizes {
	uint32_t classes;
	uint32_t cells;
	uint32_t programs;
	uint32_t lane_groups;
	uint32_t prefixes;
	uint32_t limits;
};
struct policy_sizes policy_image_sizes(const struct policy_image *image);
