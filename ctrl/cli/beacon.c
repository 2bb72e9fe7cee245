/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

#include <credgate/credgate.h>

#include "ctrl/cli/beacon_path.h"
#include "ctrl/cli/value.h"
#include "ctrl/cli/verbs.h"
#include "ctrl/clock.h"

#define SECOND_US        1000000ull
#define PATHS_MAX        16
#define ANSWER_MS        1000
#define LEAVING_MS       300 /* of each path: whoever stops us does not wait for long */
#define JITTER_PER_MILLE 100 /* earlier than promised, never later */

enum {
	BEACON_KEY = CLI_ID_FIRST,
	BEACON_INTERVAL,
	BEACON_SOURCE4,
	BEACON_SOURCE6,
	BEACON_AUDIENCE,
	BEACON_NO_REPLY,
};

static const struct cli_option beacon_options[] = {
	{"key", BEACON_KEY, "FILE", "the node's key file; its serial state is kept beside it"},
	{"interval", BEACON_INTERVAL, "TIME", "between beacons, from 1s (default: 10s)"},
	{"source4", BEACON_SOURCE4, "ADDR", "this node's IPv4 address, for members to be found at"},
	{"source6", BEACON_SOURCE6, "ADDR", "likewise its IPv6 address"},
	{"audience", BEACON_AUDIENCE, "N", "number of the service (default: 0, any)"},
	{"no-reply", BEACON_NO_REPLY, NULL, "do not ask for replies, do not wait"},
	{NULL, 0, NULL, NULL},
};

struct beacon {
	struct cli *cli;
	const char *key_path;
	struct cg_key *key;
	struct stat key_stat; /* of the file that `key` is from */
	char key_fault[256];  /* the last line about a file that was not taken */
	uint64_t interval_us;
	uint8_t sources[2][16]; /* IPv4, IPv6 */
	bool has_source[2];
	uint32_t audience;
	bool has_no_reply;
	struct beacon_path paths[PATHS_MAX];
	unsigned path_count;
};

/* ---- options ---- */

