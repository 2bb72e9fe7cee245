/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctrl/audit_scan.h"
#include "ctrl/cli/audit_dir.h"
#include "ctrl/cli/print.h"
#include "ctrl/cli/request.h"
#include "ctrl/cli/verbs.h"

#define PROBLEMS_TOLD_MAX 1000u
#define EXIT_TAMPERED     3

int
audit_dir(struct cli *cli, const char *given, char dir[CONFIG_PATH_SIZE])
{
	struct config_caller caller = {.uid = geteuid(), .gid = getegid()};
	struct reason reason = {0};
	struct config *config;

	if (given != NULL && strlen(given) >= CONFIG_PATH_SIZE)
		return cli_fail(cli, "%s: too long for a directory", given);
	if (given != NULL) {
		snprintf(dir, CONFIG_PATH_SIZE, "%s", given);
		return CLI_DONE;
	}
	config = config_load(cli_config_path(cli), &caller, &reason);
	if (config == NULL)
		return cli_fail(cli, "%s; or name the state directory with --dir", reason.text);
	memcpy(dir, config->state_dir, CONFIG_PATH_SIZE);
	config_destroy(config);
	return CLI_DONE;
}

/* ---- audit verify ---- */

enum {
	VERIFY_DIR = CLI_ID_FIRST,
	VERIFY_KEY,
};

static const struct cli_option verify_options[] = {
	{"dir", VERIFY_DIR, "DIR", "the state directory, or a copy of it"},
	{"key", VERIFY_KEY, "FILE", "the key (default: audit.key of the directory)"},
	{NULL, 0, NULL, NULL},
};

struct verify {
	const char *dir;
	const char *key;
	bool has_json;
	json_t *problems;
};

static int
verify_take(struct cli *cli, void *context, int id, const char *value)
{
	struct verify *verify = context;

	(void)cli;
	*(id == VERIFY_DIR ? &verify->dir : &verify->key) = value;
	return CLI_DONE;
}

static void
problem_take(void *context, const char *path, uint64_t line, const char *text)
{
	struct verify *verify = context;

	if (json_array_size(verify->problems) >= PROBLEMS_TOLD_MAX)
		return;
	json_array_append_new(verify->problems,
		json_pack("{s:s, s:I, s:s}", "file", path, "line", (json_int_t)line, "text", text));
	if (verify->has_json)
		return;
	if (line > 0)
		printf("%s:%" PRIu64 ": %s\n", path, line, text);
	else
		printf("%s: %s\n", path, text);
}

static void
verify_print_json(const struct verify *verify, const struct audit_scan *scan)
{
	char hash[AUDIT_HEX_SIZE];
	json_t *result;

	sodium_bin2hex(hash, sizeof(hash), scan->last.hash, AUDIT_HASH_SIZE);
	result = json_pack("{s:b, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:O}", "good",
		scan->problems == 0, "lines", (json_int_t)scan->lines, "first_file",
		(json_int_t)scan->first_file, "last_file", (json_int_t)scan->last.file, "last_seq",
		(json_int_t)scan->last.seq, "last_hash", hash, "unknown", (json_int_t)scan->unknown,
		"torn_bytes", (json_int_t)scan->torn, "unchecked_file",
		(json_int_t)scan->unchecked_file, "problems_count", (json_int_t)scan->problems,
		"problems", verify->problems);
	request_print_json(result);
	json_decref(result);
}

static void
verify_print(const struct audit_scan *scan)
{
	char time[PRINT_TIME_SIZE];

	if (scan->unchecked_file > 0)
		printf("files up to number %" PRIu32
		       " were not checked: that needs the key of an older file (--key)\n",
			scan->unchecked_file);
	if (scan->unknown > 0)
		printf("changes that were asked for and whose outcome is unknown, for credgated "
		       "ended: %" PRIu64 "\n",
			scan->unknown);
	if (scan->torn > 0)
		printf("the last line is torn: it is being written, or credgated ended while it "
		       "was\n");
	if (scan->problems > PROBLEMS_TOLD_MAX)
		printf("and %" PRIu64 " more\n", scan->problems - PROBLEMS_TOLD_MAX);
	print_date_time(time, scan->last_time_us);
	if (scan->problems > 0)
		printf("NOT as it was written, in %" PRIu64 " place%s\n", scan->problems,
			scan->problems == 1 ? "" : "s");
	else
		printf("good: %" PRIu64 " lines in files %" PRIu32 " to %" PRIu32
		       ", the last is %" PRIu64 " of %.19s\n",
			scan->lines, scan->first_file, scan->last.file, scan->last.seq, time);
}

/* Whoever owns the log owns its key. */
static int
key_load(struct cli *cli, const struct verify *verify, const char *dir, struct audit_key *key)
{
	char path[PATH_MAX];
	struct reason reason;
	struct stat st;

	audit_path(path, dir, AUDIT_DIR);
	if (stat(path, &st) != 0)
		return cli_fail(cli, "%s: %s%s", path, strerror(errno),
			errno == EACCES ? ": only root and the control user may" : "");
	if (verify->key != NULL)
		snprintf(path, sizeof(path), "%s", verify->key);
	else
		audit_path(path, dir, AUDIT_KEY_NAME);
	if (audit_key_read(key, path, verify->key != NULL ? geteuid() : st.st_uid, &reason) != 0)
		return cli_fail(cli, "%s", reason.text);
	return CLI_DONE;
}

static int
verify_dir(struct cli *cli, struct verify *verify, const char *dir)
{
	struct audit_scan scan = {.on_problem = problem_take, .context = verify};
	struct reason reason;
	int code;

	code = key_load(cli, verify, dir, &scan.key);
	if (code != CLI_DONE)
		return code;
	if (audit_scan_all(&scan, dir, &reason) != 0)
		return cli_fail(cli, "%s", reason.text);
	sodium_memzero(&scan.key, sizeof(scan.key));
	if (verify->has_json)
		verify_print_json(verify, &scan);
	else
		verify_print(&scan);
	return cli_finish(cli, scan.problems > 0 ? EXIT_TAMPERED : CLI_DONE);
}

static int
verify_run(struct cli *cli)
{
	struct verify verify = {0};
	char dir[CONFIG_PATH_SIZE];
	int code = cli_parse(cli, verify_take, &verify);

	if (code != CLI_GO)
		return code;
	if (sodium_init() < 0)
		return cli_fail(cli, "libsodium does not start");
	code = audit_dir(cli, verify.dir, dir);
	if (code != CLI_DONE)
		return code;
	verify.has_json = cli->has_json;
	verify.problems = json_array();
	code = verify_dir(cli, &verify, dir);
	json_decref(verify.problems);
	return code;
}

const struct cli_verb verb_audit_verify = {
	.name = "audit verify",
	.operands = "",
	.summary = "Find out whether the audit log is as it was written",
	.detail = "Names each line that was changed, or is missing, repeated or out of its place,\n"
		  "and last lines that were removed. Reads files only; credgated may run or not.\n"
		  "Needs the key of the log, so root or the control user, or a copy of it.\n",
	.examples = "credgate audit verify\n"
		    "credgate audit verify --dir /backup/state --key /safe/audit.key\n",
	.exits = "0\tall lines are as they were written\n"
		 "1\tit could not be found out\n"
		 "2\twrong usage\n"
		 "3\tthe log was changed\n",
	.options = {verify_options},
	.common = CLI_TAKES_JSON | CLI_TAKES_CONFIG,
	.run = verify_run,
};
