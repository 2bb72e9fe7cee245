/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/masters.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctrl/log.h"
#include "ctrl/registry_epochs.h"

static void
path_further(const struct ctrl *ctrl, unsigned realm_index, const char *fingerprint, char *path)
{
	snprintf(path, PATH_MAX, "%.4000s.%.16s", ctrl->config->realms[realm_index].master,
		fingerprint);
}

void
masters_path(const struct ctrl *ctrl, unsigned realm_index, const char *fingerprint, char *path)
{
	path_further(ctrl, realm_index, fingerprint, path);
	if (access(path, F_OK) != 0)
		snprintf(path, PATH_MAX, "%s", ctrl->config->realms[realm_index].master);
}

/* ---- start ---- */

/* One that the registry names and the configuration's file is not. */
static int
master_load(struct ctrl *ctrl, unsigned realm_index, const struct registry_master *master,
	struct reason *reason)
{
	const struct config_realm *realm = &ctrl->config->realms[realm_index];
	struct secrets_realm *secrets = &ctrl->secrets[realm_index];
	bool is_current = master->state == REGISTRY_MASTER_CURRENT;
	char path[PATH_MAX];
	struct reason why;
	int place = secrets_master_find(secrets, master->fingerprint);

	if (place >= 0 || (!is_current && !master->is_used))
		return 0;
	path_further(ctrl, realm_index, master->fingerprint, path);
	place = secrets_master_load(secrets, path, realm->id, master->fingerprint, &why);
	if (place >= 0)
		return 0;
	if (is_current)
		return reason_set(reason, -place,
			"realm %s: its current master secret %s is not %s, and %s; restore that "
			"file",
			realm->name, master->fingerprint, realm->master, why.text);
	log_error(realm->name,
		"master secret %s is not %s, and %s; keys of nodes that are derived from it are "
		"refused until it is restored and credgated started again",
		master->fingerprint, realm->master, why.text);
	return 0;
}

/* Somebody put another file where the configuration's master was: that is the current one now. */
static int
replaced_by_hand(
	struct ctrl *ctrl, unsigned realm_index, const char *current, struct reason *reason)
{
	const struct config_realm *realm = &ctrl->config->realms[realm_index];
	const char *ours = ctrl->secrets[realm_index].fingerprint;
	int error;

	log_warning(realm->name,
		"%s holds master secret %s, which the registry does not know: new keys are derived "
		"from it instead of %s",
		realm->master, ours, current);
	error = registry_master_put(
		ctrl->registry, realm->id, current, REGISTRY_MASTER_OLD, reason);
	return error != 0 ? error
			  : registry_master_put(ctrl->registry, realm->id, ours,
				    REGISTRY_MASTER_CURRENT, reason);
}

/* Settles which one is current; `known` are those of the registry, at least one. */
static int
current_choose(struct ctrl *ctrl, unsigned realm_index, const struct registry_master *known,
	unsigned count, struct reason *reason)
{
	struct secrets_realm *secrets = &ctrl->secrets[realm_index];
	const char *current = known[0].fingerprint; /* the order is that of states */
	bool is_known = secrets->key == NULL;

	for (unsigned i = 0; i < count; i++)
		is_known |= strcmp(known[i].fingerprint, secrets->fingerprint) == 0;
	if (!is_known)
		return replaced_by_hand(ctrl, realm_index, current, reason);
	secrets_master_use(secrets, (unsigned)secrets_master_find(secrets, current));
	for (unsigned i = 0; i < count; i++) {
		int place = secrets_master_find(secrets, known[i].fingerprint);

		if (place >= 0 && known[i].state == REGISTRY_MASTER_OUT && !known[i].is_used)
			secrets_master_drop(secrets, (unsigned)place);
	}
	return 0;
}

/* The file that the configuration names; it may be archived once another one is current. */
static int
first_load(struct ctrl *ctrl, unsigned realm_index, bool has_others, struct reason *reason)
{
	const struct config_realm *realm = &ctrl->config->realms[realm_index];
	struct reason why;
	int error = secrets_realm_load(&ctrl->secrets[realm_index], realm->master, realm->id, &why);

	if (error == 0 || (error == -ENOENT && has_others))
		return 0;
	if (error == -ENOENT)
		return reason_set(reason, ENOENT,
			"realm %s has no master secret %s; make it: credgate realm init %s, or "
			"restore it",
			realm->name, realm->master, realm->name);
	return reason_set(reason, -error, "realm %s: master secret: %s", realm->name, why.text);
}

