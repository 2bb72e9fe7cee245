/* SPDX-License-Identifier: BSD-3-Clause */
/* The `status` verb: everything an operator wants to know at three in the morning. */
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "ctrl/address.h"
#include "ctrl/audit.h"
#include "ctrl/clock.h"
#include "ctrl/clones.h"
#include "ctrl/consumers.h"
#include "ctrl/ctrl.h"
#include "ctrl/enrol.h"
#include "ctrl/version.h"
#include "ctrl/whitelist.h"
#include "verdict/ring.h"
#include "verdict/verdict.h"

#define SECOND_US 1000000ull

/* Numbers from shared memory may be anything; JSON's integers are signed. */
static json_t *
number(uint64_t value)
{
	return json_integer((json_int_t)(value & INT64_MAX));
}

static json_t *
counter(const _Atomic uint64_t *value)
{
	return number(atomic_load_explicit(value, memory_order_relaxed));
}

static json_t *
user_make(const struct config_user *user)
{
	return json_pack("{s:I, s:I}", "uid", (json_int_t)user->uid, "gid", (json_int_t)user->gid);
}

static json_t *
gateway_make(const struct ctrl *ctrl)
{
	return json_pack("{s:s, s:i, s:o, s:o, s:s, s:s, s:s, s:o, s:o}", "version",
		CTRL_VERSION_TEXT, "pid", (int)getpid(), "uptime_s",
		number((clock_mono_us() - ctrl->started_mono_us) / SECOND_US), "started_us",
		number(ctrl->started_us), "config", ctrl->config->path, "run_dir",
		ctrl->config->run_dir, "state_dir", ctrl->config->state_dir, "control",
		user_make(&ctrl->config->control), "dataplane",
		user_make(&ctrl->config->dataplane_user));
}

static json_t *
dataplane_make(const struct ctrl *ctrl)
{
	const struct supervise_status *status = supervise_status(ctrl->supervise);
	const struct stats_header *stats = shared_stats(&ctrl->shared);
	uint64_t now_us = clock_mono_us(), beat_us;
	const char *kernel = tag_kernel_name((enum tag_kernel_id)status->kernel);
	bool runs = status->ready_us != 0;

	beat_us = atomic_load_explicit(&stats->heartbeat_us, memory_order_relaxed);
	return json_pack("{s:s, s:i, s:i, s:o, s:s, s:b, s:o, s:o, s:o, s:o}", "state",
		supervise_state_text(status->state), "pid", (int)status->pid, "restarts",
		(int)status->restarts, "uptime_s",
		number(runs ? (now_us - status->ready_us) / SECOND_US : 0), "kernel",
		runs && kernel != NULL ? kernel : "none", "hugepages",
		ctrl->setup.hugepages == SETUP_HUGEPAGES_YES, "heartbeat_age_us",
		runs && beat_us != 0 && beat_us <= now_us ? number(now_us - beat_us) : json_null(),
		"clock_steps", counter(&stats->clock_steps), "cycles_hz",
		counter(&stats->cycles_hz), "last_exit",
		status->last_exit[0] != '\0' ? json_string(status->last_exit) : json_null());
}

static json_t *
ports_make(const struct config *config)
{
	json_t *list = json_array();
	char text[ADDRESS_TEXT_SIZE];

	for (unsigned i = 0; i < config->port_count; i++) {
		const struct config_port *port = &config->ports[i];
		json_t *addresses = json_array();

		for (unsigned j = 0; j < port->address_count; j++) {
			address_format(
				text, port->addresses[j].address, port->addresses[j].bits, 0);
			json_array_append_new(addresses, json_string(text));
		}
		json_array_append_new(list,
			json_pack("{s:s, s:s, s:s, s:o, s:i, s:s}", "name", port->name, "driver",
				config_driver_text(port->driver), "device", port->device,
				"addresses", addresses, "udp_port", (int)port->udp_port, "checksum",
				config_checksum_text(port->checksum)));
	}
	return list;
}

static json_t *
verdicts_make(const _Atomic uint64_t counters[VERDICT_COUNTERS])
{
	json_t *set = json_object();

	for (unsigned i = 1; i < VERDICT_COUNT; i++)
		json_object_set_new(set, verdict_text(i), counter(&counters[i]));
	return set;
}

