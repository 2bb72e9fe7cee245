/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may attach to which rings: decided by what the kernel says of the peer, over real sockets. */
#include "tests/unit/ctrl/ctrl_fixture.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "ctrl/consumers.h"
#include "ctrl/members.h"
#include "ctrl/passing.h"
#include "verdict/ring.h"

#define READER_UID   61003u
#define READER_GID   61013u
#define OBSERVER_UID 61004u
#define ADMIN_GID    61005u
#define WORKERS      2u

static struct config *
config_make(void)
{
	struct config *config = calloc(1, sizeof(*config));

	assert_non_null(config);
	snprintf(config->run_dir, sizeof(config->run_dir), "%s", fixture_dir);
	config->control = (struct config_user){61001, 61001};
	config->observers.uids[0] = OBSERVER_UID;
	config->observers.uid_count = 1;
	config->admins.gids[0] = ADMIN_GID;
	config->admins.gid_count = 1;
	config->dataplane.workers = WORKERS;
	config->dataplane.ring_slots = 4096;
	config->group_count = 2;
	snprintf(config->groups[0].name, CONFIG_NAME_SIZE, "other");
	config->groups[0].reader = (struct config_user){1, 1};
	snprintf(config->groups[1].name, CONFIG_NAME_SIZE, "jobs");
	config->groups[1].reader = (struct config_user){READER_UID, READER_GID};
	config->realm_count = 1;
	config->realms[0].nodes_max = 4;
	snprintf(config->realms[0].name, CONFIG_NAME_SIZE, "lab");
	config->realms[0].window_bits = 64;
	config->dataplane.retransmit_entries = REPLAY_CACHE_ENTRIES_MIN;
	return config;
}

/* ---- the decision ---- */

struct asked {
	struct peer peer;
	uint32_t what;
	const char *group;
	int status;
	unsigned index;
};

static void
test_decisions(void **state)
{
	static const struct asked asked[] = {
		{{.uid = READER_UID, .gid = READER_GID}, ATTACH_DELIVERY, "jobs", 0, 1},
		{{.uid = READER_UID, .gid = 9, .groups = {8, READER_GID}, .group_count = 2},
			ATTACH_DELIVERY, "jobs", 0, 1},
		{{.uid = READER_UID, .gid = 9}, ATTACH_DELIVERY, "jobs", EACCES, 1},
		{{.uid = 9, .gid = READER_GID}, ATTACH_DELIVERY, "jobs", EACCES, 1},
		{{.uid = 0, .gid = 0}, ATTACH_DELIVERY, "jobs", EACCES, 1},
		{{.uid = 61001, .gid = 61001}, ATTACH_DELIVERY, "jobs", EACCES, 1},
		{{.uid = OBSERVER_UID}, ATTACH_DELIVERY, "jobs", EACCES, 1},
		{{.uid = READER_UID, .gid = READER_GID}, ATTACH_DELIVERY, "other", EACCES, 0},
		{{.uid = READER_UID, .gid = READER_GID}, ATTACH_DELIVERY, "none", ENOENT, 16},
		{{.uid = READER_UID, .gid = READER_GID}, ATTACH_REFUSALS, "", EACCES, 16},
		{{.uid = OBSERVER_UID}, ATTACH_REFUSALS, "", 0, 16},
		{{.uid = 9, .gid = ADMIN_GID}, ATTACH_REFUSALS, "", 0, 16},
		{{.uid = 9, .gid = 9, .groups = {ADMIN_GID}, .group_count = 1}, ATTACH_REFUSALS, "",
			0, 16},
		{{.uid = 0}, ATTACH_REFUSALS, "", 0, 16},
		{{.uid = 61001}, ATTACH_REFUSALS, "", 0, 16},
		{{.uid = READER_UID, .gid = READER_GID}, ATTACH_MEMBERS, "", 0, 17},
		{{.uid = OBSERVER_UID}, ATTACH_MEMBERS, "", 0, 17},
		{{.uid = 9, .gid = ADMIN_GID}, ATTACH_MEMBERS, "", 0, 17},
		{{.uid = 0}, ATTACH_MEMBERS, "", 0, 17},
		{{.uid = READER_UID, .gid = 9}, ATTACH_MEMBERS, "", EACCES, 17},
		{{.uid = 9, .gid = 9}, ATTACH_MEMBERS, "", EACCES, 17},
		{{.uid = 0}, 4, "", EINVAL, 16},
	};
	struct config *config = config_make();
	struct attach_request request = {.magic = ATTACH_MAGIC, .version = ATTACH_VERSION};
	struct attach_reply reply;
	unsigned group;

	(void)state;
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		request.what = asked[i].what;
		memset(request.group, 0, sizeof(request.group));
		memcpy(request.group, asked[i].group, strlen(asked[i].group));
		consumers_decide(config, &asked[i].peer, &request, &reply, &group);
		print_message("%zu: %d %s\n", i, reply.status, reply.text);
		assert_int_equal(reply.status, asked[i].status);
		assert_int_equal(group, asked[i].index);
		assert_int_equal(reply.text[0] != '\0', asked[i].status != 0);
	}
	memset(request.group, 'x', sizeof(request.group)); /* not terminated */
	consumers_decide(config, &asked[0].peer, &request, &reply, &group);
	assert_int_equal(reply.status, EPROTO);
	request.version = 2;
	consumers_decide(config, &asked[0].peer, &request, &reply, &group);
	assert_int_equal(reply.status, EPROTO);
	free(config);
}

