/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A gateway that is real but for its dataplane: in the test's own process, with its verbs called as
 * the admin socket would, or in a child process with its sockets. One at a time.
 */

#include "tests/unit/ctrl/ctrl_fixture.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "ctrl/ctrl.h"
#include "ctrl/verbs.h"

/* What all have; five lines. */
#define RIG_CONFIG                                                             \
	"run_dir: %s/run\nstate_dir: %s/state\n"                               \
	"users: {control: 61001, dataplane: 61002}\n"                          \
	"dataplane: {workers: 2, ring_slots: 4096, retransmit_entries: 4096, " \
	"hugepages: \"no\"}\n"                                                 \
	"ports: [{name: a, driver: vdev, args: net_null0, addresses: [10.0.0.1/24]}]\n"

/* A realm, for so many nodes, and a group: for most tests that is enough. */
#define RIG_LAB                                                          \
	"realms: [{name: lab, id: 7, nodes_max: %u, window_bits: 64}]\n" \
	"groups: [{name: g, realms: [lab], audiences: [any], reader: {uid: 61003}}]\n"

static struct ctrl ctrl;
static struct reason reason; /* of what failed last */
static pid_t rig_server;

/* ---- its files ---- */

/* Empty directories; others may pass to the sockets. */
static inline int
rig_dirs(void **state)
{
	if (fixture_setup(state) != 0 || mkdir(fixture_path("run"), 0755) != 0 ||
		mkdir(fixture_path("state"), 0700) != 0)
		return -1;
	return chmod(fixture_dir, 0755);
}

/* A realm's master secret. */
static inline void
rig_master(const char *realm)
{
	const uint8_t master[32] = {9};
	char name[64];

	snprintf(name, sizeof(name), "state/%s.master", realm);
	fixture_write(name, master, sizeof(master), 0600);
}

/* The configuration: what all have, then `more`, which begins a line. */
__attribute__((format(printf, 1, 2))) static inline void
rig_config(const char *more, ...)
{
	char text[4096];
	va_list arguments;
	size_t size = (size_t)snprintf(text, sizeof(text), RIG_CONFIG, fixture_dir, fixture_dir);

	va_start(arguments, more);
	size += (size_t)vsnprintf(text + size, sizeof(text) - size, more, arguments);
	va_end(arguments);
	assert_true(size < sizeof(text));
	fixture_write_text("c.yaml", text);
}

/* ---- in this process ---- */

/* 0, or -errno with `reason`; rig_stop() follows in both cases. */
static inline int
rig_try_start(void)
{
	const struct starter_config starter = {.program = "/bin/false"};

	memset(&ctrl, 0, sizeof(ctrl));
	if (starter_fork(&ctrl.starter, &starter, &reason) != 0)
		return -reason.error;
	ctrl.config = config_load(fixture_path("c.yaml"), &ctrl.caller, &reason);
	return ctrl.config == NULL ? -reason.error : ctrl_init(&ctrl, &reason);
}

static inline void
rig_start(void)
{
	if (rig_try_start() != 0)
		fail_msg("%s", reason.text);
}

static inline void
rig_stop(void)
{
	ctrl_fini(&ctrl);
	config_destroy(ctrl.config);
	starter_stop(&ctrl.starter);
}

static inline void
rig_restart(void)
{
	rig_stop();
	rig_start();
}

static inline int
rig_teardown(void **state)
{
	rig_stop();
	return fixture_teardown(state);
}

/* ---- its verbs ---- */

/* Arguments from JSON text. */
static inline json_t *
rig_args(const char *text)
{
	json_t *args = json_loads(text, 0, NULL);

	assert_non_null(args);
	return args;
}

/* Takes `args` over. The result is the caller's to release, or NULL with `reason`. */
static inline json_t *
rig_call(const char *verb, json_t *args)
{
	struct verb_call call = {.ctrl = &ctrl, .args = args};
	int error = verb_run(&call, verb);

	json_decref(args);
	reason = call.reason;
	if (error == 0)
		return call.result;
	assert_int_equal(reason.error, -error);
	json_decref(call.result);
	return NULL;
}

/* As above, of a call that must succeed. */
static inline json_t *
rig_must(const char *verb, json_t *args)
{
	json_t *result = rig_call(verb, args);

	if (result == NULL)
		fail_msg("%s: %s", verb, reason.text);
	return result;
}

/* ---- in a child process ---- */

__attribute__((noreturn)) static inline void
rig_serve(void)
{
	int code = 1;

	if (rig_try_start() == 0) {
		event_base_dispatch(ctrl.base);
		code = ctrl.exit_code;
	} else {
		print_error("%s\n", reason.text);
	}
	rig_stop();
	exit(code);
}

/* A port on the loopback that was free a moment ago. */
static inline uint16_t
rig_port_find(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	close(fd);
	return ntohs(address.sin_port);
}

/* Waits until a connection can be had: `connect_to` returns a descriptor, or -1. */
static inline int
rig_server_start(int (*connect_to)(void))
{
	int fd;

	rig_server = fork();
	if (rig_server == 0)
		rig_serve();
	for (unsigned i = 0; i < 1000; i++) {
		fd = connect_to();
		if (fd >= 0) {
			close(fd);
			return 0;
		}
		usleep(10000);
	}
	return -1;
}

/* -1 if it does not stop as told. */
static inline int
rig_server_stop(void)
{
	int status;

	kill(rig_server, SIGTERM);
	return waitpid(rig_server, &status, 0) == rig_server && status == 0 ? 0 : -1;
}
