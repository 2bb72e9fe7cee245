/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "cli_call.h"
#include "ctrl/cli/file.h"

/* A user that is not root and owns nothing. */
#define CONTROL_UID 61001

static struct {
	char dir[64];
	char config[96];
	char master[128];
} realm;

static int
setup(void **state)
{
	FILE *file;

	(void)state;
	strcpy(realm.dir, "/tmp/cli-realm-XXXXXX");
	if (!mkdtemp(realm.dir) || chmod(realm.dir, 0755) != 0)
		return -1;
	snprintf(realm.config, sizeof(realm.config), "%s/credgate.yaml", realm.dir);
	snprintf(realm.master, sizeof(realm.master), "%s/state/of/gateway/lab.master", realm.dir);
	file = fopen(realm.config, "w");
	fprintf(file, "run_dir: %s/run\nstate_dir: %s/state/of/gateway\n", realm.dir, realm.dir);
	if (geteuid() == 0)
		fprintf(file, "users: {control: %d, dataplane: %d}\n", CONTROL_UID,
			CONTROL_UID + 1);
	fputs("ports:\n  - name: lan\n    driver: tap\n    interface: cgtap0\n"
	      "    addresses: [10.77.0.1/24]\n"
	      "realms:\n  - name: lab\n    id: 7\n    nodes_max: 64\n"
	      "groups:\n  - name: jobs\n    realms: [lab]\n    audiences: [any]\n"
	      "    reader: {uid: 61003, gid: 61003}\n",
		file);
	/* Whatever the umask: a configuration that others may write is refused. */
	fchmod(fileno(file), 0644);
	return fclose(file);
}

static int
teardown(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", realm.dir);
	return system(command);
}

static void
read_master(uint8_t bytes[33])
{
	int fd = open(realm.master, O_RDONLY);

	assert_int_equal(read(fd, bytes, 33), 32);
	close(fd);
}

static void
test_init(void **state)
{
	uint8_t first[33], second[33], zero[32] = {0};
	uid_t owner = geteuid() == 0 ? CONTROL_UID : geteuid();
	const struct call *call;
	char parent[96];
	struct stat found;

	(void)state;
	umask(0);
	call = call_cli("realm", "init", "lab", "--config", realm.config, NULL);
	assert_string_equal(call->err, "");
	assert_int_equal(call->code, CLI_DONE);
	call_has(call->out, realm.master);
	call_has(call->out, "Back it up now");
	assert_int_equal(stat(realm.master, &found), 0);
	assert_int_equal(found.st_mode & 07777, 0600);
	assert_int_equal(found.st_uid, owner);
	assert_int_equal(found.st_size, 32);
	snprintf(parent, sizeof(parent), "%s/state", realm.dir);
	assert_int_equal(stat(parent, &found), 0);
	assert_int_equal(found.st_mode & 07777, 0700);
	assert_int_equal(found.st_uid, owner);
	read_master(first);
	assert_memory_not_equal(first, zero, 32);
	/* A second time changes nothing. */
	call = call_cli("realm", "init", "lab", "--config", realm.config, NULL);
	assert_int_equal(call->code, CLI_FAILED);
	call_has(call->err, "was not touched");
	read_master(second);
	assert_memory_equal(first, second, 32);
}

static void
test_missing_realm(void **state)
{
	const struct call *call;

	(void)state;
	setenv("CREDGATE_CONFIG", realm.config, 1);
	call = call_cli("realm", "init", "prod", NULL);
	unsetenv("CREDGATE_CONFIG");
	assert_int_equal(call->code, CLI_FAILED);
	call_has(call->err, "has no realm 'prod'");
	call_has(call->out, "  - name: prod\n    id: 8\n");
	assert_int_equal(access(realm.master, F_OK), -1);
}

static void
test_bad_config(void **state)
{
	const struct call *call;

	(void)state;
	call = call_cli("realm", "init", "lab", "--config", "/nonexistent.yaml", NULL);
	assert_int_equal(call->code, CLI_FAILED);
	call_has(call->err, "/nonexistent.yaml");
}

/* The sockets are where the configuration says, unless somebody says otherwise. */
static void
test_run_dir(void **state)
{
	const struct call *call;
	char wanted[96];

	(void)state;
	snprintf(wanted, sizeof(wanted), "%s/run/admin.sock", realm.dir);
	call = call_cli("status", "--config", realm.config, NULL);
	assert_int_equal(call->code, CLI_FAILED);
	call_has(call->err, wanted);
	call = call_cli("--config", realm.config, "status", "--run-dir", "/nonexistent", NULL);
	call_has(call->err, "/nonexistent/admin.sock");
	call = call_cli("--config", "/nonexistent.yaml", "status", NULL);
	call_has(call->err, "warning: ");
}

static void
test_file(void **state)
{
	char path[96], other[96], text[8];
	struct stat found;
	size_t size;

	(void)state;
	snprintf(path, sizeof(path), "%s/file", realm.dir);
	snprintf(other, sizeof(other), "%s/link", realm.dir);
	assert_int_equal(file_create(path, "12345678", 8), 0);
	assert_int_equal(stat(path, &found), 0);
	assert_int_equal(found.st_mode & 07777, 0600);
	assert_int_equal(file_create(path, "x", 1), -EEXIST);
	/* Not even where a link points to nothing. */
	assert_int_equal(symlink("nowhere", other), 0);
	assert_int_equal(file_create(other, "x", 1), -EEXIST);
	assert_int_equal(file_create("/nonexistent/file", "x", 1), -ENOENT);
	assert_int_equal(file_read(path, text, sizeof(text), &size), 0);
	assert_int_equal(size, 8);
	assert_memory_equal(text, "12345678", 8);
	assert_int_equal(file_read(path, text, 7, &size), -EFBIG);
	assert_int_equal(file_read("/nonexistent", text, 7, &size), -ENOENT);
}

int
main(void)
{
#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_DIR(test_init),
		WITH_DIR(test_missing_realm),
		WITH_DIR(test_bad_config),
		WITH_DIR(test_run_dir),
		WITH_DIR(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
