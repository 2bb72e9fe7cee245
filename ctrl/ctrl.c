/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/ctrl.h"

#include <errno.h>
#include <jansson.h>
#include <malloc.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctrl/admin.h"
#include "ctrl/audit.h"
#include "ctrl/clock.h"
#include "ctrl/clones.h"
#include "ctrl/consumers.h"
#include "ctrl/enrol.h"
#include "ctrl/inventory.h"
#include "ctrl/launch.h"
#include "ctrl/log.h"
#include "ctrl/masters.h"
#include "ctrl/members.h"
#include "ctrl/meters.h"
#include "ctrl/metrics.h"
#include "ctrl/policies.h"
#include "ctrl/rate_limits.h"
#include "ctrl/realms_table.h"
#include "ctrl/rollout.h"
#include "ctrl/rotation.h"
#include "ctrl/snapshot.h"
#include "ctrl/verbs.h"
#include "ctrl/whitelist.h"
#include "ctrl/windows.h"

#define SERIALS_EACH_S 1
#define END_WAIT_MS    1000

/* ---- memory that may have held keys ---- */

/* Answers of node.key pass through jansson and libevent, which do not wipe. */
static void
wiping_free(void *block)
{
	if (block != NULL)
		explicit_bzero(block, malloc_usable_size(block));
	free(block);
}

static void *
wiping_realloc(void *block, size_t size)
{
	size_t old = block != NULL ? malloc_usable_size(block) : 0;
	void *grown = malloc(size);

	if (grown == NULL || block == NULL)
		return grown;
	memcpy(grown, block, old < size ? old : size);
	wiping_free(block);
	return grown;
}

static void
libevent_log(int severity, const char *text)
{
	(void)severity;
	log_warning("libevent", "%s", text);
}

static void
allocators_set(void)
{
	json_set_alloc_funcs(malloc, wiping_free);
	event_set_mem_functions(malloc, wiping_realloc, wiping_free);
	event_set_log_callback(libevent_log);
}

/* ---- parts ---- */

static int
registry_begin(struct ctrl *ctrl, struct reason *reason)
{
	const struct config *config = ctrl->config;
	int error;

	error = secrets_dir_check(config->state_dir, reason);
	if (error != 0)
		return error;
	ctrl->registry = registry_open(config->state_dir, reason);
	if (ctrl->registry == NULL)
		return -EIO;
	for (unsigned i = 0; error == 0 && i < config->realm_count; i++) {
		error = registry_realm_enter(
			ctrl->registry, config->realms[i].id, config->realms[i].name, reason);
		ctrl->was_used[i] = registry_realm_is_used(ctrl->registry, config->realms[i].id);
	}
	return error;
}

/* Nothing is known of what was accepted before: floors keep it out (docs/replay.md). */
static void
floors_set(struct ctrl *ctrl, uint64_t now_us)
{
	/* A stamp alone is enough: it was written by a gateway that may have accepted something. */
	bool is_stamped = floor_us(ctrl->floor, 0, 0) != 0;

	for (unsigned i = 0; i < ctrl->config->realm_count; i++) {
		const struct config_realm *realm = &ctrl->config->realms[i];

		if (!is_stamped && !ctrl->was_used[i])
			continue;
		if (realm->freshness == TABLE_FRESHNESS_CLOCK)
			ctrl->floors_us[i] =
				floor_us(ctrl->floor, now_us, realm->skew_ms * 1000ull);
		log_warning(realm->name,
			"the replay windows of the last run are not there: what was "
			"issued before now gets the verdict floor");
	}
}

/* The last run's clock was ahead: its floors are, and nobody would guess why. */
static void
clock_check(const struct ctrl *ctrl, uint64_t now_us)
{
	uint64_t ahead_us = floor_ahead_us(ctrl->floor, now_us);
	const time_t ahead_s = (time_t)(ahead_us / 1000000);
	bool is_in_force = false;
	char when[32];
	struct tm parts;

	if (ahead_us == 0 || gmtime_r(&ahead_s, &parts) == NULL)
		return;
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &parts);
	for (unsigned i = 0; i < ctrl->config->realm_count; i++)
		is_in_force |= ctrl->floors_us[i] >= ahead_us;
	log_error("replay",
		"the clock of this machine was ahead, at %s: %s issued before that %s the verdict "
		"floor. If the clock is right now, stop credgated, remove %s/clock and start it; "
		"what was accepted while the clock was ahead may then be accepted once more",
		when, is_in_force ? "whatever is" : "after a crash, whatever is",
		is_in_force ? "gets" : "would get", ctrl->config->state_dir);
}

