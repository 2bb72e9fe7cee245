/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include <credgate/credgate.h>

#include "ctrl/cli/claim.h"
#include "ctrl/cli/file.h"
#include "ctrl/cli/print.h"
#include "ctrl/cli/request.h"
#include "ctrl/cli/value.h"
#include "ctrl/cli/verbs.h"
#include "verdict/verdict.h"
#include "wire/cred.h"

#define SEND_TIMEOUT_MS_MAX 1000

enum {
	SEND_CREDENTIAL = CLI_ID_FIRST,
	SEND_NO_REPLY,
	SEND_TIMEOUT,
	SEND_SOURCE_PORT,
};

static const struct cli_option send_options[] = {
	{"credential", SEND_CREDENTIAL, "FILE", "send these bytes (text form or not) instead"},
	{"no-reply", SEND_NO_REPLY, NULL, "do not ask for a reply, do not wait"},
	{"timeout", SEND_TIMEOUT, "MS", "how long to repeat and wait, at most 1000 (default)"},
	{"source-port", SEND_SOURCE_PORT, "N", "send from this UDP port"},
	{NULL, 0, NULL, NULL},
};

struct send {
	struct claim claim;
	struct cg_key *key;
	const char *credential;
	bool has_no_reply;
	unsigned timeout_ms;
	uint16_t source_port;
	int fd;
	uint8_t bytes[CG_CREDENTIAL_MAX];
	size_t size;
};

static int
send_take(struct cli *cli, void *context, int id, const char *value)
{
	struct send *send = context;
	uint64_t number;

	if (claim_has_id(id))
		return claim_take(cli, &send->claim, id, value);
	switch (id) {
	case SEND_CREDENTIAL:
		send->credential = value;
		return CLI_DONE;
	case SEND_NO_REPLY:
		send->has_no_reply = true;
		return CLI_DONE;
	case SEND_TIMEOUT:
		if (value_duration(value, 1000, SEND_TIMEOUT_MS_MAX * 1000, &number) ||
			number < 1000)
			return cli_bad_value(cli, id, value, "milliseconds from 1 to 1000");
		send->timeout_ms = (unsigned)(number / 1000);
		return CLI_DONE;
	default:
		if (value_number(value, 1, UINT16_MAX, &number))
			return cli_bad_value(cli, id, value, "a port from 1 to 65535");
		send->source_port = (uint16_t)number;
		return CLI_DONE;
	}
}

/* Exchanges a connected socket for one with the same ends, but our own port chosen. */
static int
bind_port(int fd, uint16_t port)
{
	struct sockaddr_storage ours, theirs;
	socklen_t ours_size = sizeof(ours), theirs_size = sizeof(theirs);
	int other, error = 0;

	if (getsockname(fd, (struct sockaddr *)&ours, &ours_size) != 0 ||
		getpeername(fd, (struct sockaddr *)&theirs, &theirs_size) != 0)
		error = errno;
	close(fd);
	if (error)
		return -error;
	if (ours.ss_family == AF_INET)
		((struct sockaddr_in *)&ours)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)&ours)->sin6_port = htons(port);
	other = socket(ours.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (other < 0)
		return -errno;
	if (bind(other, (struct sockaddr *)&ours, ours_size) == 0 &&
		connect(other, (struct sockaddr *)&theirs, theirs_size) == 0)
		return other;
	error = errno;
	close(other);
	return -error;
}

static int
send_connect(struct cli *cli, struct send *send, const char *endpoint)
{
	char host[VALUE_HOST_SIZE], port[VALUE_PORT_SIZE];
	uint8_t origin[16];
	uint16_t number;

	if (value_endpoint(endpoint, CLI_PORT_DEFAULT, host, port))
		return cli_usage(cli, "'%s': it takes HOST, HOST:PORT or [IPv6]:PORT", endpoint);
	if (value_port(port, &number))
		return cli_usage(cli, "'%s' is no port from 1 to 65535", port);
	send->fd = cg_connect(host, port, origin);
	if (send->fd < 0)
		return cli_fail(cli, "%s", cg_error());
	if (send->source_port)
		send->fd = bind_port(send->fd, send->source_port);
	if (send->fd < 0)
		return cli_fail(cli, "cannot send from port %u: %s", send->source_port,
			strerror(-send->fd));
	if (!send->claim.has_origin)
		memcpy(send->claim.claim.origin, origin, sizeof(origin));
	return CLI_DONE;
}

/* Text form if it looks like it, and as text files end: with a newline. Other bytes go as is, since
 * this is also how one tries what a gateway says to nonsense. */
