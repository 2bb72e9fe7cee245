/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The parts of config.c: the file as libcyaml loads it (config_schema.c), where each key stands
 * (config_source.c), the form of the file against the schema (config_form.c), and its meaning
 * (config_check.c).
 */

#include <cyaml/cyaml.h>
#include <stddef.h>
#include <yaml.h>

#include "ctrl/config.h"

/* ---- the file as it is: NULL is "not given" ---- */

struct config_file_user_names {
	char *control;
	char *dataplane;
};

struct config_file_ids {
	char **uids;
	unsigned uids_count;
	char **gids;
	unsigned gids_count;
};

struct config_file_dataplane {
	uint32_t *workers;
	uint32_t *cpus;
	unsigned cpus_count;
	uint32_t *main_cpu;
	uint32_t *kernel;
	uint32_t *hugepages;
	uint32_t *memory_mb;
	uint32_t *mbufs;
	uint32_t *idle_sleep_us;
	uint32_t *refusals_per_s;
	uint32_t *answers_per_s;
	uint32_t *window_memory_max_mb;
	uint32_t *retransmit_entries;
	uint32_t *ring_slots;
};

struct config_file_port {
	char *name;
	uint32_t driver;
	char *interface;
	char *socket;
	char *address;
	char *args;
	char **addresses;
	unsigned addresses_count;
	uint32_t *udp_port;
	uint32_t *checksum;
};

struct config_file_audience {
	char *name;
	uint32_t id;
};

struct config_file_realm {
	char *name;
	uint32_t id;
	uint32_t *nodes_max;
	char *master;
	uint32_t *freshness;
	uint32_t *origin;
	uint32_t *ttl_default_s;
	uint32_t *ttl_max_s;
	uint32_t *skew_ms;
	uint32_t *dup_ms;
	uint32_t *replies_per_s;
	uint32_t *window_bits;
	uint32_t *beacon_s;
	float *late_after;
	float *left_after;
	bool *audience_any;
	struct config_file_audience *audiences;
	unsigned audiences_count;
	uint32_t *mode;
	char *whitelist;
	uint32_t *clones;
};

struct config_file_enrol {
	char *listen;
};

struct config_file_reader {
	char *uid;
	char *gid;
};

struct config_file_group {
	char *name;
	char **realms;
	unsigned realms_count;
	char **audiences;
	unsigned audiences_count;
	struct config_file_reader reader;
	bool *beacons;
};

struct config_file_audit {
	uint32_t *file_mb;
	uint32_t *keep;
	bool *forget_keys;
};

struct config_file_metrics {
	char *listen;
};

struct config_file {
	char *run_dir;
	char *state_dir;
	struct config_file_user_names users;
	struct config_file_ids admins;
	struct config_file_ids observers;
	struct config_file_audit audit;
	struct config_file_dataplane dataplane;
	struct config_file_port *ports;
	unsigned ports_count;
	struct config_file_realm *realms;
	unsigned realms_count;
	struct config_file_group *groups;
	unsigned groups_count;
	struct config_file_metrics metrics;
	uint32_t *log;
	struct config_file_enrol enrol;
};

extern const cyaml_schema_value_t config_schema;

/* ---- config_source.c: bytes, and on which line a key stands ---- */

struct config_source {
	const char *path;
	char *bytes;
	size_t size;
	yaml_document_t document;
	bool has_document;
};

/* Reads and parses; 0, or -errno with the one line. */
int config_source_open(struct config_source *source, const char *path,
	const struct config_caller *caller, struct reason *reason);

/* The same for bytes that are there already; they are copied, `path` MUST outlive the source. */
int config_source_take(struct config_source *source, const char *path, const char *bytes,
	size_t size, struct reason *reason);
void config_source_close(struct config_source *source);

/* Line (from 1) of a place like "realms[0].id": of the nearest enclosing one that is there. */
unsigned config_source_line(struct config_source *source, const char *where);

/* "FILE:LINE: where: text" into reason; -EINVAL. */
int config_source_fail(const struct config_source *source, unsigned line, const char *where,
	struct reason *reason, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* ---- config_form.c ---- */

/* Keys, kinds and counts as the schema wants them; 0, or -EINVAL with the one line. */
int config_form_check(struct config_source *source, struct reason *reason);

/* ---- config_check.c, config_ports.c, config_realms.c: what the file means ---- */

#define CONFIG_WHERE_SIZE 128

/* One pass over the file; the first error stays, later ones are not looked at. */
struct config_pass {
	struct config *config;
	const struct config_file *file;
	struct config_source *source;
	const struct config_caller *caller;
	struct reason *reason;
	int error;
	char prefix[64]; /* "realms[0]." */
};

/* Fills `config` in. 0, or -EINVAL with the one line. */
int config_check(struct config *config, const struct config_file *file,
	struct config_source *source, const struct config_caller *caller, struct reason *reason);

/* Sections, in the order config_check runs them. */
void config_check_ports(struct config_pass *pass);
void config_check_realms(struct config_pass *pass);
void config_check_groups(struct config_pass *pass);

/* "FILE:LINE: prefix + key: ..." as the pass's error, unless it has one; or as a warning. */
void config_pass_fail(struct config_pass *pass, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void config_pass_warn(struct config_pass *pass, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

struct config_range {
	uint32_t standard; /* when not given */
	uint32_t min;
	uint32_t max;
};

/* The value given, or the standard one; outside the range is the pass's error. */
uint32_t config_pass_number(struct config_pass *pass, const char *key, const uint32_t *given,
	struct config_range range);

/* A number that MUST be a power of two as well. */
uint32_t config_pass_power(struct config_pass *pass, const char *key, const uint32_t *given,
	struct config_range range);

/* Copies a name of letters, digits, '.', '_' and '-'. */
void config_pass_name(
	struct config_pass *pass, const char *key, char name[CONFIG_NAME_SIZE], const char *given);

/* Numbers of a user (and its primary group, if `gid` is not NULL) or group, by name or number. */
void config_pass_user(
	struct config_pass *pass, const char *key, const char *given, uint32_t *uid, uint32_t *gid);
void config_pass_group(struct config_pass *pass, const char *key, const char *given, uint32_t *gid);

/* Text of value `value` in one of the schema's enumerations. */
const char *config_enum_text(const cyaml_strval_t *strings, unsigned count, uint32_t value);

extern const cyaml_strval_t config_drivers[6];
extern const cyaml_strval_t config_modes[3];
extern const cyaml_strval_t config_freshnesses[2];
extern const cyaml_strval_t config_origins[3];
extern const cyaml_strval_t config_clones_choices[2];
extern const cyaml_strval_t config_checksums[3];
