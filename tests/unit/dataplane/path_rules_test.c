/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Compiled rules, rate limits and meters on the packet path: what control compiles is here written
 * by hand (dataplane/table_rules.h); programs are compared with a slow, obvious reading of them.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/budget.h"
#include "dataplane/rate.h"
#include "dataplane/rules.h"
#include "path_fixture.h"
#include "wire/beacon.h"

#define CLASS    1u
#define PROGRAM  TABLE_OUTCOMES /* the first with lanes */
#define COLUMNS  6u             /* three kinds, one audience */
#define RATE_NS  100000000u     /* ten a second ... */
#define DEPTH_NS 300000000u     /* ... and a burst of three */

static struct fixture fixture;

static int
setup_with(unsigned workers)
{
	struct fixture_params params = fixture_params_default();

	params.worker_count = workers;
	fixture_init(&fixture, &params);
	for (uint32_t node = 1; node <= 8; node++)
		fixture_node_add(&fixture, FIXTURE_REALM, node, 1, CRED_SUITE_DEFAULT)->policy =
			CLASS;
	fixture.rules->has_rules = 1;
	fixture.rules->classes[CLASS].cells = COLUMNS;
	return 0;
}

static int
setup(void **state)
{
	(void)state;
	return setup_with(1);
}

static int
setup_two(void **state)
{
	(void)state;
	return setup_with(2);
}

static int
teardown(void **state)
{
	(void)state;
	fixture_fini(&fixture);
	return 0;
}

/* Every column of the class has this program. */
static void
class_program(uint16_t program)
{
	for (unsigned i = 0; i < COLUMNS; i++)
		fixture.rules->cells[COLUMNS + i] = program;
}

static struct table_lane_group *
program_make(enum table_outcome otherwise)
{
	fixture.rules->programs[PROGRAM] =
		(struct table_program){.group_count = 1, .otherwise = (uint8_t)otherwise};
	class_program(PROGRAM);
	memset(&fixture.rules->groups[0], 0, sizeof(fixture.rules->groups[0]));
	return &fixture.rules->groups[0];
}

static void
lane_set(struct table_lane_group *group, unsigned lane, uint32_t uid, uint32_t uid_span,
	uint32_t gid, uint32_t gid_span, bool allows)
{
	group->uid_min[lane] = uid;
	group->uid_span[lane] = uid_span;
	group->gid_min[lane] = gid;
	group->gid_span[lane] = gid_span;
	group->used |= (uint16_t)(1u << lane);
	group->allows |= (uint16_t)((uint32_t)allows << lane);
}

static struct cred_fields
fields_of(uint32_t node, uint64_t serial)
{
	struct cred_fields fields = fixture_fields(&fixture, serial);

	fields.node = node;
	return fields;
}

static enum verdict
judge_uid(uint64_t serial, uint32_t uid)
{
	struct cred_fields fields = fields_of(1, serial);

	fields.uid = uid;
	return fixture_judge(&fixture, &fields);
}

static struct meter_node *
meter(uint32_t node)
{
	return fixture_meter(&fixture, FIXTURE_REALM, node);
}

static struct realm_stats *
stats(void)
{
	return &stats_worker(fixture.stats, 0)->realms[0];
}

/* ---- rules ---- */

static void
outcomes_without_a_look(void **state)
{
	struct cred_fields fields = fields_of(1, 1);

	(void)state;
	class_program(TABLE_OUTCOME_DENY);
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_FORBIDDEN);
	assert_true(fixture.is_proved);
	class_program(TABLE_OUTCOME_ALLOW);
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_ACCEPTED);
	assert_int_equal(stats()->proved[VERDICT_FORBIDDEN], 1);
	assert_int_equal(stats()->proved[VERDICT_ACCEPTED], 1);
	assert_int_equal(meter(1)->refused_verdict, VERDICT_FORBIDDEN);
}

