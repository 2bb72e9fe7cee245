/* SPDX-License-Identifier: BSD-3-Clause */

#include "dataplane/telemetry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_telemetry.h>

static struct stats_header *pages;

static const struct {
	const char *name;
	size_t offset;
} counters[] = {
#define COUNTER(name)                                      \
	{                                                  \
#name, offsetof(struct worker_stats, name) \
	}
	COUNTER(rx_frames), COUNTER(rx_bytes), COUNTER(rx_not_ours), COUNTER(rx_bad_packet),
	COUNTER(rx_neighbour), COUNTER(neighbour_answered), COUNTER(neighbour_dropped),
	COUNTER(replies_sent), COUNTER(replies_dropped), COUNTER(handed_off), COUNTER(handed_in),
	COUNTER(delivered), COUNTER(serial_collisions), COUNTER(bursts), COUNTER(idle_polls),
	COUNTER(sleeps), COUNTER(busy_cycles)
#undef COUNTER
};

/* Workers first to last - 1: all of them without a parameter. False if there is no such worker. */
static bool
workers_choose(const char *parameter, unsigned *first, unsigned *last)
{
	char *end;
	unsigned long worker;

	*first = 0;
	*last = pages->worker_count;
	if (parameter == NULL || !*parameter)
		return true;
	worker = strtoul(parameter, &end, 10);
	if (end == parameter || *end || worker >= pages->worker_count)
		return false;
	*first = (unsigned)worker;
	*last = *first + 1;
	return true;
}

static uint64_t
counter_sum(unsigned first, unsigned last, size_t offset)
{
	uint64_t sum = 0;

	for (unsigned worker = first; worker < last; worker++) {
		const uint8_t *page = (const uint8_t *)stats_worker(pages, worker);

		sum += atomic_load_explicit(
			(const _Atomic uint64_t *)(page + offset), memory_order_relaxed);
	}
	return sum;
}

static int
stats_handle(const char *command, const char *parameter, struct rte_tel_data *data)
{
	unsigned first, last;

	(void)command;
	if (!workers_choose(parameter, &first, &last))
		return -EINVAL;
	rte_tel_data_start_dict(data);
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		rte_tel_data_add_dict_u64(
			data, counters[i].name, counter_sum(first, last, counters[i].offset));
	rte_tel_data_add_dict_u64(data, "heartbeat_us",
		atomic_load_explicit(&pages->heartbeat_us, memory_order_relaxed));
	rte_tel_data_add_dict_u64(data, "clock_steps",
		atomic_load_explicit(&pages->clock_steps, memory_order_relaxed));
	rte_tel_data_add_dict_u64(
		data, "cycles_hz", atomic_load_explicit(&pages->cycles_hz, memory_order_relaxed));
	return 0;
}

/* DPDK takes letters, digits and underscores in names: "bad-tag" becomes "bad_tag". */
static void
name_convert(char name[RTE_TEL_MAX_STRING_LEN], const char *text)
{
	snprintf(name, RTE_TEL_MAX_STRING_LEN, "%s", text);
	for (char *at = strchr(name, '-'); at != NULL; at = strchr(at, '-'))
		*at = '_';
}

/* {"accepted": 5, ...} of one array of counters. */
static struct rte_tel_data *
verdicts_count(unsigned first, unsigned last, size_t offset)
{
	struct rte_tel_data *data = rte_tel_data_alloc();
	char name[RTE_TEL_MAX_STRING_LEN];

	if (data == NULL)
		return NULL;
	rte_tel_data_start_dict(data);
	for (unsigned verdict = VERDICT_NONE + 1; verdict < VERDICT_COUNT; verdict++) {
		name_convert(name, verdict_text(verdict));
		rte_tel_data_add_dict_u64(
			data, name, counter_sum(first, last, offset + verdict * sizeof(uint64_t)));
	}
	return data;
}

static int
verdicts_handle(const char *command, const char *parameter, struct rte_tel_data *data)
{
	struct rte_tel_data *proved, *unproved;
	unsigned first, last;

	(void)command;
	if (!workers_choose(parameter, &first, &last))
		return -EINVAL;
	proved = verdicts_count(first, last, offsetof(struct worker_stats, proved));
	unproved = verdicts_count(first, last, offsetof(struct worker_stats, unproved));
	if (proved == NULL || unproved == NULL) {
		rte_tel_data_free(proved);
		rte_tel_data_free(unproved);
		return -ENOMEM;
	}
	rte_tel_data_start_dict(data);
	rte_tel_data_add_dict_container(data, "proved", proved, 0);
	rte_tel_data_add_dict_container(data, "unproved", unproved, 0);
	return 0;
}

int
telemetry_register(struct stats_header *stats, struct failure *failure)
{
	int status;

	pages = stats;
	status = rte_telemetry_register_cmd("/credgate/stats", stats_handle,
		"Counters of all workers, or of one. Parameters: int worker (optional)");
	if (status == 0)
		status = rte_telemetry_register_cmd("/credgate/verdicts", verdicts_handle,
			"Verdicts of all workers, or of one. Parameters: int worker (optional)");
	if (status < 0)
		return failure_set(failure, -status, "cannot register telemetry commands");
	return 0;
}
