/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The configuration file, checked and resolved: names are numbers, defaults are filled in, limits
 * hold. docs/configuration.md describes every key. An error is one line, "FILE:LINE: key: what is
 * wrong; cure".
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "crypto/tag.h"
#include "ctrl/endpoint.h"
#include "ctrl/log.h"
#include "ctrl/reason.h"
#include "dataplane/setup.h"
#include "dataplane/table.h"

#define CONFIG_PATH_DEFAULT  "/etc/credgate/credgate.yaml"
#define CONFIG_NAME_SIZE     32u
#define CONFIG_PATH_SIZE     256u
#define CONFIG_IDS_MAX       64u
#define CONFIG_WARNINGS_MAX  32u
#define CONFIG_DIGEST_SIZE   32u
#define CONFIG_UDP_PORT      7475u
#define CONFIG_WINDOW_LARGE  16384u /* realms over this many nodes get the smaller default */
#define CONFIG_WINDOW_MEDIUM 8192u

struct config_user {
	uint32_t uid;
	uint32_t gid;
};

struct config_ids {
	uint32_t uids[CONFIG_IDS_MAX];
	uint32_t gids[CONFIG_IDS_MAX];
	unsigned uid_count;
	unsigned gid_count;
};

struct config_dataplane {
	uint32_t workers;
	uint32_t cpu_count; /* 0: any; else = workers */
	int16_t cpus[TABLE_WORKERS_MAX];
	int16_t main_cpu; /* -1: any */
	enum tag_kernel_id kernel;
	enum setup_hugepages hugepages;
	uint32_t memory_mb;
	uint32_t mbufs;
	uint32_t idle_sleep_us;
	uint32_t refusals_per_s;
	uint32_t answers_per_s;
	uint32_t window_memory_max_mb;
	uint32_t retransmit_entries;
	uint32_t ring_slots;
};

enum config_driver {
	CONFIG_DRIVER_AF_PACKET,
	CONFIG_DRIVER_TAP,
	CONFIG_DRIVER_AF_XDP,
	CONFIG_DRIVER_MEMIF,
	CONFIG_DRIVER_PCI,
	CONFIG_DRIVER_VDEV,
};

struct config_port {
	char name[CONFIG_NAME_SIZE];
	enum config_driver driver;
	char device[CONFIG_PATH_SIZE]; /* interface, socket, PCI address or args, by driver */
	struct setup_address addresses[SETUP_ADDRESSES_MAX];
	unsigned address_count;
	uint16_t udp_port;
	enum setup_checksum checksum;
};

struct config_audience {
	char name[CONFIG_NAME_SIZE];
	uint32_t id;
};

/* What is done about a node of which two are alive (ctrl/clones.h). */
enum config_clones {
	CONFIG_CLONES_REPORT,
	CONFIG_CLONES_SUSPEND,
};

struct config_realm {
	char name[CONFIG_NAME_SIZE];
	uint32_t id;
	uint32_t nodes_max;
	char master[CONFIG_PATH_SIZE];    /* absolute */
	char whitelist[CONFIG_PATH_SIZE]; /* as it is to be opened; "": everybody */
	enum table_freshness freshness;
	enum table_origin_mode origin;
	enum table_mode mode;
	uint32_t ttl_default_s;
	uint32_t ttl_max_s;
	uint32_t skew_ms;
	uint32_t dup_ms;
	uint32_t replies_per_s;
	uint32_t window_bits;
	bool has_window_bits; /* stated by the operator */
	uint32_t beacon_s;    /* interval of nodes whose beacons tell none */
	uint32_t late_tenths; /* of an interval, without a beacon: late */
	uint32_t left_tenths; /* likewise, left */
	enum config_clones clones;
	bool audience_any;
	struct config_audience audiences[TABLE_AUDIENCES_MAX];
	unsigned audience_count;
};

struct config_group {
	char name[CONFIG_NAME_SIZE];
	uint64_t realms; /* bitmap by index into config.realms */
	bool has_any;    /* gets audience 0 */
	char audiences[TABLE_AUDIENCES_MAX][CONFIG_NAME_SIZE]; /* names other than "any" */
	unsigned audience_count;
	struct config_user reader;
	bool beacons;
};

struct config_audit {
	uint32_t file_mb;
	uint32_t keep;
	bool forget_keys;
};

/* Who reads counters (ctrl/metrics.h). */
struct config_metrics {
	struct endpoint listen;
	bool is_off;
	bool is_stated; /* by the operator: then it must be had */
};

struct config {
	char path[CONFIG_PATH_SIZE];
	char run_dir[CONFIG_PATH_SIZE];
	char state_dir[CONFIG_PATH_SIZE];
	uint8_t digest[CONFIG_DIGEST_SIZE]; /* BLAKE2b-256 of the file's bytes */
	struct config_audit audit;
	struct config_user control;
	struct config_user dataplane_user;
	struct config_ids admins;
	struct config_ids observers;
	struct config_dataplane dataplane;
	struct config_port ports[SETUP_PORTS_MAX];
	unsigned port_count;
	struct config_realm realms[TABLE_REALMS_MAX];
	unsigned realm_count;
	struct config_group groups[TABLE_GROUPS_MAX];
	unsigned group_count;
	struct config_metrics metrics;
	enum log_form log;
	struct endpoint enrol; /* where nodes with a join code ask; port 0: nowhere */
	char *warnings[CONFIG_WARNINGS_MAX];
	unsigned warning_count;
};

/* Who may own the file, and as whom this process started: decides which defaults hold. */
struct config_caller {
	uint32_t uid;
	uint32_t gid;
};

/*
 * Loads and checks a file, which MUST be owned by root or by caller->uid and be writable by nobody
 * else. Returns the configuration, or NULL with the one line in reason->text. Any thread.
 */
struct config *config_load(
	const char *path, const struct config_caller *caller, struct reason *reason);
void config_destroy(struct config *config);

/* Index of the realm called `name`, or -1; the same for its audience's number. */
int config_realm_find(const struct config *config, const char *name);
int config_audience_find(const struct config_realm *realm, const char *name);

/* What a reader of the file would want to know, in a few lines. */
void config_print(const struct config *config, FILE *out);

/* Texts of the enums, as in the file. Never NULL. */
const char *config_driver_text(enum config_driver driver);
const char *config_mode_text(enum table_mode mode);
const char *config_freshness_text(enum table_freshness freshness);
const char *config_origin_text(enum table_origin_mode origin);
const char *config_clones_text(enum config_clones clones);
const char *config_checksum_text(enum setup_checksum checksum);

/*
 * May `new` take the place of `old` in a running gateway? 0, or -EBUSY and a line that names what
 * only a restart can change: everything with a size in shared memory, ports and processes, and
 * readers who are to read no more, for a mapping cannot be taken back.
 */
int config_is_live_change(
	const struct config *old, const struct config *new, struct reason *reason);
