/* SPDX-License-Identifier: BSD-3-Clause */
/* The schema of credgate.yaml, in libcyaml's terms; docs/configuration.md tells it to people. */
#include "ctrl/config_priv.h"

/* A port cannot be called more than setup.h has room for; names of realms and groups likewise. */
#define NAME_LENGTH_MAX (CONFIG_NAME_SIZE - 1)
#define PATH_LENGTH_MAX (CONFIG_PATH_SIZE - 1)
#define USER_LENGTH_MAX 32

#define REQUIRED CYAML_FLAG_DEFAULT
#define OPTIONAL CYAML_FLAG_OPTIONAL
#define CHOICE   (CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT)

const cyaml_strval_t config_drivers[6] = {
	{"af_packet", CONFIG_DRIVER_AF_PACKET},
	{"tap", CONFIG_DRIVER_TAP},
	{"af_xdp", CONFIG_DRIVER_AF_XDP},
	{"memif", CONFIG_DRIVER_MEMIF},
	{"pci", CONFIG_DRIVER_PCI},
	{"vdev", CONFIG_DRIVER_VDEV},
};

const cyaml_strval_t config_modes[3] = {
	{"observe", TABLE_MODE_OBSERVE},
	{"permissive", TABLE_MODE_PERMISSIVE},
	{"enforce", TABLE_MODE_ENFORCE},
};

const cyaml_strval_t config_freshnesses[2] = {
	{"clock", TABLE_FRESHNESS_CLOCK},
	{"serial", TABLE_FRESHNESS_SERIAL},
};

const cyaml_strval_t config_origins[3] = {
	{"strict", TABLE_ORIGIN_STRICT},
	{"claimed", TABLE_ORIGIN_CLAIMED},
	{"off", TABLE_ORIGIN_OFF},
};

const cyaml_strval_t config_clones_choices[2] = {
	{"report", CONFIG_CLONES_REPORT},
	{"suspend", CONFIG_CLONES_SUSPEND},
};

const cyaml_strval_t config_checksums[3] = {
	{"verify", SETUP_CHECKSUM_VERIFY},
	{"partial", SETUP_CHECKSUM_PARTIAL},
	{"trust", SETUP_CHECKSUM_TRUST},
};

static const cyaml_strval_t kernels[] = {
	{"auto", TAG_KERNEL_AUTO},
	{"ipsecmb", TAG_KERNEL_IPSECMB},
	{"aesni", TAG_KERNEL_AESNI},
	{"vaes512", TAG_KERNEL_VAES512},
};

static const cyaml_strval_t hugepages[] = {
	{"no", SETUP_HUGEPAGES_NO},
	{"yes", SETUP_HUGEPAGES_YES},
	{"auto", SETUP_HUGEPAGES_AUTO},
};

static const cyaml_strval_t log_forms[] = {
	{"text", LOG_TEXT},
	{"json", LOG_JSON},
};

static const cyaml_schema_value_t user_entry = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, USER_LENGTH_MAX),
};

static const cyaml_schema_value_t name_entry = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, NAME_LENGTH_MAX),
};

static const cyaml_schema_value_t address_entry = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 64),
};

static const cyaml_schema_value_t cpu_entry = {
	CYAML_VALUE_UINT(CYAML_FLAG_DEFAULT, uint32_t),
};

