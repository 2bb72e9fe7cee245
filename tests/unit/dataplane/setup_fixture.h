/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The control end of a set-up: memory as control makes it, and the messages that carry it. */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/slot.h"
#include "dataplane/setup.h"
#include "dataplane/table.h"
#include "replay/replay.h"
#include "verdict/ring.h"

#define FIXTURE_SLOTS      16u
#define FIXTURE_RING_SLOTS VERDICT_RING_SLOTS_MIN
#define FIXTURE_PAGE       4096u

static inline void
fixture_need(int is_true, const char *what)
{
	if (is_true)
		return;
	perror(what);
	abort();
}

static inline struct setup_config
fixture_config(unsigned workers)
{
	struct setup_config config = {
		.magic = SETUP_MAGIC,
		.version = SETUP_VERSION,
		.type = SETUP_CONFIG,
		.worker_count = workers,
		.port_count = 1,
		.memory_mb = 64,
		.handoff_slots = 1024,
		.file_prefix = "fixture",
		.ports = {{.name = "lan", .devargs = "net_null0", .udp_port = 7475}},
	};

	return config;
}

static inline struct setup_object
fixture_object(enum setup_object_what what, unsigned group, unsigned worker, uint64_t size)
{
	struct setup_object object = {
		.magic = SETUP_MAGIC,
		.version = SETUP_VERSION,
		.type = SETUP_OBJECT,
		.what = what,
		.group = (uint16_t)group,
		.worker = (uint16_t)worker,
		.size = size,
	};

	return object;
}

/* A memfd of `size` bytes with the given seals; its mapping goes to *address. */
static inline int
fixture_memory(uint64_t size, int seals, void **address)
{
	int fd = memfd_create("fixture", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	fixture_need(fd >= 0 && ftruncate(fd, (off_t)size) == 0, "memfd");
	*address = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	fixture_need(*address != MAP_FAILED, "mmap");
	fixture_need(seals == 0 || fcntl(fd, F_ADD_SEALS, seals) == 0, "seals");
	return fd;
}

/* One object with the descriptor `fd`, or without one for -1. */
static inline void
fixture_send(int socket, const struct setup_object *object, int fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
	struct setup_object copy = *object;
	struct iovec part = {.iov_base = &copy, .iov_len = sizeof(copy)};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

	if (fd >= 0) {
		struct cmsghdr *extra;

		header.msg_control = control;
		header.msg_controllen = sizeof(control);
		extra = CMSG_FIRSTHDR(&header);
		extra->cmsg_level = SOL_SOCKET;
		extra->cmsg_type = SCM_RIGHTS;
		extra->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(extra), &fd, sizeof(int));
	}
	fixture_need(sendmsg(socket, &header, MSG_NOSIGNAL) == sizeof(copy), "sendmsg");
}

#define FIXTURE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

static inline uint64_t
fixture_table_size(void)
{
	return 8 * FIXTURE_PAGE + sizeof(struct table_policy) + sizeof(struct table_rules);
}

/* Both halves lie over one another: nobody looks inside here. */
static inline void
fixture_table_fill(struct table_header *table)
{
	struct table_half half = {
		.slots = FIXTURE_PAGE,
		.replies = 2 * FIXTURE_PAGE,
		.buckets = 3 * FIXTURE_PAGE,
		.prefixes = 4 * FIXTURE_PAGE,
		.policy = 5 * FIXTURE_PAGE,
		.rules = 5 * FIXTURE_PAGE,
	};

	*table = (struct table_header){
		.magic = TABLE_MAGIC,
		.version = TABLE_VERSION,
		.slot_count = FIXTURE_SLOTS,
		.bucket_count = 1,
		.prefix_count = 1,
		.size = fixture_table_size(),
		.halves = {half, half},
	};
}

static inline void
fixture_stats_fill(struct stats_header *stats, unsigned workers)
{
	stats->magic = STATS_MAGIC;
	stats->version = STATS_VERSION;
	stats->worker_count = workers;
}

static inline void
fixture_meters_fill(struct meters_header *meters)
{
	meters->magic = METERS_MAGIC;
	meters->version = METERS_VERSION;
	meters->slot_count = FIXTURE_SLOTS;
	meters->size = meters_size(FIXTURE_SLOTS);
}

static const struct replay_layout_range fixture_range = {
	.slot_count = FIXTURE_SLOTS, .window_bits = 64};

static inline uint64_t
fixture_replay_size(void)
{
	return replay_store_size(FIXTURE_SLOTS, &fixture_range, 1, REPLAY_CACHE_ENTRIES_MIN);
}

static inline void
fixture_replay_fill(void *memory)
{
	static const uint8_t hash_key[16] = {1};

	fixture_need(replay_store_format(memory, fixture_replay_size(), FIXTURE_SLOTS,
			     &fixture_range, 1, REPLAY_CACHE_ENTRIES_MIN, hash_key) == 0,
		"replay store");
}
