/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys and signatures for configuration and policies. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ctrl/cli/file.h"
#include "ctrl/cli/request.h"
#include "ctrl/cli/value.h"
#include "ctrl/cli/verbs.h"
#include "ctrl/filecheck.h"
#include "ctrl/signature.h"

#define TEXT_SIZE_MAX (1u << 20)
#define LINE_SIZE_MAX 4096u

enum {
	SIGN_KEY = CLI_ID_FIRST,
	SIGN_FOR,
	SIGN_SERIAL,
	SIGN_SIGNATURE,
};

struct sign {
	const char *key;
	const char *purpose;
	const char *signature;
	uint64_t serial; /* 0: the clock's seconds */
};

/* A purpose that no gateway asks for makes a signature that is good for nothing. */
static bool
is_purpose(const char *text)
{
	size_t policy_size = strlen(SIGNATURE_FOR_POLICY), size = strlen(text);

	if (strncmp(text, SIGNATURE_FOR_POLICY, policy_size) == 0)
		return size > policy_size && size < SIGNATURE_PURPOSE_SIZE;
	return strcmp(text, SIGNATURE_FOR_CONFIG) == 0 ||
	       strcmp(text, SIGNATURE_FOR_REQUIREMENT) == 0;
}

static int
sign_take(struct cli *cli, void *context, int id, const char *value)
{
	struct sign *sign = context;

	switch (id) {
	case SIGN_KEY:
		sign->key = value;
		return CLI_DONE;
	case SIGN_SIGNATURE:
		sign->signature = value;
		return CLI_DONE;
	case SIGN_FOR:
		sign->purpose = value;
		if (is_purpose(value))
			return CLI_DONE;
		return cli_bad_value(cli, id, value, "config, policy/REALM or requirement");
	default:
		if (value_number(value, 1, INT64_MAX, &sign->serial) == 0)
			return CLI_DONE;
		return cli_bad_value(cli, id, value, "a number from 1");
	}
}

static int
sign_begin(struct cli *cli, struct sign *sign)
{
	int code;

	*sign = (struct sign){.purpose = SIGNATURE_FOR_CONFIG};
	code = cli_parse(cli, sign_take, sign);
	if (code == CLI_GO && sodium_init() < 0)
		return cli_fail(cli, "libsodium does not start");
	return code;
}

/* ---- files ---- */

/* A small file of lines, its first. The caller's to free; NULL after it was said why. */
static char *
line_read(struct cli *cli, const char *path)
{
	struct reason reason;
	size_t size;
	char *line;

	if (filecheck_read(path, geteuid(), LINE_SIZE_MAX, &line, &size, &reason) == 0)
		return line;
	cli_fail(cli, "%s", reason.text);
	return NULL;
}

