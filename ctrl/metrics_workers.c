/* SPDX-License-Identifier: BSD-3-Clause */
/* What each worker counted. Their pages outlive a dataplane, so its death does not reset anything. */
#include "ctrl/metrics_priv.h"

#include <stdio.h>

#include "verdict/ring.h"
#include "verdict/verdict.h"

/* Labels of workers. */
static const char *const numbers[] = {
	"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"};
static_assert(sizeof(numbers) / sizeof(numbers[0]) == TABLE_WORKERS_MAX, "dataplane/table.h");

/* A counter of struct worker_stats, and what its second label says, if it has one. */
struct part {
	size_t offset;
	const char *value;
};

struct counter {
	struct metrics_family family;
	const char *label; /* NULL: one part, without */
	struct part parts[3];
	unsigned part_count;
};

#define AT(member) offsetof(struct worker_stats, member)

static const struct counter counters[] = {
	{{"credgate_received_frames", METRICS_COUNTER, NULL, "frames taken from the ports"}, NULL,
		{{AT(rx_frames), NULL}}, 1},
	{{"credgate_received_bytes", METRICS_COUNTER, "bytes", "bytes of these frames"}, NULL,
		{{AT(rx_bytes), NULL}}, 1},
	{{"credgate_frames_passed_over", METRICS_COUNTER, NULL,
		 "frames that hold no credential for this gateway: to other addresses or ports, "
		 "damaged, or ARP, NDP and ICMP"},
		"reason",
		{{AT(rx_not_ours), "not-ours"}, {AT(rx_bad_packet), "bad-packet"},
			{AT(rx_neighbour), "neighbour"}},
		3},
	{{"credgate_neighbour_answers", METRICS_COUNTER, NULL,
		 "answers to ARP, NDP and ICMP; dropped: over answers_per_s"},
		"result", {{AT(neighbour_answered), "sent"}, {AT(neighbour_dropped), "dropped"}},
		2},
	{{"credgate_replies", METRICS_COUNTER, NULL,
		 "authenticated replies; dropped: over replies_per_s or no room to send"},
		"result", {{AT(replies_sent), "sent"}, {AT(replies_dropped), "dropped"}}, 2},
	{{"credgate_handed_over", METRICS_COUNTER, NULL,
		 "proved credentials that went to, or came from, the worker that owns their node"},
		"direction", {{AT(handed_off), "out"}, {AT(handed_in), "in"}}, 2},
	{{"credgate_delivered_records", METRICS_COUNTER, NULL,
		 "records put into rings of groups; a credential may go to several"},
		NULL, {{AT(delivered), NULL}}, 1},
	{{"credgate_refusals_budgeted", METRICS_COUNTER, NULL,
		 "refusals not shown to observers because their source had too many failures"},
		NULL, {{AT(refusals_budgeted), NULL}}, 1},
	{{"credgate_serial_collisions", METRICS_COUNTER, NULL,
		 "proved credentials with the serial of another one: two issuers hold one key"},
		NULL, {{AT(serial_collisions), NULL}}, 1},
	{{"credgate_clone_proofs", METRICS_COUNTER, NULL,
		 "proved credentials of a second live incarnation of a node: a cloned image"},
		NULL, {{AT(clones), NULL}}, 1},
	{{"credgate_beacons", METRICS_COUNTER, NULL, "membership beacons accepted"}, NULL,
		{{AT(beacons), NULL}}, 1},
	{{"credgate_bursts", METRICS_COUNTER, NULL, "polls that found work"}, NULL,
		{{AT(bursts), NULL}}, 1},
	{{"credgate_idle_polls", METRICS_COUNTER, NULL, "polls that found none"}, NULL,
		{{AT(idle_polls), NULL}}, 1},
	{{"credgate_sleeps", METRICS_COUNTER, NULL, "times a worker slept for want of work"}, NULL,
		{{AT(sleeps), NULL}}, 1},
};

static uint64_t
part_load(const struct worker_stats *stats, const struct part *part)
{
	return metrics_load((const _Atomic uint64_t *)((const char *)stats + part->offset));
}

static void
counter_write(struct metrics_text *text, const struct counter *counter, unsigned worker,
	const struct worker_stats *stats)
{
	for (unsigned i = 0; i < counter->part_count; i++) {
		const struct part *part = &counter->parts[i];

		/* Without a label the list ends there. */
		metrics_count(text, part_load(stats, part), "worker", numbers[worker],
			counter->label, part->value, NULL);
	}
}

static void
counters_write(struct metrics_text *text, struct stats_header *stats, unsigned workers)
{
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
		metrics_family(text, &counters[i].family);
		for (unsigned worker = 0; worker < workers; worker++)
			counter_write(text, &counters[i], worker, stats_worker(stats, worker));
	}
}

static void
verdicts_write(struct metrics_text *text, struct stats_header *stats, unsigned workers)
{
	static const struct metrics_family credentials = {"credgate_credentials", METRICS_COUNTER,
		NULL,
		"verdicts on what was sent to the gateway; proved: the tag was found right, so a "
		"node really said it"};

	metrics_family(text, &credentials);
	for (unsigned worker = 0; worker < workers; worker++) {
		const struct worker_stats *own = stats_worker(stats, worker);

		for (unsigned i = 1; i < VERDICT_COUNT; i++) {
			metrics_count(text, metrics_load(&own->proved[i]), "worker",
				numbers[worker], "verdict", verdict_text(i), "proved", "yes", NULL);
			metrics_count(text, metrics_load(&own->unproved[i]), "worker",
				numbers[worker], "verdict", verdict_text(i), "proved", "no", NULL);
		}
	}
}

static void
busy_write(struct metrics_text *text, struct stats_header *stats, unsigned workers)
{
	static const struct metrics_family busy = {"credgate_busy_seconds", METRICS_COUNTER,
		"seconds", "time in polls that found work"};
	static const struct metrics_family polling = {"credgate_worker_polling", METRICS_GAUGE,
		NULL, "1 if the worker polls, 0 if it sleeps or does not run"};
	double hz = (double)metrics_load(&stats->cycles_hz);

	metrics_family(text, &busy);
	for (unsigned worker = 0; worker < workers; worker++) {
		double cycles = (double)metrics_load(&stats_worker(stats, worker)->busy_cycles);

		metrics_real(text, hz > 0 ? cycles / hz : 0, "worker", numbers[worker], NULL);
	}
	metrics_family(text, &polling);
	for (unsigned worker = 0; worker < workers; worker++)
		metrics_count(text, metrics_load(&stats_worker(stats, worker)->seen) != 0, "worker",
			numbers[worker], NULL);
}

static void
refusals_write(struct metrics_text *text, const struct shared *shared, unsigned workers)
{
	static const struct metrics_family dropped = {"credgate_refusals_dropped", METRICS_COUNTER,
		NULL,
		"refusals not shown to observers because there were more than refusals_per_s"};

	metrics_family(text, &dropped);
	for (unsigned worker = 0; worker < workers; worker++) {
		const struct verdict_ring *ring = shared->refusal[worker].mapping;

		metrics_count(text, metrics_load(&ring->dropped), "worker", numbers[worker], NULL);
	}
}

void
metrics_workers_write(struct metrics_text *text, const struct ctrl *ctrl)
{
	struct stats_header *stats = shared_stats(&ctrl->shared);
	unsigned workers = ctrl->config->dataplane.workers;

	verdicts_write(text, stats, workers);
	counters_write(text, stats, workers);
	busy_write(text, stats, workers);
	refusals_write(text, &ctrl->shared, workers);
}
