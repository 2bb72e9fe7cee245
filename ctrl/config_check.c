/* SPDX-License-Identifier: BSD-3-Clause */
/* What a configuration file means: users, directories and the dataplane's own settings. */
#include "ctrl/config_priv.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/audit.h"
#include "ctrl/windows.h"
#include "replay/replay.h"
#include "verdict/ring.h"

#define RUN_DIR_DEFAULT   "/run/credgate"
#define STATE_DIR_DEFAULT "/var/lib/credgate"
#define CONTROL_DEFAULT   "credgate"
#define DATAPLANE_DEFAULT "credgate-dp"
#define METRICS_DEFAULT   "127.0.0.1:9475"

static void
where_make(const struct config_pass *pass, char where[CONFIG_WHERE_SIZE], const char *key)
{
	snprintf(where, CONFIG_WHERE_SIZE, "%s%.60s", pass->prefix, key);
}

void
config_pass_fail(struct config_pass *pass, const char *key, const char *format, ...)
{
	char where[CONFIG_WHERE_SIZE], text[REASON_SIZE];
	va_list args;

	if (pass->error != 0)
		return;
	where_make(pass, where, key);
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	pass->error = config_source_fail(pass->source, config_source_line(pass->source, where),
		where, pass->reason, "%s", text);
}

void
config_pass_warn(struct config_pass *pass, const char *key, const char *format, ...)
{
	char where[CONFIG_WHERE_SIZE], text[REASON_SIZE];
	struct config *config = pass->config;
	struct reason line;
	va_list args;

	if (config->warning_count == CONFIG_WARNINGS_MAX)
		return;
	where_make(pass, where, key);
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	config_source_fail(
		pass->source, config_source_line(pass->source, where), where, &line, "%s", text);
	config->warnings[config->warning_count] = strdup(line.text);
	if (config->warnings[config->warning_count] != NULL)
		config->warning_count++;
}

uint32_t
config_pass_number(
	struct config_pass *pass, const char *key, const uint32_t *given, struct config_range range)
{
	if (given == NULL)
		return range.standard;
	if (*given < range.min || *given > range.max)
		config_pass_fail(pass, key, "%u is out of range; choose %u to %u", *given,
			range.min, range.max);
	return *given;
}

uint32_t
config_pass_power(
	struct config_pass *pass, const char *key, const uint32_t *given, struct config_range range)
{
	uint32_t value = config_pass_number(pass, key, given, range);

	if ((value & (value - 1)) != 0)
		config_pass_fail(pass, key, "%u is no power of two; choose one from %u to %u",
			value, range.min, range.max);
	return value;
}

void
config_pass_name(
	struct config_pass *pass, const char *key, char name[CONFIG_NAME_SIZE], const char *given)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";

	if (strspn(given, letters) != strlen(given) || given[0] == '-' || given[0] == '.')
		config_pass_fail(pass, key,
			"\"%s\" is no name; use letters, digits, '.', '_' and '-', and begin with "
			"a letter or digit",
			given);
	snprintf(name, CONFIG_NAME_SIZE, "%s", given);
}

/* A decimal id; false if the text is none, and so a name. */
static bool
id_parse(const char *text, uint32_t *id)
{
	size_t length = strlen(text);
	unsigned long long value;

	if (length == 0 || length > 10 || strspn(text, "0123456789") != length)
		return false;
	value = strtoull(text, NULL, 10);
	*id = (uint32_t)value;
	return value < UINT32_MAX; /* (uid_t)-1 means "nobody in particular" to the kernel */
}

void
config_pass_user(
	struct config_pass *pass, const char *key, const char *given, uint32_t *uid, uint32_t *gid)
{
	bool is_number = id_parse(given, uid);
	struct passwd *user = is_number ? getpwuid(*uid) : getpwnam(given);

