/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared memory as others may and may not use it, and addresses, ports and policies on their way. */
#include "tests/unit/ctrl/ctrl_fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "ctrl/address.h"
#include "ctrl/launch.h"
#include "ctrl/memory.h"
#include "ctrl/privilege.h"
#include "ctrl/realms_table.h"

static struct reason reason;

static void
test_object(void **state)
{
	struct memory_object object;
	struct stat st;
	unsigned char *pages;
	int seals;

	(void)state;
	assert_int_equal(
		memory_object_create(&object, "test", 100000, MEMORY_PAGES_SMALL, &reason), 0);
	assert_int_equal(fstat(object.fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 100000); /* the dataplane compares */
	assert_true(st.st_blocks * 512 >= 100000);
	seals = fcntl(object.fd, F_GET_SEALS);
	assert_int_equal(seals & (F_SEAL_SHRINK | F_SEAL_GROW), F_SEAL_SHRINK | F_SEAL_GROW);
	assert_int_equal(ftruncate(object.fd, 4096), -1);
	pages = malloc(25);
	assert_non_null(pages);
	assert_int_equal(mincore(object.mapping, 100000, pages), 0);
	for (unsigned i = 0; i < 25; i++)
		assert_true(pages[i] & 1);
	free(pages);
	memory_object_destroy(&object);
}

/* Key tables: our mapping goes on, nobody gets another writable one. Others: still writable. */
static void
test_seals(void **state)
{
	struct memory_object object;

	(void)state;
	for (int is_readonly = 0; is_readonly < 2; is_readonly++) {
		void *map;

		assert_int_equal(
			memory_object_create(&object, "test", 8192, MEMORY_PAGES_SMALL, &reason),
			0);
		assert_int_equal(memory_object_seal(&object, is_readonly != 0, &reason), 0);
		assert_int_equal(fcntl(object.fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
		map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, object.fd, 0);
		assert_int_equal(map == MAP_FAILED, is_readonly);
		map = mmap(NULL, 8192, PROT_READ, MAP_SHARED, object.fd, 0);
		assert_true(map != MAP_FAILED);
		((char *)object.mapping)[5000] = 'x';
		assert_int_equal(((char *)map)[5000], 'x');
		if (is_readonly)
			assert_int_equal(mprotect(map, 8192, PROT_READ | PROT_WRITE), -1);
		munmap(map, 8192);
		memory_object_destroy(&object);
	}
}

static int
reader_child(void)
{
	struct memory_object object;
	struct stat st;

	if (memory_process_harden(&reason) != 0 || prctl(PR_GET_DUMPABLE) != 0)
		return 1;
	/* Not dumpable, /proc/self is root's; the reopen must work all the same. */
	if (geteuid() == 0 &&
		(setresgid(61001, 61001, 61001) != 0 || setresuid(61001, 61001, 61001) != 0))
		return 2;
	prctl(PR_SET_DUMPABLE, 0);
	if (memory_object_create(&object, "test", 8192, MEMORY_PAGES_SMALL, &reason) != 0 ||
		memory_object_open_reader(&object, &reason) != 0)
		return 3;
	if ((fcntl(object.reader_fd, F_GETFL) & O_ACCMODE) != O_RDONLY ||
		fstat(object.reader_fd, &st) != 0 || st.st_size != 8192)
		return 4;
	if (mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, object.reader_fd, 0) != MAP_FAILED)
		return 5;
	return 0;
}

static void
test_reader_of_hardened_process(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(reader_child());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* Refused by its size alone: nothing is allocated to find out. */
static void
test_too_much(void **state)
{
	(void)state;
	assert_int_equal(memory_check(1ull << 60, &reason), -ENOMEM);
	assert_non_null(strstr(reason.text, "need 1099511627776 MB and "));
	assert_int_equal(memory_check(1, &reason), 0);
}

/* A limit on file sizes stands in for memory that ends while it is taken. */
static int
limited_child(void)
{
	const struct rlimit limit = {1 << 20, 1 << 20};
	struct memory_object object;

	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
		return 1;
	if (memory_object_create(&object, "test", 2 << 20, MEMORY_PAGES_SMALL, &reason) >= 0)
		return 2;
	if (object.fd != -1 || object.mapping != NULL)
		return 3;
	return strstr(reason.text, "2 MB of shared memory for test: ") != NULL ? 0 : 4;
}

static void
test_not_there(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(limited_child());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void
test_addresses(void **state)
{
	static const struct {
		const char *text;
		const char *full;
		const char *brief;
	} good[] = {
		{"10.0.0.1", "10.0.0.1/32", "10.0.0.1"},
		{"10.0.0.0/8", "10.0.0.0/8", "10.0.0.0/8"},
		{"0.0.0.0/0", "0.0.0.0/0", "0.0.0.0/0"},
		{"fd77::1", "fd77::1/128", "fd77::1"},
		{"fd77::/64", "fd77::/64", "fd77::/64"},
		{"::/0", "::/0", "::/0"},
	};
	static const char *const bad[] = {"", "10.0.0", "10.0.0.1/33", "10.0.0.1/", "10.0.0.1/8x",
		"::1/129", "::ffff:10.0.0.1", "fd77::g", "10.0.0.1/-1", "10.0.0.1 ", "/8",
		"10.0.0.1/0000000000000000000000000000000000000000000000000000000000000000000008"};
	char text[ADDRESS_TEXT_SIZE];
	uint8_t address[16], bits;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_null(address_parse(good[i].text, address, &bits));
		address_format(text, address, bits, 0);
		assert_string_equal(text, good[i].full);
		address_format(text, address, bits, 1);
		assert_string_equal(text, good[i].brief);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(address_parse(bad[i], address, &bits));
	assert_null(address_parse("10.0.0.1/24", address, &bits));
	assert_true(address_has_host_bits(address, bits));
	assert_false(address_has_host_bits(address, 128));
}

static void
test_launch(void **state)
{
	static const struct {
		enum config_driver driver;
		const char *device;
		const char *devargs;
	} ports[] = {
		{CONFIG_DRIVER_AF_PACKET, "eth0", "net_af_packet0,iface=eth0,qpairs=3"},
		{CONFIG_DRIVER_TAP, "cg0", "net_tap1,iface=cg0"},
		{CONFIG_DRIVER_AF_XDP, "eth1",
			"net_af_xdp2,iface=eth1,start_queue=0,queue_count=3"},
		{CONFIG_DRIVER_MEMIF, "/run/m",
			"net_memif3,role=server,id=0,socket-abstract=no,socket=/run/m"},
		{CONFIG_DRIVER_PCI, "0000:3b:00.0", "0000:3b:00.0"},
		{CONFIG_DRIVER_VDEV, "net_ring0", "net_ring0"},
	};
	struct config *config = calloc(1, sizeof(*config));
	char prefix[SETUP_NAME_SIZE];
	struct setup_config setup;

	(void)state;
	assert_non_null(config);
	snprintf(config->run_dir, sizeof(config->run_dir), "/run/credgate");
	config->dataplane.workers = 3;
	config->port_count = 6;
	for (unsigned i = 0; i < 6; i++) {
		config->ports[i].driver = ports[i].driver;
		snprintf(config->ports[i].device, CONFIG_PATH_SIZE, "%s", ports[i].device);
	}
	assert_int_equal(launch_config_make(&setup, config, false, &reason), 0);
	assert_int_equal(setup.magic, SETUP_MAGIC);
	assert_int_equal(setup.hugepages, SETUP_HUGEPAGES_NO);
	for (unsigned i = 0; i < 6; i++) {
		assert_string_equal(setup.ports[i].devargs, ports[i].devargs);
		assert_int_equal(setup.ports[i].is_vdev, ports[i].driver != CONFIG_DRIVER_PCI);
	}
	memset(config->ports[5].device, 'x', CONFIG_PATH_SIZE - 1);
	/* DPDK's directory: the gateway's own, at every start. */
	memcpy(prefix, setup.file_prefix, sizeof(prefix));
	assert_string_equal(prefix, "credgate-368bda7656239044");
	snprintf(config->run_dir, sizeof(config->run_dir), "/run/credgate2");
	assert_int_equal(launch_config_make(&setup, config, true, &reason), 0);
	assert_string_not_equal(setup.file_prefix, prefix);
	assert_int_equal(setup.hugepages, SETUP_HUGEPAGES_YES);
	memset(config->ports[3].device, 'x', CONFIG_PATH_SIZE - 1);
	assert_int_equal(launch_config_make(&setup, config, true, &reason), -E2BIG);
	free(config);
}

/* Groups by realm and audience; audiences in ascending order, as the dataplane searches them. */
static void
test_policy(void **state)
{
	const uint64_t floors_us[TABLE_REALMS_MAX] = {0, 99};
	struct config *config = calloc(1, sizeof(*config));
	struct table_policy *policy = calloc(1, sizeof(*policy));

	(void)state;
	assert_non_null(config);
	assert_non_null(policy);
	config->realm_count = 2;
	config->realms[0] = (struct config_realm){.id = 7,
		.nodes_max = 10,
		.skew_ms = 3,
		.audience_any = true,
		.audience_count = 3,
		.audiences = {{"c", 30}, {"a", 10}, {"b", 20}}};
	config->realms[1] = (struct config_realm){
		.id = 8, .nodes_max = 5, .audience_count = 1, .audiences = {{"a", 11}}};
	config->group_count = 3;
	config->groups[0] = (struct config_group){.realms = 1, .has_any = true, .reader = {1, 2}};
	config->groups[1] = (struct config_group){
		.realms = 3, .audience_count = 1, .audiences = {"a"}, .beacons = true};
	config->groups[2] = (struct config_group){
		.realms = 3, .has_any = true, .audience_count = 2, .audiences = {"a", "c"}};
	realms_table_make(policy, config, floors_us);
	assert_int_equal(policy->realm_count, 2);
	assert_int_equal(policy->realms[0].base, 0);
	assert_int_equal(policy->realms[1].base, 11);
	assert_int_equal(policy->realms[1].floor_us, 99);
	assert_int_equal(policy->realms[0].skew_us, 3000);
	assert_int_equal(policy->realms[0].any_groups, 5);
	assert_int_equal(policy->realms[1].any_groups, 0); /* audience_any is off */
	assert_int_equal(policy->realms[0].beacon_groups, 2);
	assert_int_equal(policy->realms[0].audiences[0].audience, 10);
	assert_int_equal(policy->realms[0].audiences[0].groups, 6);
	assert_int_equal(policy->realms[0].audiences[1].audience, 20);
	assert_int_equal(policy->realms[0].audiences[1].groups, 0);
	assert_int_equal(policy->realms[0].audiences[2].groups, 4);
	assert_int_equal(policy->realms[1].audiences[0].groups, 6);
	assert_int_equal(policy->groups[0].reader_uid, 1);
	assert_int_equal(policy->groups[0].reader_gid, 2);
	assert_true(policy->groups[2].is_used);
	assert_false(policy->groups[3].is_used);
	free(policy);
	free(config);
}

/* ---- directories ---- */

static uid_t
owner_of(const char *name)
{
	struct stat st;

	assert_int_equal(lstat(fixture_path(name), &st), 0);
	return st.st_uid;
}

static struct config *
dirs_config(void)
{
	struct config *config = calloc(1, sizeof(*config));

	assert_non_null(config);
	config->control = (struct config_user){61001, 61001};
	snprintf(config->run_dir, sizeof(config->run_dir), "%s/run", fixture_dir);
	snprintf(config->state_dir, sizeof(config->state_dir), "%s/state", fixture_dir);
	return config;
}

/* Made if missing; root's own are given to the control user; anybody else's are refused. */
static void
test_dirs(void **state)
{
	struct config *config = dirs_config();
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip();
	umask(077);
	assert_int_equal(privilege_make_dirs(config, &reason), 0);
	umask(022);
	assert_int_equal(stat(fixture_path("run"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(stat(fixture_path("state"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(owner_of("state"), 61001);

	assert_int_equal(chown(fixture_path("state"), 0, 0), 0);
	fixture_write("state/highwater", "", 0, 0600);
	fixture_write("state/twice", "", 0, 0600);
	fixture_write("state/other", "", 0, 0600);
	assert_int_equal(chown(fixture_path("state/other"), 61009, 0), 0);
	assert_int_equal(link(fixture_path("state/twice"), fixture_path("elsewhere")), 0);
	assert_int_equal(symlink("/etc/passwd", fixture_path("state/link")), 0);
	assert_int_equal(privilege_make_dirs(config, &reason), 0);
	assert_int_equal(owner_of("state"), 61001);
	assert_int_equal(owner_of("state/highwater"), 61001);
	assert_int_equal(owner_of("state/other"), 61009);
	assert_int_equal(owner_of("state/twice"), 0);
	assert_int_equal(owner_of("state/link"), 0);

	assert_int_equal(chown(fixture_path("state"), 61009, 0), 0);
	assert_int_equal(privilege_make_dirs(config, &reason), -EPERM);
	assert_non_null(strstr(reason.text, "belongs to uid 61009 and not to the control user"));
	assert_int_equal(chown(fixture_path("state"), 0, 0), 0);
	assert_int_equal(chmod(fixture_path("state"), 0777), 0);
	assert_int_equal(privilege_make_dirs(config, &reason), -EPERM);
	free(config);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_object),
		cmocka_unit_test(test_seals),
		cmocka_unit_test(test_reader_of_hardened_process),
		cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_not_there),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_launch),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_dirs),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