/* The kind's and the audience's own cell, however the claim was parsed. */
static void
columns_are_kind_and_audience(void **state)
{
	struct cred_fields fields = fields_of(1, 1);
	uint64_t serial = 1;

	(void)state;
	fixture_realm(&fixture, FIXTURE_REALM)->audience_any = 1;
	for (unsigned column = 0; column < 4; column++) {
		class_program(TABLE_OUTCOME_ALLOW);
		fixture.rules->cells[COLUMNS + column] = TABLE_OUTCOME_DENY;
		for (unsigned i = 0; i < 8; i++) {
			const unsigned own = i % 4; /* again, when its sort is known */

			fields.kind = own < 2 ? CRED_KIND_ASSERT : CRED_KIND_BEACON;
			fields.audience = own % 2 == 0 ? 0 : FIXTURE_AUDIENCE;
			fields.serial = serial++;
			assert_int_equal(fixture_judge(&fixture, &fields),
				own == column ? VERDICT_FORBIDDEN : VERDICT_ACCEPTED);
		}
	}
}

static void
first_matching_lane_decides(void **state)
{
	struct table_lane_group *group = program_make(TABLE_OUTCOME_DENY);

	(void)state;
	lane_set(group, 2, 1000, 9, 0, UINT32_MAX, true);
	lane_set(group, 5, 0, UINT32_MAX, 0, UINT32_MAX, false);
	lane_set(group, 6, 2000, 0, 0, UINT32_MAX, true); /* never asked */
	assert_int_equal(judge_uid(1, 999), VERDICT_FORBIDDEN);
	assert_int_equal(judge_uid(1, 1000), VERDICT_ACCEPTED);
	assert_int_equal(judge_uid(2, 1009), VERDICT_ACCEPTED);
	assert_int_equal(judge_uid(3, 1010), VERDICT_FORBIDDEN);
	assert_int_equal(judge_uid(3, 2000), VERDICT_FORBIDDEN);
	assert_int_equal(judge_uid(3, UINT32_MAX), VERDICT_FORBIDDEN);
}

static void
bound_lanes_ask_for_the_origin(void **state)
{
	struct table_lane_group *group = program_make(TABLE_OUTCOME_DENY);
	struct table_rule_prefix *prefix = &fixture.rules->prefixes[3];

	(void)state;
	lane_set(group, 0, 0, UINT32_MAX, 0, UINT32_MAX, true);
	group->bound = 1;
	fixture.rules->programs[PROGRAM].prefix = 3;
	fixture.rules->programs[PROGRAM].prefix_count = 1;
	prefix->bits = 128;
	assert_int_equal(judge_uid(1, 1), VERDICT_FORBIDDEN);
	memcpy(prefix->prefix, fixture_ipv4, sizeof(prefix->prefix));
	assert_int_equal(judge_uid(1, 1), VERDICT_ACCEPTED);
	prefix->prefix[15] ^= 1;
	assert_int_equal(judge_uid(2, 1), VERDICT_FORBIDDEN);
	prefix->bits = 127;
	assert_int_equal(judge_uid(2, 1), VERDICT_ACCEPTED);
}

/* What is worse is said first, and what is forbidden marks nothing. */
static void
forbidden_comes_after_replayed(void **state)
{
	(void)state;
	class_program(TABLE_OUTCOME_ALLOW);
	assert_int_equal(judge_uid(5, 1), VERDICT_ACCEPTED);
	class_program(TABLE_OUTCOME_DENY);
	assert_int_equal(judge_uid(5, 1), VERDICT_REPLAYED);
	assert_int_equal(judge_uid(6, 1), VERDICT_FORBIDDEN);
	class_program(TABLE_OUTCOME_ALLOW);
	assert_int_equal(judge_uid(6, 1), VERDICT_ACCEPTED);
}

/* A mode spares what enforce would refuse; it is counted, and accepted as anything else. */
static void
spared_is_accepted_and_counted(void **state)
{
	struct cred_fields fields = fields_of(1, 1);

	(void)state;
	fixture_realm(&fixture, FIXTURE_REALM)->mode = TABLE_MODE_OBSERVE;
	class_program(TABLE_OUTCOME_SPARE);
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_ACCEPTED);
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_REPLAYED);
	assert_int_equal(stats()->would_refuse[VERDICT_FORBIDDEN], 1);
	assert_int_equal(stats()->would_refuse[VERDICT_REPLAYED], 1);
	assert_int_equal(meter(1)->would_refuse, 1); /* a replay is not the node's doing */
	assert_int_equal(meter(1)->would_verdict, VERDICT_FORBIDDEN);
}