/* ---- over the socket: a child becomes the consumer ---- */

static int
attach(uint32_t what, const char *group, struct attach_reply *reply, int fds[ATTACH_RINGS_MAX])
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct attach_request request = {
		.magic = ATTACH_MAGIC, .version = ATTACH_VERSION, .what = what};
	char control[CMSG_SPACE(sizeof(int) * ATTACH_RINGS_MAX)] = {0};
	struct iovec part = {.iov_base = reply, .iov_len = sizeof(*reply)};
	struct msghdr header = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	struct cmsghdr *rights;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	memcpy(request.group, group, strlen(group));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/consumer.sock", fixture_dir);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
		(send(fd, &request, sizeof(request), MSG_NOSIGNAL) != sizeof(request) &&
			errno != EPIPE) || /* refused already: the answer is there */
		recvmsg(fd, &header, 0) != sizeof(*reply))
		return -1;
	rights = CMSG_FIRSTHDR(&header);
	if (rights != NULL)
		memcpy(fds, CMSG_DATA(rights), rights->cmsg_len - CMSG_LEN(0));
	return fd;
}

static bool
become(uint32_t uid, uint32_t gid)
{
	return setgroups(0, NULL) == 0 && setresgid(gid, gid, gid) == 0 &&
	       setresuid(uid, uid, uid) == 0;
}

/* Read-only for good: neither mapped nor reopened for writing. */
static int
reader_tries(int fd, uint64_t size)
{
	char path[64];

	if (mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED)
		return 20;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (open(path, O_RDWR) >= 0 || open(path, O_RDONLY) >= 0)
		return 21;
	if (fchmod(fd, 0666) == 0 || ftruncate(fd, 1) == 0)
		return 22;
	return 0;
}

/* The member table as well: read, and no more than that. */
static int
members_try(void)
{
	const struct members_header *table;
	struct attach_reply reply;
	int fds[ATTACH_RINGS_MAX];

	if (attach(ATTACH_MEMBERS, "", &reply, fds) < 0 || reply.status != 0 ||
		reply.ring_count != 1)
		return 10;
	table = mmap(NULL, reply.ring_size[0], PROT_READ, MAP_SHARED, fds[0], 0);
	if (table == MAP_FAILED || members_check(table, reply.ring_size[0]) != 0 ||
		strcmp(table->realms[0].name, "lab") != 0)
		return 11;
	return reader_tries(fds[0], reply.ring_size[0]);
}

/* The reader: gets its rings, reads them, and can do no more. */
static int
reader_child(void)
{
	struct attach_reply reply;
	int fds[ATTACH_RINGS_MAX];
	char byte;
	int fd;

	if (!become(READER_UID, READER_GID))
		return 1;
	fd = attach(ATTACH_DELIVERY, "jobs", &reply, fds);
	if (fd < 0 || reply.status != 0 || reply.ring_count != WORKERS)
		return 2;
	for (unsigned i = 0; i < WORKERS; i++) {
		const struct verdict_ring *ring =
			mmap(NULL, reply.ring_size[i], PROT_READ, MAP_SHARED, fds[i], 0);

		if (ring == MAP_FAILED || verdict_ring_check(ring, reply.ring_size[i]) != 0 ||
			ring->kind != VERDICT_RING_DELIVERY || ring->worker != i ||
			ring->group != 1)
			return 3;
		if (reader_tries(fds[i], reply.ring_size[i]) != 0)
			return reader_tries(fds[i], reply.ring_size[i]);
	}
	if (members_try() != 0)
		return members_try();
	/* End of file when credgated stops. */
	return recv(fd, &byte, 1, 0) == 0 ? 0 : 4;
}

static int
stranger_child(void)
{
	struct attach_reply reply;
	int fds[ATTACH_RINGS_MAX] = {-1}, fd;
	char byte;

	if (!become(READER_UID, READER_GID + 1))
		return 1;
	fd = attach(ATTACH_DELIVERY, "jobs", &reply, fds);
	if (fd < 0 || reply.status != EACCES || fds[0] != -1)
		return 2;
	if (strstr(reply.text, "its reader is uid 61003 gid 61013") == NULL &&
		strstr(reply.text, "is neither reader, observer nor admin") == NULL)
		return 3;
	return recv(fd, &byte, 1, 0) == 0 ? 0 : 4;
}

