/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "cli_call.h"
#include "ctrl/cli/help.h"
#include "verdict/verdict.h"

static void
test_without_verb(void **state)
{
	const struct call *call = call_cli(NULL);

	(void)state;
	assert_int_equal(call->code, CLI_USAGE);
	assert_string_equal(call->out, "");
	call_has(call->err, "Usage: credgate");
	call = call_cli("--help", NULL);
	assert_int_equal(call->code, CLI_DONE);
	call_has(call->out, "node add");
	call = call_cli("--version", NULL);
	assert_int_equal(call->code, CLI_DONE);
	call_has(call->out, "credgate ");
	call = call_cli("--nonsense", NULL);
	assert_int_equal(call->code, CLI_USAGE);
	call_has(call->err, "'--nonsense'");
	call = call_cli("--config", NULL);
	assert_int_equal(call->code, CLI_USAGE);
}

static void
test_unknown_verb(void **state)
{
	static const struct {
		const char *first, *second, *nearest;
	} cases[] = {{"stauts", NULL, "'status'"}, {"wacth", NULL, "'watch'"},
		{"node", "ad", "'node add'"}, {"realm", "initt", "'realm init'"},
		{"verdict", NULL, "'verdicts'"}};
	const struct call *call;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		call = call_cli(cases[i].first, cases[i].second, NULL);
		assert_int_equal(call->code, CLI_USAGE);
		call_has(call->err, cases[i].nearest);
		/* The last line is the one that stays in view. */
		call_has(strstr(call->err, "Did you mean"), "\nTry 'credgate --help'.\n");
	}
	call = call_cli("xyzzyplugh", NULL);
	assert_int_equal(call->code, CLI_USAGE);
	assert_null(strstr(call->err, "Did you mean"));
	call = call_cli("node", NULL);
	assert_int_equal(call->code, CLI_USAGE);
	call_has(call->err, "node revoke");
}

/* Splits "node add" and calls it with one more word. */
static const struct call *
call_verb(const struct cli_verb *verb, const char *word)
{
	char name[64], *second;

	snprintf(name, sizeof(name), "%s", verb->name);
	second = strchr(name, ' ');
	if (!second)
		return call_cli(name, word, NULL);
	*second = '\0';
	return call_cli(name, second + 1, word, NULL);
}

static void
check_line(const char *line, const char *verb)
{
	if (strlen(line) > 100)
		fail_msg("%s --help: a line of %zu columns: %s", verb, strlen(line), line);
	if (line[0] && line[strlen(line) - 1] == ' ')
		fail_msg("%s --help: blank at the end: %s", verb, line);
}

static void
test_every_help(void **state)
{
	const struct cli_verb *const *verb;
	const struct call *call;
	char text[CALL_TEXT_SIZE], *line, *rest;

	(void)state;
	for (verb = cli_verbs; *verb; verb++) {
		call = call_verb(*verb, "--help");
		assert_int_equal(call->code, CLI_DONE);
		assert_string_equal(call->err, "");
		call_has(call->out, "Usage: credgate ");
		call_has(call->out, (*verb)->name);
		call_has(call->out, "\nOptions:\n");
		call_has(call->out, "\nExamples:\n  credgate");
		call_has(call->out, "\nExit codes:\n  0");
		strcpy(text, call->out);
		for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
			check_line(line, (*verb)->name);
		assert_int_equal(call_verb(*verb, "-h")->code, CLI_DONE);
	}
}

static void
test_every_unknown_option(void **state)
{
	const struct cli_verb *const *verb;
	const struct call *call;

	(void)state;
	for (verb = cli_verbs; *verb; verb++) {
		if ((*verb)->is_passed_over)
			continue;
		call = call_verb(*verb, "--no-such-option");
		assert_int_equal(call->code, CLI_USAGE);
		assert_string_equal(call->out, "");
		call_has(call->err, "'--no-such-option'");
		call_has(call->err, (*verb)->name);
		assert_int_equal(call_verb(*verb, "-Z")->code, CLI_USAGE);
	}
}

/* Ids of a verb's options must differ, or one would be taken for the other. */
struct ids {
	const struct cli_option *seen[64];
	size_t count;
};

static void
check_id(const struct cli_option *option, void *context)
{
	struct ids *ids = context;
	size_t i;

	for (i = 0; i < ids->count; i++) {
		assert_int_not_equal(option->id, ids->seen[i]->id);
		assert_string_not_equal(option->name, ids->seen[i]->name);
	}
	assert_true(ids->count < 40);
	ids->seen[ids->count++] = option;
}

static void
test_options_differ(void **state)
{
	const struct cli_verb *const *verb;
	struct ids ids;

	(void)state;
	for (verb = cli_verbs; *verb; verb++) {
		ids = (struct ids){0};
		cli_option_walk(*verb, check_id, &ids);
		assert_true(ids.count > 0);
	}
}

