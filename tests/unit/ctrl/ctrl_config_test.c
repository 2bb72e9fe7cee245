/* SPDX-License-Identifier: BSD-3-Clause */
/* Configuration files: what each mistake says, where, and what the good ones mean. */
#include "tests/unit/ctrl/ctrl_fixture.h"

#include <time.h>

#include "ctrl/config_priv.h"

/* The caller owns the files he makes; users by number, so that no name has to exist. */
#define HEAD                                          \
	"users: {control: 61001, dataplane: 61002}\n" \
	"ports:\n"                                    \
	"  - {name: lan, driver: af_packet, interface: eth9, addresses: [10.77.0.1/24]}\n"
#define REALM "realms:\n  - {name: lab, id: 7}\n"
#define GROUP "groups:\n  - {name: g, realms: [lab], audiences: [any], reader: {uid: 61003}}\n"

static const struct config_caller root = {0, 0};

static struct config *
load_as(const char *text, const struct config_caller *caller, struct reason *reason)
{
	memset(reason, 0, sizeof(*reason));
	return config_load(fixture_write_text("c.yaml", text), caller, reason);
}

/* The file belongs to whoever runs the test: both he and root are who may own it. */
static struct config *
load(const char *text, struct reason *reason)
{
	return load_as(text, &root, reason);
}

struct mistake {
	const char *what;
	const char *text;
	unsigned line;
	const char *key;
	const char *wrong; /* what is wrong, and the cure */
};