static int
seed_read(struct cli *cli, const char *path, uint8_t seed[SIGNATURE_SEED_SIZE])
{
	int code = CLI_DONE;
	struct stat st;
	char *line;

	if (path == NULL)
		return cli_usage(cli, "--key is missing: name the file of the secret key");
	if (stat(path, &st) == 0 && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return cli_fail(cli, "%s is open to others (mode %04o); chmod 0600", path,
			st.st_mode & 07777);
	line = line_read(cli, path);
	if (line == NULL)
		return CLI_FAILED;
	if (signature_seed_parse(seed, line) != 0)
		code = cli_fail(
			cli, "%s is no secret key CGX1:...:; make one: credgate sign keygen", path);
	sodium_memzero(line, strlen(line));
	free(line);
	return code;
}

/* A public key as text, or in a file. */
static int
public_read(struct cli *cli, const char *given, uint8_t key[SIGNATURE_PUBLIC_SIZE])
{
	int code = CLI_DONE;
	char *line;

	if (signature_public_parse(key, given) == 0)
		return CLI_DONE;
	line = line_read(cli, given);
	if (line == NULL)
		return CLI_FAILED;
	if (signature_public_parse(key, line) != 0)
		code = cli_fail(cli, "%s is no public key CGP1:...:", given);
	free(line);
	return code;
}

static int
text_digest(struct cli *cli, const char *path, uint8_t digest[SIGNATURE_DIGEST_SIZE])
{
	char *text = malloc(TEXT_SIZE_MAX);
	size_t size;
	int error = text != NULL ? file_read(path, text, TEXT_SIZE_MAX, &size) : -ENOMEM;

	if (error == 0)
		signature_digest(digest, text, size);
	free(text);
	return error == 0 ? CLI_DONE : cli_fail(cli, "%s: %s", path, strerror(-error));
}

/* ---- sign keygen ---- */

static int
keygen_run(struct cli *cli)
{
	uint8_t seed[SIGNATURE_SEED_SIZE], key[SIGNATURE_PUBLIC_SIZE];
	char text[SIGNATURE_KEY_TEXT_SIZE + 2], path[PATH_MAX];
	struct sign sign;
	int error, code = sign_begin(cli, &sign);

	if (code != CLI_GO)
		return code;
	randombytes_buf(seed, sizeof(seed));
	signature_public_of(key, seed);
	signature_seed_text(text, seed);
	memcpy(text + SIGNATURE_KEY_TEXT_SIZE, "\n", 2);
	error = file_create(cli->argv[0], text, SIGNATURE_KEY_TEXT_SIZE + 1);
	sodium_memzero(seed, sizeof(seed));
	if (error != 0)
		return cli_fail(cli, "%s: %s%s", cli->argv[0], strerror(-error),
			error == -EEXIST ? "; it was not touched" : "");
	signature_public_text(text, key);
	memcpy(text + SIGNATURE_KEY_TEXT_SIZE, "\n", 2);
	snprintf(path, sizeof(path), "%s.pub", cli->argv[0]);
	error = file_create(path, text, SIGNATURE_KEY_TEXT_SIZE + 1);
	if (error != 0 || chmod(path, 0644) != 0)
		return cli_fail(cli, "%s: %s; the public key is %.*s", path,
			strerror(error != 0 ? -error : errno), (int)SIGNATURE_KEY_TEXT_SIZE, text);
	fputs(text, stdout);
	return cli_finish(cli, CLI_DONE);
}

const struct cli_verb verb_sign_keygen = {
	.name = "sign keygen",
	.operands = "FILE",
	.summary = "Make a key pair for signing configuration and policies",
	.detail =
		"The secret key goes to FILE, for its owner only; the public one to FILE.pub and\n"
		"to standard output. Keep FILE away from the gateway.\n",
	.examples = "credgate sign keygen ~/credgate-sign.key\n",
	.operands_min = 1,
	.operands_max = 1,
	.run = keygen_run,
};

/* ---- sign ---- */

static const struct cli_option sign_options[] = {
	{"key", SIGN_KEY, "FILE", "the secret key, of credgate sign keygen"},
	{"for", SIGN_FOR, "PURPOSE", "config (the default), policy/REALM, requirement"},
	{"serial", SIGN_SERIAL, "N", "not below the last one (default: seconds since 1970)"},
	{NULL, 0, NULL, NULL},
};

static int
sign_run(struct cli *cli)
{
	char text[SIGNATURE_TEXT_SIZE + 2], path[PATH_MAX];
	uint8_t seed[SIGNATURE_SEED_SIZE], digest[SIGNATURE_DIGEST_SIZE];
	struct reason reason;
	struct sign sign;
	int code = sign_begin(cli, &sign);

	if (code != CLI_GO)
		return code;
	code = text_digest(cli, cli->argv[0], digest);
	if (code == CLI_DONE)
		code = seed_read(cli, sign.key, seed);
	if (code != CLI_DONE)
		return code;
	if (sign.serial == 0)
		sign.serial = (uint64_t)time(NULL);
	signature_make(text, seed, sign.purpose, sign.serial, digest);
	sodium_memzero(seed, sizeof(seed));
	memcpy(text + SIGNATURE_TEXT_SIZE, "\n", 2);
	snprintf(path, sizeof(path), "%s.sig", cli->argv[0]);
	if (filecheck_replace(path, text, SIGNATURE_TEXT_SIZE + 1, &reason) != 0)
		return cli_fail(cli, "%s", reason.text);
	if (chmod(path, 0644) != 0)
		return cli_fail(cli, "%s: %s", path, strerror(errno));
	printf("made %s: for %s, serial %" PRIu64 "\n", path, sign.purpose, sign.serial);
	return cli_finish(cli, CLI_DONE);
}

const struct cli_verb verb_sign = {
	.name = "sign",
	.operands = "FILE",
	.summary = "Sign a configuration or policy file",
	.detail = "Makes FILE.sig, one line. It is good for one purpose only, and for no gateway\n"
		  "that had a higher serial in force: an old file cannot be put back.\n",
	.examples = "credgate sign /etc/credgate/credgate.yaml --key ~/credgate-sign.key\n"
		    "credgate sign lab.yaml --for policy/lab --key ~/credgate-sign.key\n",
	.options = {sign_options},
	.operands_min = 1,
	.operands_max = 1,
	.run = sign_run,
};

/* ---- sign check ---- */

static const struct cli_option check_options[] = {
	{"key", SIGN_KEY, "KEY", "the public key: CGP1:...:, or its file"},
	{"for", SIGN_FOR, "PURPOSE", "config (the default), policy/REALM, requirement"},
	{"signature", SIGN_SIGNATURE, "FILE", "the signature (default: FILE.sig)"},
	{NULL, 0, NULL, NULL},
};

static int
check_run(struct cli *cli)
{
	uint8_t key[SIGNATURE_PUBLIC_SIZE], digest[SIGNATURE_DIGEST_SIZE];
	char path[PATH_MAX], *line;
	struct reason reason;
	struct sign sign;
	uint64_t serial;
	int error, code = sign_begin(cli, &sign);

	if (code != CLI_GO)
		return code;
	if (sign.key == NULL)
		return cli_usage(cli, "--key is missing: give the public key");
	code = public_read(cli, sign.key, key);
	if (code == CLI_DONE)
		code = text_digest(cli, cli->argv[0], digest);
	if (code != CLI_DONE)
		return code;
	snprintf(path, sizeof(path), "%s.sig", cli->argv[0]);
	line = line_read(cli, sign.signature != NULL ? sign.signature : path);
	if (line == NULL)
		return CLI_FAILED;
	error = signature_check(line, key, sign.purpose, digest, &serial, &reason);
	free(line);
	if (error != 0)
		return cli_fail(cli, "%s: %s", cli->argv[0], reason.text);
	printf("good: for %s, serial %" PRIu64 "\n", sign.purpose, serial);
	return cli_finish(cli, CLI_DONE);
}

const struct cli_verb verb_sign_check = {
	.name = "sign check",
	.operands = "FILE",
	.summary = "Check the signature of a file",
	.examples = "credgate sign check credgate.yaml --key ~/credgate-sign.key.pub\n",
	.options = {check_options},
	.operands_min = 1,
	.operands_max = 1,
	.run = check_run,
};

/* ---- sign require ---- */

static const struct cli_option require_options[] = {
	{"key", SIGN_KEY, "FILE", "to change it: the secret key that is required now"},
	{"signature", SIGN_SIGNATURE, "FILE", "or the statement's signature, made elsewhere"},
	{NULL, 0, NULL, NULL},
};

/* What must be signed to change the requirement of the gateway that answered. */
static int
statement_make(struct cli *cli, const json_t *shown, const char *wanted,
	char statement[SIGNATURE_STATEMENT_SIZE])
{
	if (json_is_null(json_object_get(shown, "gateway")))
		return cli_fail(cli, "no signature was ever required: call without --key");
	signature_statement(statement, request_text(shown, "gateway"), wanted);
	return CLI_DONE;
}

/* Signs the statement here, with a serial above all before. */
static int
statement_sign(struct cli *cli, const struct sign *sign, const char *wanted,
	char text[SIGNATURE_TEXT_SIZE + 1])
{
	json_t *shown = request_once(cli, "signature.show", NULL);
	char statement[SIGNATURE_STATEMENT_SIZE];
	uint8_t seed[SIGNATURE_SEED_SIZE], digest[SIGNATURE_DIGEST_SIZE];
	uint64_t serial = (uint64_t)time(NULL), last;
	int code = shown != NULL ? CLI_DONE : CLI_FAILED;

	if (code == CLI_DONE)
		code = statement_make(cli, shown, wanted, statement);
	if (code == CLI_DONE)
		code = seed_read(cli, sign->key, seed);
	if (code == CLI_DONE) {
		last = request_number(json_object_get(shown, "serials"), SIGNATURE_FOR_REQUIREMENT);
		signature_digest(digest, statement, strlen(statement));
		signature_make(text, seed, SIGNATURE_FOR_REQUIREMENT,
			serial > last ? serial : last + 1, digest);
		sodium_memzero(seed, sizeof(seed));
	}
	json_decref(shown);
	return code;
}

static int
require_ask(struct cli *cli, const char *wanted, const char *signature)
{
	json_t *args = json_pack("{s:s}", "public_key", wanted), *result;

	if (signature != NULL)
		json_object_set_new(args, "signature", json_string(signature));
	result = request_once(cli, "signature.require", request_why(cli, args));
	if (result == NULL)
		return CLI_FAILED;
	if (json_is_null(json_object_get(result, "public_key")))
		puts("no signature is required any more");
	else
		printf("required from now on: signatures by %s\n",
			request_text(result, "public_key"));
	json_decref(result);
	return cli_finish(cli, CLI_DONE);
}

static int
require_run(struct cli *cli)
{
	char wanted[SIGNATURE_KEY_TEXT_SIZE + 1] = "none", text[SIGNATURE_TEXT_SIZE + 1];
	uint8_t key[SIGNATURE_PUBLIC_SIZE];
	char *line = NULL;
	struct sign sign;
	int code = sign_begin(cli, &sign);

	if (code != CLI_GO)
		return code;
	code = CLI_DONE;
	if (strcmp(cli->argv[0], "none") != 0) {
		code = public_read(cli, cli->argv[0], key);
		if (code == CLI_DONE)
			signature_public_text(wanted, key);
	}
	if (code == CLI_DONE && sign.signature != NULL) {
		line = line_read(cli, sign.signature);
		code = line != NULL ? CLI_DONE : CLI_FAILED;
	} else if (code == CLI_DONE && sign.key != NULL) {
		code = statement_sign(cli, &sign, wanted, text);
	}
	if (code == CLI_DONE)
		code = require_ask(cli, wanted, line != NULL ? line : sign.key ? text : NULL);
	free(line);
	return code;
}

const struct cli_verb verb_sign_require = {
	.name = "sign require",
	.operands = "PUBLIC-KEY|none",
	.summary = "Require signatures of configuration and policies",
	.detail =
		"From then on the gateway starts and reloads with a configuration signed by this\n"
		"key only, and takes no policy without its signature. Only root and the control\n"
		"user may. Once set, another key or none needs a statement signed by the key in\n"
		"force: made here with --key, or elsewhere (docs/audit.md) with --signature.\n",
	.examples = "credgate sign require ~/credgate-sign.key.pub --why 'change control 4711'\n"
		    "credgate sign require none --key ~/credgate-sign.key\n",
	.options = {require_options},
	.common = CLI_TAKES_CONFIG | CLI_TAKES_RUN_DIR | CLI_TAKES_WHY,
	.operands_min = 1,
	.operands_max = 1,
	.run = require_run,
};

/* ---- sign show ---- */

static int
show_run(struct cli *cli)
{
	int code = cli_parse(cli, NULL, NULL);
	const char *purpose;
	json_t *result, *serial;

	if (code != CLI_GO)
		return code;
	result = request_once(cli, "signature.show", NULL);
	if (result == NULL)
		return CLI_FAILED;
	if (cli->has_json) {
		request_print_json(result);
	} else {
		printf("gateway   %s\nrequired  %s\n", request_text(result, "gateway"),
			request_text(result, "public_key"));
		json_object_foreach(json_object_get(result, "serials"), purpose, serial)
			printf("serial    %s %" JSON_INTEGER_FORMAT "\n", purpose,
				json_integer_value(serial));
	}
	json_decref(result);
	return cli_finish(cli, CLI_DONE);
}

const struct cli_verb verb_sign_show = {
	.name = "sign show",
	.operands = "",
	.summary = "Show which signatures the gateway requires",
	.examples = "credgate sign show\n",
	.common = CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_RUN_DIR,
	.run = show_run,
};