static void
test_misuse(void **state)
{
	char large[300];
	const struct call *call;

	(void)state;
	call = call_cli("send", "--tiemout", "5", "host", NULL);
	assert_int_equal(call->code, CLI_USAGE);
	call_has(call->err, "did you mean '--timeout'");
	call = call_cli("send", "--timeout", NULL);
	assert_int_equal(call->code, CLI_USAGE);
	call_has(call->err, "takes a value");
	call = call_cli("send", "--no-reply=yes", "host", NULL);
	assert_int_equal(call->code, CLI_USAGE);
	call_has(call->err, "'--no-reply' takes no value");
	call = call_cli("send", "--timeout", "1001", "host", NULL);
	assert_int_equal(call->code, CLI_USAGE);
	call_has(call->err, "--timeout '1001'");
	call = call_cli("send", NULL);
	assert_int_equal(call->code, CLI_USAGE);
	call_has(call->err, "HOST");
	call = call_cli("send", "host", NULL);
	assert_int_equal(call->code, CLI_USAGE);
	call_has(call->err, "--key");
	call = call_cli("mint", "extra", NULL);
	assert_int_equal(call->code, CLI_USAGE);
	call_has(call->err, "'extra'");
	call = call_cli("node", "add", "lab", NULL);
	assert_int_equal(call->code, CLI_USAGE);
	call = call_cli("node", "add", "lab", "n[3-1]", NULL);
	assert_int_equal(call->code, CLI_USAGE);
	call_has(call->err, "'n[3-1]': range 3-1 runs backwards\n");
	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	call = call_cli("node", "add", "lab", large, NULL);
	assert_int_equal(call->code, CLI_USAGE);
	call_has(call->err, "xxx...': a name has at most 63 characters\n");
	assert_true(strlen(call->err) < 160);
	call = call_cli("node", "add", "lab", "a", "b", "--id", "7", NULL);
	assert_int_equal(call->code, CLI_USAGE);
	call_has(call->err, "--id");
}

static void
test_conflicts(void **state)
{
	const struct call *call;

	(void)state;
	call = call_cli("mint", "--payload", "x", "--payload-file", "/dev/null", NULL);
	assert_int_equal(call->code, CLI_USAGE);
	call_has(call->err, "--payload and --payload-file exclude each other");
	call = call_cli("send", "--payload-file", "/dev/null", "--payload", "x", "host", NULL);
	assert_int_equal(call->code, CLI_USAGE);
	call_has(call->err, "--payload and --payload-file exclude each other");
	call = call_cli("mint", "--text", "--binary", NULL);
	assert_int_equal(call->code, CLI_USAGE);
	call_has(call->err, "--text and --binary exclude each other");
	call = call_cli("send", "--credential", "/dev/null", "--ttl", "5", "host", NULL);
	assert_int_equal(call->code, CLI_USAGE);
	call_has(call->err, "--credential goes as it is");
}

static void
test_claim_values(void **state)
{
	static const struct {
		const char *option, *value;
	} bad[] = {{"--uid", "nobody-like-this"}, {"--gid", "-1"}, {"--uid", "anyone"},
		{"--auth-uid", "4294967296"}, {"--audience", "-1"}, {"--audience", "scheduler"},
		{"--ttl", "500ms"}, {"--ttl", "0"}, {"--ttl", "1y"}, {"--origin", "host"},
		{"--origin", "10.0.0.1/32"}, {"--issued", "yesterday"}, {"--count", "0"},
		{"--count", "1e9"}};
	char large[1200];
	const struct call *call;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		call = call_cli("mint", bad[i].option, bad[i].value, NULL);
		assert_int_equal(call->code, CLI_USAGE);
		call_has(call->err, bad[i].option);
		call_has(call->err, bad[i].value);
	}
	memset(large, 'x', sizeof(large) - 1);
	large[1137] = '\0';
	call = call_cli("mint", "--payload", large, NULL);
	assert_int_equal(call->code, CLI_USAGE);
	call_has(call->err, "1137 bytes");
}