/* Modes advise whoever reads refusals; they rewrite no verdict. */
static void
modes_advise(void **state)
{
	static const uint8_t wanted[] = {[TABLE_MODE_OBSERVE] = VERDICT_RECORD_ADVISED,
		[TABLE_MODE_PERMISSIVE] = VERDICT_RECORD_ADVISED,
		[TABLE_MODE_ENFORCE] = 0};
	uint8_t payload[VERDICT_PAYLOAD_SIZE_MAX];
	struct verdict_record record;
	struct verdict_reader reader;

	(void)state;
	verdict_reader_init(&reader, fixture.refusal[0], fixture.ring_size, false);
	class_program(TABLE_OUTCOME_DENY);
	for (unsigned mode = 0; mode < 3; mode++) {
		fixture_realm(&fixture, FIXTURE_REALM)->mode = (uint8_t)mode;
		assert_int_equal(judge_uid(1, 1), VERDICT_FORBIDDEN);
		assert_int_equal(verdict_reader_next(&reader, &record, payload), 1);
		assert_int_equal(record.verdict, VERDICT_FORBIDDEN | wanted[mode]);
	}
	class_program(TABLE_OUTCOME_ALLOW);
	assert_int_equal(judge_uid(1, 1), VERDICT_ACCEPTED);
	fixture_realm(&fixture, FIXTURE_REALM)->mode = TABLE_MODE_PERMISSIVE;
	assert_int_equal(
		judge_uid(1, 1), VERDICT_REPLAYED); /* replays pass in no mode but observe */
	assert_int_equal(verdict_reader_next(&reader, &record, payload), 1);
	assert_int_equal(record.verdict, VERDICT_REPLAYED);
}

static enum table_outcome
program_obvious(const struct table_lane_group *groups, unsigned group_count, const uint16_t *hits,
	uint32_t uid, uint32_t gid, enum table_outcome otherwise)
{
	for (unsigned i = 0; i < group_count * TABLE_LANES; i++) {
		const struct table_lane_group *group = &groups[i / TABLE_LANES];
		const unsigned lane = i % TABLE_LANES;

		if (!(group->used >> lane & 1) ||
			((group->bound >> lane & 1) && !(hits[i / TABLE_LANES] >> lane & 1)))
			continue;
		if (uid < group->uid_min[lane] ||
			uid - group->uid_min[lane] > group->uid_span[lane])
			continue;
		if (gid < group->gid_min[lane] ||
			gid - group->gid_min[lane] > group->gid_span[lane])
			continue;
		return group->allows >> lane & 1 ? TABLE_OUTCOME_ALLOW : TABLE_OUTCOME_DENY;
	}
	return otherwise;
}

static uint32_t
draw(uint32_t below)
{
	return (uint32_t)random() % below;
}

/* Both ways of running a program against reading it. */
static void
programs_against_a_model(void **state)
{
	static struct table_lane_group groups[4];
	uint16_t hits[TABLE_PROGRAM_GROUPS_MAX] = {0};
	unsigned outcomes[TABLE_OUTCOMES] = {0};

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		const unsigned count = draw(5);
		const enum table_outcome otherwise = draw(TABLE_OUTCOMES);
		const uint32_t uid = draw(4) == 0 ? UINT32_MAX - draw(2) : draw(12);
		const uint32_t gid = draw(6);
		enum table_outcome want;

		for (unsigned g = 0; g < 4; g++) {
			for (unsigned lane = 0; lane < TABLE_LANES; lane++) {
				groups[g].uid_min[lane] = draw(12);
				groups[g].uid_span[lane] = draw(9) == 0 ? UINT32_MAX - 12 : draw(2);
				groups[g].gid_min[lane] = draw(6);
				groups[g].gid_span[lane] = draw(2);
			}
			groups[g].used = (uint16_t)(draw(65536) & draw(65536));
			groups[g].allows = (uint16_t)draw(65536);
			groups[g].bound = (uint16_t)draw(65536);
			hits[g] = (uint16_t)draw(65536);
		}
		want = program_obvious(groups, count, hits, uid, gid, otherwise);
		outcomes[want]++;
		assert_int_equal(
			rules_run_portable(groups, count, hits, uid, gid, otherwise), want);
		if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi"))
			assert_int_equal(
				rules_run_avx512(groups, count, hits, uid, gid, otherwise), want);
	}
	assert_true(outcomes[0] > 1000 && outcomes[1] > 1000 && outcomes[2] > 1000);
}