static const cyaml_schema_field_t user_fields[] = {
	CYAML_FIELD_STRING_PTR(
		"control", OPTIONAL, struct config_file_user_names, control, 1, USER_LENGTH_MAX),
	CYAML_FIELD_STRING_PTR("dataplane", OPTIONAL, struct config_file_user_names, dataplane, 1,
		USER_LENGTH_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t ids_fields[] = {
	CYAML_FIELD_SEQUENCE("uids", CYAML_FLAG_POINTER | OPTIONAL, struct config_file_ids, uids,
		&user_entry, 0, CONFIG_IDS_MAX),
	CYAML_FIELD_SEQUENCE("gids", CYAML_FLAG_POINTER | OPTIONAL, struct config_file_ids, gids,
		&user_entry, 0, CONFIG_IDS_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t audit_fields[] = {
	CYAML_FIELD_UINT_PTR("file_mb", OPTIONAL, struct config_file_audit, file_mb),
	CYAML_FIELD_UINT_PTR("keep", OPTIONAL, struct config_file_audit, keep),
	CYAML_FIELD_BOOL_PTR("forget_keys", OPTIONAL, struct config_file_audit, forget_keys),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t dataplane_fields[] = {
	CYAML_FIELD_UINT_PTR("workers", OPTIONAL, struct config_file_dataplane, workers),
	CYAML_FIELD_SEQUENCE("cpus", CYAML_FLAG_POINTER | OPTIONAL, struct config_file_dataplane,
		cpus, &cpu_entry, 0, TABLE_WORKERS_MAX),
	CYAML_FIELD_UINT_PTR("main_cpu", OPTIONAL, struct config_file_dataplane, main_cpu),
	CYAML_FIELD_ENUM_PTR("kernel", CHOICE, struct config_file_dataplane, kernel, kernels,
		CYAML_ARRAY_LEN(kernels)),
	CYAML_FIELD_ENUM_PTR("hugepages", CHOICE, struct config_file_dataplane, hugepages,
		hugepages, CYAML_ARRAY_LEN(hugepages)),
	CYAML_FIELD_UINT_PTR("memory_mb", OPTIONAL, struct config_file_dataplane, memory_mb),
	CYAML_FIELD_UINT_PTR("mbufs", OPTIONAL, struct config_file_dataplane, mbufs),
	CYAML_FIELD_UINT_PTR(
		"idle_sleep_us", OPTIONAL, struct config_file_dataplane, idle_sleep_us),
	CYAML_FIELD_UINT_PTR(
		"refusals_per_s", OPTIONAL, struct config_file_dataplane, refusals_per_s),
	CYAML_FIELD_UINT_PTR(
		"answers_per_s", OPTIONAL, struct config_file_dataplane, answers_per_s),
	CYAML_FIELD_UINT_PTR("window_memory_max_mb", OPTIONAL, struct config_file_dataplane,
		window_memory_max_mb),
	CYAML_FIELD_UINT_PTR(
		"retransmit_entries", OPTIONAL, struct config_file_dataplane, retransmit_entries),
	CYAML_FIELD_UINT_PTR("ring_slots", OPTIONAL, struct config_file_dataplane, ring_slots),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t port_fields[] = {
	CYAML_FIELD_STRING_PTR("name", REQUIRED, struct config_file_port, name, 1, NAME_LENGTH_MAX),
	CYAML_FIELD_ENUM("driver", CYAML_FLAG_STRICT, struct config_file_port, driver,
		config_drivers, CYAML_ARRAY_LEN(config_drivers)),
	CYAML_FIELD_STRING_PTR("interface", OPTIONAL, struct config_file_port, interface, 1, 15),
	CYAML_FIELD_STRING_PTR("socket", OPTIONAL, struct config_file_port, socket, 1, 107),
	CYAML_FIELD_STRING_PTR("address", OPTIONAL, struct config_file_port, address, 1, 31),
	CYAML_FIELD_STRING_PTR("args", OPTIONAL, struct config_file_port, args, 1, PATH_LENGTH_MAX),
	CYAML_FIELD_SEQUENCE("addresses", CYAML_FLAG_POINTER | OPTIONAL, struct config_file_port,
		addresses, &address_entry, 0, SETUP_ADDRESSES_MAX),
	CYAML_FIELD_UINT_PTR("udp_port", OPTIONAL, struct config_file_port, udp_port),
	CYAML_FIELD_ENUM_PTR("checksum", CHOICE, struct config_file_port, checksum,
		config_checksums, CYAML_ARRAY_LEN(config_checksums)),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t port_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_file_port, port_fields),
};

static const cyaml_schema_field_t audience_fields[] = {
	CYAML_FIELD_STRING_PTR(
		"name", REQUIRED, struct config_file_audience, name, 1, NAME_LENGTH_MAX),
	CYAML_FIELD_UINT("id", REQUIRED, struct config_file_audience, id),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t audience_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_file_audience, audience_fields),
};

static const cyaml_schema_field_t realm_fields[] = {
	CYAML_FIELD_STRING_PTR(
		"name", REQUIRED, struct config_file_realm, name, 1, NAME_LENGTH_MAX),
	CYAML_FIELD_UINT("id", REQUIRED, struct config_file_realm, id),
	CYAML_FIELD_UINT_PTR("nodes_max", OPTIONAL, struct config_file_realm, nodes_max),
	CYAML_FIELD_STRING_PTR(
		"master", OPTIONAL, struct config_file_realm, master, 1, PATH_LENGTH_MAX),
	CYAML_FIELD_ENUM_PTR("freshness", CHOICE, struct config_file_realm, freshness,
		config_freshnesses, CYAML_ARRAY_LEN(config_freshnesses)),
	CYAML_FIELD_ENUM_PTR("origin", CHOICE, struct config_file_realm, origin, config_origins,
		CYAML_ARRAY_LEN(config_origins)),
	CYAML_FIELD_UINT_PTR("ttl_default_s", OPTIONAL, struct config_file_realm, ttl_default_s),
	CYAML_FIELD_UINT_PTR("ttl_max_s", OPTIONAL, struct config_file_realm, ttl_max_s),
	CYAML_FIELD_UINT_PTR("skew_ms", OPTIONAL, struct config_file_realm, skew_ms),
	CYAML_FIELD_UINT_PTR("dup_ms", OPTIONAL, struct config_file_realm, dup_ms),
	CYAML_FIELD_UINT_PTR("replies_per_s", OPTIONAL, struct config_file_realm, replies_per_s),
	CYAML_FIELD_UINT_PTR("window_bits", OPTIONAL, struct config_file_realm, window_bits),
	CYAML_FIELD_UINT_PTR("beacon_s", OPTIONAL, struct config_file_realm, beacon_s),
	CYAML_FIELD_FLOAT_PTR("late_after", OPTIONAL, struct config_file_realm, late_after),
	CYAML_FIELD_FLOAT_PTR("left_after", OPTIONAL, struct config_file_realm, left_after),
	CYAML_FIELD_BOOL_PTR("audience_any", OPTIONAL, struct config_file_realm, audience_any),
	CYAML_FIELD_SEQUENCE("audiences", CYAML_FLAG_POINTER | OPTIONAL, struct config_file_realm,
		audiences, &audience_entry, 0, TABLE_AUDIENCES_MAX),
	CYAML_FIELD_ENUM_PTR("mode", CHOICE, struct config_file_realm, mode, config_modes,
		CYAML_ARRAY_LEN(config_modes)),
	CYAML_FIELD_STRING_PTR(
		"whitelist", OPTIONAL, struct config_file_realm, whitelist, 1, PATH_LENGTH_MAX),
	CYAML_FIELD_ENUM_PTR("clones", CHOICE, struct config_file_realm, clones,
		config_clones_choices, CYAML_ARRAY_LEN(config_clones_choices)),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t realm_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_file_realm, realm_fields),
};

static const cyaml_schema_field_t reader_fields[] = {
	CYAML_FIELD_STRING_PTR("uid", REQUIRED, struct config_file_reader, uid, 1, USER_LENGTH_MAX),
	CYAML_FIELD_STRING_PTR("gid", OPTIONAL, struct config_file_reader, gid, 1, USER_LENGTH_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t group_fields[] = {
	CYAML_FIELD_STRING_PTR(
		"name", REQUIRED, struct config_file_group, name, 1, NAME_LENGTH_MAX),
	CYAML_FIELD_SEQUENCE("realms", CYAML_FLAG_POINTER, struct config_file_group, realms,
		&name_entry, 1, TABLE_REALMS_MAX),
	CYAML_FIELD_SEQUENCE("audiences", CYAML_FLAG_POINTER, struct config_file_group, audiences,
		&name_entry, 1, TABLE_AUDIENCES_MAX),
	CYAML_FIELD_MAPPING("reader", REQUIRED, struct config_file_group, reader, reader_fields),
	CYAML_FIELD_BOOL_PTR("beacons", OPTIONAL, struct config_file_group, beacons),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t group_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_file_group, group_fields),
};

static const cyaml_schema_field_t metrics_fields[] = {
	CYAML_FIELD_STRING_PTR("listen", OPTIONAL, struct config_file_metrics, listen, 1, 63),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t enrol_fields[] = {
	CYAML_FIELD_STRING_PTR("listen", REQUIRED, struct config_file_enrol, listen, 1, 64),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t file_fields[] = {
	CYAML_FIELD_STRING_PTR(
		"run_dir", OPTIONAL, struct config_file, run_dir, 1, PATH_LENGTH_MAX),
	CYAML_FIELD_STRING_PTR(
		"state_dir", OPTIONAL, struct config_file, state_dir, 1, PATH_LENGTH_MAX),
	CYAML_FIELD_MAPPING("users", OPTIONAL, struct config_file, users, user_fields),
	CYAML_FIELD_MAPPING("admins", OPTIONAL, struct config_file, admins, ids_fields),
	CYAML_FIELD_MAPPING("observers", OPTIONAL, struct config_file, observers, ids_fields),
	CYAML_FIELD_MAPPING("audit", OPTIONAL, struct config_file, audit, audit_fields),
	CYAML_FIELD_MAPPING("dataplane", OPTIONAL, struct config_file, dataplane, dataplane_fields),
	CYAML_FIELD_SEQUENCE("ports", CYAML_FLAG_POINTER, struct config_file, ports, &port_entry, 1,
		SETUP_PORTS_MAX),
	CYAML_FIELD_SEQUENCE("realms", CYAML_FLAG_POINTER, struct config_file, realms, &realm_entry,
		1, TABLE_REALMS_MAX),
	CYAML_FIELD_SEQUENCE("groups", CYAML_FLAG_POINTER | OPTIONAL, struct config_file, groups,
		&group_entry, 0, TABLE_GROUPS_MAX),
	CYAML_FIELD_MAPPING("metrics", OPTIONAL, struct config_file, metrics, metrics_fields),
	CYAML_FIELD_ENUM_PTR(
		"log", CHOICE, struct config_file, log, log_forms, CYAML_ARRAY_LEN(log_forms)),
	CYAML_FIELD_MAPPING("enrol", OPTIONAL, struct config_file, enrol, enrol_fields),
	CYAML_FIELD_END,
};

const cyaml_schema_value_t config_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct config_file, file_fields),
};
