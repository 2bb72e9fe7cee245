/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shared limits among workers: shares never make more than the rate whatever is asked for, nobody is
 * drowned, and a worker that is asked gets what it needs with the next look.
 */
#include "tests/unit/ctrl/ctrl_fixture.h"

#include <math.h>

#include "ctrl/rate_limits.h"
#include "dataplane/rate.h"

#define ROUNDS 20000

static double
sum(const double *values, unsigned count)
{
	double all = 0;

	for (unsigned i = 0; i < count; i++)
		all += values[i];
	return all;
}

static double
random_between(double min, double max)
{
	return min * exp((double)rand() / RAND_MAX * log(max / min));
}

/* Some ask for nothing, some for far too much. */
static void
random_demand(double rate, double *demand, unsigned workers)
{
	for (unsigned i = 0; i < workers; i++)
		demand[i] = rand() % 3 == 0 ? 0 : random_between(rate / 1000, rate * 1000);
}

static void
check_division(double rate, const double *demand, const double *shares, unsigned workers)
{
	const double floor = rate / LIMITS_FLOOR / workers, slack = rate * 1e-9;
	double wanted = 0;

	assert_true(sum(shares, workers) <= rate + slack);
	assert_true(sum(shares, workers) >= rate - slack);
	for (unsigned i = 0; i < workers; i++) {
		wanted += demand[i] > floor ? demand[i] : floor;
		assert_true(shares[i] >= floor - slack);
	}
	for (unsigned i = 0; i < workers; i++) {
		if (wanted <= rate)
			assert_true(shares[i] >= demand[i] - slack);
		/* Whoever gets less than it asks for gets no less than any other. */
		for (unsigned j = 0; j < workers && shares[i] < demand[i] - slack; j++)
			assert_true(shares[i] >= shares[j] - slack);
	}
}

static void
test_divide(void **state)
{
	double demand[TABLE_WORKERS_MAX], shares[TABLE_WORKERS_MAX];

	(void)state;
	srand(7);
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned workers = 1 + (unsigned)rand() % TABLE_WORKERS_MAX;
		double rate = random_between(1e-3, 1e9);

		random_demand(rate, demand, workers);
		limits_divide(rate, demand, workers, shares);
		check_division(rate, demand, shares, workers);
	}
}

static void
test_divide_by_hand(void **state)
{
	double shares[4];

	(void)state;
	limits_divide(1000, (const double[]){0, 0, 0, 0}, 4, shares);
	for (unsigned i = 0; i < 4; i++)
		assert_float_equal(shares[i], 250, 1e-6);
	/* A flood does not take what another asks for. */
	limits_divide(1000, (const double[]){1e6, 100}, 2, shares);
	assert_float_equal(shares[0], 900, 1e-6);
	assert_float_equal(shares[1], 100, 1e-6);
	limits_divide(1000, (const double[]){1e6, 0}, 2, shares);
	assert_float_equal(shares[1], 1000.0 / LIMITS_FLOOR / 2, 1e-6);
	limits_divide(1000, (const double[]){1e6, 1e9, 200}, 3, shares);
	assert_float_equal(shares[0], 400, 1e-6);
	assert_float_equal(shares[1], 400, 1e-6);
	limits_divide(1000, (const double[]){1e6}, 1, shares);
	assert_float_equal(shares[0], 1000, 1e-6);
}

/* As integers, which is how workers read them, the rates must not make more either. */
static void
test_share_of(void **state)
{
	double demand[TABLE_WORKERS_MAX], shares[TABLE_WORKERS_MAX];
	struct limits_share made;

	(void)state;
	srand(8);
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned workers = 1 + (unsigned)rand() % TABLE_WORKERS_MAX;
		double rate = random_between(1e-3, 1e8), burst = random_between(0.1, 1e9);
		double rates = 0, bursts = 0;

		random_demand(rate, demand, workers);
		limits_divide(rate, demand, workers, shares);
		for (unsigned i = 0; i < workers; i++) {
			made = limits_share_of(rate, burst, shares[i]);
			assert_true(made.interval_ns > 0 && made.interval_ns < UINT64_MAX);
			assert_true(made.depth_ns >= made.interval_ns);
			if (made.interval_ns < 86400000000000ull)
				rates += 1e9 / (double)made.interval_ns;
			bursts += (double)made.depth_ns / (double)made.interval_ns;
		}
		assert_true(rates <= rate * (1 + 1e-9));
		assert_true(bursts <= (burst + workers) * (1 + 1e-9));
	}
	made = limits_share_of(1000, 2000, 1000);
	assert_int_equal(made.interval_ns, 1000000);
	assert_int_equal(made.depth_ns, 2000000000);
}

/* ---- on shared memory ---- */