static int
id_order(const void *a, const void *b)
{
	const uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;

	return (one > other) - (one < other);
}

/* Borders in order, padded: how many lie below the id, odd or even? */
static void
spans_against_a_model(void **state)
{
	static struct table_lane_group groups[2];

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		const unsigned vectors = 1 + draw(6), count = draw(vectors * TABLE_LANES + 1);
		const uint32_t id = draw(4) == 0 ? UINT32_MAX - draw(2) : draw(40);
		uint32_t all[6 * TABLE_LANES];
		uint64_t want = 0;

		for (unsigned i = 0; i < vectors * TABLE_LANES; i++)
			all[i] = i < count ? draw(40) : UINT32_MAX;
		qsort(all, count, sizeof(all[0]), id_order);
		for (unsigned i = 0; i < vectors * TABLE_LANES; i++) {
			table_span_borders(groups, i / TABLE_LANES)[i % TABLE_LANES] = all[i];
			want ^= id > all[i];
		}
		assert_int_equal(rules_side_portable(groups, vectors, id), want);
		if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi"))
			assert_int_equal(rules_side_avx512(groups, vectors, id), want);
	}
}

static void
spans_decide(void **state)
{
	uint32_t *borders = table_span_borders(program_make(TABLE_OUTCOME_DENY), 0);
	struct table_program *program = &fixture.rules->programs[PROGRAM];

	(void)state;
	for (unsigned i = 0; i < TABLE_SPAN_VECTORS * TABLE_LANES; i++)
		borders[i] = UINT32_MAX;
	borders[0] = 999; /* 1000 ... 1009 is the odd side */
	borders[1] = 1009;
	program->form = TABLE_PROGRAM_UID_SPANS;
	program->vector_count = 1;
	program->otherwise = TABLE_OUTCOME_DENY;
	program->odd = TABLE_OUTCOME_ALLOW;
	assert_int_equal(judge_uid(1, 999), VERDICT_FORBIDDEN);
	assert_int_equal(judge_uid(1, 1000), VERDICT_ACCEPTED);
	assert_int_equal(judge_uid(2, 1009), VERDICT_ACCEPTED);
	assert_int_equal(judge_uid(3, 1010), VERDICT_FORBIDDEN);
	assert_int_equal(judge_uid(3, UINT32_MAX), VERDICT_FORBIDDEN);
	program->form = TABLE_PROGRAM_GID_SPANS; /* its gid is 100 */
	assert_int_equal(judge_uid(3, 1000), VERDICT_FORBIDDEN);
	borders[0] = 99;
	assert_int_equal(judge_uid(3, 5), VERDICT_ACCEPTED);
}

/* Suspended while its credential was on the way from one worker to another. */
static void
denied_class_refuses_what_was_handed_over(void **state)
{
	struct fixture_frame frame, *frames = &frame;
	struct cred_fields fields;
	uint32_t node = 1;

	(void)state;
	class_program(TABLE_OUTCOME_ALLOW);
	while (table_shard_owner(fixture_slot(&fixture, FIXTURE_REALM, node, 1)->shard, 2) != 1)
		node++;
	fields = fields_of(node, 1);
	fixture_frame_init(&frame);
	fixture_frame_mint(&fixture, &frame, &fields);
	fixture_burst(&fixture, 0, &frames, 1);
	fixture.rules->classes[CLASS].flags = TABLE_CLASS_DENIES;
	fixture_burst(&fixture, 1, NULL, 0);
	assert_int_equal(fixture_proved(&fixture, VERDICT_FORBIDDEN), 1);
	fixture.rules->classes[CLASS].flags = 0;
	fixture_burst(&fixture, 0, &frames, 1);
	fixture_burst(&fixture, 1, NULL, 0);
	assert_int_equal(fixture_proved(&fixture, VERDICT_ACCEPTED), 1);
}

/* ---- limits ---- */

static void
class_limit(uint64_t interval_ns, uint64_t depth_ns, uint16_t shared)
{
	class_program(TABLE_OUTCOME_ALLOW);
	fixture.rules->has_limits = 1;
	fixture.rules->classes[CLASS].node_interval_ns = interval_ns;
	fixture.rules->classes[CLASS].node_depth_ns = depth_ns;
	fixture.rules->classes[CLASS].limit = shared;
}

