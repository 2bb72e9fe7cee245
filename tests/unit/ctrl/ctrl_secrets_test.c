/* SPDX-License-Identifier: BSD-3-Clause */
/* Master secrets: what is derived from a good file, and every bad one refused. */
#include "tests/unit/ctrl/ctrl_fixture.h"

#include <sodium.h>

#include "ctrl/secrets.h"

static const uint8_t counting[32] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17,
	18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};

static struct secrets_realm secrets;
static struct reason reason;

static int
load(const char *name)
{
	return secrets_realm_load(&secrets, fixture_path(name), 7, &reason);
}

/* The vector of docs/wire-format.md, by way of the file. */
static void
test_good(void **state)
{
	uint8_t key[KDF_KEY_SIZE];
	char hex[65];

	(void)state;
	fixture_write("good", counting, 32, 0600);
	assert_int_equal(load("good"), 0);
	kdf_node(key, secrets.key, 0x01020304, 5);
	sodium_bin2hex(hex, sizeof(hex), key, sizeof(key));
	assert_string_equal(
		hex, "55557e6d41115275f5295769d28678741a7cd6bcf877fbe0a9a60f4ca5c4a342");
	assert_int_equal(strlen(secrets.fingerprint), 16);
	secrets_realm_wipe(&secrets);
	fixture_write("good", counting, 32, 0400);
	assert_int_equal(load("good"), 0);
	secrets_realm_wipe(&secrets);
}

static void
test_fingerprint(void **state)
{
	char first[SECRETS_FINGERPRINT_SIZE];
	uint8_t other[32];

	(void)state;
	fixture_write("one", counting, 32, 0600);
	assert_int_equal(load("one"), 0);
	memcpy(first, secrets.fingerprint, sizeof(first));
	secrets_realm_wipe(&secrets);
	memcpy(other, counting, 32);
	other[31] ^= 1;
	fixture_write("two", other, 32, 0600);
	assert_int_equal(load("two"), 0);
	assert_string_not_equal(first, secrets.fingerprint);
	secrets_realm_wipe(&secrets);
}

static void
refused(const char *name, int error, const char *text)
{
	assert_int_equal(load(name), error);
	assert_null(secrets.key);
	if (strstr(reason.text, text) == NULL)
		fail_msg("expected ...%s..., got %s", text, reason.text);
}

static void
test_bad_files(void **state)
{
	char link_to[PATH_MAX];
	uint8_t longer[33] = {0};

	(void)state;
	refused("none", -ENOENT, "No such file");
	fixture_write("short", counting, 31, 0600);
	refused("short", -EINVAL, "has 31 bytes instead of 32");
	fixture_write("long", longer, 33, 0600);
	refused("long", -EINVAL, "has 33 bytes");
	fixture_write("group", counting, 32, 0640);
	refused("group", -EPERM, "is open to others (mode 0640)");
	fixture_write("world", counting, 32, 0604);
	refused("world", -EPERM, "mode 0604");
	fixture_write("executable", counting, 32, 0610);
	refused("executable", -EPERM, "mode 0610");
	fixture_write("good", counting, 32, 0600);
	snprintf(link_to, sizeof(link_to), "%s", fixture_path("good"));
	assert_int_equal(symlink(link_to, fixture_path("link")), 0);
	refused("link", -ELOOP, "is a symbolic link");
	assert_int_equal(mkdir(fixture_path("dir"), 0700), 0);
	refused("dir", -EINVAL, "not a regular file");
	assert_int_equal(mkfifo(fixture_path("fifo"), 0600), 0);
	refused("fifo", -EINVAL, "not a regular file");
	if (geteuid() == 0) {
		assert_int_equal(chown(fixture_write("other", counting, 32, 0600), 61009, 0), 0);
		refused("other", -EPERM, "belongs to uid 61009 and not to uid 0");
	}
}