static int
realm_begin(struct ctrl *ctrl, unsigned realm_index, struct reason *reason)
{
	struct registry_master known[REGISTRY_MASTERS_MAX];
	unsigned count = 0;
	int error = registry_masters(
		ctrl->registry, ctrl->config->realms[realm_index].id, known, &count, reason);

	if (error == 0)
		error = first_load(ctrl, realm_index, count > 0, reason);
	for (unsigned i = 0; error == 0 && i < count; i++)
		error = master_load(ctrl, realm_index, &known[i], reason);
	if (error == 0 && count > 0)
		error = current_choose(ctrl, realm_index, known, count, reason);
	return error;
}

int
masters_begin(struct ctrl *ctrl, struct reason *reason)
{
	int error = 0;

	for (unsigned i = 0; error == 0 && i < ctrl->config->realm_count; i++)
		error = realm_begin(ctrl, i, reason);
	return error;
}

/* ---- while it runs ---- */

int
masters_add(struct ctrl *ctrl, unsigned realm_index, char fingerprint[SECRETS_FINGERPRINT_SIZE],
	struct reason *reason)
{
	const struct config_realm *realm = &ctrl->config->realms[realm_index];
	struct secrets_realm *secrets = &ctrl->secrets[realm_index];
	char path[PATH_MAX];
	int place;

	place = secrets_master_add(realm->master, fingerprint, reason);
	if (place != 0)
		return place;
	path_further(ctrl, realm_index, fingerprint, path);
	place = secrets_master_load(secrets, path, realm->id, fingerprint, reason);
	if (place < 0) {
		unlink(path);
		return place;
	}
	keytable_master_set(ctrl->keys, realm_index, (unsigned)place, secrets->masters[place].key);
	return 0;
}

static void
master_drop(struct ctrl *ctrl, unsigned realm_index, const char *fingerprint)
{
	struct secrets_realm *secrets = &ctrl->secrets[realm_index];
	int place = secrets_master_find(secrets, fingerprint);

	if (place < 0)
		return;
	keytable_master_set(ctrl->keys, realm_index, (unsigned)place, NULL);
	secrets_master_drop(secrets, (unsigned)place);
}

void
masters_take_back(struct ctrl *ctrl, unsigned realm_index, const char *fingerprint)
{
	char path[PATH_MAX];

	path_further(ctrl, realm_index, fingerprint, path);
	master_drop(ctrl, realm_index, fingerprint);
	log_warning(ctrl->config->realms[realm_index].name,
		"%s is not used, for the rotation failed; it may be removed once another one "
		"worked",
		path);
}

void
masters_use(struct ctrl *ctrl, unsigned realm_index, const char *fingerprint)
{
	struct secrets_realm *secrets = &ctrl->secrets[realm_index];

	secrets_master_use(secrets, (unsigned)secrets_master_find(secrets, fingerprint));
}

void
masters_sweep(struct ctrl *ctrl, unsigned realm_index)
{
	const struct config_realm *realm = &ctrl->config->realms[realm_index];
	struct registry_master known[REGISTRY_MASTERS_MAX];
	char path[PATH_MAX];
	struct reason reason;
	unsigned count = 0;

	if (registry_masters(ctrl->registry, realm->id, known, &count, &reason) != 0)
		count = 0; /* at the next change, or the next start */
	for (unsigned i = 0; i < count; i++) {
		if (known[i].state != REGISTRY_MASTER_OLD || known[i].is_used ||
			registry_master_put(ctrl->registry, realm->id, known[i].fingerprint,
				REGISTRY_MASTER_OUT, &reason) != 0)
			continue;
		masters_path(ctrl, realm_index, known[i].fingerprint, path);
		master_drop(ctrl, realm_index, known[i].fingerprint);
		log_info(realm->name,
			"master secret %s is out of service: no key is derived from it any more; "
			"%s may be archived or destroyed",
			known[i].fingerprint, path);
	}
}
