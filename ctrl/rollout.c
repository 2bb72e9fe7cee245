/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/rollout.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctrl/log.h"
#include "verdict/verdict.h"

#define FILE_NAME    "rollout"
#define PATH_SIZE    (CONFIG_PATH_SIZE + sizeof("/" FILE_NAME))
#define FILE_VERSION 1
#define SAVE_EACH_S  60

/* Counters of a realm, as the workers' stood when counting began, and as earlier runs left them. */
struct realm_count {
	uint64_t mark_us;
	uint64_t would_base[VERDICT_COUNTERS];
	uint64_t would_carried[VERDICT_COUNTERS];
	uint64_t proved_base[VERDICT_COUNTERS];
	uint64_t proved_carried[VERDICT_COUNTERS];
};

struct node_count {
	uint32_t base;
	uint32_t carried;
	uint32_t carried_s;
	uint8_t carried_verdict;
};

struct rollout {
	struct stats_header *stats;
	struct meters_header *meters;
	unsigned worker_count;
	unsigned realm_count;
	uint32_t ids[TABLE_REALMS_MAX];
	uint32_t nodes_max[TABLE_REALMS_MAX];
	uint32_t bases[TABLE_REALMS_MAX];
	char path[PATH_SIZE];
	unsigned seconds;
	uint64_t saved; /* news_of at the last save */
	struct realm_count realms[TABLE_REALMS_MAX];
	struct node_count *nodes; /* by slot */
};

/* ---- counters ---- */

struct totals {
	uint64_t would[VERDICT_COUNTERS];
	uint64_t proved[VERDICT_COUNTERS];
};

static struct totals
totals_read(const struct rollout *rollout, unsigned realm_index)
{
	struct totals totals = {0};

	for (unsigned i = 0; i < rollout->worker_count; i++) {
		const struct realm_stats *stats =
			&stats_worker(rollout->stats, i)->realms[realm_index];

		for (unsigned v = 0; v < VERDICT_COUNTERS; v++) {
			totals.would[v] +=
				atomic_load_explicit(&stats->would_refuse[v], memory_order_relaxed);
			totals.proved[v] +=
				atomic_load_explicit(&stats->proved[v], memory_order_relaxed);
		}
	}
	return totals;
}

static const struct meter_node *
meter_of(const struct rollout *rollout, unsigned realm_index, uint32_t node)
{
	return meters_node(rollout->meters, rollout->bases[realm_index] + node);
}

static struct node_count *
count_of(const struct rollout *rollout, unsigned realm_index, uint32_t node)
{
	return &rollout->nodes[rollout->bases[realm_index] + node];
}

static uint32_t
would_of(const struct meter_node *meter)
{
	return atomic_load_explicit(&meter->would_refuse, memory_order_relaxed);
}

/* Since the mark; the verdict and the time are the newest known. */
static struct rollout_node
node_read(const struct rollout *rollout, unsigned realm_index, uint32_t node)
{
	const struct meter_node *meter = meter_of(rollout, realm_index, node);
	const struct node_count *count = count_of(rollout, realm_index, node);
	uint32_t fresh = would_of(meter) - count->base;

	return (struct rollout_node){
		.node = node,
		.count = count->carried + fresh,
		.verdict = fresh != 0 ? atomic_load_explicit(
						&meter->would_verdict, memory_order_relaxed)
				      : count->carried_verdict,
		.last_s = fresh != 0 ? atomic_load_explicit(&meter->refused_s, memory_order_relaxed)
				     : count->carried_s,
	};
}

/* What is counted from here on is new; what came before is what the caller put into `carried`. */
static void
realm_base(struct rollout *rollout, unsigned realm_index)
{
	struct realm_count *realm = &rollout->realms[realm_index];
	struct totals totals = totals_read(rollout, realm_index);

	memcpy(realm->would_base, totals.would, sizeof(totals.would));
	memcpy(realm->proved_base, totals.proved, sizeof(totals.proved));
	for (uint32_t i = 1; i <= rollout->nodes_max[realm_index]; i++)
		count_of(rollout, realm_index, i)->base =
			would_of(meter_of(rollout, realm_index, i));
}

void
rollout_mark(struct rollout *rollout, unsigned realm_index, uint64_t now_us)
{
	rollout->realms[realm_index] = (struct realm_count){.mark_us = now_us};
	memset(count_of(rollout, realm_index, 0), 0,
		(rollout->nodes_max[realm_index] + 1ull) * sizeof(*rollout->nodes));
	realm_base(rollout, realm_index);
}