static json_t *
worker_make(const struct ctrl *ctrl, unsigned i)
{
	const struct worker_stats *stats = stats_worker(shared_stats(&ctrl->shared), i);
	const struct verdict_ring *refusals = ctrl->shared.refusal[i].mapping;
	int16_t cpu = ctrl->config->dataplane.cpus[i];
	uint64_t seen = atomic_load_explicit(&stats->seen, memory_order_relaxed);
	json_t *worker = json_pack("{s:i, s:o, s:s, s:o, s:o, s:o}", "worker", (int)i, "cpu",
		cpu >= 0 ? json_integer(cpu) : json_null(), "state",
		seen != 0 ? "polling" : "asleep", "seen", number(seen), "proved",
		verdicts_make(stats->proved), "unproved", verdicts_make(stats->unproved));
	const struct {
		const char *name;
		const _Atomic uint64_t *value;
	} counters[] = {
		{"rx_frames", &stats->rx_frames},
		{"rx_bytes", &stats->rx_bytes},
		{"rx_not_ours", &stats->rx_not_ours},
		{"rx_bad_packet", &stats->rx_bad_packet},
		{"rx_neighbour", &stats->rx_neighbour},
		{"neighbour_answered", &stats->neighbour_answered},
		{"neighbour_dropped", &stats->neighbour_dropped},
		{"replies_sent", &stats->replies_sent},
		{"replies_dropped", &stats->replies_dropped},
		{"handed_off", &stats->handed_off},
		{"handed_in", &stats->handed_in},
		{"delivered", &stats->delivered},
		{"serial_collisions", &stats->serial_collisions},
		{"bursts", &stats->bursts},
		{"idle_polls", &stats->idle_polls},
		{"sleeps", &stats->sleeps},
		{"busy_cycles", &stats->busy_cycles},
		{"refusals_dropped", &refusals->dropped},
		{"refusals_budgeted", &stats->refusals_budgeted},
	};

	for (size_t j = 0; j < sizeof(counters) / sizeof(counters[0]); j++)
		json_object_set_new(worker, counters[j].name, counter(counters[j].value));
	return worker;
}

static json_t *
workers_make(const struct ctrl *ctrl)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < ctrl->config->dataplane.workers; i++)
		json_array_append_new(list, worker_make(ctrl, i));
	return list;
}

/* null: everybody may speak. */
static json_t *
whitelist_make(const struct ctrl *ctrl, unsigned realm)
{
	struct whitelist_view view = whitelist_view(ctrl->whitelists, realm);

	if (view.path == NULL)
		return json_null();
	return json_pack("{s:s, s:I, s:o, s:s?}", "file", view.path, "names",
		(json_int_t)view.count, "taken_us", number(view.taken_us), "fault", view.fault);
}

static json_t *
realms_make(const struct ctrl *ctrl)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < ctrl->config->realm_count; i++) {
		const struct config_realm *realm = &ctrl->config->realms[i];
		struct keytable_counts counts = keytable_counts(ctrl->keys, i);

		json_array_append_new(list,
			json_pack("{s:s, s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:I, s:s, s:o, s:b, "
				  "s:o, s:I}",
				"name", realm->name, "id", (json_int_t)realm->id, "nodes",
				(json_int_t)counts.live, "revoked", (json_int_t)counts.revoked,
				"nodes_max", (json_int_t)realm->nodes_max, "mode",
				config_mode_text(modes_get(&ctrl->modes, ctrl->config, i)),
				"freshness", config_freshness_text(realm->freshness), "origin",
				config_origin_text(realm->origin), "window_bits",
				(json_int_t)realm->window_bits, "master",
				ctrl->secrets[i].fingerprint, "floor_us",
				number(ctrl->floors_us[i]), "mode_live",
				ctrl->modes.settings[i].is_live, "whitelist",
				whitelist_make(ctrl, i), "clones",
				(json_int_t)clones_count(ctrl->clones, i)));
	}
	return list;
}

static json_t *
group_realms_make(const struct config *config, const struct config_group *group)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < config->realm_count; i++)
		if ((group->realms >> i & 1) != 0)
			json_array_append_new(list, json_string(config->realms[i].name));
	return list;
}