static void
node_limit_gives_burst_then_rate(void **state)
{
	(void)state;
	class_limit(RATE_NS, DEPTH_NS, 0);
	for (uint64_t serial = 1; serial <= 3; serial++)
		assert_int_equal(judge_uid(serial, 1), VERDICT_ACCEPTED);
	assert_int_equal(judge_uid(4, 1), VERDICT_OVER_RATE);
	fixture.mono_us += RATE_NS / 1000 - 1;
	assert_int_equal(judge_uid(4, 1), VERDICT_OVER_RATE);
	fixture.mono_us += 1;
	assert_int_equal(
		judge_uid(4, 1), VERDICT_ACCEPTED); /* the same bytes: nothing was marked */
	assert_int_equal(judge_uid(5, 1), VERDICT_OVER_RATE);
	fixture.mono_us += 3600 * UINT64_C(1000000);
	for (uint64_t serial = 5; serial <= 7; serial++)
		assert_int_equal(judge_uid(serial, 1), VERDICT_ACCEPTED);
	assert_int_equal(judge_uid(8, 1), VERDICT_OVER_RATE);
}

/* Forged, replayed and forbidden ones are free: nobody can spend another's tokens. */
static void
only_acceptance_spends(void **state)
{
	struct fixture_frame frame;
	struct cred_fields fields = fields_of(1, 2);

	(void)state;
	class_limit(RATE_NS, DEPTH_NS, 0);
	assert_int_equal(judge_uid(1, 1), VERDICT_ACCEPTED);
	fixture_frame_init(&frame);
	fixture_frame_mint(&fixture, &frame, &fields);
	fixture_frame_cred(&frame)[CRED_AT_SALT] ^= 1;
	fixture_frame_checksum(&frame);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(fixture_verdict(&fixture, &frame), VERDICT_BAD_TAG);
		assert_int_equal(judge_uid(1, 1), VERDICT_REPLAYED);
	}
	class_program(TABLE_OUTCOME_DENY);
	assert_int_equal(judge_uid(2, 1), VERDICT_FORBIDDEN);
	class_program(TABLE_OUTCOME_ALLOW);
	assert_int_equal(judge_uid(2, 1), VERDICT_ACCEPTED);
	assert_int_equal(judge_uid(3, 1), VERDICT_ACCEPTED);
	assert_int_equal(judge_uid(4, 1), VERDICT_OVER_RATE);
}

static void
shared_limit_counts_all_its_nodes(void **state)
{
	struct meter_share *share = &fixture.meters->shares[7][0];
	struct cred_fields fields;
	unsigned accepted = 0;

	(void)state;
	class_limit(0, 0, 7);
	atomic_store(&share->depth_ns, DEPTH_NS);
	atomic_store(&share->interval_ns, RATE_NS);
	for (uint32_t node = 1; node <= 8; node++) {
		fields = fields_of(node, 1);
		accepted += fixture_judge(&fixture, &fields) == VERDICT_ACCEPTED;
	}
	assert_int_equal(accepted, 3);
	assert_int_equal(stats_worker(fixture.stats, 0)->limit_taken[7], 3);
	assert_int_equal(stats_worker(fixture.stats, 0)->limit_refused[7], 5);
	atomic_store(&share->interval_ns, RATE_NONE);
	fixture.mono_us += 10000000;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_OVER_RATE);
	atomic_store(&share->interval_ns, 0);
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_ACCEPTED);
}

/* A share without a token leaves the node its own. */
static void
tokens_are_taken_together_or_not(void **state)
{
	(void)state;
	class_limit(RATE_NS, RATE_NS, 7);
	atomic_store(&fixture.meters->shares[7][0].interval_ns, RATE_NONE);
	assert_int_equal(judge_uid(1, 1), VERDICT_OVER_RATE);
	atomic_store(&fixture.meters->shares[7][0].interval_ns, 0);
	assert_int_equal(judge_uid(1, 1), VERDICT_ACCEPTED);
	assert_int_equal(judge_uid(2, 1), VERDICT_OVER_RATE);
}

