/* SPDX-License-Identifier: BSD-3-Clause */
/* What is told of each realm: verdicts, roll-out, nodes. */
#include "ctrl/metrics_priv.h"

#include "ctrl/members.h"
#include "ctrl/modes.h"
#include "verdict/verdict.h"

/* Places in struct realm_stats, over all workers. */
struct sums {
	uint64_t proved[VERDICT_COUNT];
	uint64_t unproved[VERDICT_COUNT];
	uint64_t would_refuse[VERDICT_COUNT];
};

static void
sums_make(struct sums *sums, const struct ctrl *ctrl, unsigned realm)
{
	struct stats_header *stats = shared_stats(&ctrl->shared);

	*sums = (struct sums){0};
	for (unsigned worker = 0; worker < ctrl->config->dataplane.workers; worker++) {
		const struct realm_stats *own = &stats_worker(stats, worker)->realms[realm];

		for (unsigned i = 1; i < VERDICT_COUNT; i++) {
			sums->proved[i] += metrics_load(&own->proved[i]);
			sums->unproved[i] += metrics_load(&own->unproved[i]);
			sums->would_refuse[i] += metrics_load(&own->would_refuse[i]);
		}
	}
}

static void
verdicts_write(struct metrics_text *text, const struct ctrl *ctrl)
{
	static const struct metrics_family credentials = {"credgate_realm_credentials",
		METRICS_COUNTER, NULL,
		"the same by realm, all workers together; what is not proved only says that it is "
		"of the realm"};
	struct sums sums;

	metrics_family(text, &credentials);
	for (unsigned realm = 0; realm < ctrl->config->realm_count; realm++) {
		const char *name = ctrl->config->realms[realm].name;

		sums_make(&sums, ctrl, realm);
		for (unsigned i = 1; i < VERDICT_COUNT; i++) {
			metrics_count(text, sums.proved[i], "realm", name, "verdict",
				verdict_text(i), "proved", "yes", NULL);
			metrics_count(text, sums.unproved[i], "realm", name, "verdict",
				verdict_text(i), "proved", "no", NULL);
		}
	}
}

static void
would_refuse_write(struct metrics_text *text, const struct ctrl *ctrl)
{
	static const struct metrics_family would = {"credgate_would_refuse", METRICS_COUNTER, NULL,
		"proved credentials that mode enforce would have refused, in realms of another "
		"mode"};
	struct sums sums;

	metrics_family(text, &would);
	for (unsigned realm = 0; realm < ctrl->config->realm_count; realm++) {
		sums_make(&sums, ctrl, realm);
		for (unsigned i = 1; i < VERDICT_COUNT; i++)
			if (i != VERDICT_ACCEPTED && i != VERDICT_DUPLICATE)
				metrics_count(text, sums.would_refuse[i], "realm",
					ctrl->config->realms[realm].name, "verdict",
					verdict_text(i), NULL);
	}
}

/* To the key table a suspended node is live; the members tell it apart. */
static void
states_write(struct metrics_text *text, const struct ctrl *ctrl, unsigned realm)
{
	struct keytable_counts counts = keytable_counts(ctrl->keys, realm);
	const char *name = ctrl->config->realms[realm].name;
	uint32_t members[MEMBERS_STATES] = {0}, suspended;

	if (ctrl->members != NULL)
		members_count(ctrl->members, realm, members);
	suspended =
		members[MEMBERS_SUSPENDED] < counts.live ? members[MEMBERS_SUSPENDED] : counts.live;
	metrics_count(text, counts.live - suspended, "realm", name, "state", "live", NULL);
	metrics_count(text, suspended, "realm", name, "state", "suspended", NULL);
	metrics_count(text, counts.revoked, "realm", name, "state", "revoked", NULL);
}

static void
nodes_write(struct metrics_text *text, const struct ctrl *ctrl)
{
	static const struct metrics_family nodes = {
		"credgate_nodes", METRICS_GAUGE, NULL, "nodes of the realm by state"};
	static const struct metrics_family max = {
		"credgate_nodes_max", METRICS_GAUGE, NULL, "nodes that the realm has room for"};
	static const struct metrics_family extras = {"credgate_older_epochs", METRICS_GAUGE, NULL,
		"live epochs beside each node's newest: rotations that are not over"};
	const struct config *config = ctrl->config;

	metrics_family(text, &nodes);
	for (unsigned i = 0; i < config->realm_count; i++)
		states_write(text, ctrl, i);
	metrics_family(text, &max);
	for (unsigned i = 0; i < config->realm_count; i++)
		metrics_count(
			text, config->realms[i].nodes_max, "realm", config->realms[i].name, NULL);
	metrics_family(text, &extras);
	for (unsigned i = 0; i < config->realm_count; i++)
		metrics_count(text, keytable_counts(ctrl->keys, i).extras, "realm",
			config->realms[i].name, NULL);
}

static void
mode_write(struct metrics_text *text, const struct ctrl *ctrl)
{
	static const enum table_mode modes[] = {
		TABLE_MODE_OBSERVE, TABLE_MODE_PERMISSIVE, TABLE_MODE_ENFORCE};
	static const struct metrics_family mode = {"credgate_realm_mode", METRICS_STATESET, NULL,
		"the realm's roll-out mode in force"};

	metrics_family(text, &mode);
	for (unsigned i = 0; i < ctrl->config->realm_count; i++)
		for (size_t j = 0; j < sizeof(modes) / sizeof(modes[0]); j++)
			metrics_count(text, modes_get(&ctrl->modes, ctrl->config, i) == modes[j],
				"realm", ctrl->config->realms[i].name, mode.name,
				config_mode_text(modes[j]), NULL);
}

void
metrics_realms_write(struct metrics_text *text, const struct ctrl *ctrl)
{
	verdicts_write(text, ctrl);
	would_refuse_write(text, ctrl);
	mode_write(text, ctrl);
	nodes_write(text, ctrl);
}