static json_t *
group_audiences_make(const struct config_group *group)
{
	json_t *list = json_array();

	if (group->has_any)
		json_array_append_new(list, json_string("any"));
	for (unsigned i = 0; i < group->audience_count; i++)
		json_array_append_new(list, json_string(group->audiences[i]));
	return list;
}

static json_t *
group_rings_make(const struct ctrl *ctrl, unsigned group)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < ctrl->config->dataplane.workers; i++) {
		const struct verdict_ring *ring = ctrl->shared.delivery[group][i].mapping;

		json_array_append_new(list,
			json_pack("{s:i, s:o, s:I}", "worker", (int)i, "head", counter(&ring->head),
				"capacity", (json_int_t)ctrl->config->dataplane.ring_slots));
	}
	return list;
}

static json_t *
groups_make(const struct ctrl *ctrl)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < ctrl->config->group_count; i++) {
		const struct config_group *group = &ctrl->config->groups[i];

		json_array_append_new(
			list, json_pack("{s:s, s:o, s:o, s:o, s:b, s:i, s:o}", "name", group->name,
				      "realms", group_realms_make(ctrl->config, group), "audiences",
				      group_audiences_make(group), "reader",
				      user_make(&group->reader), "beacons", group->beacons,
				      "consumers", (int)consumers_count(ctrl->consumers, i),
				      "rings", group_rings_make(ctrl, i)));
	}
	return list;
}

static json_t *
table_make(const struct ctrl *ctrl)
{
	uint64_t generation = keytable_generation(ctrl->keys);
	struct keytable_uptake uptake = keytable_uptake(ctrl->keys, generation);
	struct keytable_counts counts = keytable_counts_all(ctrl->keys);
	unsigned lagging = uptake.running - uptake.current;
	bool runs = supervise_status(ctrl->supervise)->state == SUPERVISE_RUNNING;
	unsigned workers = runs ? ctrl->config->dataplane.workers : 0;

	/* A worker that sleeps holds no table and takes the newest when it wakes. */
	return json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:i, s:i, s:b, s:I}", "generation",
		number(generation), "slots", (json_int_t)ctrl->shared.shape.slot_count, "nodes",
		(json_int_t)counts.live, "revoked", (json_int_t)counts.revoked, "extra_epochs",
		(json_int_t)counts.extras, "prefixes", (json_int_t)counts.prefixes, "workers",
		(int)(workers > lagging ? workers - lagging : 0), "workers_running", (int)workers,
		"locked", ctrl->shared.is_locked, "revocations_unwritten",
		(json_int_t)registry_unwritten(ctrl->registry));
}

static json_t *
memory_make(const struct ctrl *ctrl)
{
	return json_pack("{s:o, s:o, s:o, s:b}", "windows_bytes", number(ctrl->shared.replay.size),
		"table_bytes", number(ctrl->shared.table.size), "rings_bytes",
		number(ctrl->shared.rings_bytes), "hugepages", ctrl->shared.table.is_huge);
}

/* null: nodes cannot join. */
static json_t *
enrol_make(const struct ctrl *ctrl)
{
	char listen[ENDPOINT_TEXT_SIZE];
	struct enrol_counts counts;

	if (ctrl->enrol == NULL)
		return json_null();
	endpoint_format(listen, &ctrl->config->enrol);
	counts = enrol_counts(ctrl->enrol);
	return json_pack("{s:s, s:i, s:o, s:o, s:o, s:o}", "listen", listen, "connections",
		(int)counts.open, "accepted", number(counts.accepted), "put_off",
		number(counts.put_off), "requests", number(counts.requests), "joined",
		number(counts.joined));
}

json_t *
status_make(const struct ctrl *ctrl)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:o, s:o, s:o, s:o}", "gateway",
		gateway_make(ctrl), "dataplane", dataplane_make(ctrl), "ports",
		ports_make(ctrl->config), "workers", workers_make(ctrl), "realms",
		realms_make(ctrl), "groups", groups_make(ctrl), "observers",
		(int)consumers_count(ctrl->consumers, TABLE_GROUPS_MAX), "table", table_make(ctrl),
		"memory", memory_make(ctrl), "audit", audit_json(ctrl->audit), "enrol",
		enrol_make(ctrl));
}