/* What was accepted before this start must not be accepted again. */
static int
replay_begin(struct ctrl *ctrl, struct reason *reason)
{
	const char *dir = ctrl->config->state_dir;
	uint64_t now_us = clock_real_us();
	int loaded;

	ctrl->floor = floor_open(dir, reason);
	ctrl->serials = ctrl->floor != NULL ? serials_open(dir, reason) : NULL;
	if (ctrl->serials == NULL)
		return -EIO;
	windows_bases(ctrl->config, ctrl->bases);
	loaded = snapshot_load(dir, floor_run(ctrl->floor), ctrl->config, &ctrl->shared.store,
		ctrl->floors_us, reason);
	if (loaded < 0)
		return loaded;
	ctrl->has_windows = loaded == 1;
	if (!ctrl->has_windows)
		floors_set(ctrl, now_us);
	clock_check(ctrl, now_us);
	ctrl->meters = meters_create(
		dir, ctrl->config, ctrl->bases, shared_meters(&ctrl->shared), &ctrl->shared.store);
	if (ctrl->meters == NULL)
		return reason_set(reason, ENOMEM, "no memory to read the meters");
	return floor_stamp(ctrl->floor, now_us, reason);
}

void
ctrl_policy_set(struct ctrl *ctrl)
{
	struct table_policy *policy = malloc(sizeof(*policy));

	if (policy == NULL)
		abort(); /* 40 KB at start, or the policy in force stays for ever: neither happens */
	realms_table_make(policy, ctrl->config, ctrl->floors_us);
	for (unsigned i = 0; i < ctrl->config->realm_count; i++)
		policy->realms[i].mode = (uint8_t)modes_get(&ctrl->modes, ctrl->config, i);
	keytable_policy_set(ctrl->keys, policy);
	free(policy);
}

/* What decides beside the keys: modes and whitelists, shares of limits, and what is counted. */
static int
limits_begin(struct ctrl *ctrl, struct reason *reason)
{
	const struct rollout_config rollout = {
		.config = ctrl->config,
		.bases = ctrl->bases,
		.stats = shared_stats(&ctrl->shared),
		.meters = shared_meters(&ctrl->shared),
		.worker_count = ctrl->config->dataplane.workers,
	};

	windows_bases(ctrl->config, ctrl->bases);
	ctrl->rollout = rollout_create(&rollout, ctrl->started_us);
	ctrl->limits =
		limits_create(ctrl->base, rollout.meters, rollout.stats, rollout.worker_count);
	ctrl->whitelists = whitelists_create(ctrl->registry, ctrl->caller.uid);
	if (ctrl->rollout == NULL || ctrl->limits == NULL || ctrl->whitelists == NULL)
		return reason_set(reason, ENOMEM, "no memory for limits and whitelists");
	if (modes_load(&ctrl->modes, ctrl->config, ctrl->registry, reason) != 0)
		return -EIO;
	if (whitelists_load(ctrl->whitelists, ctrl->config, reason) != 0)
		return -EINVAL;
	whitelists_forget(ctrl->whitelists, ctrl->config);
	return 0;
}

static void
realm_keys_set(struct ctrl *ctrl, unsigned i)
{
	const struct secrets_master *masters = ctrl->secrets[i].masters;
	const struct config_realm *realm = &ctrl->config->realms[i];

	keytable_realm_set(
		ctrl->keys, i, realm->id, ctrl->bases[i], realm->nodes_max, masters[0].key);
	for (unsigned place = 1; place < SECRETS_MASTERS_MAX; place++)
		keytable_master_set(ctrl->keys, i, place, masters[place].key);
}