static int
nonsense_child(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char bytes[4096] = {1};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/consumer.sock", fixture_dir);
	if (!become(OBSERVER_UID, OBSERVER_UID) ||
		connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		return 1;
	if (send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL) != sizeof(bytes))
		return 2;
	return recv(fd, bytes, sizeof(bytes), 0) == 0 ? 0 : 3;
}

/* How many of `count` connections of one uid are closed at once, the first `kept` not waited for. */
static unsigned
closed_of(unsigned count, unsigned kept)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct pollfd polls[CONSUMERS_PER_UID_MAX + 8];
	unsigned closed = 0;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/consumer.sock", fixture_dir);
	for (unsigned i = 0; i < count; i++) {
		polls[i] =
			(struct pollfd){.fd = socket(AF_UNIX, SOCK_SEQPACKET, 0), .events = POLLIN};
		if (connect(polls[i].fd, (struct sockaddr *)&address, sizeof(address)) != 0)
			return 0;
	}
	for (unsigned i = kept; i < count; i++)
		closed += poll(&polls[i], 1, 2000) == 1;
	for (unsigned i = 0; i < kept; i++)
		closed += poll(&polls[i], 1, 0) == 1;
	return closed;
}

/* More connections of one uid than it may have: those above are closed at once. */
static int
greedy_child(void)
{
	if (!become(OBSERVER_UID, OBSERVER_UID))
		return 1;
	return closed_of(CONSUMERS_PER_UID_MAX + 8, CONSUMERS_PER_UID_MAX) == 8 ? 0 : 2;
}

/* Somebody who could be given nothing does not even get a place to wait in. */
static int
crowd_child(void)
{
	if (!become(61099, READER_GID))
		return 1;
	return closed_of(8, 0) == 8 ? 0 : 2;
}

struct rig {
	struct ctrl ctrl;
	struct reason reason;
};

static struct rig rig;

static void
rig_make(void)
{
	memset(&rig, 0, sizeof(rig));
	rig.ctrl.config = config_make();
	rig.ctrl.base = event_base_new();
	assert_int_equal(chmod(fixture_dir, 0755), 0);
	if (shared_create(&rig.ctrl.shared, rig.ctrl.config, false, &rig.reason) != 0)
		fail_msg("%s", rig.reason.text);
	rig.ctrl.members = members_create(rig.ctrl.config, 1, &rig.reason);
	if (rig.ctrl.members == NULL)
		fail_msg("%s", rig.reason.text);
	rig.ctrl.consumers = consumers_create(&rig.ctrl, &rig.reason);
	if (rig.ctrl.consumers == NULL)
		fail_msg("%s", rig.reason.text);
}

static void
rig_drop(void)
{
	consumers_destroy(rig.ctrl.consumers);
	members_destroy(rig.ctrl.members);
	shared_destroy(&rig.ctrl.shared);
	event_base_free(rig.ctrl.base);
	free(rig.ctrl.config);
}

static void
loop_for_ms(unsigned ms)
{
	const struct timeval limit = {ms / 1000, ms % 1000 * 1000};

	event_base_loopexit(rig.ctrl.base, &limit);
	event_base_dispatch(rig.ctrl.base);
}

static pid_t
child_start(int (*child)(void))
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(child());
	return pid;
}

/* Serves until the child is done; its exit code. */
static int
child_serve(pid_t pid)
{
	int status;

	for (unsigned i = 0; i < 100; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WEXITSTATUS(status);
		loop_for_ms(50);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -1;
}

static void
test_reader(void **state)
{
	pid_t child;
	int status;

	(void)state;
	if (geteuid() != 0)
		skip();
	rig_make();
	child = child_start(reader_child);
	for (unsigned i = 0; i < 40 && consumers_count(rig.ctrl.consumers, 1) == 0; i++)
		loop_for_ms(50);
	assert_int_equal(consumers_count(rig.ctrl.consumers, 1), 1);
	assert_int_equal(consumers_count(rig.ctrl.consumers, 0), 0);
	loop_for_ms(200);
	assert_int_equal(waitpid(child, &status, WNOHANG), 0); /* holds its claim */
	rig_drop();
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void
test_others(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	rig_make();
	assert_int_equal(child_serve(child_start(stranger_child)), 0);
	assert_int_equal(child_serve(child_start(nonsense_child)), 0);
	assert_int_equal(child_serve(child_start(greedy_child)), 0);
	assert_int_equal(child_serve(child_start(crowd_child)), 0);
	rig_drop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decisions),
		cmocka_unit_test(test_reader),
		cmocka_unit_test(test_others),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
