/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of nouns, and those that are about the gateway as a whole. */
#include "ctrl/metrics_priv.h"

#include <stdlib.h>

#include "ctrl/clock.h"
#include "ctrl/log.h"
#include "ctrl/metrics.h"
#include "ctrl/version.h"

#define SECOND_US 1e6

static void
gateway_write(struct metrics_text *text, const struct ctrl *ctrl)
{
	static const struct metrics_family build = {
		"credgate_build", METRICS_INFO, NULL, "version of credgated"};
	static const struct metrics_family start = {"credgate_start_time_seconds", METRICS_GAUGE,
		"seconds", "when credgated was started, in seconds since 1970"};

	metrics_family(text, &build);
	metrics_count(text, 1, "version", CTRL_VERSION_TEXT, NULL);
	metrics_family(text, &start);
	metrics_real(text, (double)ctrl->started_us / SECOND_US, NULL);
}

static void
dataplane_state_write(struct metrics_text *text, const struct supervise_status *status)
{
	static const enum supervise_state states[] = {
		SUPERVISE_DOWN, SUPERVISE_STARTING, SUPERVISE_RUNNING, SUPERVISE_STOPPING};
	static const struct metrics_family state = {"credgate_dataplane_state", METRICS_STATESET,
		NULL, "what the dataplane does: credentials are judged while it is running"};

	metrics_family(text, &state);
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		metrics_count(text, status->state == states[i], state.name,
			supervise_state_text(states[i]), NULL);
}

static void
heartbeat_write(struct metrics_text *text, const struct ctrl *ctrl)
{
	static const struct metrics_family age = {"credgate_dataplane_heartbeat_age_seconds",
		METRICS_GAUGE, "seconds",
		"time since the dataplane last beat, as it does ten times a second; none while it "
		"does not run"};
	uint64_t beat_us = metrics_load(&shared_stats(&ctrl->shared)->heartbeat_us);
	uint64_t now_us = clock_mono_us();

	metrics_family(text, &age);
	if (supervise_status(ctrl->supervise)->ready_us != 0 && beat_us != 0)
		metrics_real(
			text, now_us > beat_us ? (double)(now_us - beat_us) / SECOND_US : 0, NULL);
}

static void
dataplane_write(struct metrics_text *text, const struct ctrl *ctrl)
{
	static const struct metrics_family kernel = {"credgate_dataplane_kernel", METRICS_INFO,
		NULL, "the code that proves tags; none while the dataplane does not run"};
	static const struct metrics_family restarts = {"credgate_dataplane_restarts",
		METRICS_COUNTER, NULL, "dataplanes started after the first one"};
	static const struct metrics_family steps = {"credgate_clock_steps", METRICS_COUNTER, NULL,
		"steps of the real-time clock that the dataplane saw"};
	const struct supervise_status *status = supervise_status(ctrl->supervise);
	const char *name = tag_kernel_name((enum tag_kernel_id)status->kernel);

	dataplane_state_write(text, status);
	metrics_family(text, &kernel);
	if (status->ready_us != 0 && name != NULL)
		metrics_count(text, 1, "kernel", name, NULL);
	metrics_family(text, &restarts);
	metrics_count(text, status->restarts, NULL);
	heartbeat_write(text, ctrl);
	metrics_family(text, &steps);
	metrics_count(text, metrics_load(&shared_stats(&ctrl->shared)->clock_steps), NULL);
}

static void
table_write(struct metrics_text *text, const struct ctrl *ctrl)
{
	static const struct metrics_family generation = {"credgate_table_generation", METRICS_GAUGE,
		NULL,
		"number of the key table in force; each change of keys or rules makes another"};
	static const struct metrics_family behind = {"credgate_table_workers_behind", METRICS_GAUGE,
		NULL, "polling workers that do not use it yet"};
	static const struct metrics_family unwritten = {"credgate_revocations_unwritten",
		METRICS_GAUGE, NULL, "revocations in force that are not on disk yet"};
	uint64_t newest = keytable_generation(ctrl->keys);
	struct keytable_uptake uptake = keytable_uptake(ctrl->keys, newest);

	metrics_family(text, &generation);
	metrics_count(text, newest, NULL);
	metrics_family(text, &behind);
	metrics_count(text, uptake.running - uptake.current, NULL);
	metrics_family(text, &unwritten);
	metrics_count(text, registry_unwritten(ctrl->registry), NULL);
}

static void
memory_write(struct metrics_text *text, const struct ctrl *ctrl)
{
	static const struct metrics_family memory = {"credgate_shared_memory_bytes", METRICS_GAUGE,
		"bytes", "memory shared with the dataplane, all allocated at start"};
	static const struct metrics_family locked = {"credgate_table_locked", METRICS_GAUGE, NULL,
		"1 if the key table is kept out of swap"};

	metrics_family(text, &memory);
	metrics_count(text, ctrl->shared.replay.size, "part", "windows", NULL);
	metrics_count(text, ctrl->shared.table.size, "part", "keys", NULL);
	metrics_count(text, ctrl->shared.meters.size, "part", "meters", NULL);
	metrics_count(text, ctrl->shared.rings_bytes, "part", "rings", NULL);
	metrics_family(text, &locked);
	metrics_count(text, ctrl->shared.is_locked, NULL);
}

static void
own_write(struct metrics_text *text, const struct ctrl *ctrl)
{
	static const struct metrics_family lines = {"credgate_log_lines", METRICS_COUNTER, NULL,
		"lines that credgated wrote to its log"};
	static const struct metrics_family left_out = {"credgate_log_lines_left_out",
		METRICS_COUNTER, NULL,
		"lines that were only counted, so that nobody can fill the log"};
	static const struct metrics_family served = {
		"credgate_metrics_requests", METRICS_COUNTER, NULL, "requests for metrics"};
	struct metrics_visits visits = metrics_visits(ctrl->metrics);
	struct log_counts counts = log_counts();

	metrics_family(text, &lines);
	for (enum log_level level = 0; level < LOG_LEVELS; level++)
		metrics_count(text, counts.lines[level], "level", log_level_text(level), NULL);
	metrics_family(text, &left_out);
	metrics_count(text, counts.left_out, NULL);
	metrics_family(text, &served);
	metrics_count(text, visits.served, "result", "served", NULL);
	metrics_count(text, visits.refused, "result", "refused", NULL);
}

static void (*const nouns[])(struct metrics_text *text, const struct ctrl *ctrl) = {
	gateway_write,
	dataplane_write,
	metrics_workers_write,
	metrics_realms_write,
	metrics_drain_write,
	metrics_members_write,
	metrics_limits_write,
	metrics_whitelists_write,
	metrics_audit_write,
	metrics_enrol_write,
	metrics_groups_write,
	table_write,
	memory_write,
	own_write,
};

char *
metrics_make(const struct ctrl *ctrl, size_t *size)
{
	struct metrics_text *text = metrics_text_create();
	char *bytes;

	if (text == NULL)
		return NULL;
	for (size_t i = 0; i < sizeof(nouns) / sizeof(nouns[0]); i++)
		nouns[i](text, ctrl);
	bytes = metrics_text_take(text, size);
	metrics_text_destroy(text);
	return bytes;
}