static int
keys_begin(struct ctrl *ctrl, struct reason *reason)
{
	const struct config *config = ctrl->config;
	uint64_t begun_us = clock_mono_us();
	struct keytable_counts counts;
	uint8_t shard_key[16];
	int error;

	randombytes_buf(shard_key, sizeof(shard_key));
	ctrl->keys = keytable_create(ctrl->shared.table.mapping, ctrl->shared.table.size,
		&ctrl->shared.shape, shard_key, shared_stats(&ctrl->shared),
		config->dataplane.workers);
	if (ctrl->keys == NULL)
		return reason_set(reason, ENOMEM, "no memory for the model of the key table");
	for (unsigned i = 0; i < config->realm_count; i++)
		realm_keys_set(ctrl, i);
	ctrl_policy_set(ctrl);
	error = policies_begin(ctrl, reason);
	if (error == 0)
		error = nodes_load(ctrl, reason);
	if (error != 0)
		return error;
	/* No dataplane runs yet, so both halves are free. */
	keytable_publish(ctrl->keys);
	keytable_settle(ctrl->keys);
	counts = keytable_counts_all(ctrl->keys);
	log_info("keys", "%u nodes (%u revoked, %u further epochs) in force after %llu ms",
		counts.live, counts.revoked, counts.extras,
		(unsigned long long)((clock_mono_us() - begun_us) / 1000));
	return 0;
}

static int
shared_begin(struct ctrl *ctrl, struct reason *reason)
{
	bool has_hugepages = launch_has_hugepages(ctrl->config);
	int error;

	error = launch_config_make(&ctrl->setup, ctrl->config, has_hugepages, reason);
	if (error == 0)
		error = shared_create(&ctrl->shared, ctrl->config, has_hugepages, reason);
	if (error != 0)
		return error;
	if (has_hugepages && !ctrl->shared.table.is_huge)
		log_warning("memory",
			"too few hugepages are free for the key table, which gets small "
			"pages; reserve more (dpdk-config/hugepages.sh)");
	if (!ctrl->shared.is_locked)
		log_warning("memory",
			"the key table may be swapped out; raise RLIMIT_MEMLOCK or use "
			"no swap");
	for (unsigned i = 0; i < ctrl->config->realm_count; i++)
		log_info(ctrl->config->realms[i].name, "windows of %u bits for %u nodes",
			ctrl->config->realms[i].window_bits, ctrl->config->realms[i].nodes_max);
	log_info("memory", "windows %llu MB, key table %llu MB, rings %llu MB, all allocated",
		(unsigned long long)(ctrl->shared.replay.size >> 20),
		(unsigned long long)(ctrl->shared.table.size >> 20),
		(unsigned long long)(ctrl->shared.rings_bytes >> 20));
	return 0;
}

/* ---- what happens while it runs ---- */

static void
loop_end(struct ctrl *ctrl, int exit_code)
{
	if (exit_code > ctrl->exit_code)
		ctrl->exit_code = exit_code;
	event_base_loopbreak(ctrl->base);
}

static void
dataplane_ready(void *context, unsigned count)
{
	(void)context;
	if (count == 1)
		log_info("credgated", "serving");
}

static void
dataplane_failed(void *context, const char *text)
{
	struct ctrl *ctrl = context;

	log_error("dataplane", "%s", text);
	audit_note(ctrl->audit, "gateway.stop", text, NULL);
	loop_end(context, 1);
}

static void
dataplane_stopped(void *context)
{
	loop_end(context, 0);
}

static void
worker_stuck(void *context)
{
	struct ctrl *ctrl = context;

	supervise_replace(
		ctrl->supervise, "hangs: a worker has not taken up the key table for 5 s");
}

static int
supervise_begin(struct ctrl *ctrl, struct reason *reason)
{
	struct supervise_config supervise = {
		.base = ctrl->base,
		.starter = &ctrl->starter,
		.setup = &ctrl->setup,
		.objects = ctrl->objects,
		.stats = shared_stats(&ctrl->shared),
		.worker_count = ctrl->config->dataplane.workers,
		.context = ctrl,
		.on_ready = dataplane_ready,
		.on_failure = dataplane_failed,
		.on_stopped = dataplane_stopped,
	};

	supervise.object_count = shared_objects(&ctrl->shared, ctrl->config, ctrl->objects);
	ctrl->supervise = supervise_create(&supervise);
	ctrl->uptake = uptake_create(ctrl->base, ctrl->keys, worker_stuck, ctrl);
	ctrl->inventory = inventory_create(ctrl);
	ctrl->clones = clones_create(ctrl);
	if (ctrl->supervise == NULL || ctrl->uptake == NULL || ctrl->inventory == NULL ||
		ctrl->clones == NULL)
		return reason_set(reason, ENOMEM, "no memory for the supervisor");
	return 0;
}