	if (user == NULL && !is_number) {
		config_pass_fail(pass, key,
			"no user \"%s\" here; create it (useradd --system %s) or give a number",
			given, given);
		return;
	}
	if (user != NULL)
		*uid = user->pw_uid;
	if (gid != NULL)
		*gid = user != NULL ? user->pw_gid : *uid;
}

void
config_pass_group(struct config_pass *pass, const char *key, const char *given, uint32_t *gid)
{
	struct group *group;

	if (id_parse(given, gid))
		return;
	group = getgrnam(given);
	if (group == NULL)
		config_pass_fail(pass, key,
			"no group \"%s\" here; create it (groupadd --system %s) or give a number",
			given, given);
	else
		*gid = group->gr_gid;
}

const char *
config_enum_text(const cyaml_strval_t *strings, unsigned count, uint32_t value)
{
	for (unsigned i = 0; i < count; i++)
		if (strings[i].val == (int64_t)value)
			return strings[i].str;
	return "?";
}

static void
dir_check(struct config_pass *pass, const char *key, char dir[CONFIG_PATH_SIZE], const char *given,
	const char *standard)
{
	snprintf(dir, CONFIG_PATH_SIZE, "%s", given != NULL ? given : standard);
	for (size_t length = strlen(dir); length > 1 && dir[length - 1] == '/'; length--)
		dir[length - 1] = '\0';
	if (dir[0] != '/')
		config_pass_fail(
			pass, key, "\"%s\" is no absolute path; begin it with a slash", dir);
	/* Names of sockets and of the registry follow, and a Unix socket's path has 107 bytes. */
	if (strlen(dir) > 90)
		config_pass_fail(
			pass, key, "is %zu bytes long; at most 90 are possible", strlen(dir));
}

/* Without root there is one user for everything: the caller. */
static void
users_check_caller(struct config_pass *pass)
{
	struct config *config = pass->config;
	const struct config_user own = {pass->caller->uid, pass->caller->gid};

	if (pass->file->users.control != NULL && config->control.uid != own.uid)
		config_pass_warn(pass, "users.control",
			"is not used: credgated was not started by root and runs as uid %u",
			own.uid);
	if (pass->file->users.dataplane != NULL && config->dataplane_user.uid != own.uid)
		config_pass_warn(pass, "users.dataplane",
			"is not used: credgated was not started by root and runs as uid %u",
			own.uid);
	config->control = own;
	config->dataplane_user = own;
}

static void
users_check_root(struct config_pass *pass)
{
	const struct config *config = pass->config;

	if (config->control.uid == 0)
		config_pass_fail(pass, "users.control",
			"is root; name a user of its own that nobody logs in as");
	if (config->dataplane_user.uid == 0)
		config_pass_fail(pass, "users.dataplane",
			"is root; name a user of its own: it parses what strangers send");
	if (config->dataplane_user.uid == config->control.uid)
		config_pass_fail(pass, "users.dataplane",
			"is users.control as well; name another: it could read the master secrets");
}

static void
users_check(struct config_pass *pass)
{
	const struct config_file_user_names *names = &pass->file->users;
	bool is_root = pass->caller->uid == 0;

	if (names->control != NULL || is_root)
		config_pass_user(pass, "users.control",
			names->control != NULL ? names->control : CONTROL_DEFAULT,
			&pass->config->control.uid, &pass->config->control.gid);
	if (names->dataplane != NULL || is_root)
		config_pass_user(pass, "users.dataplane",
			names->dataplane != NULL ? names->dataplane : DATAPLANE_DEFAULT,
			&pass->config->dataplane_user.uid, &pass->config->dataplane_user.gid);
	if (is_root)
		users_check_root(pass);
	else
		users_check_caller(pass);
}