struct rollout_view
rollout_view(const struct rollout *rollout, unsigned realm_index)
{
	const struct realm_count *realm = &rollout->realms[realm_index];
	struct totals totals = totals_read(rollout, realm_index);
	struct rollout_view view = {.mark_us = realm->mark_us};

	for (unsigned v = 1; v < VERDICT_COUNTERS; v++) {
		view.would[v] = realm->would_carried[v] + totals.would[v] - realm->would_base[v];
		view.refused[v] =
			realm->proved_carried[v] + totals.proved[v] - realm->proved_base[v];
		if (v == VERDICT_DUPLICATE)
			view.would[v] = 0; /* the answer again: no refusal */
		view.would_all += view.would[v];
	}
	view.accepted = view.refused[VERDICT_ACCEPTED];
	view.refused[VERDICT_ACCEPTED] = 0;
	return view;
}

/* Puts a node where it belongs among the first `room`. */
static void
rank(struct rollout_node *nodes, unsigned room, unsigned *count, struct rollout_node node)
{
	unsigned at = *count < room ? (*count)++ : room;

	if (at == room && (room == 0 || nodes[--at].count >= node.count))
		return;
	for (; at > 0 && nodes[at - 1].count < node.count; at--)
		nodes[at] = nodes[at - 1];
	nodes[at] = node;
}

uint32_t
rollout_nodes(const struct rollout *rollout, unsigned realm_index, struct rollout_node *nodes,
	unsigned room, unsigned *count)
{
	uint32_t all = 0;

	*count = 0;
	for (uint32_t i = 1; i <= rollout->nodes_max[realm_index]; i++) {
		struct rollout_node node = node_read(rollout, realm_index, i);

		if (node.count == 0)
			continue;
		all++;
		rank(nodes, room, count, node);
	}
	return all;
}

/* ---- the file ---- */

static json_t *
counts_json(const uint64_t counts[VERDICT_COUNTERS])
{
	json_t *json = json_object();

	for (unsigned v = 1; v < VERDICT_COUNT; v++)
		if (counts[v] != 0)
			json_object_set_new(json, verdict_text(v),
				json_integer((json_int_t)(counts[v] & INT64_MAX)));
	return json;
}

static json_t *
nodes_json(const struct rollout *rollout, unsigned realm_index)
{
	json_t *list = json_array();

	for (uint32_t i = 1; i <= rollout->nodes_max[realm_index]; i++) {
		struct rollout_node node = node_read(rollout, realm_index, i);

		if (node.count != 0)
			json_array_append_new(
				list, json_pack("[I, I, i, I]", (json_int_t)node.node,
					      (json_int_t)node.count, (int)node.verdict,
					      (json_int_t)node.last_s));
	}
	return list;
}

static json_t *
file_make(const struct rollout *rollout)
{
	json_t *realms = json_array();

	for (unsigned i = 0; i < rollout->realm_count; i++) {
		struct rollout_view view = rollout_view(rollout, i);

		view.refused[VERDICT_ACCEPTED] = view.accepted;
		json_array_append_new(realms,
			json_pack("{s:I, s:I, s:o, s:o, s:o}", "id", (json_int_t)rollout->ids[i],
				"mark_us", (json_int_t)view.mark_us, "would",
				counts_json(view.would), "proved", counts_json(view.refused),
				"nodes", nodes_json(rollout, i)));
	}
	return json_pack("{s:i, s:o}", "version", FILE_VERSION, "realms", realms);
}

static int
text_write(const char *path, const char *text)
{
	size_t size = strlen(text);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int error = 0;

	if (fd < 0)
		return -errno;
	errno = EIO;
	if (write(fd, text, size) != (ssize_t)size || fdatasync(fd) != 0)
		error = -errno;
	close(fd);
	return error;
}

/* Another number when there is something new: refusals that would have been, or a mark. */
static uint64_t
news_of(const struct rollout *rollout)
{
	uint64_t news = 0;

	for (unsigned i = 0; i < rollout->realm_count; i++) {
		struct rollout_view view = rollout_view(rollout, i);

		news += view.would_all + view.mark_us;
	}
	return news;
}

int
rollout_save(struct rollout *rollout, struct reason *reason)
{
	uint64_t news = news_of(rollout);
	json_t *json = file_make(rollout);
	char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
	char fresh[PATH_SIZE + sizeof(".new")];
	int error;

	json_decref(json);
	if (text == NULL)
		return reason_set(reason, ENOMEM, "%s: no memory to write it", rollout->path);
	snprintf(fresh, sizeof(fresh), "%s.new", rollout->path);
	error = text_write(fresh, text);
	if (error == 0 && rename(fresh, rollout->path) != 0)
		error = -errno;
	free(text);
	if (error == 0) {
		rollout->saved = news;
		return 0;
	}
	unlink(fresh);
	return reason_set(reason, -error,
		"%s: %s; make room, or what would have been refused is forgotten at a restart",
		rollout->path, strerror(-error));
}