static const struct mistake mistakes[] = {
	{"empty", "", 1, "file", "is empty; begin with the example"},
	{"no YAML", HEAD REALM "groups: [\n", 7, "yaml", "check indentation"},
	{"a list", "- 1\n", 1, "file", "must hold lines of \"key: value\""},
	{"unknown key", HEAD "realmz: 5\n" REALM, 4, "realmz",
		"no such key; did you mean \"realms\"?"},
	{"unknown key, nothing near", HEAD "qqqqqqqqqq: 5\n" REALM, 4, "qqqqqqqqqq",
		"no such key; known here: run_dir, state_dir"},
	{"unknown key inside", HEAD "realms:\n  - name: lab\n    id: 7\n    freshnes: clock\n", 7,
		"realms[0].freshnes", "did you mean \"freshness\"?"},
	{"enrol without a port", HEAD REALM "enrol: {listen: 10.0.0.1}\n", 6, "enrol.listen",
		"is no address with a port"},
	{"enrol at a port of root's", HEAD REALM "enrol: {listen: \"10.0.0.1:443\"}\n", 6,
		"enrol.listen", "choose one from 1024 on"},
	{"enrol without listen", HEAD REALM "enrol: {}\n", 6, "enrol.listen", "is missing; add it"},
	{"unknown policy for clones", HEAD "realms:\n  - name: lab\n    id: 7\n    clones: kill\n",
		7, "realms[0].clones", "report"},
	{"double key", HEAD "realms:\n  - name: lab\n    id: 7\n    id: 8\n", 7, "realms[0].id",
		"given twice, first on line 6; remove one"},
	{"missing key", HEAD "realms:\n  - name: lab\n", 5, "realms[0].id", "is missing; add it"},
	{"missing section", "users: {control: 61001, dataplane: 61002}\n" REALM, 1, "ports",
		"is missing; add it"},
	{"not a number", HEAD "realms:\n  - name: lab\n    id: seven\n", 6, "realms[0].id",
		"\"seven\" is no whole number"},
	{"octal", HEAD "realms:\n  - name: lab\n    id: 010\n", 6, "realms[0].id",
		"\"010\" is no whole number"},
	{"negative", HEAD "realms:\n  - name: lab\n    id: -1\n", 6, "realms[0].id",
		"\"-1\" is no whole number"},
	{"too large", HEAD "realms:\n  - name: lab\n    id: 4294967296\n", 6, "realms[0].id",
		"no whole number from 0 to 4294967295"},
	{"no interval", HEAD "realms:\n  - name: lab\n    id: 7\n    beacon_s: 0\n", 7,
		"realms[0].beacon_s", "1"},
	{"late at once", HEAD "realms:\n  - name: lab\n    id: 7\n    late_after: 1.4\n", 7,
		"realms[0].late_after", "1.5 and 1000"},
	{"late is no number", HEAD "realms:\n  - name: lab\n    id: 7\n    late_after: .nan\n", 7,
		"realms[0].late_after", "is no number"},
	{"left before late",
		HEAD "realms:\n  - name: lab\n    id: 7\n    late_after: 4\n    left_after: 4\n", 8,
		"realms[0].left_after", "more than late_after (4)"},
	{"not a bool", HEAD "realms:\n  - name: lab\n    id: 7\n    audience_any: False\n", 7,
		"realms[0].audience_any", "write true or false"},
	{"not a choice", HEAD "realms:\n  - name: lab\n    id: 7\n    mode: strict\n", 7,
		"realms[0].mode", "choose one of observe, permissive, enforce"},
	{"a list for a value", HEAD "realms:\n  - name: lab\n    id: [7]\n", 6, "realms[0].id",
		"must be a single value"},
	{"a value for a list", HEAD "realms: lab\n", 4, "realms", "must be a list"},
	{"an empty list", HEAD "realms: []\n", 4, "realms", "is empty; add at least 1"},
	{"a value for a block", HEAD REALM "dataplane: 5\n", 6, "dataplane",
		"must hold lines of \"key: value\""},
	{"a name too long",
		HEAD "realms:\n  - id: 7\n    name: abcdefghijklmnopqrstuvwxyz0123456789\n", 6,
		"realms[0].name", "is 36 bytes long; at most 31"},
	{"a bad name", HEAD "realms:\n  - id: 7\n    name: a/b\n", 6, "realms[0].name",
		"is no name; use letters"},
	{"realm id 0", HEAD "realms:\n  - name: lab\n    id: 0\n", 6, "realms[0].id",
		"0 is no realm"},
	{"same realm id", HEAD "realms:\n  - {name: a, id: 7}\n  - name: b\n    id: 7\n", 7,
		"realms[1].id", "7 is the id of realm \"a\" as well"},
	{"same realm name", HEAD "realms:\n  - {name: a, id: 7}\n  - {name: a, id: 8}\n", 6,
		"realms[1].name", "is another realm's name"},
	{"nodes_max 0", HEAD "realms:\n  - {name: a, id: 7, nodes_max: 0}\n", 5,
		"realms[0].nodes_max", "0 is out of range; choose 1 to"},
	{"too many slots",
		HEAD "realms:\n  - {name: a, id: 7, nodes_max: 2000000}\n"
		     "  - {name: b, id: 8, nodes_max: 2000000}\n",
		4, "realms", "at most 2097152 are possible"},
	{"window no power of two", HEAD "realms:\n  - {name: a, id: 7, window_bits: 1000}\n", 5,
		"realms[0].window_bits", "1000 is no power of two"},
	{"window memory",
		HEAD "realms:\n  - {name: a, id: 7, nodes_max: 100000, window_bits: 1048576}\n"
		     "dataplane:\n  window_memory_max_mb: 1024\n",
		7, "dataplane.window_memory_max_mb", "replay windows need at least 12"},
	{"ttl", HEAD "realms:\n  - {name: a, id: 7, ttl_default_s: 400}\n", 5,
		"realms[0].ttl_default_s", "400 is more than ttl_max_s (300)"},
	{"audience 0", HEAD "realms:\n  - {name: a, id: 7, audiences: [{name: x, id: 0}]}\n", 5,
		"realms[0].audiences[0].id", "0 means any audience"},
	{"audience called any",
		HEAD "realms:\n  - {name: a, id: 7, audiences: [{name: any, id: 1}]}\n", 5,
		"realms[0].audiences[0].name", "is the name of audience 0"},
	{"audience twice",
		HEAD
		"realms:\n  - {name: a, id: 7, audiences: [{name: x, id: 1}, {name: y, id: 1}]}\n",
		5, "realms[0].audiences[1].id", "1 is the number of \"x\" as well"},
	{"no audience at all", HEAD "realms:\n  - {name: a, id: 7, audience_any: false}\n", 5,
		"realms[0].audience_any", "nothing could be accepted"},
	{"no such user",
		HEAD REALM "groups:\n  - name: g\n    realms: [lab]\n"
			   "    audiences: [any]\n    reader: {uid: no-such-user}\n",
		10, "groups[0].reader.uid", "no user \"no-such-user\" here; create it"},
	{"no such group",
		HEAD REALM "groups:\n  - name: g\n    realms: [lab]\n"
			   "    audiences: [any]\n    reader: {uid: 61003, gid: no-such}\n",
		10, "groups[0].reader.gid", "no group \"no-such\" here"},
	{"no such realm",
		HEAD REALM "groups:\n  - name: g\n    realms: [lab, lob]\n"
			   "    audiences: [any]\n    reader: {uid: 61003}\n",
		8, "groups[0].realms[1]", "there is no realm \"lob\""},
	{"no such audience",
		HEAD REALM "groups:\n  - name: g\n    realms: [lab]\n"
			   "    audiences: [any, jobs]\n    reader: {uid: 61003}\n",
		9, "groups[0].audiences[1]", "no realm of this group has an audience \"jobs\""},
	{"the reader is control",
		HEAD REALM "groups:\n  - name: g\n    realms: [lab]\n"
			   "    audiences: [any]\n    reader: {uid: 61001}\n",
		10, "groups[0].reader.uid", "is one of credgate's own users"},
	{"control is root",
		"ports:\n  - {name: lan, driver: tap, interface: t0, addresses: [10.0.0.1]}\n" REALM
		"users:\n  control: 0\n  dataplane: 61001\n",
		6, "users.control", "is root; name a user of its own"},
	{"control and dataplane are one",
		"ports:\n  - {name: lan, driver: tap, interface: t0, addresses: [10.0.0.1]}\n" REALM
		"users:\n  control: 61001\n  dataplane: 61001\n",
		7, "users.dataplane", "it could read the master secrets"},
	{"port without address",
		"users: {control: 61001, dataplane: 61002}\nports:\n"
		"  - name: lan\n    driver: tap\n    interface: t0\n" REALM,
		3, "ports[0].addresses", "has none: nothing could be sent to this port"},
	{"no address",
		"users: {control: 61001, dataplane: 61002}\nports:\n"
		"  - name: lan\n    driver: tap\n    interface: t0\n    addresses: [10.0.0.1,\n"
		"      10.0.0.300/24]\n" REALM,
		7, "ports[0].addresses[1]", "\"10.0.0.300/24\" is no IPv4 or IPv6 address"},
	{"prefix too long",
		"users: {control: 61001, dataplane: 61002}\nports:\n"
		"  - {name: lan, driver: tap, interface: t0, addresses: [10.0.0.1/33]}\n" REALM,
		3, "ports[0].addresses[0]", "has no prefix length from 0 to 32"},
	{"address twice",
		"users: {control: 61001, dataplane: 61002}\nports:\n"
		"  - {name: a, driver: tap, interface: t0, addresses: [10.0.0.1/8]}\n"
		"  - {name: b, driver: tap, interface: t1, addresses: [10.0.0.1/24]}\n" REALM,
		4, "ports[1].addresses[0]", "each address belongs to one port"},
	{"port name twice",
		"users: {control: 61001, dataplane: 61002}\nports:\n"
		"  - {name: a, driver: tap, interface: t0, addresses: [10.0.0.1/8]}\n"
		"  - {name: a, driver: tap, interface: t1, addresses: [10.0.0.2/24]}\n" REALM,
		4, "ports[1].name", "is another port's name"},
	{"device missing",
		"users: {control: 61001, dataplane: 61002}\nports:\n"
		"  - {name: a, driver: memif, addresses: [10.0.0.1/8]}\n" REALM,
		3, "ports[0].socket", "is missing for driver memif; add \"socket: "},
	{"device of another driver",
		"users: {control: 61001, dataplane: 61002}\nports:\n"
		"  - {name: a, driver: pci, interface: e0, addresses: [10.0.0.1/8]}\n" REALM,
		3, "ports[0].interface", "does not go with driver pci"},
	{"not a PCI address",
		"users: {control: 61001, dataplane: 61002}\nports:\n"
		"  - {name: a, driver: pci, address: 3b.0, addresses: [10.0.0.1/8]}\n" REALM,
		3, "ports[0].address", "is no PCI address"},
	{"options in an interface",
		"users: {control: 61001, dataplane: 61002}\nports:\n"
		"  - {name: a, driver: tap, interface: \"t0,mac=x\", addresses: "
		"[10.0.0.1/8]}\n" REALM,
		3, "ports[0].interface", "has a comma"},
	{"UDP port 0",
		"users: {control: 61001, dataplane: 61002}\nports:\n  - name: a\n    driver: tap\n"
		"    interface: t0\n    addresses: [10.0.0.1/8]\n    udp_port: 0\n" REALM,
		7, "ports[0].udp_port", "0 is out of range; choose 1 to 65535"},
	{"workers", HEAD REALM "dataplane:\n  workers: 17\n", 7, "dataplane.workers",
		"17 is out of range; choose 1 to 16"},
	{"CPUs for workers", HEAD REALM "dataplane:\n  workers: 2\n  cpus: [1]\n", 8,
		"dataplane.cpus", "names 1 CPUs for 2 workers"},
	{"a CPU twice", HEAD REALM "dataplane:\n  workers: 2\n  cpus: [1, 1]\n", 8,
		"dataplane.cpus", "CPU 1 is named twice"},
	{"ring slots", HEAD REALM "dataplane:\n  ring_slots: 5000\n", 7, "dataplane.ring_slots",
		"5000 is no power of two"},
	{"metrics without a port", HEAD REALM "metrics:\n  listen: 127.0.0.1\n", 7,
		"metrics.listen", "\"127.0.0.1\" is no address with a port; write 127.0.0.1:9475"},
	{"metrics by name", HEAD REALM "metrics:\n  listen: localhost:9475\n", 7, "metrics.listen",
		"numbers and no names"},
	{"metrics at port 0", HEAD REALM "metrics:\n  listen: 127.0.0.1:0\n", 7, "metrics.listen",
		"has no port from 1 to 65535"},
	{"metrics at port 65536", HEAD REALM "metrics:\n  listen: \"[::1]:65536\"\n", 7,
		"metrics.listen", "has no port from 1 to 65535"},
	{"metrics without brackets", HEAD REALM "metrics:\n  listen: \"::1:9475\"\n", 7,
		"metrics.listen", "is no address with a port"},
	{"metrics mapped", HEAD REALM "metrics:\n  listen: \"[::ffff:127.0.0.1]:9475\"\n", 7,
		"metrics.listen", "is an IPv4-mapped address; write it as IPv4"},
	{"log", HEAD REALM "log: xml\n", 6, "log", "choose one of text, json"},
	{"relative directory", HEAD REALM "run_dir: run\n", 6, "run_dir", "is no absolute path"},
};

