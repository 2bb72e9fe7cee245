/* SPDX-License-Identifier: BSD-3-Clause */
/* Who joins, and who is alive twice. */
#include "ctrl/metrics_priv.h"

#include "ctrl/clones.h"
#include "ctrl/enrol.h"

void
metrics_enrol_write(struct metrics_text *text, const struct ctrl *ctrl)
{
	static const struct metrics_family clones = {"credgate_cloned_nodes", METRICS_GAUGE, NULL,
		"nodes of which two were alive, since this start: credgate node clones"};
	static const struct metrics_family connections = {"credgate_join_connections",
		METRICS_COUNTER, NULL,
		"connections of who wants to join; put-off: their place came too often"};
	static const struct metrics_family requests = {
		"credgate_join_requests", METRICS_COUNTER, NULL, "whole requests to join"};
	static const struct metrics_family joins = {
		"credgate_joins", METRICS_COUNTER, NULL, "requests that gave a node its key"};
	struct enrol_counts counts = {0};

	metrics_family(text, &clones);
	for (unsigned i = 0; i < ctrl->config->realm_count; i++)
		metrics_count(text, clones_count(ctrl->clones, i), "realm",
			ctrl->config->realms[i].name, NULL);
	if (ctrl->enrol != NULL)
		counts = enrol_counts(ctrl->enrol);
	metrics_family(text, &connections);
	metrics_count(text, counts.accepted - counts.put_off, "result", "served", NULL);
	metrics_count(text, counts.put_off, "result", "put-off", NULL);
	metrics_family(text, &requests);
	metrics_count(text, counts.requests, NULL);
	metrics_family(text, &joins);
	metrics_count(text, counts.joined, NULL);
}
