/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/rotation.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/audit.h"
#include "ctrl/clock.h"
#include "ctrl/fold.h"
#include "ctrl/log.h"
#include "ctrl/masters.h"

#define SECOND_US 1000000u

static const struct config_realm *
realm_of(const struct ctrl *ctrl, unsigned realm_index)
{
	return &ctrl->config->realms[realm_index];
}

/* ---- from the registry into the key table ---- */

struct load {
	struct ctrl *ctrl;
	unsigned realm_index;
	unsigned failed;
	struct reason reason;
};

static bool
node_load(const struct registry_node *node, void *context)
{
	struct load *load = context;

	load->failed += nodes_epochs_put(load->ctrl, load->realm_index, node, &load->reason) != 0;
	return true;
}

/* What the registry says is done; a node that the table could not follow keeps what it had. */
static int
epochs_load(struct ctrl *ctrl, unsigned realm_index, uint32_t node, struct reason *reason)
{
	struct load load = {.ctrl = ctrl, .realm_index = realm_index};
	int error = registry_epochs_walk(
		ctrl->registry, realm_of(ctrl, realm_index)->id, node, node_load, &load, reason);

	if (error == 0 && load.failed > 0)
		log_error(realm_of(ctrl, realm_index)->name,
			"%u nodes are in the registry as asked, but not in force: %s; restart "
			"credgated",
			load.failed, load.reason.text);
	return error;
}

/* ---- names of nodes ---- */

struct named {
	const struct ctrl *ctrl;
	unsigned realm_index;
	enum drain_state wanted;
	uint32_t count;
	struct fold fold;
};

/* Looking a name up takes some microseconds; more than this nobody reads. */
#define NAMES_LOOKED_UP_MAX 4096u

static void
name_add(struct named *named, uint32_t node)
{
	char name[REGISTRY_NAME_SIZE];

	if (named->count++ >= NAMES_LOOKED_UP_MAX)
		named->fold.left_out++;
	else if (registry_node_name(named->ctrl->registry,
			 realm_of(named->ctrl, named->realm_index)->id, node, name, NULL) == 1)
		fold_add(&named->fold, name);
}

static bool
name_each(const struct drain_node *node, void *context)
{
	struct named *named = context;

	if (node->state == named->wanted)
		name_add(named, node->node);
	return true;
}

/* The names of nodes in that state; returns how many. */
static uint32_t
names_of(const struct ctrl *ctrl, const struct rotation_ask *ask, enum drain_state wanted,
	char text[ROTATION_NAMES_SIZE])
{
	struct named named = {.ctrl = ctrl, .realm_index = ask->realm_index, .wanted = wanted};
	struct drain drain;

	fold_begin(&named.fold, text, ROTATION_NAMES_SIZE);
	drain_measure(ctrl, ask->realm_index, ask->node, ask->quiet_s, name_each, &named, &drain);
	fold_end(&named.fold);
	return named.count;
}

/* ---- rotate ---- */

/* Each node takes one place more; told before anything is written. */
static int
room_check(struct ctrl *ctrl, const struct registry_rotate *ask, struct reason *reason)
{
	uint32_t room = keytable_extras_free(ctrl->keys), count = 0;
	int error = registry_rotate_count(ctrl->registry, ask, &count, reason);

	if (error != 0 || count <= room)
		return error;
	return reason_set(reason, ENOSPC,
		"%u nodes would need a place for a second key and %u are free; retire the old "
		"keys first (credgate realm retire), or rotate a role or a range of "
		"nodes at a time",
		count, room);
}

int
rotation_rotate(struct ctrl *ctrl, unsigned realm_index, const struct registry_rotate *asked,
	bool is_new_master, struct registry_rotation *done, struct reason *reason)
{
	char made[SECRETS_FINGERPRINT_SIZE], current[SECRETS_FINGERPRINT_SIZE];
	struct registry_rotate ask = *asked;
	int error;

	memcpy(current, ctrl->secrets[realm_index].fingerprint, sizeof(current));
	ask.realm = realm_of(ctrl, realm_index)->id;
	ask.realm_name = realm_of(ctrl, realm_index)->name;
	ask.master = is_new_master ? made : current;
	ask.previous_master = is_new_master ? current : NULL;
	error = room_check(ctrl, &ask, reason);
	if (error == 0 && is_new_master)
		error = masters_add(ctrl, realm_index, made, reason);
	if (error != 0)
		return error;
	error = registry_rotate(ctrl->registry, &ask, done, reason);
	if (is_new_master && error == 0)
		masters_use(ctrl, realm_index, made);
	else if (is_new_master)
		masters_take_back(ctrl, realm_index, made);
	return error != 0 ? error : epochs_load(ctrl, realm_index, 0, reason);
}

