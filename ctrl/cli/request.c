/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctrl/cli/request.h"

/* The protocol's limit, and a little patience. */
#define REQUEST_LINE_MAX (4u << 20)
/* node.revoke may wait a second for the workers; many requests may be ahead of ours. */
#define REQUEST_TIMEOUT_S 30
#define RETRY_US          200000

static void __attribute__((format(printf, 2, 3)))
say(const struct request *request, const char *format, ...)
{
	char line[1024];
	va_list arguments;

	if (request->is_quiet)
		return;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	cli_fail(request->cli, "%s", line);
}

static void
say_unreachable(const struct request *request, const char *path, int error)
{
	if (error == ENOENT || error == ECONNREFUSED)
		say(request,
			"credgated is not running at %s (start it: credgate run --config FILE)",
			path);
	else if (error == EACCES || error == EPERM)
		say(request,
			"%s: permission denied: only root, the control user and the 'admins' of "
			"the configuration may",
			path);
	else
		say(request, "%s: %s", path, strerror(error));
}

/* Some answers are keys. */
static void
wipe_free(void *block)
{
	if (block)
		explicit_bzero(block, malloc_usable_size(block));
	free(block);
}

static int
connect_to(struct request *request)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval timeout = {.tv_sec = REQUEST_TIMEOUT_S};
	const char *run_dir = cli_run_dir(request->cli);
	int size = snprintf(address.sun_path, sizeof(address.sun_path), "%s/admin.sock", run_dir);

	if (size < 0 || (size_t)size >= sizeof(address.sun_path)) {
		say(request, "%s: too long for the path of a socket", run_dir);
		return -ENAMETOOLONG;
	}
	request->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (request->fd < 0 ||
		connect(request->fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		size = errno;
		say_unreachable(request, address.sun_path, size);
		request_close(request);
		return -size;
	}
	setsockopt(request->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(request->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	return 0;
}

static void
request_begin(struct request *request, struct cli *cli, bool is_quiet)
{
	json_set_alloc_funcs(malloc, wipe_free);
	*request = (struct request){.cli = cli, .is_quiet = is_quiet, .fd = -1};
}

int
request_open(struct request *request, struct cli *cli)
{
	request_begin(request, cli, false);
	return connect_to(request);
}

void
request_close(struct request *request)
{
	if (request->fd >= 0)
		close(request->fd);
	wipe_free(request->line);
	*request = (struct request){.fd = -1};
}

static int
send_line(struct request *request, const char *verb, json_t *arguments)
{
	json_t *line = json_pack(
		"{s:s, s:o}", "verb", verb, "args", arguments ? arguments : json_object());
	char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
	size_t size = text ? strlen(text) + 1 : 0, sent;
	ssize_t n = 0;
	int error = 0;

	json_decref(line);
	if (!text)
		return -ENOMEM;
	text[size - 1] = '\n';
	for (sent = 0; sent < size && error == 0; sent += (size_t)n) {
		n = send(request->fd, text + sent, size - sent, MSG_NOSIGNAL);
		error = n < 0 ? errno : 0;
	}
	free(text);
	return -error;
}

static int
make_room(struct request *request, size_t used)
{
	char *line;

	if (used < request->line_room)
		return 0;
	if (used >= REQUEST_LINE_MAX)
		return -EMSGSIZE;
	line = realloc(request->line, 2 * used + 65536);
	if (!line)
		return -ENOMEM;
	request->line = line;
	request->line_room = 2 * used + 65536;
	return 0;
}

/* Reads up to the newline: the other side sends nothing that was not asked for. */
static ssize_t
read_line(struct request *request)
{
	size_t used = 0;
	ssize_t n;
	int status;

	do {
		status = make_room(request, used);
		if (status)
			return status;
		n = recv(request->fd, request->line + used, request->line_room - used, 0);
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (n == 0)
			return -ECONNRESET;
		used += (size_t)n;
	} while (request->line[used - 1] != '\n');
	return (ssize_t)used;
}

/* Takes an answer apart; see request_ask. */
static json_t *
judge(struct request *request, json_t *answer, bool is_last, int *refused)
{
	json_t *result = json_object_get(answer, "result");
	const char *text = json_string_value(json_object_get(answer, "error"));

	if (json_is_true(json_object_get(answer, "ok")))
		return result ? json_incref(result) : json_object();
	*refused = (int)json_integer_value(json_object_get(answer, "errno"));
	if (*refused != EAGAIN || is_last)
		say(request, "%s%s", request->prefix ? request->prefix : "",
			text ? text : "credgated refused without a reason");
	return NULL;
}

/* One question; takes the arguments over. */
static json_t *
ask(struct request *request, const char *verb, json_t *arguments, bool is_last, int *refused)
{
	json_t *answer, *result;
	json_error_t error;
	ssize_t size;

	*refused = 0;
	size = send_line(request, verb, arguments);
	if (size == 0)
		size = read_line(request);
	if (size < 0) {
		say(request, "no answer from credgated: %s", strerror((int)-size));
		return NULL;
	}
	answer = json_loadb(request->line, (size_t)size, 0, &error);
	if (!answer) {
		say(request, "credgated's answer makes no sense: %s", error.text);
		return NULL;
	}
	result = judge(request, answer, is_last, refused);
	json_decref(answer);
	return result;
}

json_t *
request_ask(struct request *request, const char *verb, json_t *arguments, int *refused)
{
	int tries = REQUEST_TIMEOUT_S * 1000000 / RETRY_US, unused;
	json_t *result;

	refused = refused ? refused : &unused;
	do {
		json_incref(arguments);
		result = ask(request, verb, arguments, tries == 1, refused);
	} while (!result && *refused == EAGAIN && --tries > 0 && usleep(RETRY_US) == 0);
	json_decref(arguments);
	return result;
}

json_t *
request_why(const struct cli *cli, json_t *arguments)
{
	if (cli->why)
		json_object_set_new(arguments, "why", json_string(cli->why));
	return arguments;
}

json_t *
request_try(struct cli *cli, const char *verb)
{
	struct request request;
	json_t *result = NULL;

	request_begin(&request, cli, true);
	if (connect_to(&request) == 0)
		result = request_ask(&request, verb, NULL, NULL);
	request_close(&request);
	return result;
}

json_t *
request_once(struct cli *cli, const char *verb, json_t *arguments)
{
	struct request request;
	json_t *result = NULL;

	if (request_open(&request, cli) == 0)
		result = request_ask(&request, verb, arguments, NULL);
	else
		json_decref(arguments);
	request_close(&request);
	return result;
}

void
request_print_json(const json_t *value)
{
	json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	putchar('\n');
}

void
request_print_json_line(const json_t *value)
{
	json_dumpf(value, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	putchar('\n');
}

const char *
request_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "-";
}

uint64_t
request_number(const json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}