/* Exactly one line: FILE:LINE: key: what is wrong; cure. */
static void
test_mistakes(void **state)
{
	char expected[PATH_MAX + 200];
	struct reason reason;

	(void)state;
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		const struct mistake *mistake = &mistakes[i];

		print_message("%s\n", mistake->what);
		assert_null(load(mistake->text, &reason));
		snprintf(expected, sizeof(expected), "%s:%u: %s: ", fixture_path("c.yaml"),
			mistake->line, mistake->key);
		if (strncmp(reason.text, expected, strlen(expected)) != 0 ||
			strstr(reason.text, mistake->wrong) == NULL)
			fail_msg("expected %s...%s, got %s", expected, mistake->wrong, reason.text);
		assert_null(strchr(reason.text, '\n'));
		assert_non_null(strchr(reason.text, ';'));
	}
}

/* `unit` again and again, `size` bytes in all, behind `head`. */
static char *
repeat(const char *head, const char *unit, size_t size)
{
	size_t head_length = strlen(head), length = strlen(unit);
	char *text = malloc(head_length + size + 1);

	assert_non_null(text);
	memcpy(text, head, head_length);
	for (size_t i = 0; i < size; i++)
		text[head_length + i] = unit[i % length];
	text[head_length + size] = '\0';
	return text;
}

