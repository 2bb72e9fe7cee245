/* SPDX-License-Identifier: BSD-3-Clause */
/* credgate join: a node gets its key with a join code (docs/enrolment.md). Runs on the node. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "crypto/join.h"
#include "ctrl/cli/file.h"
#include "ctrl/cli/request.h"
#include "ctrl/cli/value.h"
#include "ctrl/cli/verbs.h"
#include "wire/bytes.h"

#define KEY_FILE_DEFAULT "/etc/credgate/node.key"
#define PORT_DEFAULT     "7476"
#define SECOND_US        1000000ull
#define TIMEOUT_US       (60 * SECOND_US)
#define TIMEOUT_MAX_US   (7 * 86400 * SECOND_US)
#define ANSWER_MS        10000 /* a join may wait for a disk, and a second for the workers */
#define RETRY_MS         1000u

#define TRY_SUFFIX ".join" /* beside the key file: the ephemeral key, until the answer is there */
#define NEW_SUFFIX ".new"
#define TRY_SIZE   (8 + JOIN_PUBLIC_SIZE)

/* The gateway has proved itself and says that this code will never do. */
#define JOIN_EXIT_REFUSED 3

enum {
	JOIN_KEY_FILE = CLI_ID_FIRST,
	JOIN_NAME,
	JOIN_REPLACE,
	JOIN_TIMEOUT,
};

/* What must not stay in memory: guarded, and wiped when it is freed. */
struct secrets {
	struct join_code code;
	uint8_t ephemeral[JOIN_PUBLIC_SIZE];
	uint8_t file[TRY_SIZE];
	char text[JOIN_CODE_TEXT_SIZE + 2];
	struct join_body body;
	char key[NODE_KEY_TEXT_SIZE + 1];
};

struct join {
	struct cli *cli;
	const char *key_file;
	const char *name;
	bool may_replace;
	uint64_t timeout_us;
	uint64_t deadline_us; /* monotonic */
	char host[VALUE_HOST_SIZE];
	char port[VALUE_PORT_SIZE];
	char try_file[PATH_MAX];
	char new_file[PATH_MAX];
	struct secrets *secrets;
	uint8_t request[JOIN_REQUEST_SIZE];
	uint8_t answer[JOIN_SEALED_SIZE];
	char trouble[256]; /* why the last attempt came to nothing */
	bool is_warned;    /* it is worse than a later one can be */
};

static uint64_t
mono_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND_US + (uint64_t)now.tv_nsec / 1000;
}

/* ---- what was given ---- */

static int
take(struct cli *cli, void *context, int id, const char *value)
{
	struct join *join = context;

	switch (id) {
	case JOIN_KEY_FILE:
		join->key_file = value;
		return CLI_DONE;
	case JOIN_NAME:
		if (value[0] == '\0' || strlen(value) >= JOIN_NAME_SIZE)
			return cli_bad_value(cli, id, value, "a node's name");
		join->name = value;
		return CLI_DONE;
	case JOIN_REPLACE:
		join->may_replace = true;
		return CLI_DONE;
	default:
		if (value_duration(value, SECOND_US, TIMEOUT_MAX_US, &join->timeout_us))
			return cli_bad_value(cli, id, value, "a time as 30s or 5m");
		return CLI_DONE;
	}
}

/* From the operand, which others could read in the list of processes, or from standard input. */
static int
code_read(struct join *join, char *operand)
{
	struct secrets *secrets = join->secrets;
	size_t length = strlen(operand);
	int status = 0;

	if (strcmp(operand, "-") == 0) {
		status = file_read("-", secrets->text, sizeof(secrets->text), &length);
	} else {
		memcpy(secrets->text, operand,
			length < sizeof(secrets->text) ? length : sizeof(secrets->text));
		length = length < sizeof(secrets->text) ? length : sizeof(secrets->text);
		explicit_bzero(operand, strlen(operand));
	}
	if (status == 0 && length > 0 && secrets->text[length - 1] == '\n')
		length--;
	if (status == 0)
		status = join_code_decode(&secrets->code, secrets->text, length);
	if (status == -EBADMSG)
		return cli_usage(join->cli, "the join code was mistyped: a character is wrong");
	if (status != 0)
		return cli_usage(join->cli,
			"this is no join code: give the whole of CGJ1:...: as credgate node invite "
			"printed it");
	return CLI_DONE;
}

static int
paths_make(struct join *join)
{
	int size =
		snprintf(join->try_file, sizeof(join->try_file), "%s" TRY_SUFFIX, join->key_file);

	snprintf(join->new_file, sizeof(join->new_file), "%s" NEW_SUFFIX, join->key_file);
	return size > 0 && (size_t)size < sizeof(join->try_file)
		       ? CLI_DONE
		       : cli_usage(join->cli, "--key-file: the name is too long");
}

