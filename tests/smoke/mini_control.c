/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The least control there can be: makes real memory for one realm, one node and one group, starts
 * the real credgate-dataplane with it, mints real credentials and reads the verdicts. Driven by
 * tests/smoke/dataplane_smoke.py over standard input, one command per line, one answer per line:
 *
 *	start		starts the dataplane on the same memory as before; its answer, and the ms
 *	send [N]	N fresh credentials (1) that want a reply; answers the first serial
 *	again		the last credential's bytes again, from the same socket; older replies go
 *	forge		the last credential with one bit of its tag turned over
 *	record		the next record of any delivery ring, "none" after 2 s
 *	reply		the next reply's verdict, proved, "none" after 2 s
 *	futex		waits up to 2 s for the first ring's head as a sleeping reader; "woken" or "late"
 *	rtt N US	N credentials one by one, US microseconds apart: time to reply, p50 and p99
 *	stats		state, heartbeat age in ms, clock steps, frames, sleeps
 *	kill | stop | hangup	SIGKILL; SETUP_STOP; end of file: how it ended
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "dataplane/meters.h"
#include "dataplane/setup.h"
#include "dataplane/table.h"
#include "replay/replay.h"
#include "verdict/ring.h"
#include "verdict/verdict.h"
#include "wire/wire.h"

#define REALM       7u
#define NODE        3u
#define EPOCH       1u
#define NODES_MAX   15u
#define UDP_PORT    7475
#define RING_SLOTS  4096u
#define PAGE        4096u
#define OBJECTS_MAX (3 + 2 * TABLE_WORKERS_MAX)
#define WAIT_MS     2000

struct object {
	struct setup_object message;
	int fd;
	void *address;
};

static struct {
	const char *program;
	const char *devargs;
	const char *uid;
	uint32_t sleep_us;
	uint32_t workers;
	bool has_hugepages;
	struct object objects[OBJECTS_MAX];
	unsigned object_count;
	struct table_header *table;
	struct stats_header *stats;
	struct verdict_reader readers[TABLE_WORKERS_MAX];
	struct tag_engine *engine;
	struct key_slot request_slot;
	struct key_slot reply_slot;
	int sender; /* UDP socket of the node's namespace */
	int control;
	pid_t child;
	uint64_t serial;
	uint8_t last[CRED_SIZE_MAX];
	size_t last_size;
} mini;