/* Files that libyaml, or anything behind it, would think about for long. */
static void
test_heavy(void **state)
{
	static const struct {
		const char *head;
		const char *unit;
		size_t size;
		const char *wrong;
	} heavy[] = {
		{HEAD "realms: ", "[", 500000, ":4: yaml: is nested more than 32 deep"},
		{HEAD "realms: ", "{a: ", 500000, ":4: yaml: is nested more than 32 deep"},
		{HEAD "realms:\n", "- ", 500000, ":5: yaml: is nested more than 32 deep"},
		{HEAD "realms:\n", "? ", 500000, ":5: yaml: is nested more than 32 deep"},
		{HEAD "realms: [", "[\n", 500000, ":34: yaml: is nested more than 32 deep"},
		{HEAD "realms:\n", "- &a x\n", 1000000, ":5: yaml: anchors and aliases"},
		{HEAD "realms:\n", "- *a\n", 1000000, ":5: yaml: anchors and aliases"},
		{"", "%TAG !a! b\n", 1000000, ":1: yaml: directives are not used"},
		{HEAD "realms:\n", "- x\n", 1000000, "realms"},
		{HEAD "realms:\n", "  a: x\n", 1000000, "realms"},
		{HEAD, "---\n", 1000000, ""},
		{HEAD REALM "# ", "x", 1048576, "is larger than 1048576 bytes"},
	};
	struct timespec before, after;
	struct reason reason;
	char *text;

	(void)state;
	for (size_t i = 0; i < sizeof(heavy) / sizeof(heavy[0]); i++) {
		text = repeat(heavy[i].head, heavy[i].unit, heavy[i].size);
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
		assert_null(load(text, &reason));
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
		print_message("%.100s\n", strrchr(reason.text, '/'));
		assert_non_null(strstr(reason.text, heavy[i].wrong));
		assert_true(after.tv_sec - before.tv_sec < 2);
		free(text);
	}
}