static bool
is_v4(const uint8_t address[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(address, mapped, sizeof(mapped)) == 0;
}

static int
take_source(struct beacon *beacon, int id, const char *value)
{
	const unsigned which = id == BEACON_SOURCE6;

	if (value_address(value, beacon->sources[which]) ||
		is_v4(beacon->sources[which]) != (which == 0))
		return cli_bad_value(beacon->cli, id, value,
			which == 0 ? "an IPv4 address of this node"
				   : "an IPv6 address of this node");
	beacon->has_source[which] = true;
	return CLI_DONE;
}

static int
beacon_take(struct cli *cli, void *context, int id, const char *value)
{
	struct beacon *beacon = context;
	uint64_t number;

	switch (id) {
	case BEACON_KEY:
		beacon->key_path = value;
		return CLI_DONE;
	case BEACON_INTERVAL:
		if (value_duration(
			    value, SECOND_US, UINT16_MAX * SECOND_US, &beacon->interval_us) ||
			beacon->interval_us < SECOND_US)
			return cli_bad_value(cli, id, value, "1s to 65535s, as 10 or 1m");
		return CLI_DONE;
	case BEACON_AUDIENCE:
		if (value_number(value, 0, UINT32_MAX, &number))
			return cli_bad_value(cli, id, value, "a number from 0 to 4294967295");
		beacon->audience = (uint32_t)number;
		return CLI_DONE;
	case BEACON_NO_REPLY:
		beacon->has_no_reply = true;
		return CLI_DONE;
	default:
		return take_source(beacon, id, value);
	}
}

/* ---- paths ---- */

/* Without a source of its own a family is tried, and nobody minds if the host has none. */
static void
path_add(struct beacon *beacon, const char *host, const char *port, unsigned which)
{
	struct beacon_path *path = &beacon->paths[beacon->path_count++];

	*path = (struct beacon_path){
		.cli = beacon->cli,
		.family = which == 0 ? AF_INET : AF_INET6,
		.has_source = beacon->has_source[which],
		.is_optional = !beacon->has_source[which],
		.audience = beacon->audience,
		.has_no_reply = beacon->has_no_reply,
		.fd = -1,
	};
	snprintf(path->host, sizeof(path->host), "%s", host);
	snprintf(path->port, sizeof(path->port), "%s", port);
	memcpy(path->source, beacon->sources[which], sizeof(path->source));
}

/* Where the host is an address there is one family, and it is expected to work. */
static void
host_add(struct beacon *beacon, const char *host, const char *port)
{
	const bool has_any = beacon->has_source[0] || beacon->has_source[1];
	uint8_t address[16];
	bool is_address = value_address(host, address) == 0;

	for (unsigned which = 0; which < 2; which++) {
		if (is_address && is_v4(address) != (which == 0))
			continue;
		if (has_any && !beacon->has_source[which])
			continue;
		path_add(beacon, host, port, which);
		if (is_address)
			beacon->paths[beacon->path_count - 1].is_optional = false;
	}
}

static int
paths_make(struct beacon *beacon)
{
	char host[VALUE_HOST_SIZE], port[VALUE_PORT_SIZE];
	struct cli *cli = beacon->cli;
	uint16_t number;

	if (cli->argc > PATHS_MAX / 2)
		return cli_usage(cli, "at most %d hosts", PATHS_MAX / 2);
	for (int i = 0; i < cli->argc; i++) {
		unsigned before = beacon->path_count;

		if (value_endpoint(cli->argv[i], CLI_PORT_DEFAULT, host, port) ||
			value_port(port, &number))
			return cli_usage(
				cli, "'%s': it takes HOST, HOST:PORT or [IPv6]:PORT", cli->argv[i]);
		host_add(beacon, host, port);
		if (beacon->path_count == before)
			return cli_usage(cli,
				"%s cannot be reached from the source that is given: "
				"they are of different versions of IP",
				cli->argv[i]);
	}
	return CLI_DONE;
}

/* ---- the key ---- */

static bool
is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Told once; a file that is just being written is taken when it is whole. */
static void
key_refuse(struct beacon *beacon, const char *text)
{
	if (strncmp(beacon->key_fault, text, sizeof(beacon->key_fault) - 1) == 0)
		return;
	snprintf(beacon->key_fault, sizeof(beacon->key_fault), "%s", text);
	cli_fail(beacon->cli, "%s; the key that was loaded stays in use", text);
}

/* A key that was replaced (rotation) is taken up; whatever is wrong with it, we go on. */
static void
key_look(struct beacon *beacon)
{
	struct cg_key *fresh;
	struct stat now;

	if (stat(beacon->key_path, &now) != 0) {
		key_refuse(beacon, strerror(errno));
		return;
	}
	if (is_same_file(&now, &beacon->key_stat))
		return;
	if (cg_key_open(&fresh, beacon->key_path) != 0) {
		key_refuse(beacon, cg_error());
		return;
	}
	cg_key_close(beacon->key);
	beacon->key = fresh;
	beacon->key_stat = now;
	beacon->key_fault[0] = '\0';
	cli_fail(beacon->cli, "took up the key of epoch %u from %s", cg_key_epoch(fresh),
		beacon->key_path);
}

static int
key_begin(struct beacon *beacon)
{
	if (beacon->key_path == NULL)
		return cli_usage(beacon->cli, "--key FILE is missing (made by: credgate node key)");
	if (stat(beacon->key_path, &beacon->key_stat) != 0)
		return cli_fail(beacon->cli, "%s: %m", beacon->key_path);
	if (cg_key_open(&beacon->key, beacon->key_path) != 0)
		return cli_fail(beacon->cli, "%s", cg_error());
	return CLI_DONE;
}

/* ---- beacons ---- */

static void
beacons_send(struct beacon *beacon, enum wire_beacon_state state, unsigned timeout_ms)
{
	const struct wire_beacon what = {
		.state = state,
		.interval_s = (uint16_t)((beacon->interval_us + SECOND_US - 1) / SECOND_US),
	};

	for (unsigned i = 0; i < beacon->path_count; i++)
		beacon_path_send(&beacon->paths[i], beacon->key, &what, timeout_ms);
}

/* So that nodes that were switched on together do not stay in step. */
static uint64_t
pause_us(const struct beacon *beacon)
{
	return beacon->interval_us / 1000 * (1000 - randombytes_uniform(JITTER_PER_MILLE + 1));
}

/* Until `due_us` or a signal, which is returned; 0: none. */
static int
signal_wait(const sigset_t *signals, uint64_t due_us)
{
	uint64_t now = clock_mono_us(), left_us = due_us > now ? due_us - now : 0;
	const struct timespec left = {
		.tv_sec = (time_t)(left_us / SECOND_US),
		.tv_nsec = (long)(left_us % SECOND_US * 1000),
	};
	int number = sigtimedwait(signals, NULL, &left);

	return number > 0 ? number : 0;
}

static void
beacon_loop(struct beacon *beacon)
{
	sigset_t signals;
	int number = 0;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	while (number == 0 || number == SIGHUP) {
		const uint64_t due_us = clock_mono_us() + pause_us(beacon);

		/* A key that could not be taken is complained about again when one asks. */
		if (number == SIGHUP)
			beacon->key_fault[0] = '\0';
		key_look(beacon);
		beacons_send(beacon, WIRE_BEACON_UP, ANSWER_MS);
		number = signal_wait(&signals, due_us);
	}
	beacons_send(beacon, WIRE_BEACON_LEAVING, LEAVING_MS);
}

static int
beacon_run(struct cli *cli)
{
	struct beacon beacon = {.cli = cli, .interval_us = 10 * SECOND_US};
	int code = cli_parse(cli, beacon_take, &beacon);

	if (code != CLI_GO)
		return code;
	code = paths_make(&beacon);
	if (code == CLI_DONE)
		code = key_begin(&beacon);
	if (code != CLI_DONE)
		return code;
	beacon_loop(&beacon);
	for (unsigned i = 0; i < beacon.path_count; i++)
		beacon_path_close(&beacon.paths[i]);
	cg_key_close(beacon.key);
	return CLI_DONE;
}

const struct cli_verb verb_beacon = {
	.name = "beacon",
	.operands = "HOST[:PORT]...",
	.summary = "Tell gateways that this node is there, until it is stopped",
	.detail =
		"Runs on a node, without privileges: one beacon at once and then one per "
		"interval,\n"
		"up to a tenth earlier. Over IPv4, IPv6 or both, as the host has addresses; with\n"
		"--source4 or --source6 only over those given, from these addresses, which become\n"
		"the beacons' origin. A key file that was replaced is taken up at the next "
		"beacon,\n"
		"or at once after SIGHUP. SIGTERM and Ctrl-C send a last beacon that says that "
		"the\n"
		"node leaves. What is wrong is told on standard error, once, and tried again.\n",
	.examples = "credgate beacon gw1 gw2 --key /etc/credgate/node.key\n"
		    "credgate beacon gw1 --key node.key --source4 10.1.0.17 --source6 fd01::17\n",
	.options = {beacon_options},
	.operands_min = 1,
	.operands_max = CLI_OPERANDS_ANY,
	.run = beacon_run,
};
