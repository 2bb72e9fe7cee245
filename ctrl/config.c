/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/config.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/address.h"
#include "ctrl/config_priv.h"

/* What libcyaml logs: its first error line, kept for the one error it should never have. */
struct loader_log {
	char text[256];
};

__attribute__((format(printf, 3, 0))) static void
loader_log_keep(cyaml_log_t level, void *context, const char *format, va_list args)
{
	struct loader_log *log = context;

	if (level >= CYAML_LOG_ERROR && log->text[0] == '\0')
		vsnprintf(log->text, sizeof(log->text), format, args);
}

static void
loader_config(cyaml_config_t *loader, struct loader_log *log)
{
	memset(loader, 0, sizeof(*loader));
	memset(log, 0, sizeof(*log));
	loader->log_fn = loader_log_keep;
	loader->log_ctx = log;
	loader->log_level = CYAML_LOG_ERROR;
	loader->mem_fn = cyaml_mem;
	loader->flags = CYAML_CFG_NO_ALIAS;
}

static int
source_load(struct config *config, struct config_source *source, const struct config_caller *caller,
	struct reason *reason)
{
	struct config_file *file = NULL;
	struct loader_log log;
	cyaml_config_t loader;
	cyaml_err_t result;
	int error;

	error = config_form_check(source, reason);
	if (error != 0)
		return error;
	crypto_generichash(config->digest, sizeof(config->digest),
		(const unsigned char *)source->bytes, source->size, NULL, 0);
	loader_config(&loader, &log);
	result = cyaml_load_data((const uint8_t *)source->bytes, source->size, &loader,
		&config_schema, (cyaml_data_t **)&file, NULL);
	if (result != CYAML_OK)
		return config_source_fail(source, 1, "yaml", reason, "%s (%s); simplify the file",
			cyaml_strerror(result), log.text);
	error = config_check(config, file, source, caller, reason);
	cyaml_free(&loader, &config_schema, file, 0);
	return error;
}

struct config *
config_load(const char *path, const struct config_caller *caller, struct reason *reason)
{
	struct config_source source;
	struct config *config;

	config = calloc(1, sizeof(*config));
	if (config == NULL) {
		reason_set(reason, ENOMEM, "%s:1: file: no memory to load it", path);
		return NULL;
	}
	snprintf(config->path, sizeof(config->path), "%s", path);
	if (config_source_open(&source, path, caller, reason) != 0)
		goto err_open;
	if (source_load(config, &source, caller, reason) != 0)
		goto err_load;
	config_source_close(&source);
	return config;

err_load:
	config_source_close(&source);
err_open:
	config_destroy(config);
	return NULL;
}

void
config_destroy(struct config *config)
{
	if (config == NULL)
		return;
	for (unsigned i = 0; i < config->warning_count; i++)
		free(config->warnings[i]);
	free(config);
}

const char *
config_driver_text(enum config_driver driver)
{
	return config_enum_text(config_drivers, CYAML_ARRAY_LEN(config_drivers), driver);
}

const char *
config_mode_text(enum table_mode mode)
{
	return config_enum_text(config_modes, CYAML_ARRAY_LEN(config_modes), mode);
}

const char *
config_freshness_text(enum table_freshness freshness)
{
	return config_enum_text(config_freshnesses, CYAML_ARRAY_LEN(config_freshnesses), freshness);
}

const char *
config_origin_text(enum table_origin_mode origin)
{
	return config_enum_text(config_origins, CYAML_ARRAY_LEN(config_origins), origin);
}

const char *
config_clones_text(enum config_clones clones)
{
	return config_enum_text(
		config_clones_choices, CYAML_ARRAY_LEN(config_clones_choices), clones);
}

const char *
config_checksum_text(enum setup_checksum checksum)
{
	return config_enum_text(config_checksums, CYAML_ARRAY_LEN(config_checksums), checksum);
}

static void
port_print(const struct config_port *port, FILE *out)
{
	char text[ADDRESS_TEXT_SIZE];

	fprintf(out, "port %s: %s %s, udp port %u, checksum %s, addresses", port->name,
		config_driver_text(port->driver), port->device, port->udp_port,
		config_checksum_text(port->checksum));
	for (unsigned i = 0; i < port->address_count; i++) {
		address_format(text, port->addresses[i].address, port->addresses[i].bits, 0);
		fprintf(out, " %s", text);
	}
	fprintf(out, "\n");
}

static void
realm_print(const struct config_realm *realm, FILE *out)
{
	fprintf(out,
		"realm %s: id %u, up to %u nodes, window %u bits, %s, origin %s, freshness %s, "
		"master %s\n",
		realm->name, realm->id, realm->nodes_max, realm->window_bits,
		config_mode_text(realm->mode), config_origin_text(realm->origin),
		config_freshness_text(realm->freshness), realm->master);
}