static void
test_defaults(void **state)
{
	struct reason reason;
	struct config *config = load(HEAD REALM GROUP, &reason);

	(void)state;
	assert_non_null(config);
	assert_int_equal(config->warning_count, 0);
	assert_string_equal(config->run_dir, "/run/credgate");
	assert_string_equal(config->state_dir, "/var/lib/credgate");
	assert_int_equal(config->control.uid, 61001);
	assert_int_equal(config->control.gid, 61001);
	assert_int_equal(config->dataplane.workers, 1);
	assert_int_equal(config->dataplane.cpu_count, 0);
	assert_int_equal(config->dataplane.cpus[0], -1);
	assert_int_equal(config->dataplane.main_cpu, -1);
	assert_int_equal(config->dataplane.hugepages, SETUP_HUGEPAGES_AUTO);
	assert_int_equal(config->dataplane.ring_slots, 65536);
	assert_int_equal(config->ports[0].udp_port, 7475);
	assert_int_equal(config->ports[0].checksum, SETUP_CHECKSUM_PARTIAL);
	assert_int_equal(config->ports[0].addresses[0].bits, 96 + 24);
	assert_int_equal(config->realms[0].nodes_max, 1024);
	assert_int_equal(config->realms[0].window_bits, 65536);
	assert_int_equal(config->realms[0].mode, TABLE_MODE_ENFORCE);
	assert_int_equal(config->realms[0].ttl_max_s, 300);
	assert_true(config->realms[0].audience_any);
	assert_int_equal(config->realms[0].beacon_s, 10);
	assert_int_equal(config->realms[0].late_tenths, 25);
	assert_int_equal(config->realms[0].left_tenths, 60);
	assert_string_equal(config->realms[0].master, "/var/lib/credgate/lab.master");
	assert_int_equal(config->groups[0].reader.gid, 61003);
	assert_false(config->groups[0].beacons);
	assert_false(config->metrics.is_off);
	assert_false(config->metrics.is_stated);
	assert_int_equal(config->metrics.listen.port, 9475);
	assert_true(endpoint_is_loopback(&config->metrics.listen));
	assert_int_equal(config->log, LOG_TEXT);
	config_destroy(config);
}

