/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Metrics: the text under a strict reader of the standard, as many series with 100,000 nodes as with
 * none, docs/metrics.md against the program, and an HTTP server that hostile clients cannot fill.
 * With --table: the rows for docs/metrics.md.
 */
#include "tests/unit/ctrl/ctrl_rig.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include "ctrl/endpoint.h"
#include "ctrl/metrics.h"
#include "tests/unit/ctrl/openmetrics.h"

#define NODES       100000
#define PATIENCE_MS 30000
#define ANSWER_SIZE (4u << 20)
#define CONFIG                                                                            \
	"realms: [{name: lab, id: 7, nodes_max: 100000, window_bits: 64, mode: observe}," \
	" {name: far, id: 8, nodes_max: 4, window_bits: 64}]\n"                           \
	"groups: [{name: g, realms: [lab, far], audiences: [any], reader: {uid: 61003}}]\n"

static const char *page_path; /* docs/metrics.md */
static uint16_t port;
static char answer[ANSWER_SIZE];

/* ---- a gateway ---- */

static int
gateway_files(void **state, const char *metrics)
{
	if (rig_dirs(state) != 0)
		return -1;
	rig_master("lab");
	rig_master("far");
	rig_config(CONFIG "metrics: {listen: \"%s\"}\n", metrics);
	return 0;
}

static int
gateway_setup(void **state)
{
	if (gateway_files(state, "off") != 0)
		return -1;
	rig_start();
	return 0;
}

static struct openmetrics *
metrics_get(void)
{
	struct openmetrics *metrics;
	size_t size = 0;
	char *text = metrics_make(&ctrl, &size);

	assert_non_null(text);
	assert_int_equal(strlen(text), size);
	metrics = openmetrics_read(text);
	if (metrics->error[0] != '\0')
		fail_msg("%s", metrics->error);
	free(text);
	return metrics;
}

static void
assert_series(const struct openmetrics *metrics, const char *series, double value)
{
	double got = openmetrics_value(metrics, series);

	if (got != value)
		fail_msg("%s: expected %f, got %f", series, value, got);
}

/* ---- the text ---- */

/* The reader is worth something: each of these is no OpenMetrics. */
static void
test_reader(void **state)
{
	static const char *const bad[] = {
		"",
		"# EOF",
		"# EOF\n\n",
		"a 1\n# EOF\n",
		"# TYPE a gauge\n# HELP a x\na 1\n",
		"# TYPE a gauge\na 1\n# EOF\n",
		"# TYPE a counter\n# HELP a x\na 1\n# EOF\n",
		"# TYPE a counter\n# HELP a x\na_total -1\n# EOF\n",
		"# TYPE a gauge\n# HELP a x\na{b=\"\\x\"} 1\n# EOF\n",
		"# TYPE a gauge\n# HELP a x\na{b=\"x} 1\n# EOF\n",
		"# TYPE a gauge\n# HELP a x\na{b=\"1\",b=\"2\"} 1\n# EOF\n",
		"# TYPE a gauge\n# HELP a x\na{b=\"1\"} 1\na{b=\"1\"} 2\n# EOF\n",
		"# TYPE a gauge\n# HELP a x\na{b=\"1\"} 1\na{c=\"1\"} 2\n# EOF\n",
		"# TYPE a gauge\n# HELP a x\na  1\n# EOF\n",
		"# TYPE a gauge\n# HELP a x\na 1 \n# EOF\n",
		"# TYPE a gauge\n# HELP a x\na 1\n# TYPE a gauge\n# HELP a x\n# EOF\n",
		"# TYPE a gauge\n# UNIT a bytes\n# HELP a x\na 1\n# EOF\n",
		"# TYPE a info\n# HELP a x\na_info 2\n# EOF\n",
		"# TYPE a stateset\n# HELP a x\na{b=\"c\"} 1\n# EOF\n",
	};
	struct openmetrics *metrics;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		metrics = openmetrics_read(bad[i]);
		if (metrics->error[0] == '\0')
			fail_msg("taken for good: %s", bad[i]);
		openmetrics_free(metrics);
	}
	metrics = openmetrics_read("# TYPE a_bytes counter\n# UNIT a_bytes bytes\n# HELP a_bytes "
				   "x\na_bytes_total{b=\"\\\\\\n\\\"\",c=\"\"} 1.5\n# EOF\n");
	assert_string_equal(metrics->error, "");
	assert_series(metrics, "a_bytes_total{b=\"\\\\\\n\\\"\",c=\"\"}", 1.5);
	openmetrics_free(metrics);
}