void
rollout_tick(struct rollout *rollout)
{
	struct reason reason;

	if (++rollout->seconds < SAVE_EACH_S)
		return;
	rollout->seconds = 0;
	/* A list of all nodes is not written for nothing. */
	if (news_of(rollout) == rollout->saved)
		return;
	if (rollout_save(rollout, &reason) != 0)
		log_error("rollout", "%s", reason.text);
}

static void
counts_take(uint64_t counts[VERDICT_COUNTERS], const json_t *json)
{
	for (unsigned v = 1; v < VERDICT_COUNT; v++)
		counts[v] = (uint64_t)json_integer_value(json_object_get(json, verdict_text(v)));
}

static void
nodes_take(struct rollout *rollout, unsigned realm_index, const json_t *list)
{
	const json_t *row;
	size_t i;

	json_array_foreach(list, i, row)
	{
		json_int_t node = json_integer_value(json_array_get(row, 0));
		struct node_count *count;

		if (node < 1 || node > rollout->nodes_max[realm_index])
			continue;
		count = count_of(rollout, realm_index, (uint32_t)node);
		count->carried = (uint32_t)json_integer_value(json_array_get(row, 1));
		count->carried_verdict = (uint8_t)json_integer_value(json_array_get(row, 2));
		count->carried_s = (uint32_t)json_integer_value(json_array_get(row, 3));
	}
}

static void
realm_take(struct rollout *rollout, const json_t *json)
{
	json_int_t id = json_integer_value(json_object_get(json, "id"));
	json_int_t mark_us = json_integer_value(json_object_get(json, "mark_us"));

	for (unsigned i = 0; i < rollout->realm_count; i++) {
		struct realm_count *realm = &rollout->realms[i];

		if (rollout->ids[i] != id || mark_us <= 0)
			continue;
		realm->mark_us = (uint64_t)mark_us;
		counts_take(realm->would_carried, json_object_get(json, "would"));
		counts_take(realm->proved_carried, json_object_get(json, "proved"));
		nodes_take(rollout, i, json_object_get(json, "nodes"));
	}
}

/* It decides nothing, so one that makes no sense is a pity and no reason not to start. */
static void
file_read(struct rollout *rollout)
{
	json_error_t error = {.text = "not a file of ours"};
	json_t *json = NULL, *realm;
	struct stat st;
	size_t i;
	int fd;

	fd = open(rollout->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return;
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		json = json_loadfd(fd, 0, &error);
	if (fd >= 0)
		close(fd);
	if (json_integer_value(json_object_get(json, "version")) != FILE_VERSION)
		log_warning("rollout",
			"%s cannot be read (%s): what would have been refused is counted anew",
			rollout->path, json == NULL ? error.text : "another version");
	else
		json_array_foreach(json_object_get(json, "realms"), i, realm)
			realm_take(rollout, realm);
	json_decref(json);
}

/* ---- life ---- */

static void
config_take(struct rollout *rollout, const struct rollout_config *config)
{
	rollout->stats = config->stats;
	rollout->meters = config->meters;
	rollout->worker_count = config->worker_count;
	rollout->realm_count = config->config->realm_count;
	for (unsigned i = 0; i < rollout->realm_count; i++) {
		rollout->ids[i] = config->config->realms[i].id;
		rollout->nodes_max[i] = config->config->realms[i].nodes_max;
		rollout->bases[i] = config->bases[i];
	}
	snprintf(rollout->path, sizeof(rollout->path), "%s/%s", config->config->state_dir,
		FILE_NAME);
}

struct rollout *
rollout_create(const struct rollout_config *config, uint64_t now_us)
{
	struct rollout *rollout = calloc(1, sizeof(*rollout));

	if (rollout == NULL)
		return NULL;
	config_take(rollout, config);
	rollout->nodes = calloc(config->meters->slot_count, sizeof(*rollout->nodes));
	if (rollout->nodes == NULL) {
		rollout_destroy(rollout);
		return NULL;
	}
	for (unsigned i = 0; i < rollout->realm_count; i++)
		rollout_mark(rollout, i, now_us);
	file_read(rollout);
	rollout->saved = news_of(rollout);
	return rollout;
}

void
rollout_destroy(struct rollout *rollout)
{
	if (rollout == NULL)
		return;
	free(rollout->nodes);
	free(rollout);
}