/* Who may write a directory above may put another file there. */
static void
test_parents(void **state)
{
	(void)state;
	assert_int_equal(mkdir(fixture_path("a"), 0700), 0);
	assert_int_equal(mkdir(fixture_path("a/b"), 0700), 0);
	fixture_write("a/b/m", counting, 32, 0600);
	assert_int_equal(load("a/b/m"), 0);
	secrets_realm_wipe(&secrets);
	assert_int_equal(chmod(fixture_path("a"), 0770), 0);
	refused("a/b/m", -EPERM, "others may write");
	assert_int_equal(chmod(fixture_path("a"), 0702), 0);
	refused("a/b/m", -EPERM, "others may write");
	assert_int_equal(chmod(fixture_path("a"), 01777), 0);
	assert_int_equal(load("a/b/m"), 0);
	secrets_realm_wipe(&secrets);
	/* Through a link to the directory its real parents count. */
	assert_int_equal(chmod(fixture_path("a"), 0777), 0);
	assert_int_equal(symlink("a/b", fixture_path("short-cut")), 0);
	refused("short-cut/m", -EPERM, "others may write");
	assert_int_equal(chmod(fixture_path("a"), 0755), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(fixture_path("a"), 61009, 61009), 0);
		refused("a/b/m", -EPERM, "belongs to uid 61009");
	}
}

static void
test_create(void **state)
{
	char *first, *second;
	struct stat st;

	(void)state;
	assert_int_equal(secrets_master_create(fixture_path("new1"), &reason), 0);
	assert_int_equal(secrets_master_create(fixture_path("new2"), &reason), 0);
	assert_int_equal(stat(fixture_path("new1"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 32);
	assert_int_equal(st.st_nlink, 1);
	first = fixture_read("new1");
	second = fixture_read("new2");
	assert_memory_not_equal(first, second, 32);
	/* A master that is there is never replaced. */
	assert_int_equal(secrets_master_create(fixture_path("new1"), &reason), -EEXIST);
	free(second);
	second = fixture_read("new1");
	assert_memory_equal(first, second, 32);
	free(first);
	free(second);
	assert_int_equal(load("new1"), 0);
	secrets_realm_wipe(&secrets);
}

/* A new master beside the old: both in service, found by fingerprint, and gone when dropped. */
static void
test_second_master(void **state)
{
	char fingerprint[SECRETS_FINGERPRINT_SIZE], old[SECRETS_FINGERPRINT_SIZE], name[64];
	int place;

	(void)state;
	assert_int_equal(secrets_master_create(fixture_path("m"), &reason), 0);
	assert_int_equal(load("m"), 0);
	strcpy(old, secrets.fingerprint);
	assert_int_equal(secrets_master_add(fixture_path("m"), fingerprint, &reason), 0);
	snprintf(name, sizeof(name), "m.%s", fingerprint);
	assert_int_equal(
		secrets_master_load(&secrets, fixture_path(name), 7, old, &reason), -EINVAL);
	assert_int_equal(secrets_master_find(&secrets, fingerprint), -1);
	place = secrets_master_load(&secrets, fixture_path(name), 7, fingerprint, &reason);
	assert_int_equal(place, 1);
	assert_string_equal(secrets.fingerprint, old);
	secrets_master_use(&secrets, 1);
	assert_string_equal(secrets.fingerprint, fingerprint);
	assert_ptr_equal(secrets.key, secrets.masters[1].key);
	assert_memory_not_equal(secrets.masters[0].key, secrets.masters[1].key, KDF_KEY_SIZE);
	/* Read again, it is where it was. */
	assert_int_equal(secrets_master_load(&secrets, fixture_path("m"), 7, NULL, &reason), 0);
	secrets_master_drop(&secrets, 0);
	assert_int_equal(secrets_master_find(&secrets, old), -1);
	assert_int_equal(
		secrets_master_load(&secrets, fixture_path("gone"), 7, NULL, &reason), -ENOENT);
	/* Never more than there are places. */
	for (unsigned i = 1; i < SECRETS_MASTERS_MAX; i++) {
		assert_int_equal(secrets_master_add(fixture_path("m"), fingerprint, &reason), 0);
		snprintf(name, sizeof(name), "m.%s", fingerprint);
		assert_true(
			secrets_master_load(&secrets, fixture_path(name), 7, NULL, &reason) >= 0);
	}
	assert_int_equal(secrets_master_add(fixture_path("m"), fingerprint, &reason), 0);
	snprintf(name, sizeof(name), "m.%s", fingerprint);
	assert_int_equal(
		secrets_master_load(&secrets, fixture_path(name), 7, NULL, &reason), -ENOSPC);
	secrets_realm_wipe(&secrets);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_fingerprint),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_parents),
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_second_master),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