/* Of the only reply, to node 1: proved and unsealed as the node does. */
static uint32_t
reply_retry_ms(void)
{
	const struct key_slot *slot = fixture_reply_slot(&fixture, FIXTURE_REALM, 1, 1);
	const uint16_t span_size = CRED_SIZE_MIN - CRED_TAG_SIZE;
	const uint8_t *sealed = fixture.result.replies[0].data + 14 + 20 + 8;
	uint8_t msg[CRED_SIZE_MIN];
	struct reply_fields fields;
	struct tag_identity id;

	assert_int_equal(tag_batch_verify(fixture.issuer, &slot, &sealed, &span_size, &id, 1), 1);
	memcpy(msg, sealed, sizeof(msg));
	memcpy(msg + CRED_SEALED_FIRST, id.bytes, sizeof(id.bytes));
	reply_inside_parse(msg, sizeof(msg), &fields);
	assert_int_equal(fields.verdict, VERDICT_OVER_RATE);
	return fields.retry_ms;
}

static void
over_rate_is_told_when_to_come_back(void **state)
{
	struct cred_fields fields = fields_of(1, 1);

	(void)state;
	class_limit(RATE_NS, RATE_NS, 0);
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_ACCEPTED);
	fields.serial = 2;
	fields.flags = CRED_FLAG_REPLY;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_OVER_RATE);
	assert_int_equal(fixture.result.reply_count, 1);
	fixture.mono_us += reply_retry_ms() * 1000;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_ACCEPTED);
}

/* ---- rate.h ---- */

static void
buckets_against_a_model(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		const uint64_t interval = 1 + draw(1000), depth = interval * (1 + draw(5));
		uint64_t word = 0, now = 1u << 30;
		/* Tokens owed, in ns: the bucket as a leaking one. */
		uint64_t owed = 0;

		for (unsigned i = 0; i < 200; i++) {
			const uint64_t passed = draw(2 * (uint32_t)interval);
			bool want;

			now += passed;
			owed = owed > passed ? owed - passed : 0;
			want = owed + interval <= depth;
			owed += want ? interval : 0;
			assert_int_equal(rate_take(&word, now, interval, depth), want);
		}
	}
}

/* ---- meters ---- */

static uint64_t
used(uint32_t node, uint16_t epoch)
{
	const uint64_t word = meter(node)->uses[epoch % TABLE_EPOCHS_MAX].accepted;
	const struct replay_node *line = fixture_line(&fixture, FIXTURE_REALM, node);

	return (METER_USE_EPOCH(word) == epoch ? METER_USE_COUNT(word) : 0) +
	       (line->epoch == epoch ? line->uses : 0);
}

static void
uses_are_counted_by_epoch(void **state)
{
	static const uint16_t epochs[] = {1, 1, 1, 4, 4, 1, 9, 9, 9, 4};
	struct cred_fields fields = fields_of(1, 0);

	(void)state;
	fixture.rules->has_rules = 0;
	fixture_node_add(&fixture, FIXTURE_REALM, 1, 4, CRED_SUITE_DEFAULT);
	fixture_node_add(&fixture, FIXTURE_REALM, 1, 9, CRED_SUITE_CMAC128);
	for (unsigned i = 0; i < sizeof(epochs) / sizeof(epochs[0]); i++) {
		fields.epoch = epochs[i];
		fields.suite = epochs[i] == 9 ? CRED_SUITE_CMAC128 : CRED_SUITE_DEFAULT;
		fields.serial++;
		assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_ACCEPTED);
		assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_REPLAYED);
	}
	assert_int_equal(used(1, 4), 3);
	/* 9 takes the place of 1, which is 8 behind it and over by then. */
	assert_int_equal(used(1, 9), 3);
	assert_int_equal(meter(1)->uses[4].last_s, FIXTURE_NOW_US / 1000000);
}

static void
full_line_is_booked(void **state)
{
	struct replay_node *line = fixture_line(&fixture, FIXTURE_REALM, 1);

	(void)state;
	fixture.rules->has_rules = 0;
	assert_int_equal(judge_uid(1, 1), VERDICT_ACCEPTED);
	line->uses = UINT32_C(1) << 31;
	assert_int_equal(judge_uid(2, 1), VERDICT_ACCEPTED);
	assert_int_equal(line->uses, 1);
	assert_int_equal(used(1, 1), (UINT64_C(1) << 31) + 1);
}