static void
ids_check(struct config_pass *pass, const char *key, struct config_ids *ids,
	const struct config_file_ids *given)
{
	char item[32];

	snprintf(pass->prefix, sizeof(pass->prefix), "%s.", key);
	for (unsigned i = 0; i < given->uids_count; i++) {
		snprintf(item, sizeof(item), "uids[%u]", i);
		config_pass_user(pass, item, given->uids[i], &ids->uids[i], NULL);
	}
	for (unsigned i = 0; i < given->gids_count; i++) {
		snprintf(item, sizeof(item), "gids[%u]", i);
		config_pass_group(pass, item, given->gids[i], &ids->gids[i]);
	}
	ids->uid_count = given->uids_count;
	ids->gid_count = given->gids_count;
	pass->prefix[0] = '\0';
}

static void
cpus_check(struct config_pass *pass)
{
	struct config_dataplane *dataplane = &pass->config->dataplane;
	const struct config_file_dataplane *given = &pass->file->dataplane;
	uint64_t seen[CPU_SETSIZE / 64] = {0};

	dataplane->cpu_count = given->cpus_count;
	if (given->cpus_count != 0 && given->cpus_count != dataplane->workers)
		config_pass_fail(pass, "cpus",
			"names %u CPUs for %u workers; name one for each worker, or none",
			given->cpus_count, dataplane->workers);
	for (unsigned i = 0; i < TABLE_WORKERS_MAX; i++) {
		uint32_t cpu = i < given->cpus_count ? given->cpus[i] : 0;

		dataplane->cpus[i] = i < given->cpus_count ? (int16_t)cpu : -1;
		if (cpu >= CPU_SETSIZE) {
			config_pass_fail(pass, "cpus", "there is no CPU %u; choose 0 to %d", cpu,
				CPU_SETSIZE - 1);
			return;
		}
		if (i < given->cpus_count && (seen[cpu / 64] >> (cpu % 64) & 1) != 0)
			config_pass_fail(pass, "cpus",
				"CPU %u is named twice; a worker needs one of its own", cpu);
		if (i < given->cpus_count)
			seen[cpu / 64] |= 1ull << (cpu % 64);
	}
}

