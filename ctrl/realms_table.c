/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/realms_table.h"

#include <stdlib.h>
#include <string.h>

#include "ctrl/windows.h"

static int
audience_order(const void *a, const void *b)
{
	const struct table_audience *one = a, *other = b;

	return (one->audience > other->audience) - (one->audience < other->audience);
}

static bool
group_has_audience(const struct config_group *group, const char *name)
{
	for (unsigned i = 0; i < group->audience_count; i++)
		if (strcmp(group->audiences[i], name) == 0)
			return true;
	return false;
}

/* Bitmap of the groups that read this realm and audience; name NULL: audience 0. */
static uint32_t
groups_of(const struct config *config, unsigned realm_index, const char *audience)
{
	uint32_t groups = 0;

	for (unsigned i = 0; i < config->group_count; i++) {
		const struct config_group *group = &config->groups[i];

		if ((group->realms >> realm_index & 1) == 0)
			continue;
		if (audience == NULL ? group->has_any : group_has_audience(group, audience))
			groups |= 1u << i;
	}
	return groups;
}

static uint32_t
beacon_groups_of(const struct config *config, unsigned realm_index)
{
	uint32_t groups = 0;

	for (unsigned i = 0; i < config->group_count; i++)
		if (config->groups[i].beacons && (config->groups[i].realms >> realm_index & 1) != 0)
			groups |= 1u << i;
	return groups;
}

static void
realm_make(struct table_realm *realm, const struct config *config, unsigned index)
{
	const struct config_realm *from = &config->realms[index];

	realm->id = from->id;
	realm->nodes_max = from->nodes_max;
	realm->ttl_default_s = from->ttl_default_s;
	realm->ttl_max_s = from->ttl_max_s;
	realm->reply_rate = from->replies_per_s;
	realm->skew_us = from->skew_ms * 1000ull;
	realm->dup_us = from->dup_ms * 1000ull;
	realm->origin_mode = (uint8_t)from->origin;
	realm->freshness = (uint8_t)from->freshness;
	realm->mode = (uint8_t)from->mode;
	realm->audience_any = from->audience_any;
	realm->any_groups = from->audience_any ? groups_of(config, index, NULL) : 0;
	realm->beacon_groups = beacon_groups_of(config, index);
	realm->audience_count = (uint16_t)from->audience_count;
	for (unsigned i = 0; i < from->audience_count; i++)
		realm->audiences[i] = (struct table_audience){
			.audience = from->audiences[i].id,
			.groups = groups_of(config, index, from->audiences[i].name),
		};
	qsort(realm->audiences, from->audience_count, sizeof(realm->audiences[0]), audience_order);
}

void
realms_table_make(struct table_policy *policy, const struct config *config,
	const uint64_t floors_us[TABLE_REALMS_MAX])
{
	uint32_t bases[TABLE_REALMS_MAX];

	memset(policy, 0, sizeof(*policy));
	windows_bases(config, bases);
	policy->realm_count = config->realm_count;
	policy->group_count = config->group_count;
	for (unsigned i = 0; i < config->realm_count; i++) {
		realm_make(&policy->realms[i], config, i);
		policy->realms[i].base = bases[i];
		policy->realms[i].floor_us = floors_us[i];
	}
	for (unsigned i = 0; i < config->group_count; i++)
		policy->groups[i] = (struct table_group){
			.reader_uid = config->groups[i].reader.uid,
			.reader_gid = config->groups[i].reader.gid,
			.is_used = 1,
		};
}