static void
die(const char *what)
{
	fprintf(stderr, "mini_control: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t
clock_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* ---- memory ---- */

static void *
object_make(enum setup_object_what what, unsigned group, unsigned worker, uint64_t size)
{
	struct object *object = &mini.objects[mini.object_count++];

	object->message = (struct setup_object){.magic = SETUP_MAGIC,
		.version = SETUP_VERSION,
		.type = SETUP_OBJECT,
		.what = what,
		.group = (uint16_t)group,
		.worker = (uint16_t)worker,
		.size = size};
	object->fd = memfd_create("mini", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (object->fd < 0 || fchmod(object->fd, 0600) < 0 ||
		ftruncate(object->fd, (off_t)size) < 0 ||
		fcntl(object->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		die("memfd");
	object->address = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, object->fd, 0);
	if (object->address == MAP_FAILED)
		die("mmap");
	return object->address;
}

static uint64_t
part_take(uint64_t *end, uint64_t size)
{
	uint64_t at = *end;

	*end += (size + PAGE - 1) / PAGE * PAGE;
	return at;
}

/* One half is enough: this control never publishes a second table. */
static void
table_make(void)
{
	struct table_half half = {0};
	uint64_t end = PAGE, size;

	half.policy = part_take(&end, sizeof(struct table_policy));
	half.slots = part_take(&end, (NODES_MAX + 1) * sizeof(struct key_slot));
	half.replies = part_take(&end, (NODES_MAX + 1) * sizeof(struct key_slot));
	half.extras = half.extra_replies = end;
	half.buckets = part_take(&end, sizeof(struct table_bucket));
	half.prefixes = part_take(&end, sizeof(struct table_prefix));
	half.rules = part_take(&end, sizeof(struct table_rules));
	size = end;
	mini.table = object_make(SETUP_OBJECT_TABLE, 0, 0, size);
	*mini.table = (struct table_header){.magic = TABLE_MAGIC,
		.version = TABLE_VERSION,
		.slot_count = NODES_MAX + 1,
		.bucket_count = 1,
		.prefix_count = 1,
		.size = size,
		.halves = {half, half}};
}

static void
keys_fill(void)
{
	static const uint8_t master[KDF_KEY_SIZE] = {1, 2, 3};
	uint8_t realm_key[KDF_KEY_SIZE], node_key[KDF_KEY_SIZE];
	struct key_slot slot = {.realm = REALM,
		.node = NODE,
		.epoch = EPOCH,
		.state = KEY_SLOT_LIVE,
		.not_after_s = UINT32_MAX,
		.origin_bits = 104,
		.shard = 1000, /* the last worker's */
		.origin_prefix = {[10] = 0xff, 0xff, 10}};

	kdf_realm(realm_key, master, REALM);
	kdf_node(node_key, realm_key, NODE, EPOCH);
	mini.request_slot = mini.reply_slot = slot;
	kdf_slot_request(&mini.request_slot, node_key, CRED_SUITE_DEFAULT);
	kdf_slot_reply(&mini.reply_slot, node_key, CRED_SUITE_DEFAULT);
}

static void
table_publish(void)
{
	uint8_t *base = (uint8_t *)mini.table;
	struct table_half *half = &mini.table->halves[1];
	struct table_policy *policy = (struct table_policy *)(base + half->policy);
	uint32_t at = table_realm_start(REALM) % TABLE_REALM_HASH;

	policy->realm_count = policy->group_count = 1;
	policy->realm_hash[at] = (struct table_realm_hash_entry){.id = REALM, .index = 0};
	policy->realms[0] = (struct table_realm){.id = REALM,
		.nodes_max = NODES_MAX,
		.ttl_default_s = 60,
		.ttl_max_s = 300,
		.reply_rate = 100,
		.skew_us = 2000000,
		.dup_us = 60000000, /* longer than a slow machine needs to start again */
		.origin_mode = TABLE_ORIGIN_STRICT,
		.mode = TABLE_MODE_ENFORCE,
		.audience_any = 1,
		.any_groups = 1};
	policy->groups[0].is_used = 1;
	((struct key_slot *)(base + half->slots))[NODE] = mini.request_slot;
	((struct key_slot *)(base + half->replies))[NODE] = mini.reply_slot;
	atomic_store_explicit(&mini.table->generation, 1, memory_order_release);
}

static void
stats_make(void)
{
	mini.stats = object_make(SETUP_OBJECT_STATS, 0, 0, stats_size(mini.workers));
	mini.stats->magic = STATS_MAGIC;
	mini.stats->version = STATS_VERSION;
	mini.stats->worker_count = mini.workers;
}

static void
meters_make(void)
{
	uint64_t size = meters_size(NODES_MAX + 1);
	struct meters_header *meters = object_make(SETUP_OBJECT_METERS, 0, 0, size);

	meters->magic = METERS_MAGIC;
	meters->version = METERS_VERSION;
	meters->slot_count = NODES_MAX + 1;
	meters->size = size;
}

static void
replay_make(void)
{
	static const uint8_t hash_key[16] = {9};
	struct replay_layout_range range = {.slot_count = NODES_MAX + 1, .window_bits = 1024};
	uint64_t size = replay_store_size(NODES_MAX + 1, &range, 1, REPLAY_CACHE_ENTRIES_MIN);
	struct replay_store store;
	void *memory = object_make(SETUP_OBJECT_REPLAY, 0, 0, size);

	if (replay_store_format(memory, size, NODES_MAX + 1, &range, 1, REPLAY_CACHE_ENTRIES_MIN,
		    hash_key) < 0 ||
		replay_store_open(&store, memory, size) < 0)
		die("replay store");
	(void)replay_window_assign(&store, NODE, REALM, NODE);
}

static void
rings_make(void)
{
	uint64_t size = verdict_ring_size(RING_SLOTS);

	for (unsigned worker = 0; worker < mini.workers; worker++) {
		struct verdict_ring *ring = object_make(SETUP_OBJECT_DELIVERY, 0, worker, size);

		verdict_ring_format(ring, RING_SLOTS, VERDICT_RING_DELIVERY, 0, (uint16_t)worker);
		atomic_store(&ring->floor, UINT64_MAX);
		if (verdict_reader_init(&mini.readers[worker], ring, size, false) < 0)
			die("ring");
		ring = object_make(SETUP_OBJECT_REFUSAL, 0, worker, size);
		verdict_ring_format(ring, RING_SLOTS, VERDICT_RING_REFUSAL, 0, (uint16_t)worker);
		atomic_store(&ring->floor, UINT64_MAX);
	}
}

static void
memory_make(void)
{
	keys_fill();
	table_make();
	table_publish();
	stats_make();
	meters_make();
	replay_make();
	rings_make();
	mini.objects[mini.object_count - 1].message.is_last = 1;
}

/* ---- the dataplane ---- */

static void
config_send(void)
{
	struct setup_config config = {.magic = SETUP_MAGIC,
		.version = SETUP_VERSION,
		.type = SETUP_CONFIG,
		.worker_count = mini.workers,
		.port_count = 1,
		.hugepages = mini.has_hugepages ? SETUP_HUGEPAGES_YES : SETUP_HUGEPAGES_NO,
		.memory_mb = 64,
		.mbuf_count = 4096,
		.refusals_per_s = 1000,
		.ping_per_s = 100,
		.idle_sleep_us = mini.sleep_us,
		.handoff_slots = 1024,
		.main_cpu = -1,
		.ports = {{.name = "lan",
			.is_vdev = 1,
			.checksum = SETUP_CHECKSUM_PARTIAL,
			.address_count = 2,
			.udp_port = UDP_PORT,
			.addresses = {{.address = {[10] = 0xff, 0xff, 10, 77, 0, 1}, .bits = 120},
				{.address = {0xfd, 0x77, [15] = 1}, .bits = 64}}}}};

	snprintf(config.file_prefix, sizeof(config.file_prefix), "cgmini%d", (int)getpid());
	snprintf(config.ports[0].devargs, SETUP_DEVARGS_SIZE, "%s", mini.devargs);
	memset(config.worker_cpus, -1, sizeof(config.worker_cpus));
	if (send(mini.control, &config, sizeof(config), MSG_NOSIGNAL) < 0)
		die("send config");
}

static void
object_send(const struct object *object)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec part = {.iov_base = (void *)(uintptr_t)&object->message,
		.iov_len = sizeof(object->message)};
	struct msghdr header = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	struct cmsghdr *extra = CMSG_FIRSTHDR(&header);

	extra->cmsg_level = SOL_SOCKET;
	extra->cmsg_type = SCM_RIGHTS;
	extra->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(extra), &object->fd, sizeof(int));
	if (sendmsg(mini.control, &header, MSG_NOSIGNAL) < 0)
		die("send object");
}

static void
child_run(int fd)
{
	char *arguments[] = {(char *)(uintptr_t)mini.program, (char *)(uintptr_t) "--setup-fd",
		(char *)(uintptr_t) "3", (char *)(uintptr_t) "--uid", (char *)(uintptr_t)mini.uid,
		(char *)(uintptr_t) "--gid", (char *)(uintptr_t)mini.uid, NULL};

	if (fd == 3)
		fcntl(fd, F_SETFD, 0);
	else if (dup2(fd, 3) < 0)
		_exit(127);
	execv(mini.program, arguments);
	_exit(127);
}

static void
command_start(void)
{
	uint64_t begin = clock_us(CLOCK_MONOTONIC);
	struct setup_answer answer = {0};
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		die("socketpair");
	mini.control = ends[0];
	mini.child = fork();
	if (mini.child < 0)
		die("fork");
	if (mini.child == 0)
		child_run(ends[1]);
	close(ends[1]);
	config_send();
	for (unsigned i = 0; i < mini.object_count; i++)
		object_send(&mini.objects[i]);
	if (recv(mini.control, &answer, sizeof(answer), 0) != sizeof(answer))
		snprintf(answer.text, sizeof(answer.text), "no answer");
	printf("%s %u ms pid %d: %s\n",
		answer.type == SETUP_ANSWER && answer.status == 0 ? "ready" : "failed",
		(unsigned)((clock_us(CLOCK_MONOTONIC) - begin) / 1000), (int)mini.child,
		answer.text);
}

static void
command_end(const char *how)
{
	struct setup_object stop = {
		.magic = SETUP_MAGIC, .version = SETUP_VERSION, .type = SETUP_STOP};
	int status = 0;

	if (mini.child <= 0) {
		printf("none runs\n");
		return;
	}
	if (strcmp(how, "kill") == 0)
		kill(mini.child, SIGKILL);
	else if (strcmp(how, "stop") == 0)
		(void)!send(mini.control, &stop, sizeof(stop), MSG_NOSIGNAL);
	else
		shutdown(mini.control, SHUT_RDWR);
	for (unsigned ms = 0; waitpid(mini.child, &status, WNOHANG) == 0; ms++) {
		if (ms == 5000) {
			kill(mini.child, SIGKILL);
			waitpid(mini.child, &status, 0);
			break;
		}
		usleep(1000);
	}
	close(mini.control);
	mini.child = 0; /* the number may be another's from now on */
	if (WIFEXITED(status))
		printf("exit %d\n", WEXITSTATUS(status));
	else
		printf("signal %d\n", WTERMSIG(status));
}

/* ---- the node ---- */

static void
sender_open(const char *netns)
{
	struct sockaddr_in here = {.sin_family = AF_INET}, there = here;
	char path[128];
	int old = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), new;

	snprintf(path, sizeof(path), "/run/netns/%s", netns);
	new = open(path, O_RDONLY | O_CLOEXEC);
	if (new < 0 || setns(new, CLONE_NEWNET) < 0)
		die(path);
	mini.sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	inet_pton(AF_INET, "10.77.0.2", &here.sin_addr);
	inet_pton(AF_INET, "10.77.0.1", &there.sin_addr);
	there.sin_port = htons(UDP_PORT);
	if (mini.sender < 0 || bind(mini.sender, (struct sockaddr *)&here, sizeof(here)) < 0 ||
		connect(mini.sender, (struct sockaddr *)&there, sizeof(there)) < 0)
		die("sender");
	if (setns(old, CLONE_NEWNET) < 0)
		die("setns");
	close(new);
	close(old);
}

static void
mint(void)
{
	const struct key_slot *slot = &mini.request_slot;
	uint8_t *msg = mini.last;
	uint16_t size;
	struct cred_fields fields = {.suite = CRED_SUITE_DEFAULT,
		.kind = CRED_KIND_ASSERT,
		.epoch = EPOCH,
		.realm = REALM,
		.node = NODE,
		.flags = CRED_FLAG_REPLY,
		.serial = ++mini.serial,
		.issued_us = clock_us(CLOCK_REALTIME),
		.origin = {[10] = 0xff, 0xff, 10, 77, 0, 2},
		.salt = {1, 2, 3, 4},
		.uid = 1000,
		.gid = 100,
		.auth_uid = CRED_ID_ANYONE,
		.auth_gid = CRED_ID_ANYONE};

	mini.last_size = cred_build(mini.last, sizeof(mini.last), &fields);
	size = (uint16_t)(mini.last_size - CRED_TAG_SIZE);
	tag_batch_seal(mini.engine, &slot, &msg, &size, 1);
}

static void
last_send(void)
{
	if (send(mini.sender, mini.last, mini.last_size, 0) < 0)
		die("send credential");
}

static void
command_send(unsigned count)
{
	uint64_t first = mini.serial + 1;

	for (unsigned i = 0; i < count; i++) {
		mint();
		last_send();
	}
	printf("sent %llu\n", (unsigned long long)first);
}

/* Waits for a reply and proves it; returns its verdict or -1. */
static int
reply_receive(int wait_ms)
{
	struct pollfd wait = {.fd = mini.sender, .events = POLLIN};
	const struct key_slot *slot = &mini.reply_slot;
	struct tag_identity inside;
	const uint8_t *msg;
	uint8_t bytes[2048];
	uint16_t span;
	ssize_t size;

	if (poll(&wait, 1, wait_ms) <= 0)
		return -1;
	size = recv(mini.sender, bytes, sizeof(bytes), 0);
	if (size < (ssize_t)CRED_SIZE_MIN)
		return -1;
	msg = bytes;
	span = (uint16_t)((size_t)size - CRED_TAG_SIZE);
	if (tag_batch_verify(mini.engine, &slot, &msg, &span, &inside, 1) != 1)
		return -1;
	return inside.bytes[0];
}

/* Replies nobody asked for are left from earlier commands. */
static void
replies_drain(void)
{
	while (reply_receive(50) >= 0)
		;
}

static void
command_reply(void)
{
	int verdict = reply_receive(WAIT_MS);

	printf("%s\n", verdict < 0 ? "none" : verdict_text((unsigned)verdict));
}

static void
command_record(void)
{
	uint8_t payload[VERDICT_PAYLOAD_SIZE_MAX];
	struct verdict_record record;

	for (unsigned ms = 0; ms < WAIT_MS; ms++) {
		for (unsigned worker = 0; worker < mini.workers; worker++) {
			if (!verdict_reader_next(&mini.readers[worker], &record, payload))
				continue;
			printf("%s serial %llu uid %u worker %u\n", verdict_text(record.verdict),
				(unsigned long long)record.serial, record.uid, worker);
			return;
		}
		usleep(1000);
	}
	printf("none\n");
}

/* As a consumer does: a read-only mapping, and sleep on the low half of head. */
static void
command_futex(void)
{
	struct object *object = &mini.objects[mini.object_count - 2];
	const struct timespec limit = {.tv_sec = WAIT_MS / 1000};
	struct verdict_ring *ring;
	uint32_t head;
	long status;

	ring = mmap(NULL, object->message.size, PROT_READ, MAP_SHARED, object->fd, 0);
	if (ring == MAP_FAILED)
		die("mmap");
	head = (uint32_t)atomic_load(&ring->head);
	if (fork() == 0) {
		usleep(200000);
		mint();
		last_send();
		_exit(0);
	}
	mini.serial++;
	status = syscall(SYS_futex, &ring->head, FUTEX_WAIT, head, &limit, NULL, 0);
	printf("%s\n", status == 0 ? "woken" : "late");
	wait(NULL);
	munmap(ring, object->message.size);
}

static int
compare(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

static void
command_rtt(unsigned count, unsigned gap_us)
{
	static uint32_t times[10000];
	unsigned got = 0;

	for (unsigned i = 0; i < count && i < 10000; i++) {
		uint64_t begin;

		usleep(gap_us);
		mint();
		begin = clock_us(CLOCK_MONOTONIC);
		last_send();
		if (reply_receive(WAIT_MS) == VERDICT_ACCEPTED)
			times[got++] = (uint32_t)(clock_us(CLOCK_MONOTONIC) - begin);
	}
	qsort(times, got, sizeof(times[0]), compare);
	printf("%u of %u, p50 %u us, p99 %u us\n", got, count, got ? times[got / 2] : 0,
		got ? times[got * 99 / 100] : 0);
}

static void
command_stats(void)
{
	uint64_t frames = 0, sleeps = 0;

	for (unsigned worker = 0; worker < mini.workers; worker++) {
		frames += stats_worker(mini.stats, worker)->rx_frames;
		sleeps += stats_worker(mini.stats, worker)->sleeps;
	}
	printf("state %u age %llu steps %llu frames %llu sleeps %llu\n", mini.stats->state,
		(unsigned long long)(clock_us(CLOCK_MONOTONIC) - mini.stats->heartbeat_us) / 1000,
		(unsigned long long)mini.stats->clock_steps, (unsigned long long)frames,
		(unsigned long long)sleeps);
}

static void
command_run(const char *line)
{
	unsigned count = 1, gap_us = 0;

	if (strcmp(line, "start") == 0) {
		command_start();
	} else if (sscanf(line, "rtt %u %u", &count, &gap_us) == 2) {
		command_rtt(count, gap_us);
	} else if (sscanf(line, "send %u", &count) == 1 || strcmp(line, "send") == 0) {
		command_send(count);
	} else if (strcmp(line, "again") == 0) {
		replies_drain();
		last_send();
		printf("sent %llu\n", (unsigned long long)mini.serial);
	} else if (strcmp(line, "forge") == 0) {
		mini.last[mini.last_size - 1] ^= 1;
		last_send();
		printf("sent %llu\n", (unsigned long long)mini.serial);
	} else if (strcmp(line, "record") == 0) {
		command_record();
	} else if (strcmp(line, "reply") == 0) {
		command_reply();
	} else if (strcmp(line, "futex") == 0) {
		command_futex();
	} else if (strcmp(line, "stats") == 0) {
		command_stats();
	} else if (strcmp(line, "kill") == 0 || strcmp(line, "stop") == 0 ||
		   strcmp(line, "hangup") == 0) {
		command_end(line);
	} else {
		printf("what?\n");
	}
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	char line[128];

	if (argc != 7 && argc != 8) {
		fprintf(stderr, "Usage: mini_control PROGRAM DEVARGS SENDER-NETNS UID WORKERS "
				"SLEEP-US [hugepages]\n");
		return 2;
	}
	mini.program = argv[1];
	mini.devargs = argv[2];
	mini.uid = argv[4];
	mini.workers = (uint32_t)strtoul(argv[5], NULL, 10);
	mini.sleep_us = (uint32_t)strtoul(argv[6], NULL, 10);
	mini.has_hugepages = argc == 8;
	if (mini.workers < 1 || mini.workers > TABLE_WORKERS_MAX)
		return 2;
	mini.serial = clock_us(CLOCK_REALTIME) / 1000000 << 32;
	mini.engine = tag_engine_create(TAG_KERNEL_IPSECMB);
	if (mini.engine == NULL)
		die("tag engine");
	memory_make();
	if (strcmp(argv[3], "-") != 0)
		sender_open(argv[3]);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		command_run(line);
	}
	if (mini.child > 0)
		kill(mini.child, SIGKILL);
	tag_engine_destroy(mini.engine);
	return 0;
}