/* Nobody reads it: said, and taken all the same. */
static void
test_warnings(void **state)
{
	struct reason reason;
	struct config *config = load(HEAD REALM, &reason);

	(void)state;
	assert_non_null(config);
	assert_int_equal(config->warning_count, 1);
	assert_non_null(strstr(config->warnings[0], ":5: realms[0]: no group reads realm \"lab\""));
	config_destroy(config);
	config = load(HEAD "realms:\n  - {name: lab, id: 7, audiences: [{name: x, id: 3}]}\n" GROUP,
		&reason);
	assert_non_null(config);
	assert_int_equal(config->warning_count, 1);
	assert_non_null(strstr(config->warnings[0], "no group reads audience \"x\""));
	config_destroy(config);
}

/* What freshness serial costs is said once for each such realm, on its line. */
static void
test_serial_warning(void **state)
{
	struct reason reason;
	struct config *config =
		load(HEAD "realms:\n  - {name: a, id: 8}\n  - name: lab\n    id: 7\n"
			  "    freshness: serial\n" GROUP,
			&reason);

	(void)state;
	assert_non_null(config);
	assert_int_equal(config->warning_count, 2); /* and nobody reads realm a */
	assert_non_null(
		strstr(config->warnings[0], ":8: realms[1].freshness: serial: after a crash"));
	assert_null(strchr(config->warnings[0], '\n'));
	config_destroy(config);
}

/* Where metrics are told, and a warning where others may read them. */
static void
test_metrics(void **state)
{
	static const struct {
		const char *listen;
		const char *shown;
		unsigned warnings;
	} good[] = {
		{"off", "", 0},
		{"127.0.0.1:1", "127.0.0.1:1", 0},
		{"127.9.9.9:65535", "127.9.9.9:65535", 0},
		{"[::1]:9475", "[::1]:9475", 0},
		{"0.0.0.0:9475", "0.0.0.0:9475", 1},
		{"10.0.0.1:9475", "10.0.0.1:9475", 1},
		{"[::]:9475", "[::]:9475", 1},
		{"[fd00::1]:80", "[fd00::1]:80", 1},
	};
	char text[1024], shown[ENDPOINT_TEXT_SIZE];
	struct reason reason;
	struct config *config;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(text, sizeof(text), HEAD REALM GROUP "metrics: {listen: \"%s\"}\n",
			good[i].listen);
		config = load(text, &reason);
		if (config == NULL)
			fail_msg("%s", reason.text);
		assert_true(config->metrics.is_stated);
		assert_int_equal(config->metrics.is_off, good[i].shown[0] == '\0');
		endpoint_format(shown, &config->metrics.listen);
		if (!config->metrics.is_off)
			assert_string_equal(shown, good[i].shown);
		assert_int_equal(config->warning_count, good[i].warnings);
		if (config->warning_count > 0)
			assert_non_null(
				strstr(config->warnings[0], "is no address of loopback: whoever"));
		config_destroy(config);
	}
}

/* The largest power of two that fits, and only where the operator did not choose. */
static void
test_windows(void **state)
{
	struct reason reason;
	struct config *config;

	(void)state;
	config = load(HEAD "realms:\n  - {name: a, id: 7, nodes_max: 16385}\n" GROUP, &reason);
	assert_null(config); /* the group names no realm a */
	config = load(HEAD "realms:\n  - {name: lab, id: 7, nodes_max: 16385}\n" GROUP, &reason);
	assert_non_null(config);
	assert_int_equal(config->realms[0].window_bits, 8192);
	config_destroy(config);
	config = load(HEAD "realms:\n  - {name: lab, id: 7, nodes_max: 16384}\n"
			   "  - {name: b, id: 8, nodes_max: 100, window_bits: 131072}\n"
			   "dataplane: {window_memory_max_mb: 64}\n" GROUP,
		&reason);
	assert_non_null(config);
	/* 16,385 windows of 16,384 bits are 32 MB; of 32,768 bits they would not fit. */
	assert_int_equal(config->realms[0].window_bits, 16384);
	assert_int_equal(config->realms[1].window_bits, 131072);
	config_destroy(config);
}

