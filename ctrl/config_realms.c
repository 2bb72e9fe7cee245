/* SPDX-License-Identifier: BSD-3-Clause */
/* Realms, their audiences, and the groups of consumers that read what they accept. */
#include "ctrl/config_priv.h"

#include <string.h>

#include "replay/replay.h"

#define AUDIENCE_ANY_NAME "any"

/* Beacon intervals. Less, and a beacon that is a little late would make its node so. */
#define INTERVALS_MIN 1.5f
#define INTERVALS_MAX 1000.0f

int
config_realm_find(const struct config *config, const char *name)
{
	for (unsigned i = 0; i < config->realm_count; i++)
		if (strcmp(config->realms[i].name, name) == 0)
			return (int)i;
	return -1;
}

int
config_audience_find(const struct config_realm *realm, const char *name)
{
	for (unsigned i = 0; i < realm->audience_count; i++)
		if (strcmp(realm->audiences[i].name, name) == 0)
			return (int)i;
	return -1;
}

static void
audience_check(struct config_pass *pass, struct config_realm *realm, unsigned index,
	const struct config_file_audience *file)
{
	struct config_audience *audience = &realm->audiences[index];
	char key[40];

	snprintf(key, sizeof(key), "audiences[%u].name", index);
	config_pass_name(pass, key, audience->name, file->name);
	audience->id = file->id;
	if (strcmp(audience->name, AUDIENCE_ANY_NAME) == 0)
		config_pass_fail(pass, key,
			"\"any\" is the name of audience 0; use audience_any, or another name");
	if (config_audience_find(realm, audience->name) >= 0)
		config_pass_fail(pass, key,
			"\"%s\" is another audience's name as well; choose another", file->name);
	snprintf(key, sizeof(key), "audiences[%u].id", index);
	if (audience->id == 0)
		config_pass_fail(pass, key, "0 means any audience; choose a number from 1");
	for (unsigned i = 0; i < index; i++)
		if (realm->audiences[i].id == audience->id)
			config_pass_fail(pass, key,
				"%u is the number of \"%s\" as well; choose another", audience->id,
				realm->audiences[i].name);
}

static void
realm_check_times(
	struct config_pass *pass, struct config_realm *to, const struct config_file_realm *from)
{
#define NUMBER(key, standard, min, max) \
	to->key = config_pass_number(   \
		pass, #key, from->key, (struct config_range){(standard), (min), (max)})
	NUMBER(ttl_max_s, 300, 1, 7 * 86400);
	NUMBER(ttl_default_s, to->ttl_max_s < 60 ? to->ttl_max_s : 60, 1, 7 * 86400);
	NUMBER(skew_ms, 2000, 0, 3600 * 1000);
	NUMBER(dup_ms, 2000, 0, 60 * 1000);
	NUMBER(replies_per_s, 100, 0, 1000000);
#undef NUMBER
	if (to->ttl_default_s > to->ttl_max_s)
		config_pass_fail(pass, "ttl_default_s",
			"%u is more than ttl_max_s (%u); lower it or raise ttl_max_s",
			to->ttl_default_s, to->ttl_max_s);
}

/* A number of beacon intervals, in tenths of one. */
static uint32_t
intervals_check(struct config_pass *pass, const char *key, const float *given, uint32_t standard)
{
	if (given == NULL)
		return standard;
	if (*given >= INTERVALS_MIN && *given <= INTERVALS_MAX)
		return (uint32_t)(*given * 10 + 0.5f);
	config_pass_fail(pass, key, "%g is not within 1.5 and 1000 beacon intervals; choose one",
		(double)*given);
	return standard;
}

static void
realm_check_beacons(
	struct config_pass *pass, struct config_realm *to, const struct config_file_realm *from)
{
	to->beacon_s = config_pass_number(
		pass, "beacon_s", from->beacon_s, (struct config_range){10, 1, UINT16_MAX});
	to->late_tenths = intervals_check(pass, "late_after", from->late_after, 25);
	to->left_tenths = intervals_check(pass, "left_after", from->left_after,
		to->late_tenths < 60 ? 60 : 2 * to->late_tenths);
	if (to->left_tenths <= to->late_tenths)
		config_pass_fail(pass, "left_after",
			"must be more than late_after (%g); raise it or lower late_after",
			to->late_tenths / 10.0);
}

static void
realm_check_window(
	struct config_pass *pass, struct config_realm *to, const struct config_file_realm *from)
{
	to->nodes_max = config_pass_number(pass, "nodes_max", from->nodes_max,
		(struct config_range){1024, 1, TABLE_NODES_MAX - TABLE_REALMS_MAX});
	to->has_window_bits = from->window_bits != NULL;
	to->window_bits = config_pass_power(pass, "window_bits", from->window_bits,
		(struct config_range){REPLAY_WINDOW_BITS_DEFAULT, REPLAY_WINDOW_BITS_MIN,
			REPLAY_WINDOW_BITS_MAX});
}

static void
realm_check_master(
	struct config_pass *pass, struct config_realm *to, const struct config_file_realm *from)
{
	char standard[CONFIG_NAME_SIZE + sizeof(".master")];
	const char *name = from->master;
	int length;