/* ---- retire ---- */

static int
in_use(const struct ctrl *ctrl, const struct rotation_ask *ask, const struct drain *drain,
	struct reason *reason)
{
	char names[ROTATION_NAMES_SIZE];

	names_of(ctrl, ask, DRAIN_IN_USE, names);
	return reason_set(reason, EBUSY,
		"%u node%s still use%s an old key: %s; give them the new one (credgate node key), "
		"or --force",
		drain->in_use, drain->in_use == 1 ? "" : "s", drain->in_use == 1 ? "s" : "", names);
}

static int
retire_check(const struct ctrl *ctrl, const struct rotation_ask *ask, const struct drain *drain,
	struct reason *reason)
{
	if (ask->is_forced || drain_is_done(drain))
		return 0;
	if (drain->in_use > 0)
		return in_use(ctrl, ask, drain, reason);
	return reason_set(reason, EBUSY,
		"no old key is in use, but that was watched for %u s of %u s only (since the "
		"rotation and the start of credgated); wait, lower --quiet, or --force",
		drain->watched_s, drain->quiet_s);
}

/* The newest stays in any case: a node without a key is revoked, not retired. */
static int
epoch_check(const struct ctrl *ctrl, const struct rotation_ask *ask, struct reason *reason)
{
	struct registry_epoch epochs[TABLE_EPOCHS_MAX];
	unsigned count = keytable_epochs_get(ctrl->keys, ask->realm_index, ask->node, epochs);

	for (unsigned i = 1; i < count && ask->epoch != 0; i++)
		if (epochs[i].epoch == ask->epoch)
			return 0;
	if (ask->epoch == 0)
		return 0;
	if (count > 0 && epochs[0].epoch == ask->epoch)
		return reason_set(reason, EINVAL,
			"epoch %u is the newest key of node %s; rotate it first, or credgate node "
			"rollback",
			ask->epoch, ask->name);
	return reason_set(
		reason, ENOENT, "node %s has no live key of epoch %u", ask->name, ask->epoch);
}

static int
hold(struct ctrl *ctrl, const struct rotation_ask *ask, struct rotation_done *done,
	struct reason *reason)
{
	struct drain drain;
	int error;

	drain_measure(ctrl, ask->realm_index, ask->node, ask->quiet_s, NULL, NULL, &drain);
	error = retire_check(ctrl, ask, &drain, reason);
	if (error != 0)
		return error;
	if (drain.silent > 0)
		done->silent = names_of(ctrl, ask, DRAIN_SILENT, done->silent_names);
	error = registry_epochs_hold(ctrl->registry, realm_of(ctrl, ask->realm_index)->id,
		ask->node, ask->epoch, &done->held, reason);
	return error != 0 ? error : epochs_load(ctrl, ask->realm_index, ask->node, reason);
}

static int
nothing_to_retire(struct ctrl *ctrl, const struct rotation_ask *ask, struct reason *reason)
{
	const struct config_realm *realm = realm_of(ctrl, ask->realm_index);
	uint32_t held = 0;
	int error = registry_epochs_held(ctrl->registry, realm->id, ask->node, &held, reason);

	if (error != 0)
		return error;
	if (held > 0)
		return reason_set(reason, ENOENT,
			"%s has no old keys but %u that are retired already; --final closes them "
			"for good, rollback brings them back",
			ask->node != 0 ? ask->name : realm->name, held);
	return reason_set(reason, ENOENT, "%s has no old keys; rotate first",
		ask->node != 0 ? ask->name : realm->name);
}

/* The first of two steps cannot be taken back where the second found no room. */
static int
half_done(const struct rotation_done *done, struct reason *reason)
{
	const struct reason why = *reason;

	return reason_set(reason, why.error,
		"%u old key%s retired and refused now, but not closed for good (%.300s): ask for "
		"--final again, or roll back",
		done->held, done->held == 1 ? " is" : "s are", why.text);
}

