/* SPDX-License-Identifier: BSD-3-Clause */

/* Loading key files: what is refused and why, and where the secrets are afterwards. */

#include <errno.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <credgate/credgate.h>

#include "client/key_priv.h"
#include "fixture.h"
#include "tests/vectors/vectors.h"

static struct fixture fixture;

static int
setup(void **state)
{
	(void)state;
	fixture_init(&fixture);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fixture_fini(&fixture);
	return 0;
}

static void
must_refuse(const char *path, int error, const char *says)
{
	struct cg_key *key = (struct cg_key *)&fixture;

	assert_int_equal(cg_key_open(&key, path), -error);
	assert_null(key);
	if (strstr(cg_error(), says) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", cg_error(), says);
	assert_int_equal(access(fixture.serial, F_OK), -1);
}

static void
test_public_fields(void **state)
{
	struct cg_key *key;

	(void)state;
	assert_int_equal(cg_key_open(&key, fixture.key), 0);
	assert_int_equal(cg_key_realm(key), 7);
	assert_int_equal(cg_key_node(key), 0x01020304);
	assert_int_equal(cg_key_epoch(key), 5);
	assert_int_equal(cg_key_suite(key), CRED_SUITE_SEALED128);
	assert_int_equal(access(fixture.serial, F_OK), 0);
	cg_key_close(key);
	cg_key_close(NULL);
}

/* The keys are the ones that a second implementation derived (tests/vectors/generate.py). */
static void
test_keys_of_the_vectors(void **state)
{
	char text[NODE_KEY_TEXT_SIZE + 1];
	uint8_t expected[32];
	struct vectors vectors;
	struct cg_key *key;
	unsigned count = 0;
	size_t size;

	(void)state;
	vectors_open(&vectors, "vectors/native-v1.txt");
	for (; vectors_next(&vectors, "node"); count++) {
		vectors_string(&vectors, "file", text, sizeof(text));
		fixture_write(fixture.key, text, strlen(text), 0600);
		assert_int_equal(cg_key_open(&key, fixture.key), 0);
		assert_int_equal(cg_key_node(key), vectors_number(&vectors, "node"));
		size = vectors_bytes(&vectors, "request_tag_key", expected, sizeof(expected));
		assert_memory_equal(key->secrets->request.tag_key, expected, size);
		size = vectors_bytes(&vectors, "reply_tag_key", expected, sizeof(expected));
		assert_memory_equal(key->secrets->reply.tag_key, expected, size);
		if (cred_suite_is_sealed((uint8_t)cg_key_suite(key))) {
			size = vectors_bytes(
				&vectors, "reply_seal_key", expected, sizeof(expected));
			assert_memory_equal(key->secrets->reply.seal_key, expected, size);
		}
		cg_key_close(key);
	}
	vectors_close(&vectors);
	assert_true(count >= 4);
}

static void
test_modes_are_refused(void **state)
{
	static const mode_t modes[] = {0640, 0620, 0610, 0604, 0602, 0601, 0644, 0666, 0777};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		assert_int_equal(chmod(fixture.key, modes[i]), 0);
		must_refuse(fixture.key, EPERM, "chmod 600");
	}
}

static void
test_directory_of_others_is_refused(void **state)
{
	struct cg_key *key;

	(void)state;
	assert_int_equal(chmod(fixture.directory, 0720), 0);
	must_refuse(fixture.key, EPERM, "chmod go-w");
	assert_int_equal(chmod(fixture.directory, 0702), 0);
	must_refuse(fixture.key, EPERM, "chmod go-w");
	assert_int_equal(chmod(fixture.directory, 01777), 0);
	assert_int_equal(cg_key_open(&key, fixture.key), 0);
	cg_key_close(key);
	assert_int_equal(chmod(fixture.directory, 0700), 0);
}

static void
test_what_is_no_file_is_refused(void **state)
{
	char target[112], fifo[112];

	(void)state;
	snprintf(target, sizeof(target), "%s/target", fixture.directory);
	snprintf(fifo, sizeof(fifo), "%s/fifo", fixture.directory);
	assert_int_equal(rename(fixture.key, target), 0);
	must_refuse(fixture.key, ENOENT, "No such file");
	assert_int_equal(symlink(target, fixture.key), 0);
	must_refuse(fixture.key, ELOOP, "symbolic link");
	unlink(target);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	must_refuse(fifo, EINVAL, "regular file");
	unlink(fifo);
	must_refuse(fixture.directory, EINVAL, "regular file");
}

/* Another user who can open everything all the same, so that only the owner is left to judge. */
static int
become_override(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
		{.effective = 1u << CAP_DAC_OVERRIDE, .permitted = 1u << CAP_DAC_OVERRIDE},
	};

	return prctl(PR_SET_KEEPCAPS, 1) != 0 || setuid(65534) != 0 ||
	       syscall(SYS_capset, &header, data) != 0;
}