#define WORKERS 4

static struct event_base *base;
static struct meters_header *meters;
static struct stats_header *stats;
static struct limits *limits;

static int
setup(void **state)
{
	(void)state;
	base = event_base_new();
	meters = aligned_alloc(64, meters_size(0));
	stats = aligned_alloc(64, stats_size(WORKERS));
	memset(meters, 0, meters_size(0));
	memset(stats, 0, stats_size(WORKERS));
	limits = limits_create(base, meters, stats, WORKERS);
	return limits != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	limits_destroy(limits);
	event_base_free(base);
	free(meters);
	free(stats);
	return 0;
}

static struct limits_entry
entry(const char *name, double rate)
{
	struct limits_entry made = {.realm_index = 0, .rate = rate, .burst = rate};

	snprintf(made.name, sizeof(made.name), "%s", name);
	return made;
}

static void
ask(unsigned index, unsigned worker, uint64_t taken, uint64_t refused)
{
	atomic_fetch_add(&stats_worker(stats, worker)->limit_taken[index], taken);
	atomic_fetch_add(&stats_worker(stats, worker)->limit_refused[index], refused);
}

static double
rate_of(unsigned index, unsigned worker)
{
	return 1e9 / (double)atomic_load(&meters->shares[index][worker].interval_ns);
}

static double
rates_of(unsigned index)
{
	double rates = 0;

	for (unsigned i = 0; i < WORKERS; i++)
		rates += rate_of(index, i);
	return rates;
}

static void
test_set(void **state)
{
	const struct limits_entry entries[] = {{"", 0, 0, 0}, entry("batch", 1000)};
	struct limits_view view;

	(void)state;
	assert_int_equal(limits_count(limits), 0);
	limits_set(limits, entries, 2);
	assert_int_equal(limits_count(limits), 2);
	/* At once, and before anybody asks: a share of zero would let everything pass. */
	for (unsigned i = 0; i < WORKERS; i++)
		assert_float_equal(rate_of(1, i), 250, 0.1);
	view = limits_view(limits, 1);
	assert_string_equal(view.entry->name, "batch");
	assert_int_equal(view.worker_count, WORKERS);
	assert_float_equal(view.shares[3], 250, 0.1);
	limits_set(limits, NULL, 0);
	assert_int_equal(limits_count(limits), 0);
}

static void
test_follow(void **state)
{
	const struct limits_entry entries[] = {{"", 0, 0, 0}, entry("batch", 1000)};

	(void)state;
	limits_set(limits, entries, 2);
	/* One worker's nodes ask for more than there is: it gets nearly all with the next look. */
	ask(1, 2, 50, 500);
	limits_look(limits, 200000);
	assert_true(rate_of(1, 2) > 900);
	assert_true(rates_of(1) <= 1000.001);
	/* Another one wakes up; both ask for too much and get the same. */
	ask(1, 0, 3, 400);
	ask(1, 2, 190, 500);
	limits_look(limits, 200000);
	assert_float_equal(rate_of(1, 0), rate_of(1, 2), 1);
	assert_true(rate_of(1, 0) > 450);
	/* Nobody asks any more: after a few looks all have the same again. */
	for (unsigned i = 0; i < 30; i++)
		limits_look(limits, 200000);
	for (unsigned i = 0; i < WORKERS; i++)
		assert_float_equal(rate_of(1, i), 250, 1);
	assert_int_equal(limits_view(limits, 1).taken, 243);
	assert_int_equal(limits_view(limits, 1).refused, 1400);
}

/* Another policy: counters of an index belong to another limit then, knowledge stays with the name. */
static void
test_renumber(void **state)
{
	const struct limits_entry first[] = {{"", 0, 0, 0}, entry("a", 1000), entry("b", 10)};
	const struct limits_entry then[] = {{"", 0, 0, 0}, entry("b", 20), entry("a", 1000)};

	(void)state;
	limits_set(limits, first, 3);
	ask(1, 1, 150, 300);
	limits_look(limits, 200000);
	limits_set(limits, then, 3);
	assert_true(rate_of(2, 1) > 900);
	assert_true(rates_of(1) <= 20.001);
	assert_int_equal(limits_view(limits, 2).taken, 150);
	assert_int_equal(limits_view(limits, 1).taken, 0);
	limits_look(limits, 200000);
	assert_int_equal(limits_view(limits, 1).taken, 0);
	assert_int_equal(limits_view(limits, 2).taken, 150);
}

/* An index that no limit has for now: a worker that met it would let nothing pass. */
static void
test_unused(void **state)
{
	const struct limits_entry entries[] = {{"", 0, 0, 0}, entry("", 0), entry("b", 10)};

	(void)state;
	limits_set(limits, entries, 3);
	limits_look(limits, 200000);
	assert_true(atomic_load(&meters->shares[1][0].interval_ns) == UINT64_MAX);
	assert_float_equal(rate_of(2, 0), 2.5, 0.001);
}