static int
read_credential(struct cli *cli, struct send *send)
{
	char text[CG_TEXT_MAX + 2];
	size_t size;
	int status = file_read(send->credential, text, sizeof(text), &size), decoded;

	if (status)
		return cli_fail(cli, "%s: %s", send->credential, strerror(-status));
	while (size > 5 && memcmp(text, "CGC1:", 5) == 0 && text[size - 1] == '\n')
		size--;
	decoded = cg_text_decode(send->bytes, sizeof(send->bytes), text, size);
	if (decoded > 0) {
		send->size = (size_t)decoded;
		return CLI_DONE;
	}
	if (size == 0 || size > sizeof(send->bytes))
		return cli_fail(cli, "%s: %zu bytes are no credential", send->credential, size);
	memcpy(send->bytes, text, size);
	send->size = size;
	return CLI_DONE;
}

static int
make_credential(struct cli *cli, struct send *send)
{
	int size;

	if (send->credential)
		return read_credential(cli, send);
	send->claim.claim.wants_reply = !send->has_no_reply;
	size = cg_mint(send->key, &send->claim.claim, send->bytes, sizeof(send->bytes));
	if (size < 0)
		return cli_fail(cli, "%s", cg_error());
	send->size = (size_t)size;
	return CLI_DONE;
}

static void
print_answer_json(const struct cg_answer *answer)
{
	json_t *object = json_pack("{s:s, s:i, s:i, s:s, s:I, s:I, s:I, s:I, s:I}", "verdict",
		verdict_text(answer->verdict), "number", (int)answer->verdict, "exit_code",
		verdict_exit_code(answer->verdict), "first_verdict",
		verdict_text(answer->first_verdict), "round_trip_us",
		(json_int_t)answer->round_trip_us, "sends", (json_int_t)answer->sends, "retry_ms",
		(json_int_t)answer->retry_ms, "floor_issued_us",
		(json_int_t)answer->floor_issued_us, "gateway_time_us",
		(json_int_t)answer->gateway_time_us);
	char serial[24];

	snprintf(serial, sizeof(serial), "%" PRIu64, answer->floor_serial);
	json_object_set_new(object, "floor_serial", json_string(serial));
	request_print_json(object);
	json_decref(object);
}

static void
print_answer(const struct cg_answer *answer)
{
	char time[PRINT_TIME_SIZE];

	printf("%s: %s; round trip %" PRIu32 " us", verdict_text(answer->verdict),
		verdict_meaning(answer->verdict), answer->round_trip_us);
	if (answer->sends > 1)
		printf(", sent %u times", answer->sends);
	if (answer->retry_ms)
		printf(", to be sent again after %" PRIu32 " ms", answer->retry_ms);
	if (answer->floor_serial)
		printf(", floor serial %" PRIu64, answer->floor_serial);
	if (answer->floor_issued_us) {
		print_date_time(time, answer->floor_issued_us);
		printf(", floor %s", time);
	}
	if (verdict_exit_code(answer->verdict) != 0)
		printf("; what to do: %s", verdict_cure(answer->verdict));
	putchar('\n');
}

/* Where it went: "10.0.0.1 port 7475", "[fd77::1] port 7475". */
#define PEER_SIZE 80

static void
peer_format(const struct send *send, char text[PEER_SIZE])
{
	struct sockaddr_storage peer = {0};
	socklen_t size = sizeof(peer);
	char host[INET6_ADDRSTRLEN] = "?";
	bool is_v6;

	getpeername(send->fd, (struct sockaddr *)&peer, &size);
	is_v6 = peer.ss_family == AF_INET6;
	inet_ntop(peer.ss_family,
		is_v6 ? (const void *)&((struct sockaddr_in6 *)&peer)->sin6_addr
		      : (const void *)&((struct sockaddr_in *)&peer)->sin_addr,
		host, sizeof(host));
	/* The port is at the same place in both. */
	snprintf(text, PEER_SIZE, "%s%s%s port %u", is_v6 ? "[" : "", host, is_v6 ? "]" : "",
		ntohs(((struct sockaddr_in *)&peer)->sin_port));
}

/* libcredgate tells in words alone what it saw of ICMP and how often it sent. */
static void
no_answer_reason(const struct cli *cli, const char *error)
{
	char meant[VALUE_MEANT_SIZE];

	if (strstr(error, strerror(ECONNREFUSED)))
		fputs("Its host says (ICMP) that nobody listens on that port.\n", stderr);
	else if (strstr(error, "ICMP"))
		fprintf(stderr, "It cannot be reached:%s.\n", strrchr(error, ':') + 1);
	if (value_endpoint_meant(cli->argv[0], meant) == 0)
		fprintf(stderr, "An IPv6 address with a port has brackets: did you mean %s?\n",
			meant);
}