/* In a child: 0 if a readable file of somebody else is refused. */
static int
foreign_is_refused(void)
{
	struct cg_key *key;

	if (become_override() != 0 || open(fixture.key, O_RDONLY) < 0)
		return 1;
	if (cg_key_open(&key, fixture.key) != -EPERM)
		return 2;
	return strstr(cg_error(), "belongs to uid 4321") == NULL ? 3 : 0;
}

static void
test_foreign_owner_is_refused(void **state)
{
	struct cg_key *key;
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(fixture.key, 4321, 0), 0);
	pid = fork();
	if (pid == 0)
		_exit(foreign_is_refused());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	/* Root may, and makes the serial state for the owner. */
	assert_int_equal(cg_key_open(&key, fixture.key), 0);
	cg_key_close(key);
}

static void
test_what_is_no_key_is_refused(void **state)
{
	char text[NODE_KEY_TEXT_SIZE + 1], longer[NODE_KEY_TEXT_SIZE + 2];

	(void)state;
	node_key_encode(text, &fixture.node);
	fixture_write(fixture.key, "", 0, 0600);
	must_refuse(fixture.key, EBADMSG, "not a node key file");
	fixture_write(fixture.key, text, NODE_KEY_TEXT_SIZE - 2, 0600);
	must_refuse(fixture.key, EBADMSG, "not a node key file");
	snprintf(longer, sizeof(longer), "%s\n", text);
	fixture_write(fixture.key, longer, NODE_KEY_TEXT_SIZE + 1, 0600);
	must_refuse(fixture.key, EBADMSG, "not a node key file");
	text[20] = '!';
	fixture_write(fixture.key, text, NODE_KEY_TEXT_SIZE, 0600);
	must_refuse(fixture.key, EBADMSG, "not a node key file");
	fixture_write(
		fixture.key, longer, NODE_KEY_TEXT_SIZE - 1, 0600); /* without newline: good */
	assert_int_equal(cg_key_open(&(struct cg_key *){NULL}, NULL), -EINVAL);
	assert_int_equal(cg_key_open(NULL, fixture.key), -EINVAL);
}

/* Flags of the mapping that holds an address: "lo" locked, "dd" never in a core file. */
static bool
mapping_has_flags(const void *address, const char *flags)
{
	FILE *maps = fopen("/proc/self/smaps", "re");
	unsigned long long first, end;
	bool is_here = false, has = false;
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%llx-%llx ", &first, &end) == 2)
			is_here = (uintptr_t)address >= first && (uintptr_t)address < end;
		if (is_here && strncmp(line, "VmFlags:", 8) == 0)
			has = strstr(line, flags) != NULL;
	}
	fclose(maps);
	return has;
}

/* Not with a memory limit of zero, nor under a sanitizer, which makes mlock do nothing. */
static bool
can_lock(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool can;

	assert_true(page != MAP_FAILED);
	can = mlock(page, 4096) == 0 && mapping_has_flags(page, " lo");
	munmap(page, 4096);
	return can;
}

static bool
is_all_zero(const void *bytes, size_t size)
{
	const uint8_t *p = bytes;
	uint8_t sum = 0;

	while (size-- != 0)
		sum |= *p++;
	return sum == 0;
}

static void
test_secrets_are_guarded(void **state)
{
	struct cg_key *key;
	uint8_t byte = 1;
	int pipe_fds[2];

	(void)state;
	assert_int_equal(cg_key_open(&key, fixture.key), 0);
	assert_true(is_all_zero(&key->secrets->loading, sizeof(key->secrets->loading)));
	assert_false(is_all_zero(key->secrets->request.tag_key, 16));
	assert_true(mapping_has_flags(key->secrets, " dd"));
	assert_int_equal(mapping_has_flags(key->secrets, " lo"), can_lock());
	/* Read-only: the kernel may not write there for us either. */
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(write(pipe_fds[1], &byte, 1), 1);
	assert_int_equal(read(pipe_fds[0], key->secrets, 1), -1);
	assert_int_equal(errno, EFAULT);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	cg_key_close(key);
}

/* A daemon opens its key as root and then drops its privileges. */
static int
mint_after_drop(void)
{
	struct cg_claim claim;
	uint8_t credential[CG_CREDENTIAL_MAX];
	struct cg_key *key;

	if (cg_key_open(&key, fixture.key) != 0 || setgid(65534) != 0 || setuid(65534) != 0)
		return 1;
	key->serial.state->next |= UINT32_MAX; /* and it still gets over a carry */
	cg_claim_init(&claim);
	if (claim.uid != 65534 || claim.gid != 65534)
		return 2;
	return cg_mint(key, &claim, credential, sizeof(credential)) > 0 &&
			       cg_mint(key, &claim, credential, sizeof(credential)) > 0
		       ? 0
		       : 3;
}

static void
test_key_outlives_privileges(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	pid = fork();
	if (pid == 0)
		_exit(mint_after_drop());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_public_fields, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keys_of_the_vectors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_modes_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_directory_of_others_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_no_file_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_foreign_owner_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_no_key_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_secrets_are_guarded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_key_outlives_privileges, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