/* Whatever stands in a label's value, the text stays whole. */
static void
test_escapes(void **state)
{
	static const struct metrics_family family = {"x", METRICS_GAUGE, NULL, "y"};
	struct metrics_text *text = metrics_text_create();
	struct openmetrics *metrics;
	size_t size;
	char *bytes;

	(void)state;
	metrics_family(text, &family);
	metrics_count(text, UINT64_MAX, "l", "a\"b\\c\nd}e,f=\"", NULL);
	bytes = metrics_text_take(text, &size);
	metrics_text_destroy(text);
	assert_non_null(bytes);
	metrics = openmetrics_read(bytes);
	assert_string_equal(metrics->error, "");
	assert_series(metrics, "x{l=\"a\\\"b\\\\c\\nd}e,f=\\\"\"}", 18446744073709551615.0);
	openmetrics_free(metrics);
	free(bytes);
}

/* What the workers' pages say is what is told, added up by realm. */
static void
test_values(void **state)
{
	struct stats_header *stats = shared_stats(&ctrl.shared);
	struct worker_stats *first = stats_worker(stats, 0), *second = stats_worker(stats, 1);
	struct openmetrics *metrics;

	(void)state;
	first->proved[VERDICT_ACCEPTED] = 5;
	second->unproved[VERDICT_BAD_TAG] = 7;
	first->realms[1].proved[VERDICT_ACCEPTED] = 2;
	second->realms[1].proved[VERDICT_ACCEPTED] = 3;
	second->realms[0].would_refuse[VERDICT_FORBIDDEN] = 11;
	second->rx_bytes = 1ull << 60;
	second->rx_bad_packet = 13;
	stats->cycles_hz = 1000;
	first->busy_cycles = 2500;
	metrics = metrics_get();
	assert_series(metrics,
		"credgate_credentials_total{worker=\"0\",verdict=\"accepted\",proved=\"yes\"}", 5);
	assert_series(metrics,
		"credgate_credentials_total{worker=\"1\",verdict=\"bad-tag\",proved=\"no\"}", 7);
	assert_series(metrics,
		"credgate_realm_credentials_total{realm=\"far\",verdict=\"accepted\","
		"proved=\"yes\"}",
		5);
	assert_series(
		metrics, "credgate_would_refuse_total{realm=\"lab\",verdict=\"forbidden\"}", 11);
	assert_series(metrics, "credgate_received_bytes_total{worker=\"1\"}", (double)(1ull << 60));
	assert_series(metrics,
		"credgate_frames_passed_over_total{worker=\"1\",reason=\"bad-packet\"}", 13);
	assert_series(metrics, "credgate_busy_seconds_total{worker=\"0\"}", 2.5);
	assert_series(
		metrics, "credgate_realm_mode{realm=\"lab\",credgate_realm_mode=\"observe\"}", 1);
	assert_series(
		metrics, "credgate_realm_mode{realm=\"lab\",credgate_realm_mode=\"enforce\"}", 0);
	assert_series(metrics, "credgate_dataplane_state{credgate_dataplane_state=\"down\"}", 1);
	assert_series(metrics, "credgate_nodes_max{realm=\"lab\"}", NODES);
	assert_series(metrics, "credgate_consumers{group=\"g\"}", 0);
	openmetrics_free(metrics);
}

/* As many series as without a single node, and none that names one. */
static void
test_many_nodes(void **state)
{
	struct registry_node node = {.realm = 7, .is_live = true, .highest = 1, .epoch_count = 1};
	struct openmetrics *empty = metrics_get(), *full;

	(void)state;
	node.epochs[0] = (struct registry_epoch){.epoch = 1, .suite = 3, .not_after_s = UINT32_MAX};
	for (node.node = 1; node.node <= NODES; node.node++) {
		snprintf(node.name, sizeof(node.name), "host%u", node.node);
		assert_int_equal(keytable_node_set(ctrl.keys, 0, &node, &reason), 0);
	}
	full = metrics_get();
	assert_series(full, "credgate_nodes{realm=\"lab\",state=\"live\"}", NODES);
	assert_int_equal(full->series_count, empty->series_count);
	for (size_t i = 0; i < full->series_count; i++)
		assert_null(strstr(full->series[i], "host"));
	openmetrics_free(full);
	openmetrics_free(empty);
}

/* ---- docs/metrics.md ---- */

static void
row_make(char row[1024], const struct openmetrics_family *family)
{
	const char *suffix = strcmp(family->type, "counter") == 0 ? "_total"
			     : strcmp(family->type, "info") == 0  ? "_info"
								  : "";

	snprintf(row, 1024, "| `%s%s` | %s | %s | %s |\n", family->name, suffix, family->type,
		family->labels[0] != '\0' ? family->labels : "–", family->help);
}