/* The timer does it by itself. */
static void
test_timer(void **state)
{
	const struct limits_entry entries[] = {{"", 0, 0, 0}, entry("batch", 1000)};
	const struct timeval wait = {0, 20000};

	(void)state;
	limits_set(limits, entries, 2);
	ask(1, 3, 100, 100000);
	for (unsigned tries = 0; tries < 500 && rate_of(1, 3) < 900; tries++) {
		event_base_loopexit(base, &wait);
		event_base_dispatch(base);
	}
	assert_true(rate_of(1, 3) > 900);
}

/* ---- with workers that take tokens as the dataplane does ---- */

struct flow {
	double demand[WORKERS]; /* per second */
	double due[WORKERS];
	uint64_t words[WORKERS];
	uint64_t taken;
	uint64_t taken_of[WORKERS];
};

/* One millisecond of one worker. */
static void
flow_step(struct flow *flow, unsigned worker, uint64_t now_ns)
{
	struct meter_share *share = &meters->shares[1][worker];
	uint64_t interval_ns = atomic_load(&share->interval_ns);
	uint64_t depth_ns = atomic_load(&share->depth_ns);

	for (flow->due[worker] += flow->demand[worker] / 1000; flow->due[worker] >= 1;
		flow->due[worker]--) {
		bool is_taken = rate_take(&flow->words[worker], now_ns, interval_ns, depth_ns);

		ask(1, worker, is_taken, !is_taken);
		flow->taken += is_taken;
		flow->taken_of[worker] += is_taken;
	}
}

static void
flow_run(struct flow *flow, uint64_t *now_ns, unsigned ms)
{
	for (unsigned i = 0; i < ms; i++) {
		*now_ns += 1000000;
		for (unsigned worker = 0; worker < WORKERS; worker++)
			flow_step(flow, worker, *now_ns);
		if (*now_ns / 1000000 % LIMITS_PERIOD_MS == 0)
			limits_look(limits, LIMITS_PERIOD_MS * 1000);
	}
}

/* docs/limits.md: at most R T + burst (1 + k) + W, and not much less where that much is asked for. */
static void
test_bound(void **state)
{
	struct limits_entry entries[] = {{"", 0, 0, 0}, entry("batch", 1000)};
	const double burst = 300, seconds = 40;
	uint64_t now_ns = 1000000000000;
	struct flow flow = {0};
	unsigned moves = 0;

	(void)state;
	srand(9);
	entries[1].burst = burst;
	limits_set(limits, entries, 2);
	for (unsigned i = 0; i < 20; i++, moves++) {
		random_demand(1000, flow.demand, WORKERS);
		flow.demand[i % WORKERS] = 2000;
		for (unsigned worker = 0; worker < WORKERS; worker++)
			flow.demand[worker] = fmin(flow.demand[worker], 5000);
		flow_run(&flow, &now_ns, (unsigned)(seconds * 1000 / 20));
	}
	assert_true((double)flow.taken <= 1000 * seconds + burst * (1 + moves) + WORKERS);
	assert_int_equal(limits_view(limits, 1).taken, flow.taken);
}

/* A flood at one worker leaves the others what they ask for, and gets all the rest. */
static void
test_flood_drowns_nobody(void **state)
{
	struct limits_entry entries[] = {{"", 0, 0, 0}, entry("batch", 1000)};
	struct flow flow = {.demand = {5000, 100, 50, 0}};
	uint64_t now_ns = 1000000000000;

	(void)state;
	entries[1].burst = 100;
	limits_set(limits, entries, 2);
	flow_run(&flow, &now_ns, 400);
	memset(flow.taken_of, 0, sizeof(flow.taken_of));
	flow_run(&flow, &now_ns, 10000);
	assert_true(flow.taken_of[1] >= 999 && flow.taken_of[2] >= 499);
	assert_true(flow.taken_of[0] >= 8000);
	assert_true(flow.taken_of[0] + flow.taken_of[1] + flow.taken_of[2] <= 10000 + 100 + 4);
	/* The quiet one can start at once. */
	flow.demand[3] = 10;
	flow_run(&flow, &now_ns, 199);
	assert_int_equal(flow.taken_of[3], 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_divide),
		cmocka_unit_test(test_divide_by_hand),
		cmocka_unit_test(test_share_of),
		cmocka_unit_test_setup_teardown(test_set, setup, teardown),
		cmocka_unit_test_setup_teardown(test_follow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_renumber, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flood_drowns_nobody, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
