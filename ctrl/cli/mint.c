/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <credgate/credgate.h>

#include "ctrl/cli/claim.h"
#include "ctrl/cli/file.h"
#include "ctrl/cli/value.h"
#include "ctrl/cli/verbs.h"

/* Serials are taken in steps of this many: one atomic operation, tags made together. */
#define MINT_BATCH 64
#define MINT_MAX   100000000

enum {
	MINT_TEXT = CLI_ID_FIRST,
	MINT_BINARY,
	MINT_REPLY,
};

static const struct cli_option mint_options[] = {
	{"text", MINT_TEXT, NULL, "text form, one per line (default)"},
	{"binary", MINT_BINARY, NULL, "the bytes of the datagram; several follow each other"},
	{"count", 'n', "N", "how many, each with a serial of its own (default: 1)"},
	{"reply", MINT_REPLY, NULL, "ask the gateway for a reply"},
	{"output", 'o', "FILE",
		"write there (a new file is its owner's only); - forces standard output"},
	{NULL, 0, NULL, NULL},
};

struct mint {
	struct claim claim;
	uint64_t count;
	bool is_text;
	bool is_binary;
	const char *output;
	int fd;
};

static int
mint_take(struct cli *cli, void *context, int id, const char *value)
{
	struct mint *mint = context;

	if (claim_has_id(id))
		return claim_take(cli, &mint->claim, id, value);
	switch (id) {
	case 'n':
		if (value_number(value, 1, MINT_MAX, &mint->count))
			return cli_bad_value(cli, id, value, "a number from 1 to 100000000");
		return CLI_DONE;
	case 'o':
		mint->output = value;
		return CLI_DONE;
	case MINT_REPLY:
		mint->claim.claim.wants_reply = 1;
		return CLI_DONE;
	default:
		mint->is_text |= id == MINT_TEXT;
		mint->is_binary |= id == MINT_BINARY;
		if (mint->is_text && mint->is_binary)
			return cli_usage(cli, "--text and --binary exclude each other");
		return CLI_DONE;
	}
}

static int
open_output(struct cli *cli, struct mint *mint)
{
	bool is_stdout = !mint->output || strcmp(mint->output, "-") == 0;

	if (!mint->output && mint->is_binary && isatty(STDOUT_FILENO))
		return cli_usage(
			cli, "not writing bytes to a terminal (-o FILE, or -o - to insist)");
	/* A credential speaks for its node until it is used: nobody else's to read. */
	mint->fd = is_stdout ? STDOUT_FILENO
			     : open(mint->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (mint->fd < 0)
		return cli_fail(cli, "%s: %m", mint->output);
	return CLI_DONE;
}

static int
write_one(const struct mint *mint, const void *credential, size_t size)
{
	char text[CG_TEXT_MAX + 1];
	int length;

	if (mint->is_binary)
		return file_write(mint->fd, credential, size);
	length = cg_text_encode(text, CG_TEXT_MAX, credential, size);
	if (length < 0)
		return length;
	text[length] = '\n';
	return file_write(mint->fd, text, (size_t)length + 1);
}

/* Issues `count` (at most MINT_BATCH) and writes them. */
static int
mint_some(struct cli *cli, const struct mint *mint, struct cg_key *key, size_t count)
{
	static uint8_t credentials[MINT_BATCH][CG_CREDENTIAL_MAX];
	struct cg_claim claims[MINT_BATCH];
	void *buffers[MINT_BATCH];
	size_t sizes[MINT_BATCH], i;
	int status;

	for (i = 0; i < count; i++) {
		claims[i] = mint->claim.claim;
		buffers[i] = credentials[i];
	}
	if (cg_mint_batch(key, claims, count, buffers, CG_CREDENTIAL_MAX, sizes) < 0)
		return cli_fail(cli, "%s", cg_error());
	for (i = 0; i < count; i++) {
		status = write_one(mint, credentials[i], sizes[i]);
		if (status)
			return cli_fail(cli, "cannot write: %s", strerror(-status));
	}
	return CLI_DONE;
}

static int
mint_run(struct cli *cli)
{
	struct mint mint = {.count = 1};
	struct cg_key *key;
	uint64_t left;
	size_t count;
	int code;

	claim_init(&mint.claim);
	code = cli_parse(cli, mint_take, &mint);
	if (code != CLI_GO)
		return code;
	code = claim_open_key(cli, &mint.claim, &key);
	if (code != CLI_DONE)
		return code;
	code = open_output(cli, &mint);
	for (left = mint.count; code == CLI_DONE && left > 0; left -= count) {
		count = left < MINT_BATCH ? (size_t)left : MINT_BATCH;
		code = mint_some(cli, &mint, key, count);
	}
	cg_key_close(key);
	if (mint.output && mint.fd > STDERR_FILENO && close(mint.fd) != 0)
		return cli_fail(cli, "%s: %m", mint.output);
	return code;
}

const struct cli_verb verb_mint = {
	.name = "mint",
	.operands = "",
	.summary = "Issue credentials from a node key and print them",
	.detail = "Needs no gateway. Each credential has a serial that this key never had before;\n"
		  "the state of that is a file beside the key, so the key's directory must be\n"
		  "writable. In realms with origin checks give --origin: the address from which\n"
		  "the credential is going to be sent ('credgate send' finds it by itself).\n",
	.examples = "credgate mint --key n001.key --origin 10.77.0.2 --payload 'job 4711'\n"
		    "credgate mint --key n001.key --binary --count 1000 -o burst.bin\n",
	.options = {mint_options, claim_options},
	.run = mint_run,
};
