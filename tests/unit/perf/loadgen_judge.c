/* SPDX-License-Identifier: BSD-3-Clause */

#include "loadgen_judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "perf/loadgen/clock.h"

static _Noreturn void
die(const char *what)
{
	perror(what);
	exit(1);
}

static void
master_write(struct judge *judge)
{
	int fd;

	snprintf(judge->master, sizeof(judge->master), "/tmp/loadgen-test.XXXXXX");
	fd = mkstemp(judge->master); /* mode 0600 */
	if (fd < 0 || write(fd, judge->fixture.master, KDF_KEY_SIZE) != KDF_KEY_SIZE)
		die(judge->master);
	close(fd);
}

void
judge_init(struct judge *judge, const uint8_t *suites, unsigned suite_count)
{
	struct fixture_params params = fixture_params_default();
	uint32_t i;

	params.nodes_max = JUDGE_NODES;
	params.window_bits = 8192;
	fixture_init(&judge->fixture, &params);
	for (i = 0; i < JUDGE_NODES; i++)
		fixture_node_add(&judge->fixture, FIXTURE_REALM, i + 1, 1, suites[i % suite_count]);
	master_write(judge);
}

void
judge_fini(struct judge *judge)
{
	unlink(judge->master);
	fixture_fini(&judge->fixture);
}

void
judge_frames(
	struct judge *judge, const uint8_t *const *frames, const uint16_t *sizes, unsigned count)
{
	struct fixture *f = &judge->fixture;
	struct burst_frame burst[64];
	unsigned i;

	f->now_us = clock_real_us();
	f->mono_us += 1000;
	for (i = 0; i < count; i++)
		burst[i] = (struct burst_frame){
			.data = frames[i],
			.size = sizes[i],
			.checksum = BURST_CHECKSUM_UNKNOWN,
		};
	worker_burst_at(f->workers[0], burst, count, f->now_us, f->mono_us, &f->result);
}

uint64_t
judge_count(const struct judge *judge, enum verdict verdict)
{
	return fixture_proved(&judge->fixture, verdict) +
	       fixture_unproved(&judge->fixture, verdict);
}