static void
stop_due(evutil_socket_t number, short what, void *context)
{
	struct ctrl *ctrl = context;

	(void)what;
	if (ctrl->is_stopping)
		return;
	ctrl->is_stopping = true;
	log_info("credgated", "stopping after %s", strsignal((int)number));
	audit_note(ctrl->audit, "gateway.stop", strsignal((int)number), NULL);
	/* Consumers and clients learn first; what the dataplane still accepts stays in the rings. */
	consumers_destroy(ctrl->consumers);
	ctrl->consumers = NULL;
	admin_destroy(ctrl->admin);
	ctrl->admin = NULL;
	metrics_destroy(ctrl->metrics);
	ctrl->metrics = NULL;
	enrol_destroy(ctrl->enrol);
	ctrl->enrol = NULL;
	supervise_stop(ctrl->supervise);
}

static void
reload_due(evutil_socket_t number, short what, void *context)
{
	struct ctrl *ctrl = context;
	struct verb_call call = {.ctrl = ctrl, .args = json_pack("{s:s}", "why", "SIGHUP")};
	int error = verb_run(&call, "reload");

	(void)number;
	(void)what;
	json_decref(call.args);
	json_decref(call.result);
	if (error != 0) {
		log_error("reload", "%s", call.reason.text);
		return;
	}
	log_info("reload", "realms and groups of %s are in force", ctrl->config->path);
	uptake_request(ctrl->uptake, NULL, ctrl);
}

static void
warnings_log(const struct config *config)
{
	for (unsigned i = 0; i < config->warning_count; i++)
		log_warning("configuration", "%s", config->warnings[i]);
}

int
ctrl_reload(struct ctrl *ctrl, struct reason *reason)
{
	struct config *config = config_load(ctrl->config->path, &ctrl->caller, reason);
	struct config *old = ctrl->config;
	uint64_t serial;
	int error;

	if (config == NULL)
		return -EINVAL;
	error = signature_config_check(&ctrl->signature, config, ctrl->caller.uid, &serial, reason);
	if (error == 0)
		error = config_is_live_change(old, config, reason);
	if (error == 0)
		error = whitelists_load(ctrl->whitelists, config, reason);
	if (error == 0)
		error = signature_rule_accept(
			&ctrl->signature, SIGNATURE_FOR_CONFIG, serial, reason);
	if (error == 0) {
		ctrl->config = config;
		error = policies_refresh(ctrl, reason);
	}
	if (error != 0) {
		ctrl->config = old;
		whitelists_load(ctrl->whitelists, old, NULL);
		config_destroy(config);
		return error;
	}
	whitelists_forget(ctrl->whitelists, config);
	log_form_set(config->log);
	warnings_log(config);
	config_destroy(old);
	members_configure(ctrl->members, config);
	ctrl_policy_set(ctrl);
	gateway_audit_reload(ctrl);
	return 0;
}

/* Tops of nodes without clocks; their memory is the dataplane's to write, so only a hint at worst. */
static void
serials_note_all(struct ctrl *ctrl)
{
	for (unsigned i = 0; i < ctrl->config->realm_count; i++) {
		const struct config_realm *realm = &ctrl->config->realms[i];
		const struct replay_node *nodes = &ctrl->shared.store.nodes[ctrl->bases[i]];

		if (realm->freshness != TABLE_FRESHNESS_SERIAL)
			continue;
		for (uint32_t node = 1; node <= realm->nodes_max; node++) {
			uint64_t top = __atomic_load_n(&nodes[node].top, __ATOMIC_RELAXED);

			if (serials_note(ctrl->serials, realm->id, node, top) != 0)
				log_error(
					realm->name, "no memory for the ceiling of node %u", node);
		}
	}
}

static void
memory_write(struct ctrl *ctrl)
{
	struct reason reason;

	serials_note_all(ctrl);
	registry_sync(ctrl->registry, NULL); /* it says itself when that begins and when it ends */
	if (floor_stamp(ctrl->floor, clock_real_us(), &reason) != 0 ||
		serials_sync(ctrl->serials, &reason) != 0)
		log_error("state", "%s", reason.text);
}

