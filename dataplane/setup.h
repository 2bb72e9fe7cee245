/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * How credgated sets a dataplane up. The starter executes
 *
 *	credgate-dataplane --setup-fd 3 --uid U --gid G
 *
 * with a SOCK_SEQPACKET Unix socket as descriptor 3, whose other end credgated holds. credgated
 * sends one struct setup_config, then one struct setup_object per memfd (the descriptor as
 * SCM_RIGHTS), the last with is_last set. The dataplane answers one struct setup_answer when it
 * polls its ports (READY) or cannot (FAILED, with one line of text), then keeps the socket: end of
 * file on it means that control is gone, and the dataplane stops. A SETUP_STOP message asks it to
 * stop. Both are from the same build, so the layout may change with `version`.
 */

#include <assert.h>
#include <stdint.h>

#define SETUP_MAGIC         0x3150555445534743ull /* "CGSETUP1" as bytes */
#define SETUP_VERSION       2u
#define SETUP_PORTS_MAX     8u
#define SETUP_ADDRESSES_MAX 8u
#define SETUP_DEVARGS_SIZE  256u
#define SETUP_NAME_SIZE     32u

enum setup_type {
	SETUP_CONFIG = 1,
	SETUP_OBJECT = 2,
	SETUP_ANSWER = 3,
	SETUP_STOP = 4,
};

enum setup_hugepages {
	SETUP_HUGEPAGES_NO = 0, /* --no-huge */
	SETUP_HUGEPAGES_YES = 1,
	SETUP_HUGEPAGES_AUTO = 2, /* credgated decides before it sends: never on the socket */
};

/* What to believe of UDP checksums when the NIC does not vouch for them. */
enum setup_checksum {
	SETUP_CHECKSUM_VERIFY = 0, /* compute each */
	SETUP_CHECKSUM_PARTIAL =
		1, /* verify, but take the kernel's unfinished sum on a virtual link */
	SETUP_CHECKSUM_TRUST = 2, /* do not look: the tag protects what counts */
};

struct setup_address {
	uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint8_t bits;        /* prefix length within 128 */
	uint8_t reserved[7];
};

struct setup_port {
	char name[SETUP_NAME_SIZE];       /* the operator's name, for messages */
	char devargs[SETUP_DEVARGS_SIZE]; /* EAL: a PCI address or a --vdev string */
	uint8_t is_vdev;
	uint8_t checksum; /* enum setup_checksum */
	uint8_t address_count;
	uint8_t promiscuous;
	uint16_t udp_port;
	uint16_t rx_descriptors; /* 0: the driver's default */
	struct setup_address addresses[SETUP_ADDRESSES_MAX];
};

struct setup_config {
	uint64_t magic;
	uint32_t version;
	uint32_t type; /* SETUP_CONFIG */
	uint32_t worker_count;
	uint32_t port_count;
	uint32_t kernel;    /* enum tag_kernel_id */
	uint32_t hugepages; /* enum setup_hugepages */
	uint32_t memory_mb; /* EAL memory */
	uint32_t mbuf_count;
	uint32_t refusals_per_s; /* refusal ring bound, per worker */
	uint32_t ping_per_s;     /* budget of ARP, NDP and ICMP answers, all workers */
	uint32_t idle_sleep_us;  /* longest sleep of an idle worker; 0: always poll */
	uint32_t handoff_slots;  /* of each SPSC ring, a power of two */
	char file_prefix[SETUP_NAME_SIZE];
	int16_t worker_cpus[16]; /* CPU of each worker, -1: any */
	int16_t main_cpu;
	uint8_t reserved[6];
	struct setup_port ports[SETUP_PORTS_MAX];
};

enum setup_object_what {
	SETUP_OBJECT_TABLE = 1, /* read-only */
	SETUP_OBJECT_STATS = 2,
	SETUP_OBJECT_REPLAY = 3,
	SETUP_OBJECT_DELIVERY = 4, /* group, worker */
	SETUP_OBJECT_REFUSAL = 5,  /* worker */
	SETUP_OBJECT_METERS = 6,
};

struct setup_object {
	uint64_t magic;
	uint32_t version;
	uint32_t type; /* SETUP_OBJECT */
	uint32_t what; /* enum setup_object_what */
	uint16_t group;
	uint16_t worker;
	uint64_t size;
	uint32_t is_last;
	uint32_t reserved;
};

struct setup_answer {
	uint64_t magic;
	uint32_t version;
	uint32_t type;  /* SETUP_ANSWER */
	int32_t status; /* 0: polling; else an errno */
	uint32_t kernel;
	char text[256]; /* one line for the operator, NUL-terminated */
};
static_assert(sizeof(struct setup_object) == 40, "same build on both ends");