static void
test_owner(void **state)
{
	const struct config_caller other = {61009, 61009};
	struct reason reason;
	struct config *config;
	const char *path;

	(void)state;
	path = fixture_write("c.yaml", HEAD REALM GROUP, strlen(HEAD REALM GROUP), 0666);
	assert_null(config_load(path, &root, &reason));
	assert_non_null(
		strstr(reason.text, ":1: file: others may write it (mode 0666); chmod go-w"));
	path = fixture_write("c.yaml", HEAD REALM GROUP, strlen(HEAD REALM GROUP), 0620);
	assert_null(config_load(path, &root, &reason));
	assert_null(config_load(fixture_dir, &root, &reason));
	assert_non_null(strstr(reason.text, "is not a regular file"));
	assert_null(config_load(fixture_path("none.yaml"), &root, &reason));
	assert_non_null(strstr(reason.text, "cannot be opened"));
	if (geteuid() != 0)
		return;
	path = fixture_write_text("c.yaml", HEAD REALM GROUP);
	config = config_load(path, &other, &reason);
	assert_non_null(config); /* root's file is everybody's */
	config_destroy(config);
	assert_int_equal(chown(path, 61009, 61009), 0);
	assert_null(config_load(path, &root, &reason));
	assert_non_null(strstr(reason.text, "belongs to uid 61009; chown it to root"));
}

/* Without root there is one user; naming others is told and changes nothing. */
static void
test_caller_is_not_root(void **state)
{
	const struct config_caller caller = {61009, 61010};
	struct reason reason;
	struct config *config;

	(void)state;
	if (geteuid() != 0)
		skip();
	config = load_as(HEAD REALM GROUP, &caller, &reason);
	assert_non_null(config);
	assert_int_equal(config->control.uid, 61009);
	assert_int_equal(config->dataplane_user.uid, 61009);
	assert_int_equal(config->dataplane_user.gid, 61010);
	assert_int_equal(config->warning_count, 2);
	config_destroy(config);
}

#define SEERS "observers: {uids: [61005], gids: [61006]}\n"
#define READER(reader, more) \
	"groups:\n  - {name: g, realms: [lab], audiences: [any], reader: " reader more "}\n"

/* What a reload may change, and what it may not. */
static void
test_live_change(void **state)
{
	static const struct {
		const char *text;
		const char *refusal; /* NULL: none */
	} changes[] = {
		{HEAD "realms:\n  - {name: lab, id: 7, mode: observe, ttl_max_s: 100}\n" GROUP
				SEERS,
			NULL},
		{HEAD REALM READER("{uid: 61003}", ", beacons: true") SEERS, NULL},
		{HEAD REALM GROUP "observers: {uids: [61005, 61007], gids: [61006]}\n", NULL},
		/* An admin may read refusals as well as an observer. */
		{HEAD REALM GROUP "observers: {gids: [61006]}\nadmins: {uids: [61005]}\n", NULL},
		/* Who has a ring keeps it. */
		{HEAD REALM READER("{uid: 61004}", "") SEERS, "the reader of a group changed"},
		{HEAD REALM READER("{uid: 61003, gid: 9}", "") SEERS,
			"the reader of a group changed"},
		{HEAD REALM GROUP "observers: {gids: [61006]}\n", "who may read refusals"},
		{HEAD REALM GROUP "observers: {uids: [61005]}\n", "who may read refusals"},
		{HEAD REALM GROUP "observers: {uids: [61006], gids: [61005]}\n",
			"who may read refusals"},
		{HEAD "realms:\n  - {name: lab, id: 8}\n" GROUP SEERS, "of a realm changed"},
		{HEAD "realms:\n  - {name: lab, id: 7, nodes_max: 2000}\n" GROUP SEERS,
			"of a realm changed"},
		{HEAD "realms:\n  - {name: lab, id: 7}\n  - {name: b, id: 8}\n" GROUP SEERS,
			"the number of realms changed"},
		{HEAD REALM SEERS, "the number of groups changed"},
		{HEAD REALM GROUP SEERS "dataplane: {workers: 2}\n",
			"the dataplane section changed"},
		{HEAD REALM GROUP SEERS "run_dir: /run/other\n", "a directory changed"},
		{HEAD REALM GROUP SEERS "log: json\n", NULL},
		{HEAD REALM GROUP SEERS "metrics: {listen: \"[::1]:9475\"}\n",
			"metrics.listen changed"},
		{"users: {control: 61001, dataplane: 61004}\nports:\n"
		 "  - {name: lan, driver: af_packet, interface: eth9, addresses: "
		 "[10.77.0.1/24]}\n" REALM GROUP SEERS,
			"a user changed"},
	};
	struct reason reason;
	struct config *old = load(HEAD REALM GROUP SEERS, &reason), *new;

	(void)state;
	assert_non_null(old);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		new = load(changes[i].text, &reason);
		assert_non_null(new);
		reason.text[0] = '\0';
		assert_int_equal(config_is_live_change(old, new, &reason),
			changes[i].refusal != NULL ? -EBUSY : 0);
		if (changes[i].refusal != NULL && strstr(reason.text, changes[i].refusal) == NULL)
			fail_msg("%zu: %s", i, reason.text);
		config_destroy(new);
	}
	config_destroy(old);
}

