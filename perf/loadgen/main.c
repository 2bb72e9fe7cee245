/* SPDX-License-Identifier: BSD-3-Clause */

/* credgate-loadgen: mints genuine credentials of many nodes on the fly and sends them. */

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include "perf/loadgen/clock.h"
#include "perf/loadgen/fail.h"
#include "perf/loadgen/keys.h"
#include "perf/loadgen/loop.h"
#include "perf/loadgen/port.h"
#include "perf/loadgen/resolve.h"
#include "perf/loadgen/settings.h"

static struct settings settings;
static struct keys keys;
static struct mint mint;
static struct replies replies;
static struct verdicts verdicts;
static struct results results;
static struct report_device device;
static volatile sig_atomic_t is_stopped;

static void
stop(int number)
{
	(void)number;
	is_stopped = 1;
}

static void
signals_catch(void)
{
	const struct sigaction action = {.sa_handler = stop};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static void
results_init(void)
{
	memset(&results, 0, sizeof(results));
	histogram_init(&results.mint_bursts);
	histogram_init(&results.send_to_reply);
	histogram_init(&results.send_to_verdict);
	results.tsc_hz = clock_tsc_hz();
}

static void
counter_add(const char *name, uint64_t value)
{
	struct report_counter *counter = &device.counters[device.count];

	if (device.count == RTE_DIM(device.counters))
		return;
	snprintf(counter->name, sizeof(counter->name), "%s", name);
	counter->value = value;
	device.count++;
}

/* Extended counters that are not zero. */
static void
xstats_read(uint16_t id)
{
	struct rte_eth_xstat_name names[256];
	struct rte_eth_xstat values[256];
	const int count = rte_eth_xstats_get(id, values, RTE_DIM(values));

	if (count < 0 || count > (int)RTE_DIM(values) ||
		rte_eth_xstats_get_names(id, names, RTE_DIM(names)) != count)
		return;
	for (int i = 0; i < count; i++)
		if (values[i].value != 0)
			counter_add(names[values[i].id].name, values[i].value);
}

static void
device_read(const struct port *port)
{
	struct rte_eth_stats stats;

	if (rte_eth_stats_get(port->id, &stats) != 0)
		return;
	counter_add("opackets", stats.opackets);
	counter_add("oerrors", stats.oerrors);
	counter_add("ipackets", stats.ipackets);
	counter_add("imissed", stats.imissed);
	counter_add("ierrors", stats.ierrors);
	counter_add("rx_nombuf", stats.rx_nombuf);
	if (settings.has_xstats)
		xstats_read(port->id);
}

static void
report(void)
{
	if (settings.is_json)
		report_json(stdout, &results, &settings, &mint, &device);
	else
		report_table(stdout, &results, &settings, &mint, &device);
}

/* Sleeps while the other lcore works, and says each second what it did. */
static int
watch(void)
{
	uint64_t next_ns = clock_ns(CLOCK_MONOTONIC) + 1000000000;

	while (rte_eal_get_lcore_state(PORT_LCORE) != WAIT) {
		usleep(10000);
		if (settings.is_json || clock_ns(CLOCK_MONOTONIC) < next_ns)
			continue;
		report_progress(&results, &settings);
		next_ns += 1000000000;
	}
	return rte_eal_wait_lcore(PORT_LCORE);
}

static int
send_all(const struct port *port)
{
	struct loop loop = {&settings, port, &mint, &replies, &verdicts, &results, &is_stopped};
	uint8_t to_mac[6];
	int rc;

	memcpy(to_mac, settings.to_mac, sizeof(to_mac));
	if (port_wait(port, &settings) != 0)
		return -1;
	if (!settings.has_to_mac && resolve_mac(port, &settings, to_mac) != 0)
		return -1;
	rc = mint_init(&mint, &settings, &keys, to_mac, port->mac);
	if (rc == 0)
		rc = replies_init(&replies, &mint);
	if (rc == 0)
		rc = rte_eal_remote_launch(loop_run, &loop, PORT_LCORE);
	if (rc == 0)
		rc = watch();
	device_read(port);
	if (rc == 0)
		report();
	replies_fini(&replies);
	mint_fini(&mint);
	return rc;
}

static int
send_run(void)
{
	struct port port;
	int rc;

	/* Attached before DPDK has threads: for a moment as another user. */
	if (verdicts_init(&verdicts, &settings, &mint) != 0)
		return -1;
	rc = port_open(&port, &settings);
	if (rc == 0) {
		rc = send_all(&port);
		port_close(&port);
	}
	verdicts_fini(&verdicts);
	return rc;
}

static int
mint_only_run(void)
{
	static const uint8_t mac[6] = {2};
	struct loop loop = {&settings, NULL, &mint, &replies, &verdicts, &results, &is_stopped};
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)(settings.core < 0 ? 0 : settings.core), &set);
	if (settings.core >= 0 && sched_setaffinity(0, sizeof(set), &set) != 0)
		return fail("--core %d: is not there, or not allowed to this process (taskset -p)",
			settings.core);
	if (mint_init(&mint, &settings, &keys, mac, mac) != 0)
		return -1;
	loop_mint_only(&loop);
	report();
	mint_fini(&mint);
	return 0;
}

int
main(int argc, char **argv)
{
	int rc = settings_parse(&settings, argc, argv);

	if (rc != 0)
		return rc > 0 ? 0 : 2;
	/* It holds keys: no core file, no debugger of others. */
	prctl(PR_SET_DUMPABLE, 0);
	signals_catch();
	results_init();
	rc = keys_init(&keys, &settings);
	if (rc == 0)
		rc = settings.mode == SETTINGS_MINT_ONLY ? mint_only_run() : send_run();
	keys_fini(&keys);
	return rc == 0 ? 0 : 1;
}