/* A file changed whom a realm lets speak: nobody asked for that over the admin socket. */
static void
whitelists_note(struct ctrl *ctrl)
{
	for (unsigned i = 0; i < ctrl->config->realm_count; i++) {
		struct whitelist_view list = whitelist_view(ctrl->whitelists, i);

		if (list.is_due)
			audit_note(ctrl->audit, "realm.whitelist", NULL,
				json_pack("{s:s, s:s, s:I}", "realm", ctrl->config->realms[i].name,
					"file", list.path, "names", (json_int_t)list.count));
	}
}

/* A file that was refused, once each time it was looked at. */
static void
whitelist_faults_note(struct ctrl *ctrl)
{
	for (unsigned i = 0; i < ctrl->config->realm_count; i++) {
		struct whitelist_view list = whitelist_view(ctrl->whitelists, i);

		if (list.failed_us == 0 || list.failed_us == ctrl->whitelist_noted_us[i])
			continue;
		ctrl->whitelist_noted_us[i] = list.failed_us;
		audit_note(ctrl->audit, "realm.whitelist.refused", list.fault,
			json_pack("{s:s, s:s}", "realm", ctrl->config->realms[i].name, "file",
				list.path));
	}
}

/* A whitelist that is another now. */
static void
whitelists_due(struct ctrl *ctrl)
{
	struct reason reason;

	if (!whitelists_look(ctrl->whitelists))
		return;
	if (policies_refresh(ctrl, &reason) != 0) {
		log_error("whitelist", "not in force yet: %s", reason.text);
		return;
	}
	whitelists_note(ctrl);
	whitelists_done(ctrl->whitelists);
	uptake_request(ctrl->uptake, NULL, ctrl);
}

static void
second_due(evutil_socket_t fd, short what, void *context)
{
	struct ctrl *ctrl = context;

	(void)fd;
	(void)what;
	memory_write(ctrl);
	nodes_expire(ctrl);
	whitelists_due(ctrl);
	whitelist_faults_note(ctrl);
	rollout_tick(ctrl->rollout);
	audit_tick(ctrl->audit);
	meters_second(ctrl->meters);
	rotation_second(ctrl);
	metrics_tick(ctrl->metrics);
	log_tell(false);
	clones_tick(ctrl->clones);
	if (ctrl->enrol != NULL)
		enrol_tick(ctrl->enrol);
}

static int
events_begin(struct ctrl *ctrl, struct reason *reason)
{
	const struct timeval second = {SERIALS_EACH_S, 0};

	signal(SIGPIPE, SIG_IGN);
	ctrl->signals[0] = evsignal_new(ctrl->base, SIGTERM, stop_due, ctrl);
	ctrl->signals[1] = evsignal_new(ctrl->base, SIGINT, stop_due, ctrl);
	ctrl->signals[2] = evsignal_new(ctrl->base, SIGHUP, reload_due, ctrl);
	ctrl->second = event_new(ctrl->base, -1, EV_PERSIST, second_due, ctrl);
	for (unsigned i = 0; i < 3; i++)
		if (ctrl->signals[i] == NULL || event_add(ctrl->signals[i], NULL) != 0)
			return reason_set(reason, ENOMEM, "signals cannot be watched");
	if (ctrl->second == NULL || event_add(ctrl->second, &second) != 0)
		return reason_set(reason, ENOMEM, "the clock cannot be watched");
	return 0;
}

static int
sockets_begin(struct ctrl *ctrl, struct reason *reason)
{
	ctrl->consumers = consumers_create(ctrl, reason);
	if (ctrl->consumers == NULL)
		return -EIO;
	ctrl->admin = admin_create(ctrl, reason);
	if (ctrl->admin == NULL)
		return -EIO;
	ctrl->metrics = metrics_create(ctrl, reason);
	if (ctrl->metrics == NULL)
		return -EIO;
	if (ctrl->config->enrol.port != 0)
		ctrl->enrol = enrol_create(ctrl, reason);
	return ctrl->config->enrol.port == 0 || ctrl->enrol != NULL ? 0 : -EIO;
}