/* ---- docs/configuration.md ---- */

static char *manual;

static void
keys_check(const cyaml_schema_value_t *schema)
{
	char quoted[64];

	if (schema->type == CYAML_SEQUENCE)
		keys_check(schema->sequence.entry);
	if (schema->type != CYAML_MAPPING)
		return;
	for (const cyaml_schema_field_t *field = schema->mapping.fields; field->key != NULL;
		field++) {
		snprintf(quoted, sizeof(quoted), "`%s`", field->key);
		if (strstr(manual, quoted) == NULL)
			fail_msg("docs/configuration.md does not tell of %s", field->key);
		keys_check(&field->value);
	}
}

static void
test_manual_has_every_key(void **state)
{
	(void)state;
	if (manual == NULL)
		skip();
	keys_check(&config_schema);
}

/* In place: a user of the manual's example, which need not exist here, becomes a number. */
static void
user_replace(char *text, const char *name, const char *number)
{
	size_t length = strlen(name);

	for (char *at = strstr(text, name); at != NULL; at = strstr(at, name)) {
		memset(at, ' ', length);
		memcpy(at, number, strlen(number));
	}
}

static void
test_manual_example_is_good(void **state)
{
	static const char begin[] = "```yaml\n";
	struct reason reason;
	struct config *config;
	char *text, *end;

	(void)state;
	if (manual == NULL)
		skip();
	text = strstr(manual, begin);
	assert_non_null(text);
	text = strdup(text + strlen(begin));
	assert_non_null(text);
	end = strstr(text, "```");
	assert_non_null(end);
	*end = '\0';
	user_replace(text, "credgate-dp}", "61002}");
	user_replace(text, "control: credgate,", "control: 61001,");
	user_replace(text, "[monitor]", "[61004]");
	user_replace(text, "uid: slurm", "uid: 6103");
	user_replace(text, "gid: slurm", "gid: 6103");
	config = load(text, &reason);
	if (config == NULL)
		fail_msg("%s", reason.text);
	assert_int_equal(config->warning_count, 1); /* nobody reads audience storage */
	config_destroy(config);
	free(text);
}

static char *
file_read(const char *path)
{
	FILE *file = path != NULL ? fopen(path, "r") : NULL;
	char *text = file != NULL ? calloc(1, 1 << 20) : NULL;

	if (text != NULL)
		text[fread(text, 1, (1 << 20) - 1, file)] = '\0';
	if (file != NULL)
		fclose(file);
	return text;
}

/* Argument: docs/configuration.md. */
int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_heavy),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_serial_warning),
		cmocka_unit_test(test_metrics),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_caller_is_not_root),
		cmocka_unit_test(test_live_change),
		cmocka_unit_test(test_manual_has_every_key),
		cmocka_unit_test(test_manual_example_is_good),
	};
	int failed;

	manual = argc > 1 ? file_read(argv[1]) : NULL;
	failed = cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
	free(manual);
	return failed;
}