void
config_print(const struct config *config, FILE *out)
{
	char listen[ENDPOINT_TEXT_SIZE];

	fprintf(out, "%s: good\n", config->path);
	fprintf(out, "directories: run %s, state %s\n", config->run_dir, config->state_dir);
	fprintf(out, "users: control %u:%u, dataplane %u:%u\n", config->control.uid,
		config->control.gid, config->dataplane_user.uid, config->dataplane_user.gid);
	fprintf(out, "dataplane: %u workers, %u MB, windows within %u MB\n",
		config->dataplane.workers, config->dataplane.memory_mb,
		config->dataplane.window_memory_max_mb);
	for (unsigned i = 0; i < config->port_count; i++)
		port_print(&config->ports[i], out);
	for (unsigned i = 0; i < config->realm_count; i++)
		realm_print(&config->realms[i], out);
	for (unsigned i = 0; i < config->group_count; i++)
		fprintf(out, "group %s: reader %u:%u\n", config->groups[i].name,
			config->groups[i].reader.uid, config->groups[i].reader.gid);
	endpoint_format(listen, &config->metrics.listen);
	fprintf(out, "metrics: %s\n", config->metrics.is_off ? "off" : listen);
	endpoint_format(listen, &config->enrol);
	fprintf(out, "enrol: %s\n", config->enrol.port == 0 ? "off" : listen);
	for (unsigned i = 0; i < config->warning_count; i++)
		fprintf(out, "warning: %s\n", config->warnings[i]);
}

static int
refuse(struct reason *reason, const char *path, const char *what)
{
	return reason_set(reason, EBUSY,
		"%s: %s changed: that needs a restart of credgated; the settings in force stay",
		path, what);
}

static bool
is_same_realm_layout(const struct config_realm *a, const struct config_realm *b)
{
	return a->id == b->id && strcmp(a->name, b->name) == 0 && a->nodes_max == b->nodes_max &&
	       a->window_bits == b->window_bits && a->freshness == b->freshness &&
	       strcmp(a->master, b->master) == 0;
}

static bool
has_id(const uint32_t *ids, unsigned count, uint32_t id)
{
	for (unsigned i = 0; i < count; i++)
		if (ids[i] == id)
			return true;
	return false;
}

/* Who may read refusals: observers and admins. */
static bool
may_observe(const struct config *config, bool is_gid, uint32_t id)
{
	const struct config_ids *lists[] = {&config->observers, &config->admins};

	for (unsigned i = 0; i < 2; i++)
		if (is_gid ? has_id(lists[i]->gids, lists[i]->gid_count, id)
			   : has_id(lists[i]->uids, lists[i]->uid_count, id))
			return true;
	return false;
}

static bool
may_all_observe(const struct config *config, const struct config_ids *ids)
{
	for (unsigned i = 0; i < ids->uid_count; i++)
		if (!may_observe(config, false, ids->uids[i]))
			return false;
	for (unsigned i = 0; i < ids->gid_count; i++)
		if (!may_observe(config, true, ids->gids[i]))
			return false;
	return true;
}

/* What was handed out for reading cannot be taken back: only new rings shut old readers out. */
static int
readers_check(const struct config *old, const struct config *new, struct reason *reason)
{
	for (unsigned i = 0; i < old->group_count; i++)
		if (memcmp(&old->groups[i].reader, &new->groups[i].reader,
			    sizeof(old->groups[i].reader)) != 0)
			return refuse(reason, new->path, "the reader of a group");
	if (!may_all_observe(new, &old->observers) || !may_all_observe(new, &old->admins))
		return refuse(
			reason, new->path, "who may read refusals (fewer observers or admins)");
	return 0;
}

int
config_is_live_change(const struct config *old, const struct config *new, struct reason *reason)
{
	if (strcmp(old->run_dir, new->run_dir) != 0 || strcmp(old->state_dir, new->state_dir) != 0)
		return refuse(reason, new->path, "a directory");
	if (memcmp(&old->control, &new->control, sizeof(old->control)) != 0 ||
		memcmp(&old->dataplane_user, &new->dataplane_user, sizeof(old->control)) != 0)
		return refuse(reason, new->path, "a user");
	if (memcmp(&old->dataplane, &new->dataplane, sizeof(old->dataplane)) != 0)
		return refuse(reason, new->path, "the dataplane section");
	if (old->port_count != new->port_count ||
		memcmp(old->ports, new->ports, sizeof(old->ports)) != 0)
		return refuse(reason, new->path, "a port");
	if (old->realm_count != new->realm_count)
		return refuse(reason, new->path, "the number of realms");
	for (unsigned i = 0; i < old->realm_count; i++)
		if (!is_same_realm_layout(&old->realms[i], &new->realms[i]))
			return refuse(reason, new->path,
				"name, id, order, nodes_max, window, freshness or master of a "
				"realm");
	if (old->group_count != new->group_count)
		return refuse(reason, new->path, "the number of groups");
	for (unsigned i = 0; i < old->group_count; i++)
		if (strcmp(old->groups[i].name, new->groups[i].name) != 0)
			return refuse(reason, new->path, "name or order of a group");
	if (memcmp(&old->metrics, &new->metrics, sizeof(old->metrics)) != 0)
		return refuse(reason, new->path, "metrics.listen");
	if (memcmp(&old->enrol, &new->enrol, sizeof(old->enrol)) != 0)
		return refuse(reason, new->path, "enrol");
	return readers_check(old, new, reason);
}
