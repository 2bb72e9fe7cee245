/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The door of ctrl/: credgated's parts, and what may be done to a running gateway. Everything here
 * runs in the one thread of the event loop.
 */

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "ctrl/config.h"
#include "ctrl/floor.h"
#include "ctrl/keytable.h"
#include "ctrl/modes.h"
#include "ctrl/registry.h"
#include "ctrl/secrets.h"
#include "ctrl/serials.h"
#include "ctrl/shared.h"
#include "ctrl/signature.h"
#include "ctrl/starter.h"
#include "ctrl/supervise.h"
#include "ctrl/uptake.h"

struct admin;
struct audit;
struct consumers;
struct inventory;
struct limits;
struct members;
struct policies;
struct rollout;
struct whitelists;
struct meters;
struct metrics;
struct clones;
struct enrol;

struct ctrl {
	struct config_caller caller; /* as whom credgated was started */
	struct config *config;
	struct event_base *base;
	struct starter starter;
	struct registry *registry;
	struct audit *audit;
	uint64_t whitelist_noted_us[TABLE_REALMS_MAX]; /* the fault that is in the audit log */
	struct signature_rule signature;               /* what is required */
	struct secrets_realm secrets[TABLE_REALMS_MAX];
	uint32_t bases[TABLE_REALMS_MAX];
	bool was_used[TABLE_REALMS_MAX]; /* before this start: then a floor holds */
	uint64_t floors_us[TABLE_REALMS_MAX];
	bool has_windows; /* those of the last run, whole */
	struct floor *floor;
	struct serials *serials;
	struct shared shared;
	struct inventory *inventory;
	struct limits *limits;
	struct modes modes;
	struct rollout *rollout;
	struct whitelists *whitelists;
	struct keytable *keys;
	struct policies *policies;
	struct uptake *uptake;
	struct meters *meters;
	uint64_t rotation_due_us; /* monotonic clock: when retired keys are looked at again */
	struct setup_config setup;
	struct supervise_object objects[SHARED_OBJECTS_MAX];
	struct supervise *supervise;
	struct admin *admin;
	struct consumers *consumers;
	struct members *members;
	struct metrics *metrics;
	struct enrol *enrol; /* NULL: off */
	struct clones *clones;
	struct event *signals[3];
	struct event *second;
	uint64_t started_us;      /* real-time clock */
	uint64_t started_mono_us; /* monotonic clock */
	bool is_stopping;
	int exit_code;
};

/* ---- ctrl.c: life ---- */

/*
 * Builds a gateway from ctrl->config: registry, secrets, shared memory, key table, sockets. MUST be
 * called with privileges dropped and the starter forked. 0, or -errno with the one line; what was
 * made is for ctrl_fini in either case.
 */
int ctrl_init(struct ctrl *ctrl, struct reason *reason);
void ctrl_fini(struct ctrl *ctrl);

/* Starts the dataplane and serves until a signal or a failure; returns the exit code. */
int ctrl_run(struct ctrl *ctrl);

/* ---- nodes.c: nodes of a running gateway ---- */

/*
 * Loads all nodes of the registry into the key table, with their windows. What the table has no
 * room for (old epochs, further prefixes, nodes above nodes_max) is left out and logged. 0, or
 * -errno if the registry cannot be read.
 */
int nodes_load(struct ctrl *ctrl, struct reason *reason);

/*
 * As the registry's functions, and then into the key table; a revocation is in the key table first,
 * whatever the registry answers (1: not yet on disk), and so is a suspension in the end. The caller
 * asks for the uptake.
 */
int nodes_add(struct ctrl *ctrl, unsigned realm_index, struct registry_request *request,
	struct registry_node *node, struct reason *reason);
int nodes_rotate(struct ctrl *ctrl, unsigned realm_index, struct registry_request *request,
	uint32_t until_s, struct registry_node *node, struct reason *reason);
int nodes_set(struct ctrl *ctrl, unsigned realm_index, struct registry_request *request,
	struct registry_node *node, struct reason *reason);
int nodes_suspend(struct ctrl *ctrl, unsigned realm_index, uint32_t node, bool is_suspended,
	const char *note, struct reason *reason);

int nodes_revoke(struct ctrl *ctrl, unsigned realm_index, const struct registry_node *node,
	struct reason *reason);

/*
 * Revokes many nodes: all of them go out of force with one generation, for which it waits
 * NODES_IN_FORCE_WAIT_US at most, before anything is written. *in_force_us gets the time from
 * `begun_us` (monotonic) until every running worker used it, or 0 if that was not seen. Returns as
 * registry_revoke. The registry takes about 5 us per node.
 */
#define NODES_IN_FORCE_WAIT_US 50000u
int nodes_revoke_many(struct ctrl *ctrl, unsigned realm_index,
	const struct registry_selection *selection, const char *note, uint64_t begun_us,
	uint64_t *in_force_us, struct reason *reason);
/*
 * Puts a node into the key table as the registry has it now; what does not fit is cut off and
 * logged. One that is not in the registry (any more) is left alone.
 */
void nodes_put(struct ctrl *ctrl, unsigned realm_index, uint32_t node);

/*
 * Completes a request with what it takes of its realm, and checks what the realm wants of it; the
 * registry's functions can then have it. 0 or -errno.
 */
int nodes_request_complete(struct ctrl *ctrl, unsigned realm_index,
	struct registry_request *request, struct reason *reason);

int nodes_delete(struct ctrl *ctrl, unsigned realm_index, const struct registry_node *node,
	struct reason *reason);

/*
 * Puts the epochs of a node, as registry_epochs_walk tells them, into the key table, and leaves all
 * else there as it is. 0 or -errno; then the table has what it had.
 */
int nodes_epochs_put(struct ctrl *ctrl, unsigned realm_index, const struct registry_node *node,
	struct reason *reason);

/* Gives the places of epochs that are over to others; each second. */
void nodes_expire(struct ctrl *ctrl);

/*
 * Takes realms and groups from the configuration file again, if it is good and can be had without
 * a restart; else the settings in force stay. 0 or -errno.
 */
int ctrl_reload(struct ctrl *ctrl, struct reason *reason);

/* Gives the current configuration's policy to the key table. */
void ctrl_policy_set(struct ctrl *ctrl);

/* ---- gateway_notes.c: the gateway in its own audit log ---- */

struct json_t;

/* Opens the log with the configuration's limits; takes new limits after a reload. 0 or -errno. */
int gateway_audit_begin(struct ctrl *ctrl, struct reason *reason);
void gateway_audit_reload(struct ctrl *ctrl);

/* Reads which signatures are required, and holds the configuration against it. 0 or -errno. */
int gateway_signature_begin(struct ctrl *ctrl, struct reason *reason);

/* Notes that it serves: version, digests of configuration and policies, masters' fingerprints. */
void gateway_note_start(struct ctrl *ctrl);

/* The digest of the configuration in force, as `b2sum -l 256` prints it. */
struct json_t *gateway_config_digest(const struct config *config);

/* ---- status.c ---- */

/* The `status` verb's result (docs/admin-protocol.md); NULL without memory. */
struct json_t *status_make(const struct ctrl *ctrl);