/* Is there a row for this family? One without samples here may be said to have labels. */
static bool
row_is_there(const char *page, const struct openmetrics_family *family)
{
	char row[1024], *labels;
	size_t name_size;

	row_make(row, family);
	if (family->samples > 0)
		return strstr(page, row) != NULL;
	labels = strstr(row, "| –") + 2;
	name_size = (size_t)(labels - row);
	for (const char *at = strstr(page, "\n| `"); at != NULL; at = strstr(at + 1, "\n| `")) {
		const char *end = strchr(at + 1, '\n');
		size_t help_size = strlen(labels + strlen("–"));

		if (strncmp(at + 1, row, name_size) == 0 &&
			strncmp(end + 1 - help_size, labels + strlen("–"), help_size) == 0)
			return true;
	}
	return false;
}

/* Each metric has its row in the table, and each row of the table its metric. */
static void
test_docs(void **state)
{
	struct openmetrics *metrics = metrics_get();
	FILE *file = fopen(page_path, "r");
	char *page = calloc(1, 1 << 20), row[1024];
	size_t rows = 0;

	(void)state;
	assert_non_null(file);
	page[fread(page, 1, (1 << 20) - 1, file)] = '\0';
	fclose(file);
	for (size_t i = 0; i < metrics->family_count; i++) {
		row_make(row, &metrics->families[i]);
		if (!row_is_there(page, &metrics->families[i]))
			fail_msg("%s has no row: %s", page_path, row);
	}
	for (const char *at = strstr(page, "\n| `credgate_"); at != NULL;
		at = strstr(at + 1, "\n| `credgate_"))
		rows++;
	assert_int_equal(rows, metrics->family_count);
	free(page);
	openmetrics_free(metrics);
}

/* ---- over HTTP ---- */

static int
connect_metrics(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static int
server_setup(void **state)
{
	char listen[64];

	port = rig_port_find();
	snprintf(listen, sizeof(listen), "127.0.0.1:%u", port);
	return gateway_files(state, listen) != 0 ? -1 : rig_server_start(connect_metrics);
}

static int
server_teardown(void **state)
{
	return rig_server_stop() != 0 ? -1 : fixture_teardown(state);
}

/* All until end of file; -1 if it does not come. */
static ssize_t
read_all(int fd)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	size_t size = 0;

	while (size < sizeof(answer) - 1 && poll(&wait, 1, PATIENCE_MS) == 1) {
		ssize_t got = read(fd, answer + size, sizeof(answer) - 1 - size);

		if (got <= 0) {
			answer[size] = '\0';
			return (ssize_t)size;
		}
		size += (size_t)got;
	}
	answer[size] = '\0';
	return -1;
}

/* Sends, and leaves the answer in `answer`. */
static void
ask(const char *request, size_t size)
{
	int fd = connect_metrics();

	assert_true(fd >= 0);
	send(fd, request, size, MSG_NOSIGNAL);
	assert_true(read_all(fd) >= 0);
	close(fd);
}

static void
ask_status(const char *request, const char *status)
{
	char begin[64];

	ask(request, strlen(request));
	snprintf(begin, sizeof(begin), "HTTP/1.1 %s", status);
	if (strncmp(answer, begin, strlen(begin)) != 0)
		fail_msg("%.40s: expected %s, got %.60s", request, begin, answer);
}