static enum verdict
judge_incarnation(uint32_t incarnation, uint32_t counter, uint64_t issued_us)
{
	struct cred_fields fields = fields_of(1, (uint64_t)incarnation << 32 | counter);

	fields.issued_us = issued_us;
	return fixture_judge(&fixture, &fields);
}

/* Late is what was issued before the newer incarnation began; what was issued after is a clone's. */
static void
clones_are_told_from_stragglers(void **state)
{
	const uint32_t old = FIXTURE_NOW_US / 1000000 - 100, new = old + 50;
	const uint64_t before_us = fixture.now_us;

	(void)state;
	fixture.rules->has_rules = 0;
	assert_int_equal(judge_incarnation(old, 1, fixture.now_us), VERDICT_ACCEPTED);
	fixture.now_us += 1000000;
	assert_int_equal(judge_incarnation(new, 1, fixture.now_us), VERDICT_ACCEPTED);
	assert_int_equal(meter(1)->incarnation, new);
	assert_int_equal(meter(1)->incarnation_since_us, fixture.now_us);
	fixture.now_us += 10000000;
	assert_int_equal(judge_incarnation(old, 2, before_us), VERDICT_STALE);
	assert_int_equal(meter(1)->clone_count, 0);
	assert_int_equal(judge_incarnation(old, 3, fixture.now_us), VERDICT_STALE);
	assert_int_equal(judge_incarnation(old, 3, fixture.now_us), VERDICT_STALE);
	assert_int_equal(meter(1)->clone_count, 1); /* copies of one prove no more than one */
	assert_int_equal(judge_incarnation(old, 4, fixture.now_us), VERDICT_STALE);
	assert_int_equal(meter(1)->clone_count, 2);
	assert_int_equal(meter(1)->clone_incarnation, old);
	assert_memory_equal((const void *)(uintptr_t)meter(1)->clone_source, fixture_ipv4, 16);
	assert_int_equal(stats_worker(fixture.stats, 0)->clones, 2);
}

/* Without clocks whoever has captured old credentials could make a clone appear. */
static void
serial_realms_prove_no_clones(void **state)
{
	(void)state;
	fixture.rules->has_rules = 0;
	fixture_realm(&fixture, FIXTURE_REALM)->freshness = TABLE_FRESHNESS_SERIAL;
	assert_int_equal(judge_incarnation(20, 1, fixture.now_us), VERDICT_ACCEPTED);
	fixture.now_us += 10000000;
	assert_int_equal(judge_incarnation(10, 1, fixture.now_us), VERDICT_STALE);
	assert_int_equal(meter(1)->clone_count, 0);
}

static size_t
beacon_send(uint64_t serial, const uint8_t origin[16], uint8_t beacon_state, unsigned worker)
{
	const struct wire_beacon beacon = {.state = beacon_state, .interval_s = 10};
	struct fixture_frame frame, *frames = &frame;
	struct cred_fields fields = fields_of(1, serial);
	uint8_t payload[WIRE_BEACON_SIZE];

	fields.kind = CRED_KIND_BEACON;
	fields.payload = payload;
	fields.payload_size = (uint16_t)wire_beacon_build(payload, &beacon);
	memcpy(fields.origin, origin, 16);
	fixture_frame_init(&frame);
	memcpy(frame.source, origin, 16);
	fixture_frame_mint(&fixture, &frame, &fields);
	fixture_burst(&fixture, worker, &frames, 1);
	return frame.size;
}

