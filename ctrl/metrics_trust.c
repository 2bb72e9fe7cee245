/* SPDX-License-Identifier: BSD-3-Clause */
/* Whom the gateway trusts: members, limits, whitelists, and the log of who changed that. */
#include "ctrl/metrics_priv.h"

#include "ctrl/audit.h"
#include "ctrl/members.h"
#include "ctrl/rate_limits.h"
#include "ctrl/whitelist.h"

void
metrics_members_write(struct metrics_text *text, const struct ctrl *ctrl)
{
	static const struct metrics_family members = {"credgate_members", METRICS_GAUGE, NULL,
		"nodes by their membership: silent never sent a beacon, unknown was there before a "
		"restart"};
	uint32_t counts[MEMBERS_STATES];

	metrics_family(text, &members);
	for (unsigned i = 0; ctrl->members != NULL && i < ctrl->config->realm_count; i++) {
		members_count(ctrl->members, i, counts);
		for (unsigned state = MEMBERS_NONE + 1; state < MEMBERS_STATES; state++)
			metrics_count(text, counts[state], "realm", ctrl->config->realms[i].name,
				"state", members_state_text(state), NULL);
	}
}

/* ---- limits that nodes share ---- */

/* A limit and what is said of it by one family. */
static void
limit_write(struct metrics_text *text, const struct ctrl *ctrl, const struct limits_view *view,
	unsigned which)
{
	const char *realm = ctrl->config->realms[view->entry->realm_index].name;
	const char *name = view->entry->name;

	if (which == 0)
		metrics_real(text, view->entry->rate, "realm", realm, "limit", name, NULL);
	else
		metrics_count(text, which == 1 ? view->taken : view->refused, "realm", realm,
			"limit", name, NULL);
}

void
metrics_limits_write(struct metrics_text *text, const struct ctrl *ctrl)
{
	static const struct metrics_family families[] = {
		{"credgate_limit_rate", METRICS_GAUGE, NULL,
			"credentials per second that a shared limit of the policy allows"},
		{"credgate_limit_taken", METRICS_COUNTER, NULL,
			"credentials that a shared limit let pass"},
		{"credgate_limit_refused", METRICS_COUNTER, NULL,
			"credentials that found a shared limit used up: over-rate"},
	};

	for (unsigned which = 0; which < sizeof(families) / sizeof(families[0]); which++) {
		metrics_family(text, &families[which]);
		for (unsigned i = 1; i < limits_count(ctrl->limits); i++) {
			struct limits_view view = limits_view(ctrl->limits, i);

			limit_write(text, ctrl, &view, which);
		}
	}
}

/* ---- whitelists ---- */

void
metrics_whitelists_write(struct metrics_text *text, const struct ctrl *ctrl)
{
	static const struct metrics_family names = {"credgate_whitelist_nodes", METRICS_GAUGE, NULL,
		"names on the realm's whitelist in force; none for a realm without one"};
	static const struct metrics_family good = {"credgate_whitelist_good", METRICS_GAUGE, NULL,
		"1 if the list in force is the file's; 0: the file is bad and the last good list "
		"stays"};
	const struct config *config = ctrl->config;

	metrics_family(text, &names);
	for (unsigned i = 0; i < config->realm_count; i++)
		if (whitelist_view(ctrl->whitelists, i).path != NULL)
			metrics_count(text, whitelist_view(ctrl->whitelists, i).count, "realm",
				config->realms[i].name, NULL);
	metrics_family(text, &good);
	for (unsigned i = 0; i < config->realm_count; i++)
		if (whitelist_view(ctrl->whitelists, i).path != NULL)
			metrics_count(text, whitelist_view(ctrl->whitelists, i).fault == NULL,
				"realm", config->realms[i].name, NULL);
}

/* ---- the audit log ---- */

void
metrics_audit_write(struct metrics_text *text, const struct ctrl *ctrl)
{
	static const struct metrics_family lines = {"credgate_audit_lines", METRICS_COUNTER, NULL,
		"lines of the audit log, since its first file"};
	static const struct metrics_family waiting = {"credgate_audit_lines_waiting", METRICS_GAUGE,
		NULL, "lines that are not in the log yet because it cannot be written"};
	static const struct metrics_family lost = {"credgate_audit_lines_lost", METRICS_COUNTER,
		NULL, "lines that found no room to wait"};
	static const struct metrics_family refused = {"credgate_audit_changes_refused",
		METRICS_COUNTER, NULL,
		"changes that were not made because they could not be logged first"};
	static const struct metrics_family alarm = {"credgate_audit_alarm", METRICS_GAUGE, NULL,
		"1 if the log was found changed, or cannot be written: credgate audit verify"};
	struct audit_counts counts = audit_counts(ctrl->audit);

	metrics_family(text, &lines);
	metrics_count(text, counts.lines, NULL);
	metrics_family(text, &waiting);
	metrics_count(text, counts.waiting, NULL);
	metrics_family(text, &lost);
	metrics_count(text, counts.lost, NULL);
	metrics_family(text, &refused);
	metrics_count(text, counts.refused, NULL);
	metrics_family(text, &alarm);
	metrics_count(text, counts.has_alarm, NULL);
}