	snprintf(standard, sizeof(standard), "%s.master", to->name);
	if (name == NULL)
		name = standard;
	if (name[0] == '/')
		length = snprintf(to->master, sizeof(to->master), "%s", name);
	else
		length = snprintf(
			to->master, sizeof(to->master), "%s/%s", pass->config->state_dir, name);
	if (length < 0 || (size_t)length >= sizeof(to->master))
		config_pass_fail(pass, "master", "the path is longer than %zu bytes; shorten it",
			sizeof(to->master) - 1);
}

/* Beside the configuration, for people write both. */
static void
realm_check_whitelist(
	struct config_pass *pass, struct config_realm *to, const struct config_file_realm *from)
{
	const char *path = pass->config->path, *slash = strrchr(path, '/');
	int length;

	if (from->whitelist == NULL)
		return;
	if (from->whitelist[0] == '/' || slash == NULL)
		length = snprintf(to->whitelist, sizeof(to->whitelist), "%s", from->whitelist);
	else
		length = snprintf(to->whitelist, sizeof(to->whitelist), "%.*s/%s",
			(int)(slash - path), path, from->whitelist);
	if (length < 0 || (size_t)length >= sizeof(to->whitelist))
		config_pass_fail(pass, "whitelist", "the path is longer than %zu bytes; shorten it",
			sizeof(to->whitelist) - 1);
}

static void
realm_check_id(struct config_pass *pass, unsigned index, const struct config_file_realm *file)
{
	struct config *config = pass->config;
	struct config_realm *realm = &config->realms[index];

	config_pass_name(pass, "name", realm->name, file->name);
	if (config_realm_find(config, realm->name) >= 0)
		config_pass_fail(pass, "name",
			"\"%s\" is another realm's name as well; choose another", file->name);
	realm->id = file->id;
	if (realm->id == 0)
		config_pass_fail(pass, "id", "0 is no realm; choose a number from 1 to 4294967295");
	for (unsigned i = 0; i < index; i++)
		if (config->realms[i].id == realm->id)
			config_pass_fail(pass, "id",
				"%u is the id of realm \"%s\" as well; choose another", realm->id,
				config->realms[i].name);
}

static void
realm_check(struct config_pass *pass, unsigned index)
{
	const struct config_file_realm *from = &pass->file->realms[index];
	struct config_realm *to = &pass->config->realms[index];

	realm_check_id(pass, index, from);
	realm_check_window(pass, to, from);
	realm_check_master(pass, to, from);
	realm_check_whitelist(pass, to, from);
	realm_check_times(pass, to, from);
	realm_check_beacons(pass, to, from);
	to->freshness = from->freshness != NULL ? (enum table_freshness) * from->freshness
						: TABLE_FRESHNESS_CLOCK;
	if (to->freshness == TABLE_FRESHNESS_SERIAL)
		config_pass_warn(pass, "freshness",
			"serial: after a crash, what was accepted since serials were last written "
			"(a second, or since the disk was full) may be accepted once more; choose "
			"clock where nodes have clocks");
	to->origin = from->origin != NULL ? (enum table_origin_mode) * from->origin
					  : TABLE_ORIGIN_STRICT;
	to->mode = from->mode != NULL ? (enum table_mode) * from->mode : TABLE_MODE_ENFORCE;
	to->clones =
		from->clones != NULL ? (enum config_clones) * from->clones : CONFIG_CLONES_REPORT;
	to->audience_any = from->audience_any == NULL || *from->audience_any;
	for (unsigned i = 0; i < from->audiences_count; i++) {
		audience_check(pass, to, i, &from->audiences[i]);
		to->audience_count = i + 1;
	}
	if (!to->audience_any && to->audience_count == 0)
		config_pass_fail(pass, "audience_any",
			"is false and there are no audiences, so nothing could be accepted; name "
			"audiences or set it to true");
}

static void
slots_check(struct config_pass *pass)
{
	const struct config *config = pass->config;
	uint64_t slots = 0;

	for (unsigned i = 0; i < config->realm_count; i++)
		slots += config->realms[i].nodes_max + 1ull;
	if (slots > TABLE_NODES_MAX)
		config_pass_fail(pass, "realms",
			"nodes_max of all realms and one for each realm make %llu; at most %u are "
			"possible, lower some",
			(unsigned long long)slots, TABLE_NODES_MAX);
}

void
config_check_realms(struct config_pass *pass)
{
	for (unsigned i = 0; i < pass->file->realms_count; i++) {
		snprintf(pass->prefix, sizeof(pass->prefix), "realms[%u].", i);
		realm_check(pass, i);
		pass->config->realm_count = i + 1;
	}
	pass->prefix[0] = '\0';
	slots_check(pass);
}

/* Does one of the group's realms have an audience of this name? */
static bool
group_has_audience(const struct config *config, const struct config_group *group, const char *name)
{
	for (unsigned i = 0; i < config->realm_count; i++)
		if ((group->realms >> i & 1) != 0 &&
			config_audience_find(&config->realms[i], name) >= 0)
			return true;
	return false;
}

static void
group_check_realms(
	struct config_pass *pass, struct config_group *to, const struct config_file_group *from)
{
	char key[32];

