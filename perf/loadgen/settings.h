/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What the command line asks for. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SETTINGS_NODES_MAX    1048576u
#define SETTINGS_SUITES_MAX   4u
#define SETTINGS_PAYLOADS_MAX 8u
#define SETTINGS_QUEUES_MAX   16u

enum settings_mode {
	SETTINGS_MINT,      /* minted while they are sent */
	SETTINGS_RAW,       /* minted before, the same frames again and again */
	SETTINGS_MINT_ONLY, /* minted and thrown away: what minting costs alone */
};

enum settings_checksum {
	SETTINGS_CHECKSUM_FULL,
	SETTINGS_CHECKSUM_PARTIAL, /* the pseudo-header's sum only, as a kernel leaves it to a NIC */
	SETTINGS_CHECKSUM_NONE,    /* zero; IPv4 only */
};

/* A share of all packets as a part of 2^32. */
struct settings_shares {
	uint64_t forged;
	uint64_t replayed;
	uint64_t malformed;
	uint64_t unknown;
	uint64_t reply; /* of the genuine ones */
};

#define SETTINGS_LINGER_DEFAULT UINT32_MAX /* not given */

struct settings {
	enum settings_mode mode;
	bool is_json;
	bool has_xstats;
	/* where to */
	const char *port;
	const char *file_prefix;
	const char *kernel;
	bool use_hugepages;
	unsigned memory_mb;
	int core; /* -1: the last allowed one */
	unsigned queues;
	unsigned descriptors;
	uint8_t to[16]; /* IPv4 as ::ffff:a.b.c.d, as everywhere */
	uint16_t to_port;
	uint8_t to_mac[6];
	bool has_to_mac;
	uint8_t from[16];
	unsigned from_bits; /* 32 or 128: one address; less: one for each node */
	uint16_t from_port;
	unsigned from_ports; /* so many in a row, one for each node */
	uint16_t vlan;       /* 0: untagged */
	enum settings_checksum checksum;
	/* who */
	const char *master;
	const char *keys_dir;
	uint32_t realm;
	uint16_t epoch;
	uint32_t nodes;
	bool is_round_robin;
	uint8_t suites[SETTINGS_SUITES_MAX];
	unsigned suite_count;
	/* what */
	uint16_t payload_sizes[SETTINGS_PAYLOADS_MAX];
	uint32_t payload_weights[SETTINGS_PAYLOADS_MAX];
	unsigned payload_count;
	uint8_t kind;
	uint32_t audience;
	uint32_t ttl_s;
	uint32_t uid;
	uint32_t gid;
	struct settings_shares shares;
	uint64_t seed;
	/* how much */
	double rate; /* 0: flat out */
	double seconds;
	uint64_t count; /* 0: until the seconds are over */
	uint64_t tx_wait_us;
	unsigned linger_ms; /* the port stays open, and what comes is received */
	/* what is measured */
	unsigned sample; /* one in so many, a power of two */
	const char *verdicts;
	const char *group;
	bool has_verdicts_as;
	uint32_t verdicts_uid;
	uint32_t verdicts_gid;
};

static inline bool
settings_is_ipv4(const uint8_t address[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return __builtin_memcmp(address, mapped, sizeof(mapped)) == 0;
}

static inline bool
settings_wants_replies(const struct settings *settings)
{
	return settings->shares.reply != 0;
}

/* 0; 1: nothing to do (help was shown); -1: wrong, and said so. Strings point into argv. */
int settings_parse(struct settings *settings, int argc, char **argv);