static void
beacons_are_noted(void **state)
{
	const unsigned owner =
		table_shard_owner(fixture_slot(&fixture, FIXTURE_REALM, 1, 1)->shard, 2);

	(void)state;
	fixture.rules->has_rules = 0;
	for (unsigned hop = 0; hop < 2; hop++) { /* at its owner, and handed over to it */
		const unsigned arrival = hop == 0 ? owner : !owner;

		fixture.now_us += 5000000;
		beacon_send(10 * hop + 1, fixture_ipv4, WIRE_BEACON_UP, arrival);
		beacon_send(10 * hop + 2, fixture_ipv6, WIRE_BEACON_UP, arrival);
		fixture_burst(&fixture, owner, NULL, 0);
		assert_int_equal(meter(1)->beacon_us, fixture.now_us);
		assert_int_equal(meter(1)->beacon_state, METER_UP);
		assert_int_equal(meter(1)->beacon_interval_s, 10);
		assert_int_equal(meter(1)->beacon_families, METER_HAS_V4 | METER_HAS_V6);
		assert_memory_equal(
			(const void *)(uintptr_t)&meter(1)->beacon_v4, fixture_ipv4 + 12, 4);
		assert_memory_equal((const void *)(uintptr_t)meter(1)->beacon_v6, fixture_ipv6, 16);
		assert_int_equal(fixture.result.reply_count, 0);
	}
	beacon_send(30, fixture_ipv4, WIRE_BEACON_LEAVING, owner);
	assert_int_equal(meter(1)->beacon_state, METER_LEAVING);
	fixture.now_us += 5000000;
	beacon_send(30, fixture_ipv4, WIRE_BEACON_UP, owner); /* its serial came before */
	assert_int_equal(meter(1)->beacon_state, METER_LEAVING);
	assert_int_equal(fixture_proved(&fixture, VERDICT_ACCEPTED), 5);
}

/* ---- the failure budget ---- */

static void
budget_is_of_a_source(void **state)
{
	static const uint8_t key[32] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17,
		18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32};
	static struct budget budget;
	uint8_t one[16] = {0x20, 1, 0xd, 0xb8, [15] = 1}, other[16];
	unsigned given = 0;

	(void)state;
	budget_init(&budget, key, BUDGET_A_SECOND);
	for (unsigned i = 0; i < 1000; i++) {
		one[15] = (uint8_t)i; /* one /64 is one source */
		given += budget_take(&budget, one, 1000000);
	}
	assert_in_range(given, BUDGET_A_SECOND, 2 * BUDGET_A_SECOND);
	memcpy(other, one, sizeof(other));
	other[7] ^= 1;
	assert_true(budget_take(&budget, other, 1000000));
	assert_true(budget_take(&budget, fixture_ipv4, 1000000));
	assert_true(budget_take(&budget, one, 1000000 + 1000000));
}

/* However many sources it invents, a forger can hide refusals and silence nobody. */
static void
forger_silences_nobody(void **state)
{
	struct fixture_frame frame;
	struct cred_fields fields = fields_of(1, 1);

	(void)state;
	fixture.rules->has_rules = 0;
	fixture_frame_init(&frame);
	fixture_frame_mint(&fixture, &frame, &fields);
	fixture_frame_cred(&frame)[CRED_AT_SALT] ^= 1;
	fixture_frame_checksum(&frame);
	for (unsigned i = 0; i < 2000; i++)
		assert_int_equal(fixture_verdict(&fixture, &frame), VERDICT_BAD_TAG);
	fields.flags = CRED_FLAG_REPLY;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_ACCEPTED);
	assert_int_equal(fixture.result.reply_count, 1);
	fields.serial = 2;
	fields.issued_us -= 1000000000;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_EXPIRED);
	assert_int_equal(fixture.result.reply_count, 1); /* and its refusals are still answered */
}

int
main(void)
{
#define TEST(name)     cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_TWO(name) cmocka_unit_test_setup_teardown(name, setup_two, teardown)
	const struct CMUnitTest tests[] = {
		TEST(outcomes_without_a_look),
		TEST(columns_are_kind_and_audience),
		TEST(first_matching_lane_decides),
		TEST(bound_lanes_ask_for_the_origin),
		TEST(forbidden_comes_after_replayed),
		TEST(spared_is_accepted_and_counted),
		TEST(modes_advise),
		cmocka_unit_test(programs_against_a_model),
		cmocka_unit_test(spans_against_a_model),
		TEST(spans_decide),
		TEST_TWO(denied_class_refuses_what_was_handed_over),
		TEST(node_limit_gives_burst_then_rate),
		TEST(only_acceptance_spends),
		TEST(shared_limit_counts_all_its_nodes),
		TEST(tokens_are_taken_together_or_not),
		TEST(over_rate_is_told_when_to_come_back),
		cmocka_unit_test(buckets_against_a_model),
		TEST(uses_are_counted_by_epoch),
		TEST(full_line_is_booked),
		TEST(clones_are_told_from_stragglers),
		TEST(serial_realms_prove_no_clones),
		TEST_TWO(beacons_are_noted),
		cmocka_unit_test(budget_is_of_a_source),
		TEST(forger_silences_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