int
ctrl_init(struct ctrl *ctrl, struct reason *reason)
{
	int error = 0;

	allocators_set();
	if (sodium_init() < 0)
		return reason_set(reason, EIO,
			"libsodium does not start; is there a source of random "
			"numbers?");
	ctrl->started_us = clock_real_us();
	ctrl->started_mono_us = clock_mono_us();
	warnings_log(ctrl->config);
	ctrl->base = event_base_new();
	if (ctrl->base == NULL)
		error = reason_set(reason, ENOMEM, "no memory for the event loop");
	if (error == 0)
		error = registry_begin(ctrl, reason);
	if (error == 0)
		error = gateway_audit_begin(ctrl, reason);
	if (error == 0)
		error = gateway_signature_begin(ctrl, reason);
	if (error == 0)
		error = masters_begin(ctrl, reason);
	if (error == 0)
		error = shared_begin(ctrl, reason);
	if (error == 0)
		error = replay_begin(ctrl, reason);
	if (error == 0)
		error = members_begin(ctrl, reason);
	if (error == 0)
		error = limits_begin(ctrl, reason);
	if (error == 0)
		error = keys_begin(ctrl, reason);
	if (error == 0)
		error = supervise_begin(ctrl, reason);
	if (error == 0)
		error = events_begin(ctrl, reason);
	if (error == 0)
		error = members_watch(ctrl, reason);
	if (error == 0)
		error = sockets_begin(ctrl, reason);
	if (error == 0)
		gateway_note_start(ctrl);
	return error;
}

/*
 * What the dataplane marked goes on disk for the next start: only if it is seen to be gone, for one
 * that still runs accepts more than the file would know.
 */
static void
replay_end(struct ctrl *ctrl)
{
	bool has_ended =
		starter_stop(&ctrl->starter) || supervise_wait_end(ctrl->supervise, END_WAIT_MS);
	struct reason reason;

	memory_write(ctrl);
	if (rollout_save(ctrl->rollout, &reason) != 0)
		log_error("rollout", "%s", reason.text);
	if (meters_save(ctrl->meters, &reason) != 0)
		log_error("meters", "%s", reason.text);
	if (!has_ended)
		log_error("replay",
			"the dataplane was not seen to end, so its replay windows are not kept; "
			"the next start refuses what was issued before it");
	else if (snapshot_save(ctrl->config->state_dir, floor_run(ctrl->floor), ctrl->config,
			 &ctrl->shared.store, ctrl->floors_us, &reason) != 0)
		log_error("replay", "%s", reason.text);
}

int
ctrl_run(struct ctrl *ctrl)
{
	struct reason reason;
	int error;

	/* From here on the windows of the last run are old, however often they are put back. */
	error = floor_run_begin(ctrl->floor, clock_real_us(), &reason);
	if (error == 0)
		error = snapshot_remove(ctrl->config->state_dir, &reason);
	if (error == 0)
		error = supervise_start(ctrl->supervise, &reason);
	if (error != 0) {
		log_error("credgated", "%s", reason.text);
		return 1;
	}
	event_base_dispatch(ctrl->base);
	replay_end(ctrl);
	return ctrl->exit_code;
}

void
ctrl_fini(struct ctrl *ctrl)
{
	consumers_destroy(ctrl->consumers);
	admin_destroy(ctrl->admin);
	members_end(ctrl);
	metrics_destroy(ctrl->metrics);
	clones_destroy(ctrl->clones);
	enrol_destroy(ctrl->enrol);
	if (ctrl->second != NULL)
		event_free(ctrl->second);
	for (unsigned i = 0; i < 3; i++)
		if (ctrl->signals[i] != NULL)
			event_free(ctrl->signals[i]);
	inventory_destroy(ctrl->inventory);
	uptake_destroy(ctrl->uptake);
	supervise_destroy(ctrl->supervise);
	policies_end(ctrl);
	keytable_destroy(ctrl->keys);
	limits_destroy(ctrl->limits);
	rollout_destroy(ctrl->rollout);
	whitelists_destroy(ctrl->whitelists);
	meters_destroy(ctrl->meters);
	if (ctrl->shared.table.mapping != NULL)
		shared_destroy(&ctrl->shared);
	serials_close(ctrl->serials);
	floor_close(ctrl->floor);
	audit_close(ctrl->audit);
	registry_close(ctrl->registry);
	for (unsigned i = 0; i < TABLE_REALMS_MAX; i++)
		secrets_realm_wipe(&ctrl->secrets[i]);
	if (ctrl->base != NULL)
		event_base_free(ctrl->base);
}