int
rotation_retire(struct ctrl *ctrl, const struct rotation_ask *ask, struct rotation_done *done,
	struct reason *reason)
{
	uint32_t realm = realm_of(ctrl, ask->realm_index)->id;
	int error;

	memset(done, 0, sizeof(*done));
	error = ask->node != 0 ? epoch_check(ctrl, ask, reason) : 0;
	if (error == 0)
		error = hold(ctrl, ask, done, reason);
	if (error == 0 && ask->is_final)
		error = registry_epochs_close(
			ctrl->registry, realm, ask->node, UINT32_MAX, &done->closed, reason);
	if (error != 0 && done->held > 0)
		error = half_done(done, reason);
	if (error == 0 && done->held + done->closed == 0)
		error = nothing_to_retire(ctrl, ask, reason);
	if (error == 0 && done->closed > 0)
		masters_sweep(ctrl, ask->realm_index);
	return error;
}

/* ---- rollback ---- */

/* The new epochs that would be closed, and which of them are in use. */
struct undoing {
	const struct ctrl *ctrl;
	const struct rotation_ask *ask;
	uint32_t rotation; /* 0: the newest of the node, whoever opened it */
	uint32_t now_s;
	uint32_t count;
	uint16_t newest; /* of the last node */
	struct named in_use;
};

static bool
undo_look(const struct registry_node *node, void *context)
{
	struct undoing *undoing = context;
	uint32_t last_s;

	if (node->epoch_count < 2 ||
		(undoing->rotation != 0 && node->epochs[0].rotation != undoing->rotation))
		return true;
	undoing->count++;
	undoing->newest = node->epochs[0].epoch;
	last_s = drain_last_s(
		undoing->ctrl, undoing->ask->realm_index, node->node, node->epochs[0].epoch);
	if (last_s != 0 && (uint64_t)last_s + undoing->ask->quiet_s > undoing->now_s)
		name_add(&undoing->in_use, node->node);
	return true;
}

static int
undo_check(struct ctrl *ctrl, const struct rotation_ask *ask, struct undoing *undoing,
	struct reason *reason)
{
	char names[ROTATION_NAMES_SIZE];
	int error;

	undoing->now_s = (uint32_t)(clock_real_us() / SECOND_US);
	undoing->in_use.ctrl = ctrl;
	undoing->in_use.realm_index = ask->realm_index;
	fold_begin(&undoing->in_use.fold, names, sizeof(names));
	error = registry_epochs_walk(ctrl->registry, realm_of(ctrl, ask->realm_index)->id,
		ask->node, undo_look, undoing, reason);
	fold_end(&undoing->in_use.fold);
	if (error != 0 || undoing->in_use.count == 0 || ask->is_forced)
		return error;
	return reason_set(reason, EBUSY,
		"%u node%s use%s the new key already: %s; give them the old one (credgate node key "
		"--epoch), or --force",
		undoing->in_use.count, undoing->in_use.count == 1 ? "" : "s",
		undoing->in_use.count == 1 ? "s" : "", names);
}

static int
restore(struct ctrl *ctrl, const struct rotation_ask *ask, uint32_t held,
	struct rotation_done *done, struct reason *reason)
{
	uint32_t room = keytable_extras_free(ctrl->keys);
	int error;

	if (held > room)
		return reason_set(reason, ENOSPC,
			"%u retired keys would need places for further keys and %u are free; roll "
			"back node by node, or close them for good (credgate realm retire --final)",
			held, room);
	error = registry_epochs_restore(ctrl->registry, realm_of(ctrl, ask->realm_index)->id,
		ask->node, &done->restored, reason);
	return error != 0 ? error : epochs_load(ctrl, ask->realm_index, ask->node, reason);
}

static int
node_undo(struct ctrl *ctrl, const struct rotation_ask *ask, struct rotation_done *done,
	struct reason *reason)
{
	struct undoing undoing = {.ctrl = ctrl, .ask = ask};
	int error = undo_check(ctrl, ask, &undoing, reason);