static int
host_read(struct join *join, const char *text)
{
	char meant[VALUE_MEANT_SIZE];

	if (value_endpoint(text, PORT_DEFAULT, join->host, join->port))
		return cli_usage(join->cli, "'%s' is no HOST:PORT", text);
	if (value_endpoint_meant(join->host, meant) == 0)
		return cli_usage(join->cli, "'%s': did you mean '%s'?", text, meant);
	return CLI_DONE;
}

/* ---- files ---- */

/* Looked at before the code is spent: a key that cannot be kept is a key lost. */
static int
key_file_check(struct join *join)
{
	struct stat st;

	if (lstat(join->key_file, &st) != 0)
		return errno == ENOENT ? CLI_DONE : cli_fail(join->cli, "%s: %m", join->key_file);
	if (!S_ISREG(st.st_mode))
		return cli_fail(
			join->cli, "%s is no regular file and was not touched", join->key_file);
	if (!join->may_replace)
		return cli_fail(join->cli,
			"%s is there already and was not touched: give --replace if its key is to "
			"go",
			join->key_file);
	return CLI_DONE;
}

/* The ephemeral key of an earlier attempt with this code, if it is ours and nobody else's. */
static bool
try_read(struct join *join)
{
	struct secrets *secrets = join->secrets;
	int fd = open(join->try_file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	bool is_ours;

	if (fd < 0)
		return false;
	is_ours = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
		  (st.st_mode & 077) == 0 && st.st_size == TRY_SIZE &&
		  read(fd, secrets->file, TRY_SIZE) == TRY_SIZE &&
		  load_be64(secrets->file) == secrets->code.id;
	close(fd);
	if (is_ours)
		memcpy(secrets->ephemeral, secrets->file + 8, JOIN_PUBLIC_SIZE);
	return is_ours;
}

/*
 * The ephemeral key is on disk before the gateway sees it: whatever happens until the key file is
 * there, the same command gets the same key.
 */
static int
try_begin(struct join *join)
{
	struct secrets *secrets = join->secrets;
	int status;

	if (try_read(join))
		return CLI_DONE;
	if (unlink(join->try_file) != 0 && errno != ENOENT)
		return cli_fail(join->cli, "%s cannot be removed: %m", join->try_file);
	randombytes_buf(secrets->ephemeral, sizeof(secrets->ephemeral));
	store_be64(secrets->file, secrets->code.id);
	memcpy(secrets->file + 8, secrets->ephemeral, JOIN_PUBLIC_SIZE);
	status = file_make_parents(join->key_file, (uid_t)-1, (gid_t)-1);
	if (status == 0)
		status = file_create(join->try_file, secrets->file, TRY_SIZE);
	if (status == 0)
		return CLI_DONE;
	return cli_fail(join->cli,
		"%s: %s (the key is to be kept beside it; name another place with --key-file)",
		join->try_file, strerror(-status));
}

/* The whole key, or what was there before. */
static int
key_write(struct join *join)
{
	struct secrets *secrets = join->secrets;
	int status;

	node_key_encode(secrets->key, &secrets->body.key);
	unlink(join->new_file);
	status = file_create(join->new_file, secrets->key, strlen(secrets->key));
	if (status == 0 && renameat2(AT_FDCWD, join->new_file, AT_FDCWD, join->key_file,
				   join->may_replace ? 0 : RENAME_NOREPLACE) != 0)
		status = -errno;
	if (status == 0)
		status = file_sync_parent(join->key_file);
	if (status == 0) {
		unlink(join->try_file);
		return CLI_DONE;
	}
	unlink(join->new_file);
	return cli_fail(join->cli,
		"%s cannot be written: %s; the gateway has given the key: make room and run the "
		"same command again while the code holds",
		join->key_file, strerror(-status));
}

/* ---- one attempt ---- */

static int __attribute__((format(printf, 2, 3))) trouble(struct join *join, const char *format, ...)
{
	va_list arguments;

	if (join->is_warned)
		return -1;
	va_start(arguments, format);
	vsnprintf(join->trouble, sizeof(join->trouble), format, arguments);
	va_end(arguments);
	return -1;
}

/* Waits for `events`, at most until `until_us`; 0 or -1 with errno. */
static int
wait_for(int fd, short events, uint64_t until_us)
{
	uint64_t now_us = mono_us();
	struct pollfd poller = {.fd = fd, .events = events};
	int ready = poll(&poller, 1, until_us > now_us ? (int)((until_us - now_us) / 1000) + 1 : 0);

	if (ready == 0)
		errno = ETIMEDOUT;
	return ready > 0 ? 0 : -1;
}

static int
connect_one(const struct addrinfo *to, uint64_t until_us)
{
	int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error = 0;
	socklen_t size = sizeof(error);

	if (fd < 0)
		return -1;
	if (connect(fd, to->ai_addr, to->ai_addrlen) == 0)
		return fd;
	if (errno == EINPROGRESS && wait_for(fd, POLLOUT, until_us) == 0 &&
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0) {
		if (error == 0)
			return fd;
		errno = error;
	}
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* A connection to any of the host's addresses; -1 with the trouble. */
static int
connect_any(struct join *join, uint64_t until_us)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *list, *to;
	int fd = -1, status = getaddrinfo(join->host, join->port, &hints, &list);

	if (status != 0)
		return trouble(join, "%s: %s", join->host, gai_strerror(status));
	for (to = list; to != NULL && fd < 0; to = to->ai_next)
		fd = connect_one(to, until_us);
	if (fd < 0)
		trouble(join, "%s port %s: %s", join->host, join->port, strerror(errno));
	freeaddrinfo(list);
	return fd;
}

/* A whole answer, and not a byte more; its size or -1. */
static int
answer_read(struct join *join, int fd, uint64_t until_us)
{
	size_t used = 0;
	int size = 0;

	while (size == 0 || used < (size_t)size) {
		size_t room = (size > 0 ? (size_t)size : JOIN_PLAIN_SIZE) - used;
		ssize_t n;

		if (wait_for(fd, POLLIN, until_us) != 0)
			return trouble(join, "the gateway does not answer: %s", strerror(errno));
		n = recv(fd, join->answer + used, room, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return trouble(join, "the gateway hung up%s%s", n < 0 ? ": " : "",
				n < 0 ? strerror(errno) : "");
		used += (size_t)n;
		size = join_answer_size(join->answer, used);
		if (size < 0)
			return trouble(join, "%s port %s is no gateway of credgate", join->host,
				join->port);
	}
	return size;
}

/* Sends the request and reads an answer; its size, or -1 with the trouble. */
static int
attempt(struct join *join)
{
	uint64_t until_us = mono_us() + ANSWER_MS * 1000ull;
	int size, fd;

	if (until_us > join->deadline_us)
		until_us = join->deadline_us;
	fd = connect_any(join, until_us);
	if (fd < 0)
		return -1;
	if (send(fd, join->request, sizeof(join->request), MSG_NOSIGNAL) !=
		(ssize_t)sizeof(join->request))
		size = trouble(join, "the request cannot be sent: %s", strerror(errno));
	else
		size = answer_read(join, fd, until_us);
	close(fd);
	return size;
}

/* ---- answers ---- */

static void
welcome_print(const struct join *join)
{
	const struct join_body *body = &join->secrets->body;
	json_t *result;

	if (!join->cli->has_json) {
		printf("joined as %s (%s): node %" PRIu32 ", epoch %u, %s; key in %s\n", body->name,
			body->text, body->key.node, body->key.epoch,
			value_suite_name(body->key.suite), join->key_file);
		return;
	}
	result = json_pack("{s:s, s:I, s:I, s:i, s:i, s:s}", "name", body->name, "realm_id",
		(json_int_t)body->key.realm, "node", (json_int_t)body->key.node, "epoch",
		body->key.epoch, "suite", body->key.suite, "key_file", join->key_file);
	request_print_json(result);
	json_decref(result);
}

static int
refused(const struct join *join)
{
	const struct join_body *body = &join->secrets->body;

	cli_fail(join->cli, "the gateway refuses: %s", body->text);
	unlink(join->try_file);
	return JOIN_EXIT_REFUSED;
}

/* CLI_GO: worth another attempt. */
static int
sealed_take(struct join *join)
{
	struct secrets *secrets = join->secrets;
	int code;

	if (join_answer_open(&secrets->body, join->answer, join->request, &secrets->code,
		    secrets->ephemeral) != 0) {
		trouble(join,
			"an answer came that is not from the gateway of this code: either "
			"something between here and %s changes what is sent, or the code is "
			"another gateway's",
			join->host);
		join->is_warned = true;
		return CLI_GO;
	}
	switch (secrets->body.status) {
	case JOIN_WELCOME:
		code = key_write(join);
		if (code == CLI_DONE)
			welcome_print(join);
		return code;
	case JOIN_FAILED:
		trouble(join, "the gateway cannot do it: %s", secrets->body.text);
		return CLI_GO;
	default:
		return refused(join);
	}
}

/* CLI_GO: worth another attempt, after *wait_ms. */
static int
answer_take(struct join *join, int size, uint32_t *wait_ms)
{
	uint32_t retry_ms;

	switch (join_answer_parse(join->answer, (size_t)size, &retry_ms)) {
	case JOIN_SEALED:
		return sealed_take(join);
	case JOIN_REFUSED:
		/* Anybody can say so; the ephemeral key stays for when it was not the gateway. */
		cli_fail(join->cli,
			"refused: the code is used up, taken back, expired or not of this gateway; "
			"ask for a new one");
		return JOIN_EXIT_REFUSED;
	default:
		trouble(join, "the gateway is busy");
		*wait_ms = retry_ms > RETRY_MS ? retry_ms : RETRY_MS;
		return CLI_GO;
	}
}

/* Many nodes of one image wait for the same gateway: not all at the same moment. */
static void
pause_before_next(uint32_t wait_ms)
{
	wait_ms += randombytes_uniform(wait_ms);
	poll(NULL, 0, (int)wait_ms);
}

static int
attempts(struct join *join)
{
	int code = CLI_GO;

	join->deadline_us = mono_us() + join->timeout_us;
	if (join_request_make(join->request, &join->secrets->code, join->secrets->ephemeral,
		    join->name != NULL ? join->name : "") != 0)
		return cli_usage(join->cli, "the join code is no gateway's");
	for (;;) {
		uint32_t wait_ms = RETRY_MS;
		int size = attempt(join);

		if (size > 0)
			code = answer_take(join, size, &wait_ms);
		if (code != CLI_GO)
			return code;
		if (mono_us() + wait_ms * 1000ull >= join->deadline_us)
			break;
		pause_before_next(wait_ms);
	}
	return cli_fail(join->cli, "%s; the same command may be run again while the code holds",
		join->trouble);
}

static int
join_with(struct join *join)
{
	struct cli *cli = join->cli;
	int code = code_read(join, cli->argv[0]);

	if (code == CLI_DONE)
		code = host_read(join, cli->argv[1]);
	if (code == CLI_DONE)
		code = paths_make(join);
	if (code == CLI_DONE)
		code = key_file_check(join);
	if (code == CLI_DONE)
		code = try_begin(join);
	return code == CLI_DONE ? attempts(join) : code;
}

static int
run(struct cli *cli)
{
	struct join join = {
		.cli = cli,
		.key_file = KEY_FILE_DEFAULT,
		.timeout_us = TIMEOUT_US,
	};
	int code = cli_parse(cli, take, &join);

	if (code != CLI_GO)
		return code;
	if (sodium_init() < 0)
		return cli_fail(cli, "libsodium does not start");
	join.secrets = sodium_malloc(sizeof(*join.secrets));
	if (join.secrets == NULL)
		return cli_fail(cli, "no guarded memory for the key");
	sodium_memzero(join.secrets, sizeof(*join.secrets));
	code = join_with(&join);
	sodium_free(join.secrets);
	return cli_finish(cli, code);
}

static const struct cli_option options[] = {
	{"key-file", JOIN_KEY_FILE, "FILE", "where the key goes (default: " KEY_FILE_DEFAULT ")"},
	{"name", JOIN_NAME, "NAME", "who this node is: a code for another is refused, unspent"},
	{"replace", JOIN_REPLACE, NULL, "a key that is there already may go"},
	{"timeout", JOIN_TIMEOUT, "TIME", "try that long (default: 60s)"},
	{NULL, 0, NULL, NULL},
};

const struct cli_verb verb_join = {
	.name = "join",
	.operands = "CODE HOST:PORT",
	.summary = "On a node: get its key from the gateway, with a join code",
	.detail = "CODE is what 'credgate node invite' printed, or - to read it from standard "
		  "input,\n"
		  "where no list of processes shows it. The gateway proves itself and the key "
		  "crosses\n"
		  "sealed: no TLS, no certificates. Needs no root but what --key-file needs. "
		  "FILE.join\n"
		  "keeps the attempt beside it: after a lost answer, a crash or a full disk the "
		  "same\n"
		  "command gets the same key, while the code holds.\n",
	.examples = "credgate join CGJ1:AQIDBAUG...: gateway:7476 --name n001\n"
		    "credgate join - 10.77.0.1:7476 --key-file n001.key < code\n",
	.exits = "0\tjoined: the key file is written\n"
		 "1\tnot joined, but the code is perhaps still good: run it again\n"
		 "2\twrong usage, or a code that was mistyped\n"
		 "3\tthe gateway refuses this code\n",
	.options = {options},
	.common = CLI_TAKES_JSON,
	.operands_min = 2,
	.operands_max = 2,
	.run = run,
};
