/* SPDX-License-Identifier: BSD-3-Clause */

#include "dataplane/eal.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#include "dataplane/port.h"

#define ARGUMENTS_MAX     (20 + 2 * SETUP_PORTS_MAX)
#define ARGUMENT_SIZE_MAX SETUP_DEVARGS_SIZE
/* 17 lcores that may each use a hundred runs of CPUs. */
#define LCORES_SIZE_MAX 16384

/* Built anew for each start; EAL keeps pointers into it and reorders `list`. */
static struct {
	char text[ARGUMENTS_MAX][ARGUMENT_SIZE_MAX];
	char lcores[LCORES_SIZE_MAX];
	char *list[ARGUMENTS_MAX + 1];
	int count;
} arguments;

static struct {
	char line[160];
	bool is_shown;
} complaint;

/*
 * DPDK logs one line per call. Start-up failures are told in our words, with its first one as
 * detail: it is the cause, the rest are callers that pass it on.
 */
static ssize_t
log_write(void *cookie, const char *text, size_t size)
{
	size_t line_size = size;

	(void)cookie;
	while (line_size > 0 && (text[line_size - 1] == '\n' || text[line_size - 1] == '\r'))
		line_size--;
	if (complaint.is_shown)
		note("dpdk: %.*s", (int)line_size, text);
	else if (line_size > 0 && !complaint.line[0])
		snprintf(complaint.line, sizeof(complaint.line), "%.*s", (int)line_size, text);
	return (ssize_t)size;
}

const char *
eal_complaint(void)
{
	return complaint.line;
}

void
eal_complaint_clear(void)
{
	complaint.line[0] = '\0';
}

void
eal_complaint_show(bool is_shown)
{
	complaint.is_shown = is_shown;
}

static void
argument_add(const char *text)
{
	snprintf(arguments.text[arguments.count], ARGUMENT_SIZE_MAX, "%s", text);
	arguments.list[arguments.count] = arguments.text[arguments.count];
	arguments.count++;
}

static void
option_add(const char *option, const char *value)
{
	argument_add(option);
	argument_add(value);
}

__attribute__((format(printf, 1, 2))) static void
lcores_append(const char *format, ...)
{
	size_t used = strlen(arguments.lcores);
	va_list values;

	va_start(values, format);
	vsnprintf(arguments.lcores + used, sizeof(arguments.lcores) - used, format, values);
	va_end(values);
}

/* Appends "lcore@cpu", or "lcore@(every allowed CPU)" for -1. */
static void
lcore_append(unsigned lcore, int cpu, const cpu_set_t *allowed)
{
	char separator = '(';

	lcores_append("%s%u@", lcore ? "," : "", lcore);
	if (cpu >= 0) {
		lcores_append("%d", cpu);
		return;
	}
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		int first = cpu;

		if (!CPU_ISSET(cpu, allowed))
			continue;
		while (cpu + 1 < CPU_SETSIZE && CPU_ISSET(cpu + 1, allowed))
			cpu++;
		lcores_append("%c%d-%d", separator, first, cpu);
		separator = ',';
	}
	lcores_append(")");
}

static int
cpu_check(
	int cpu, const char *who, unsigned index, const cpu_set_t *allowed, struct failure *failure)
{
	if (cpu < 0 || (cpu < CPU_SETSIZE && CPU_ISSET(cpu, allowed)))
		return 0;
	return failure_set(failure, EINVAL,
		"%s %u: CPU %d is not there, or not allowed to this process (see taskset -p); "
		"change it in the configuration or leave it out",
		who, index, cpu);
}

/* Several lcores may share a CPU, so there may be fewer CPUs than lcores. */
static int
lcores_add(const struct setup_config *config, struct failure *failure)
{
	cpu_set_t allowed;

	arguments.lcores[0] = '\0';
	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return failure_set(failure, errno, "cannot ask for the allowed CPUs");
	if (cpu_check(config->main_cpu, "main thread", 0, &allowed, failure) < 0)
		return -EINVAL;
	lcore_append(0, config->main_cpu, &allowed);
	for (unsigned i = 0; i < config->worker_count; i++) {
		int cpu = config->worker_cpus[i];

		if (cpu_check(cpu, "worker", i, &allowed, failure) < 0)
			return -EINVAL;
		lcore_append(EAL_WORKER_LCORE(i), cpu, &allowed);
	}
	if (strlen(arguments.lcores) + 1 == sizeof(arguments.lcores))
		return failure_set(failure, E2BIG,
			"the allowed CPUs are too scattered: name a CPU for each worker");
	argument_add("--lcores");
	arguments.list[arguments.count++] = arguments.lcores;
	return 0;
}

/*
 * No memory that others could map is made (secondary processes are not used): --in-memory, or its
 * equivalent without hugepages.
 */
static void
memory_add(const struct setup_config *config)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", config->memory_mb);
	option_add("-m", text);
	if (config->hugepages == SETUP_HUGEPAGES_YES) {
		argument_add("--in-memory");
	} else {
		argument_add("--no-huge");
		argument_add("--no-shconf");
	}
	/* memif's zero copy hands EAL memory to its peer as one file. */
	for (unsigned i = 0; i < config->port_count; i++)
		if (strstr(config->ports[i].devargs, "zero-copy=yes")) {
			argument_add("--single-file-segments");
			return;
		}
}

/* Virtual devices are attached later, one by one, so that a failure names its port. */
static void
devices_add(const struct setup_config *config)
{
	char devargs[SETUP_DEVARGS_SIZE];
	bool has_pci = false;

	for (unsigned i = 0; i < config->port_count; i++) {
		if (config->ports[i].is_vdev)
			continue;
		port_devargs_expand(devargs, &config->ports[i], config->worker_count);
		option_add("-a", devargs);
		has_pci = true;
	}
	if (!has_pci) {
		argument_add("--no-pci");
		option_add("--iova-mode", "va");
	}
}

static int
arguments_build(const struct setup_config *config, struct failure *failure)
{
	arguments.count = 0;
	argument_add("credgate-dataplane");
	option_add("--file-prefix", config->file_prefix);
	option_add("--log-level", "error");
	memory_add(config);
	devices_add(config);
	return lcores_add(config, failure);
}

int
eal_start(const struct setup_config *config, struct failure *failure)
{
	static const cookie_io_functions_t log_functions = {.write = log_write};
	FILE *log = fopencookie(NULL, "w", log_functions);
	int status = arguments_build(config, failure);

	if (status < 0)
		return status;
	if (log == NULL || setvbuf(log, NULL, _IOLBF, 0) != 0 || rte_openlog_stream(log) != 0)
		return failure_set(failure, ENOMEM, "cannot catch DPDK's log");
	if (rte_eal_init(arguments.count, arguments.list) >= 0)
		return 0;
	if (config->hugepages == SETUP_HUGEPAGES_YES)
		return failure_set(failure, rte_errno ? rte_errno : ENOMEM,
			"DPDK did not start: are %u MB of hugepages free "
			"(dpdk-config/hugepages.sh)? "
			"DPDK: %s",
			config->memory_mb, eal_complaint());
	return failure_set(failure, rte_errno ? rte_errno : EIO,
		"DPDK did not start with %u MB; DPDK: %s", config->memory_mb, eal_complaint());
}

void
eal_stop(void)
{
	rte_eal_cleanup();
}