static void
test_verdicts_json(void **state)
{
	const struct call *call = call_cli("verdicts", "--json", NULL);
	json_t *array = json_loads(call->out, 0, NULL);
	const json_t *row;
	size_t i;

	(void)state;
	assert_int_equal(call->code, CLI_DONE);
	assert_int_equal(json_array_size(array), VERDICT_COUNT - 1);
	json_array_foreach(array, i, row)
	{
		assert_int_equal(json_integer_value(json_object_get(row, "number")), i + 1);
		assert_int_equal(json_integer_value(json_object_get(row, "exit_code")),
			verdict_exit_code((unsigned)i + 1));
		assert_string_equal(json_string_value(json_object_get(row, "verdict")),
			verdict_text((unsigned)i + 1));
		assert_true(strlen(json_string_value(json_object_get(row, "meaning"))) > 0);
		assert_true(strlen(json_string_value(json_object_get(row, "cure"))) > 0);
	}
	json_decref(array);
	/* Not a terminal: tabs, and as many in each line. */
	call = call_cli("verdicts", NULL);
	call_has(call->out, "NUMBER\tVERDICT\tEXIT\tMEANING\tWHAT TO DO\n1\taccepted\t0\t");
	call_has(call->out, "\n7\tbad-tag\t39\t");
}

static void
test_help_of(void **state)
{
	const struct call *call = call_cli("help", "node", "add", NULL);

	(void)state;
	assert_int_equal(call->code, CLI_DONE);
	call_has(call->out, "Usage: credgate node add");
	call = call_cli("help", "node", NULL);
	assert_int_equal(call->code, CLI_DONE);
	call_has(call->out, "node revoke");
	assert_null(strstr(call->out, "watch"));
	call = call_cli("help", "nothing", NULL);
	assert_int_equal(call->code, CLI_USAGE);
	call = call_cli("help", "--words", NULL);
	call_has(call->out, "node add\n");
	call = call_cli("help", "--words", "send", NULL);
	call_has(call->out, "--timeout\n");
}

/* Every verb and every option is in the manual, in both dresses. */
static const char *manual;
static const char *dash;

static void
check_in_manual(const struct cli_option *option, void *context)
{
	char wanted[80], *to = wanted;
	const char *from;

	(void)context;
	for (from = option->name; *from; from++)
		to = stpcpy(to, *from == '-' ? dash : (char[2]){*from, '\0'});
	call_has(manual, wanted);
}

static void
test_manual(void **state)
{
	static const char *const forms[] = {"--markdown", "--roff"};
	static char text[CALL_TEXT_SIZE];
	const struct cli_verb *const *verb;
	const struct call *call;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		call = call_cli("help", forms[i], NULL);
		assert_int_equal(call->code, CLI_DONE);
		strcpy(text, call->out);
		manual = text;
		dash = i == 0 ? "-" : "\\-";
		for (verb = cli_verbs; *verb; verb++) {
			call_has(text, (*verb)->name);
			cli_option_walk(*verb, check_in_manual, NULL);
		}
	}
}

static void
test_no_gateway(void **state)
{
	const struct call *call;

	(void)state;
	call = call_cli("status", "--run-dir", "/nonexistent/run", NULL);
	assert_int_equal(call->code, CLI_FAILED);
	call_has(call->err, "credgated is not running at /nonexistent/run/admin.sock");
	call_has(call->err, "credgate run --config");
	/* Before the verb, and from the environment. */
	call = call_cli("--run-dir", "/nonexistent/first", "realm", "list", NULL);
	call_has(call->err, "/nonexistent/first/admin.sock");
	setenv("CREDGATE_RUN_DIR", "/nonexistent/second", 1);
	call = call_cli("node", "list", "lab", NULL);
	call_has(call->err, "/nonexistent/second/admin.sock");
	call = call_cli("watch", "--group", "jobs", NULL);
	assert_int_equal(call->code, CLI_FAILED);
	call_has(call->err, "/nonexistent/second/consumer.sock");
	unsetenv("CREDGATE_RUN_DIR");
}

/* Told before credgated is looked for, in all the ways to name the file. */
static void
test_run_config(void **state)
{
	static const char wanted[] = "credgate run: /nonexistent/c.yaml: No such file";
	const struct call *call = call_cli("run", "--config", "/nonexistent/c.yaml", NULL);

	(void)state;
	assert_int_equal(call->code, CLI_FAILED);
	call_has(call->err, wanted);
	call = call_cli("run", "--config=/nonexistent/c.yaml", NULL);
	assert_int_equal(call->code, CLI_FAILED);
	call_has(call->err, wanted);
	call = call_cli("--config", "/nonexistent/c.yaml", "run", NULL);
	assert_int_equal(call->code, CLI_FAILED);
	call_has(call->err, wanted);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_verb),
		cmocka_unit_test(test_unknown_verb),
		cmocka_unit_test(test_every_help),
		cmocka_unit_test(test_every_unknown_option),
		cmocka_unit_test(test_options_differ),
		cmocka_unit_test(test_misuse),
		cmocka_unit_test(test_conflicts),
		cmocka_unit_test(test_claim_values),
		cmocka_unit_test(test_verdicts_json),
		cmocka_unit_test(test_help_of),
		cmocka_unit_test(test_manual),
		cmocka_unit_test(test_no_gateway),
		cmocka_unit_test(test_run_config),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