static int
no_answer(const struct cli *cli, const struct send *send, const char *error)
{
	char peer[PEER_SIZE];
	unsigned sends = 0;

	peer_format(send, peer);
	sscanf(error, "no reply to %u", &sends);
	if (cli->has_json)
		puts("{\"verdict\": null, \"outcome\": \"unknown\", \"exit_code\": 1}");
	cli_fail(cli,
		"no answer from %s within %u ms (%u send%s): the outcome is unknown, the gateway "
		"may have accepted it",
		peer, send->timeout_ms ? send->timeout_ms : SEND_TIMEOUT_MS_MAX, sends,
		sends == 1 ? "" : "s");
	no_answer_reason(cli, error);
	fputs("Gateways say nothing to what is not proved or not fresh: bad-tag (another key),\n"
	      "unknown-realm, unknown-node, revoked, unknown-epoch, replayed; nor to addresses "
	      "that\n"
	      "are not the node's. Else: a wrong address or port, a firewall, no gateway running.\n"
	      "To see which, run on the gateway: credgate watch --refused\n",
		stderr);
	return CLI_FAILED;
}

static int
send_and_wait(struct cli *cli, struct send *send)
{
	struct cg_answer answer = {.size = sizeof(answer)};
	int status = cg_exchange(
		send->key, send->fd, send->bytes, send->size, send->timeout_ms, &answer);

	if (status == -ETIMEDOUT)
		return no_answer(cli, send, cg_error());
	if (status < 0)
		return cli_fail(cli, "%s", cg_error());
	if (cli->has_json)
		print_answer_json(&answer);
	else
		print_answer(&answer);
	return verdict_exit_code(answer.verdict);
}

static int
send_blindly(struct cli *cli, struct send *send)
{
	if (write(send->fd, send->bytes, send->size) != (ssize_t)send->size)
		return cli_fail(cli, "cannot send: %m");
	if (cli->has_json)
		puts("{\"verdict\": null, \"outcome\": \"not asked\", \"exit_code\": 0}");
	else
		printf("sent %zu bytes, no reply asked for\n", send->size);
	return CLI_DONE;
}

/* A reply is proved with the key that issued the request, and comes only if it was asked for. */
static bool
has_reply(const struct send *send)
{
	struct wire_cred cred;

	if (send->has_no_reply)
		return false;
	return cred_parse(send->bytes, send->size, &cred) == WIRE_OK &&
	       (cred.flags & CRED_FLAG_REPLY);
}

static int
send_all(struct cli *cli, struct send *send)
{
	int code = send_connect(cli, send, cli->argv[0]);

	if (code == CLI_DONE)
		code = make_credential(cli, send);
	if (code != CLI_DONE)
		return code;
	if (!has_reply(send))
		return send_blindly(cli, send);
	if (!send->key)
		return cli_usage(
			cli, "the reply needs --key FILE to be proved (or use --no-reply)");
	return send_and_wait(cli, send);
}

static int
send_run(struct cli *cli)
{
	struct send send = {.fd = -1};
	int code;

	claim_init(&send.claim);
	code = cli_parse(cli, send_take, &send);
	if (code != CLI_GO)
		return code;
	if (send.credential && send.claim.is_described)
		return cli_usage(cli, "--credential goes as it is: of the options that say what to "
				      "issue only --key goes with it");
	if (!send.credential || send.claim.key_path) {
		code = claim_open_key(cli, &send.claim, &send.key);
		if (code != CLI_DONE)
			return code;
	}
	code = send_all(cli, &send);
	if (send.key)
		cg_key_close(send.key);
	if (send.fd >= 0)
		close(send.fd);
	return cli_finish(cli, code);
}

const struct cli_verb verb_send = {
	.name = "send",
	.operands = "HOST[:PORT]",
	.summary = "Send a credential to a gateway and print its verdict",
	.detail = "Issues one credential (or takes --credential), sends it over UDP, repeats the\n"
		  "same bytes until an answer proves or the time is over, and prints the verdict\n"
		  "and what to do when it is a refusal. The default port is " CLI_PORT_DEFAULT
		  "; an IPv6 address\nwith a port is written [ADDR]:PORT.\n",
	.examples = "credgate send --key n001.key 10.77.0.1\n"
		    "credgate send --key n001.key --payload-file job.json --json gw1.example:7475\n"
		    "credgate send --key n001.key --credential captured.txt '[fd77::1]:7475'\n",
	.exits = "0\taccepted, or an honest duplicate; with --no-reply: sent\n"
		 "1\tno answer (the outcome is unknown), or it could not be sent\n"
		 "2\twrong usage\n"
		 "32+N\trefused with verdict N: see credgate verdicts\n",
	.options = {send_options, claim_options},
	.common = CLI_TAKES_JSON,
	.operands_min = 1,
	.operands_max = 1,
	.run = send_run,
};