	for (unsigned i = 0; i < from->realms_count; i++) {
		int index = config_realm_find(pass->config, from->realms[i]);

		snprintf(key, sizeof(key), "realms[%u]", i);
		if (index < 0)
			config_pass_fail(pass, key, "there is no realm \"%s\"; name one of realms",
				from->realms[i]);
		else
			to->realms |= 1ull << index;
	}
}

static void
group_check_audiences(
	struct config_pass *pass, struct config_group *to, const struct config_file_group *from)
{
	char key[32];

	for (unsigned i = 0; i < from->audiences_count; i++) {
		const char *name = from->audiences[i];

		snprintf(key, sizeof(key), "audiences[%u]", i);
		if (strcmp(name, AUDIENCE_ANY_NAME) == 0) {
			to->has_any = true;
			continue;
		}
		if (!group_has_audience(pass->config, to, name))
			config_pass_fail(pass, key,
				"no realm of this group has an audience \"%s\"; name one of their "
				"audiences, or any",
				name);
		snprintf(to->audiences[to->audience_count++], CONFIG_NAME_SIZE, "%s", name);
	}
}

/* A reader that is control or the dataplane could write what it should only read. */
static void
group_check_reader(
	struct config_pass *pass, struct config_group *to, const struct config_file_group *from)
{
	const struct config *config = pass->config;