static void
dataplane_check(struct config_pass *pass)
{
	struct config_dataplane *to = &pass->config->dataplane;
	const struct config_file_dataplane *from = &pass->file->dataplane;

#define NUMBER(key, standard, min, max) \
	to->key = config_pass_number(   \
		pass, #key, from->key, (struct config_range){(standard), (min), (max)})
#define POWER(key, standard, min, max) \
	to->key = config_pass_power(   \
		pass, #key, from->key, (struct config_range){(standard), (min), (max)})
	snprintf(pass->prefix, sizeof(pass->prefix), "dataplane.");
	NUMBER(workers, 1, 1, TABLE_WORKERS_MAX);
	NUMBER(memory_mb, 256, 32, 1u << 20);
	NUMBER(mbufs, 16384, 1024, 1u << 22);
	NUMBER(idle_sleep_us, 200, 0, 100000);
	NUMBER(refusals_per_s, 10000, 0, 100000000);
	NUMBER(answers_per_s, 1000, 0, 10000000);
	NUMBER(window_memory_max_mb, 1024, 1, 1u << 20);
	POWER(retransmit_entries, REPLAY_CACHE_ENTRIES_DEFAULT, REPLAY_CACHE_ENTRIES_MIN, 1u << 26);
	POWER(ring_slots, VERDICT_RING_SLOTS_DEFAULT, VERDICT_RING_SLOTS_MIN,
		VERDICT_RING_SLOTS_MAX);
#undef NUMBER
#undef POWER
	to->main_cpu = -1;
	if (from->main_cpu != NULL)
		to->main_cpu = (int16_t)config_pass_number(pass, "main_cpu", from->main_cpu,
			(struct config_range){0, 0, CPU_SETSIZE - 1});
	to->kernel = from->kernel != NULL ? (enum tag_kernel_id) * from->kernel : TAG_KERNEL_AUTO;
	to->hugepages = from->hugepages != NULL ? (enum setup_hugepages) * from->hugepages
						: SETUP_HUGEPAGES_AUTO;
	cpus_check(pass);
	pass->prefix[0] = '\0';
}

static void
audit_check(struct config_pass *pass)
{
	const struct config_file_audit *from = &pass->file->audit;
	struct config_audit *to = &pass->config->audit;

	snprintf(pass->prefix, sizeof(pass->prefix), "audit.");
	to->file_mb = config_pass_number(pass, "file_mb", from->file_mb,
		(struct config_range){AUDIT_FILE_MB_DEFAULT, 1, AUDIT_FILE_MB_MAX});
	to->keep = config_pass_number(pass, "keep", from->keep,
		(struct config_range){AUDIT_KEEP_DEFAULT, AUDIT_KEEP_MIN, AUDIT_KEEP_MAX});
	to->forget_keys = from->forget_keys != NULL && *from->forget_keys;
	pass->prefix[0] = '\0';
}

/* Windows of default size shrink until they fit; stated ones must. */
static void
windows_check(struct config_pass *pass)
{
	struct config *config = pass->config;
	uint64_t bytes;

	if (pass->error != 0 || windows_fit(config, &bytes) == 0)
		return;
	config_pass_fail(pass, "dataplane.window_memory_max_mb",
		"replay windows need at least %llu MB, %u are allowed; raise it, or lower "
		"window_bits or nodes_max of the realms",
		(unsigned long long)((bytes + (1u << 20) - 1) >> 20),
		config->dataplane.window_memory_max_mb);
}

static void
metrics_check(struct config_pass *pass)
{
	struct config_metrics *metrics = &pass->config->metrics;
	const char *given = pass->file->metrics.listen, *wrong;

	metrics->is_stated = given != NULL;
	metrics->is_off = given != NULL && strcmp(given, "off") == 0;
	if (metrics->is_off)
		return;
	wrong = endpoint_parse(&metrics->listen, given != NULL ? given : METRICS_DEFAULT);
	if (wrong != NULL)
		config_pass_fail(pass, "metrics.listen", "\"%s\" %s", given, wrong);
	else if (!endpoint_is_loopback(&metrics->listen))
		config_pass_warn(pass, "metrics.listen",
			"%s is no address of loopback: whoever reaches it reads the counters and "
			"names of realms, groups and limits; keep others out, or "
			"use " METRICS_DEFAULT,
			given);
}

/* Below 1024 only root may listen, and credgated has given that up by then. */
static void
enrol_check(struct config_pass *pass)
{
	struct endpoint *listen = &pass->config->enrol;
	const char *given = pass->file->enrol.listen, *wrong;

	if (given == NULL)
		return;
	wrong = endpoint_parse(listen, given);
	if (wrong != NULL)
		config_pass_fail(pass, "enrol.listen", "\"%s\" %s", given, wrong);
	else if (listen->port < 1024)
		config_pass_fail(pass, "enrol.listen",
			"port %u is root's alone; choose one from 1024 on, such as 7476",
			listen->port);
}

int
config_check(struct config *config, const struct config_file *file, struct config_source *source,
	const struct config_caller *caller, struct reason *reason)
{
	struct config_pass pass = {
		.config = config,
		.file = file,
		.source = source,
		.caller = caller,
		.reason = reason,
	};

	dir_check(&pass, "run_dir", config->run_dir, file->run_dir, RUN_DIR_DEFAULT);
	dir_check(&pass, "state_dir", config->state_dir, file->state_dir, STATE_DIR_DEFAULT);
	users_check(&pass);
	ids_check(&pass, "admins", &config->admins, &file->admins);
	ids_check(&pass, "observers", &config->observers, &file->observers);
	audit_check(&pass);
	dataplane_check(&pass);
	config_check_ports(&pass);
	config_check_realms(&pass);
	windows_check(&pass);
	config_check_groups(&pass);
	metrics_check(&pass);
	config->log = file->log != NULL ? (enum log_form) * file->log : LOG_TEXT;
	enrol_check(&pass);
	return pass.error;
}
