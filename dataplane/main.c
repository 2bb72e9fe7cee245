/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * credgate-dataplane: takes its set-up from credgated, starts DPDK and the ports, gives up every
 * privilege, and lets workers judge credentials until control is gone.
 */

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "crypto/tag.h"
#include "dataplane/eal.h"
#include "dataplane/housekeeping.h"
#include "dataplane/port.h"
#include "dataplane/privilege.h"
#include "dataplane/setup_priv.h"
#include "dataplane/telemetry.h"
#include "dataplane/watch.h"
#include "dataplane/workers.h"

#define EXIT_USAGE 2
/* A worker's first sleeps last microseconds; the default slack of 50 us would drown them. */
#define TIMER_SLACK_NS 1

#ifdef __has_feature
#define HAS_ASAN __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#else
#define HAS_ASAN 0
#endif
#if HAS_ASAN
/* The leak checker looks at its own process as a debugger would: the filter kills for that. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

struct options {
	int setup_fd;
	uid_t uid;
	gid_t gid;
};

static void
usage(FILE *out)
{
	fputs("Usage: credgate-dataplane --setup-fd FD [--uid UID] [--gid GID]\n"
	      "       credgate-dataplane --help | --version\n"
	      "\n"
	      "Validates credentials on DPDK ports. credgated starts it: see credgated(8).\n"
	      "\n"
	      "  --setup-fd FD  SOCK_SEQPACKET socket over which credgated sends the set-up\n"
	      "  --uid UID      numeric user to run as once the ports are up (default: as now)\n"
	      "  --gid GID      numeric group, likewise\n"
	      "  --help         this text\n"
	      "  --version      the version\n",
		out);
}

static unsigned
number_parse(const char *text, unsigned max, const char *option)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || value > max) {
		note("%s wants a number up to %u, not '%s' (see --help)", option, max, text);
		exit(EXIT_USAGE);
	}
	return (unsigned)value;
}

static void
options_parse(struct options *options, int argc, char **argv)
{
	static const struct option known[] = {
		{"setup-fd", required_argument, NULL, 's'},
		{"uid", required_argument, NULL, 'u'},
		{"gid", required_argument, NULL, 'g'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},
		{0},
	};
	int option;

	*options = (struct options){.setup_fd = -1, .uid = getuid(), .gid = getgid()};
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 's':
			options->setup_fd = (int)number_parse(optarg, 1 << 20, "--setup-fd");
			break;
		case 'u':
			options->uid = number_parse(optarg, UINT32_MAX - 1, "--uid");
			break;
		case 'g':
			options->gid = number_parse(optarg, UINT32_MAX - 1, "--gid");
			break;
		case 'h':
			usage(stdout);
			exit(EXIT_SUCCESS);
		case 'v':
			puts("credgate-dataplane " CREDGATE_VERSION);
			exit(EXIT_SUCCESS);
		default:
			exit(EXIT_USAGE);
		}
	}
	if (options->setup_fd >= 0 && optind == argc)
		return;
	note("is started by credgated and needs --setup-fd (see --help)");
	exit(EXIT_USAGE);
}

static void
state_store(const struct setup *setup, enum stats_state state)
{
	atomic_store_explicit(&setup->stats->state, state, memory_order_release);
}

static void
state_starting(const struct setup *setup, int kernel)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	atomic_store(&setup->stats->kernel, (uint32_t)kernel);
	atomic_store(&setup->stats->started_us,
		(uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
	state_store(setup, STATS_STARTING);
}

/* Every kernel proves itself on known answers first: a wrong one must never judge. */
static int
kernel_choose(const struct setup *setup, char *why, size_t why_size, struct failure *failure)
{
	int kernel = tag_kernel_choose((enum tag_kernel_id)setup->config.kernel, why, why_size);

	return kernel >= 0 ? kernel : failure_set(failure, -kernel, "no tag kernel: %s", why);
}

static void
ready_say(const struct setup *setup, const char *ports, int kernel, const char *why)
{
	char line[sizeof(((struct setup_answer *)NULL)->text)];

	snprintf(line, sizeof(line), "%u workers, %s, %s", setup->config.worker_count, ports, why);
	note("ready: %s", line);
	setup_answer_ready(setup, (uint32_t)kernel, line);
}

int
main(int argc, char **argv)
{
	static struct setup setup;
	static struct housekeeping house;
	static struct ports ports;
	static struct watch watch;
	static struct workers workers;
	struct failure failure = {0};
	struct options options;
	char why[128] = "", ports_text[PORTS_TEXT_SIZE];
	int kernel;

	options_parse(&options, argc, argv);
	prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS, 0, 0, 0);
	if (privilege_prepare(&failure) < 0)
		goto err_prepare;
	if (setup_receive(&setup, options.setup_fd, &failure) < 0)
		goto err_setup;
	if ((kernel = kernel_choose(&setup, why, sizeof(why), &failure)) < 0)
		goto err_setup;
	state_starting(&setup, kernel);
	if (housekeeping_init(&house, &setup, &failure) < 0)
		goto err_housekeeping;
	if (eal_start(&setup.config, &failure) < 0)
		goto err_housekeeping;
	if (ports_start(&ports, &setup.config, &failure) < 0)
		goto err_ports;
	if (workers_create(&workers, &setup, &ports, (enum tag_kernel_id)kernel, house.wake_fd,
		    &failure) < 0)
		goto err_workers;
	if (telemetry_register(setup.stats, &failure) < 0)
		goto err_workers;
	if (watch_open(&watch, &ports, &setup.config, &failure) < 0)
		goto err_watch;
	ports_describe(&ports, &setup.config, ports_text);
	eal_complaint_show(true);
	if (privilege_drop(options.uid, options.gid, ports.needs, &failure) < 0)
		goto err_watch;
	if (workers_launch(&workers, &failure) < 0)
		goto err_launch;
	housekeeping_beat(&house);
	state_store(&setup, STATS_RUNNING);
	ready_say(&setup, ports_text, kernel, why);

	housekeeping_run(&house, watch_look, &watch, &failure);

	eal_complaint_show(false);
	state_store(&setup, STATS_STOPPING);
err_launch:
	workers_stop(&workers);
err_watch:
	watch_close(&watch);
err_workers:
	workers_destroy(&workers);
err_ports:
	ports_stop(&ports);
	eal_stop();
err_housekeeping:
	housekeeping_fini(&house);
	state_store(&setup, STATS_DOWN);
err_setup:
	if (failure.error)
		setup_answer_failed(&setup, &failure);
	setup_release(&setup);
err_prepare:
	if (failure.error)
		note("%s", failure.text);
	return failure.error ? EXIT_FAILURE : EXIT_SUCCESS;
}