	config_pass_user(pass, "reader.uid", from->reader.uid, &to->reader.uid, &to->reader.gid);
	if (from->reader.gid != NULL)
		config_pass_group(pass, "reader.gid", from->reader.gid, &to->reader.gid);
	if (pass->caller->uid == 0 && (to->reader.uid == config->control.uid ||
					      to->reader.uid == config->dataplane_user.uid))
		config_pass_fail(pass, "reader.uid",
			"is one of credgate's own users; let the consumer run as another");
}

static void
group_check(struct config_pass *pass, unsigned index)
{
	const struct config_file_group *from = &pass->file->groups[index];
	struct config_group *to = &pass->config->groups[index];

	config_pass_name(pass, "name", to->name, from->name);
	for (unsigned i = 0; i < index; i++)
		if (strcmp(pass->config->groups[i].name, to->name) == 0)
			config_pass_fail(pass, "name",
				"\"%s\" is another group's name as well; choose another",
				from->name);
	group_check_realms(pass, to, from);
	group_check_audiences(pass, to, from);
	group_check_reader(pass, to, from);
	to->beacons = from->beacons != NULL && *from->beacons;
}

/* At most TABLE_CRED_GROUPS_MAX groups may get one credential. */
static void
readers_check(struct config_pass *pass, unsigned realm_index, const char *audience)
{
	const struct config *config = pass->config;
	unsigned count = 0;
	char key[32];

	snprintf(key, sizeof(key), "realms[%u]", realm_index);
	for (unsigned i = 0; i < config->group_count; i++) {
		const struct config_group *group = &config->groups[i];
		bool is_reader = audience == NULL && group->has_any;

		if ((group->realms >> realm_index & 1) == 0)
			continue;
		for (unsigned j = 0; audience != NULL && j < group->audience_count; j++)
			is_reader |= strcmp(group->audiences[j], audience) == 0;
		count += is_reader;
	}
	if (count > TABLE_CRED_GROUPS_MAX)
		config_pass_fail(pass, key,
			"audience \"%s\" has %u groups; at most %u can get one credential, remove "
			"some",
			audience != NULL ? audience : AUDIENCE_ANY_NAME, count,
			TABLE_CRED_GROUPS_MAX);
	if (count == 0)
		config_pass_warn(pass, key,
			"no group reads audience \"%s\" of realm \"%s\": its credentials get the "
			"verdict unauthorized; add it to a group",
			audience != NULL ? audience : AUDIENCE_ANY_NAME,
			config->realms[realm_index].name);
}

static bool
has_group(const struct config *config, unsigned realm_index)
{
	for (unsigned i = 0; i < config->group_count; i++)
		if ((config->groups[i].realms >> realm_index & 1) != 0)
			return true;
	return false;
}

static void
realm_check_readers(struct config_pass *pass, unsigned index)
{
	const struct config_realm *realm = &pass->config->realms[index];
	char key[32];

	if (!has_group(pass->config, index)) {
		snprintf(key, sizeof(key), "realms[%u]", index);
		config_pass_warn(pass, key,
			"no group reads realm \"%s\": its credentials get the verdict "
			"unauthorized; add a group",
			realm->name);
		return;
	}
	if (realm->audience_any)
		readers_check(pass, index, NULL);
	for (unsigned i = 0; i < realm->audience_count; i++)
		readers_check(pass, index, realm->audiences[i].name);
}

void
config_check_groups(struct config_pass *pass)
{
	for (unsigned i = 0; i < pass->file->groups_count; i++) {
		snprintf(pass->prefix, sizeof(pass->prefix), "groups[%u].", i);
		group_check(pass, i);
		pass->config->group_count = i + 1;
	}
	pass->prefix[0] = '\0';
	for (unsigned i = 0; pass->error == 0 && i < pass->config->realm_count; i++)
		realm_check_readers(pass, i);
}