	if (error == 0 && undoing.count == 0)
		return reason_set(reason, ENOENT,
			"node %s has one key only, and none that is retired: what was made final "
			"never comes back; rotate it for a new key",
			ask->name);
	if (error == 0)
		error = registry_epoch_undo(ctrl->registry, realm_of(ctrl, ask->realm_index)->id,
			ask->node, undoing.newest, reason);
	done->undone = error == 0;
	return error;
}

static int
realm_undo(struct ctrl *ctrl, const struct rotation_ask *ask, struct rotation_done *done,
	struct reason *reason)
{
	const struct config_realm *realm = realm_of(ctrl, ask->realm_index);
	struct undoing undoing = {.ctrl = ctrl, .ask = ask};
	struct registry_rotation last;
	int error, state = registry_rotation_last(ctrl->registry, realm->id, &last, reason);

	if (state < 0)
		return state;
	if (state == 0)
		return reason_set(reason, ENOENT,
			"realm %s has no rotation that could be taken back: what was made final "
			"never comes back; rotate again for new keys",
			realm->name);
	if (last.previous_master[0] != '\0' &&
		secrets_master_find(&ctrl->secrets[ask->realm_index], last.previous_master) < 0)
		return reason_set(reason, ENOKEY,
			"the master secret before rotation %u (%s) is not loaded; restore its file "
			"and restart credgated",
			last.rotation, last.previous_master);
	undoing.rotation = last.rotation;
	error = undo_check(ctrl, ask, &undoing, reason);
	if (error == 0)
		error = registry_rotation_undo(
			ctrl->registry, realm->id, &last, &done->undone, reason);
	if (error != 0)
		return error;
	done->rotation = last.rotation;
	if (last.previous_master[0] != '\0')
		masters_use(ctrl, ask->realm_index, last.previous_master);
	return 0;
}

int
rotation_rollback(struct ctrl *ctrl, const struct rotation_ask *ask, struct rotation_done *done,
	struct reason *reason)
{
	uint32_t held = 0;
	int error;

	memset(done, 0, sizeof(*done));
	error = registry_epochs_held(
		ctrl->registry, realm_of(ctrl, ask->realm_index)->id, ask->node, &held, reason);
	if (error != 0)
		return error;
	if (held > 0)
		return restore(ctrl, ask, held, done, reason);
	error = ask->node != 0 ? node_undo(ctrl, ask, done, reason)
			       : realm_undo(ctrl, ask, done, reason);
	if (error == 0)
		error = epochs_load(ctrl, ask->realm_index, ask->node, reason);
	if (error == 0)
		masters_sweep(ctrl, ask->realm_index);
	return error;
}

/* ---- what happens by itself ---- */

static void
due_note(struct ctrl *ctrl, uint32_t realm, uint32_t count)
{
	log_info("rotation", "%u retired keys of realm id %u are closed for good", count, realm);
	audit_note(ctrl->audit, "realm.retire.final",
		"retired keys are closed when their time is over",
		json_pack(
			"{s:I, s:I}", "realm_id", (json_int_t)realm, "closed", (json_int_t)count));
}

static void
due_close(struct ctrl *ctrl, uint32_t realm, uint32_t held_s)
{
	struct reason reason;
	uint32_t count = 0;
	int error = registry_epochs_close(ctrl->registry, realm, 0, held_s, &count, &reason);

	if (error != 0)
		log_error("rotation", "retired keys of realm id %u cannot be made final: %s", realm,
			reason.text);
	else
		due_note(ctrl, realm, count);
	for (unsigned i = 0; error == 0 && i < ctrl->config->realm_count; i++)
		if (realm_of(ctrl, i)->id == realm)
			masters_sweep(ctrl, i);
}

void
rotation_second(struct ctrl *ctrl)
{
	uint64_t now_us = clock_mono_us();
	uint32_t realm = 0, held_s;

	if (now_us < ctrl->rotation_due_us)
		return;
	ctrl->rotation_due_us = now_us + (uint64_t)ROTATION_CHECK_S * SECOND_US;
	held_s = (uint32_t)(clock_real_us() / SECOND_US) - ROTATION_HOLD_S;
	if (registry_epochs_due(ctrl->registry, held_s, &realm, NULL) == 1)
		due_close(ctrl, realm, held_s);
}