static void
assert_serves(void)
{
	struct openmetrics *metrics;

	ask_status("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "200 OK\r\n");
	assert_non_null(strstr(answer,
		"Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"));
	metrics = openmetrics_read(strstr(answer, "\r\n\r\n") + 4);
	assert_string_equal(metrics->error, "");
	openmetrics_free(metrics);
}

static void
test_requests(void **state)
{
	(void)state;
	assert_serves();
	ask_status("GET /metrics HTTP/1.0\n\n", "200 OK");
	ask_status("GET /metrics?name=x HTTP/1.1\r\n\r\n", "200 OK");
	ask_status("HEAD /metrics HTTP/1.1\r\n\r\n", "200 OK");
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
	ask_status("GET / HTTP/1.1\r\n\r\n", "404");
	ask_status("GET /metrics/ HTTP/1.1\r\n\r\n", "404");
	ask_status("GET /../metrics HTTP/1.1\r\n\r\n", "404");
	ask_status("POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "405");
	assert_non_null(strstr(answer, "Allow: GET, HEAD\r\n"));
	ask_status("DELETE /metrics HTTP/1.1\r\n\r\n", "405");
	/* One answer to a connection, whatever comes behind. */
	ask_status("GET / HTTP/1.1\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n", "404");
	assert_null(strstr(answer, "200 OK"));
}

static void
test_garbage(void **state)
{
	static const char *const lines[] = {
		"GET /metrics\r\n\r\n", /* HTTP/0.9 */
		"GET\r\n\r\n",
		"\r\n\r\n",
		" \r\n\r\n",
		"GET  HTTP/1.1\r\n\r\n",
		"GET metrics HTTP/1.1\r\n\r\n",
		"GET http://x/metrics HTTP/1.1\r\n\r\n",
		"GET /metrics HTTP/2.0\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"\x16\x03\x01\x02\x01\x01\xfc\x03\x03\n\n",
	};
	static char filler[1 << 20];

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		ask_status(lines[i], "400");
	ask("\0\0\0\0\n\n", 6);
	assert_memory_equal(answer, "HTTP/1.1 400", 12);
	for (size_t i = 0; i + 8 <= sizeof(filler); i += 8)
		memcpy(filler + i, i == 0 ? "GET / H\n" : "abc: de\n", 8);
	ask(filler, sizeof(filler)); /* may be reset before it is read */
	assert_true(answer[0] == '\0' || strncmp(answer, "HTTP/1.1 431", 12) == 0);
	assert_serves();
}

/* How many of these the server has hung up on. */
static unsigned
count_closed(const int *fds, unsigned count)
{
	unsigned closed = 0;

	for (unsigned i = 0; i < count; i++) {
		struct pollfd wait = {.fd = fds[i], .events = POLLIN};

		closed += poll(&wait, 1, 0) == 1;
	}
	return closed;
}

static unsigned
wait_closed(const int *fds, unsigned count, unsigned least)
{
	for (unsigned i = 0; i < PATIENCE_MS / 10 && count_closed(fds, count) < least; i++)
		usleep(10000);
	return count_closed(fds, count);
}

/* They hold places, not the loop: others are served, and in the end they are hung up on. */
static void
test_slow_writers(void **state)
{
	int fds[100];

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		fds[i] = connect_metrics();
		assert_true(fds[i] >= 0);
		assert_int_equal(send(fds[i], "GET /met", 8, MSG_NOSIGNAL), 8);
	}
	assert_serves();
	assert_true(
		wait_closed(fds, 100, 100 - METRICS_VISITORS_MAX) >= 100 - METRICS_VISITORS_MAX);
	/* A byte now and then does not buy more time. */
	for (unsigned i = 0; i < PATIENCE_MS / 100 && count_closed(fds, 100) < 100; i++) {
		send(fds[99], "x", 1, MSG_NOSIGNAL);
		usleep(100000);
	}
	assert_int_equal(count_closed(fds, 100), 100);
	for (unsigned i = 0; i < 100; i++)
		close(fds[i]);
}

/* Asks for the page and does not take it. */
static void
test_slow_readers(void **state)
{
	static const char request[] = "GET /metrics HTTP/1.1\r\n\r\n";
	int fds[100], size = 2048;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		fds[i] = connect_metrics();
		assert_true(fds[i] >= 0);
		setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
		send(fds[i], request, sizeof(request) - 1, MSG_NOSIGNAL);
	}
	assert_serves();
	for (unsigned i = 0; i < 100; i++)
		close(fds[i]);
	assert_serves();
}

/* An address that was asked for and cannot be had ends the start; the default one does not. */
static void
test_port_taken(void **state)
{
	struct endpoint taken = {.port = port};
	struct config config = {.metrics = {.is_stated = true}};
	struct ctrl other = {.config = &config};
	struct metrics *metrics;

	(void)state;
	endpoint_parse(&taken, "127.0.0.1:1");
	taken.port = port;
	config.metrics.listen = taken;
	other.base = event_base_new();
	assert_null(metrics_create(&other, &reason));
	assert_int_equal(reason.error, EADDRINUSE);
	assert_non_null(strstr(reason.text, "metrics.listen: 127.0.0.1:"));
	assert_non_null(strstr(reason.text, "; choose another address or port"));
	config.metrics.is_stated = false;
	metrics = metrics_create(&other, &reason);
	assert_non_null(metrics);
	metrics_destroy(metrics);
	event_base_free(other.base);
}

static int
table_print(void)
{
	struct openmetrics *metrics;
	char row[1024];
	void *state = NULL;

	if (gateway_setup(&state) != 0)
		return 1;
	metrics = metrics_get();
	for (size_t i = 0; i < metrics->family_count; i++) {
		row_make(row, &metrics->families[i]);
		fputs(row, stdout);
	}
	openmetrics_free(metrics);
	return rig_teardown(&state);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest text[] = {
		cmocka_unit_test(test_reader),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_docs),
		cmocka_unit_test(test_many_nodes),
	};
	const struct CMUnitTest http[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_slow_readers),
		cmocka_unit_test(test_slow_writers),
		cmocka_unit_test(test_port_taken),
	};

	if (argc == 2 && strcmp(argv[1], "--table") == 0)
		return table_print();
	page_path = argv[argc - 1];
	/* The server's process comes first: it is made while this one has no gateway of its own. */
	return cmocka_run_group_tests(http, server_setup, server_teardown) +
	       cmocka_run_group_tests(text, gateway_setup, rig_teardown);
}
