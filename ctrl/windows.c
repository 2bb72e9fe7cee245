/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/windows.h"

#include <errno.h>

static uint64_t
realm_bytes(const struct config_realm *realm)
{
	return (uint64_t)(realm->nodes_max + 1) * (realm->window_bits / 8);
}

static void
defaults_set(struct config *config)
{
	for (unsigned i = 0; i < config->realm_count; i++) {
		struct config_realm *realm = &config->realms[i];

		if (!realm->has_window_bits)
			realm->window_bits = realm->nodes_max > CONFIG_WINDOW_LARGE
						     ? CONFIG_WINDOW_MEDIUM
						     : REPLAY_WINDOW_BITS_DEFAULT;
	}
}

/* The realm whose windows may shrink and take most, or NULL. */
static struct config_realm *
largest_find(struct config *config)
{
	struct config_realm *largest = NULL;

	for (unsigned i = 0; i < config->realm_count; i++) {
		struct config_realm *realm = &config->realms[i];

		if (realm->has_window_bits || realm->window_bits == REPLAY_WINDOW_BITS_MIN)
			continue;
		if (largest == NULL || realm_bytes(realm) > realm_bytes(largest))
			largest = realm;
	}
	return largest;
}

uint32_t
windows_bases(const struct config *config, uint32_t bases[TABLE_REALMS_MAX])
{
	uint32_t next = 0;

	for (unsigned i = 0; i < config->realm_count; i++) {
		bases[i] = next;
		next += config->realms[i].nodes_max + 1;
	}
	return next;
}

unsigned
windows_ranges(const struct config *config, struct replay_layout_range ranges[TABLE_REALMS_MAX])
{
	uint32_t bases[TABLE_REALMS_MAX];

	windows_bases(config, bases);
	for (unsigned i = 0; i < config->realm_count; i++)
		ranges[i] = (struct replay_layout_range){
			.first_slot = bases[i],
			.slot_count = config->realms[i].nodes_max + 1,
			.window_bits = config->realms[i].window_bits,
		};
	return config->realm_count;
}

static uint64_t
store_bytes(const struct config *config)
{
	struct replay_layout_range ranges[TABLE_REALMS_MAX];
	uint32_t bases[TABLE_REALMS_MAX];
	unsigned count = windows_ranges(config, ranges);

	return replay_store_size(
		windows_bases(config, bases), ranges, count, config->dataplane.retransmit_entries);
}

int
windows_fit(struct config *config, uint64_t *bytes)
{
	uint64_t limit = (uint64_t)config->dataplane.window_memory_max_mb << 20;
	struct config_realm *largest;

	defaults_set(config);
	while ((*bytes = store_bytes(config)) > limit) {
		largest = largest_find(config);
		if (largest == NULL)
			return -E2BIG;
		largest->window_bits /= 2;
	}
	return 0;
}
