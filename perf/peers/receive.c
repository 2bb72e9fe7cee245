/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * peer-recvmmsg-openssl and peer-recvmmsg-sodium: what one would write in an afternoon to validate
 * signed UDP credentials with sockets. One thread, one blocking socket with a large buffer,
 * recvmmsg in batches of 64, a table of nodes with a key and a replay window each, the clock read
 * once for each batch. It blocks: a full queue, which is when speed matters, never makes it wait,
 * and an empty one then costs nothing.
 *
 * --memory leaves the sockets out: the same judgement over messages minted beforehand.
 */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/sock_diag.h>

#include "perf/peers/corpus.h"
#include "perf/peers/judge.h"
#include "perf/peers/mac.h"
#include "perf/peers/program.h"

#define BATCH             64u
#define MESSAGE_SIZE_MAX  1344u     /* an odd number of lines: buffers spread over all sets */
#define BUFFER_SIZE       (1 << 30) /* asked for; the kernel doubles it, and takes what is used */
#define POLL_MS           50        /* how soon an end by time or signal is seen */
#define MEMORY_COUNT      65536u    /* credentials of a round */
#define MEMORY_ROUNDS_MAX 1000u

struct options {
	struct sockaddr_in listen;
	struct realm realm;
	const char *master;
	double seconds;
	bool is_memory;
	bool is_held;
};

struct receiver {
	int fd;
	uint64_t received;
	uint64_t first_us;    /* when the first batch had come */
	uint64_t last_us;     /* and the last */
	struct rusage before; /* at the first batch */
	struct mmsghdr headers[BATCH];
	struct iovec vectors[BATCH];
	uint8_t messages[BATCH][MESSAGE_SIZE_MAX];
};

static volatile sig_atomic_t is_ended;

static void
end(int number)
{
	(void)number;
	is_ended = 1;
}

/* ---- command line ---- */

static void
usage(void)
{
	printf("Usage: %s [--listen ADDRESS:PORT | --memory] [options]\n\n"
	       "Validates credentials (scheme %s) and says at its end what it judged, as JSON.\n\n"
	       "  --listen A:P   UDP address (default 127.0.0.1:0: a free port, told at once)\n"
	       "  --memory       no socket: judge credentials minted beforehand, in rounds of %u\n"
	       "  --seconds S    end after that (default 5; 0: at SIGTERM, when nothing is left)\n"
	       "  --hold         begin to receive at SIGUSR1, from a full socket buffer\n"
	       "  --nodes N      nodes 1 to N of the realm (default %u)\n"
	       "  --realm ID     (default %u)\n"
	       "  --master FILE  the realm's master secret (default: one that everybody knows)\n"
	       "  --cpu N        stay on that CPU\n",
		mac_program, mac_scheme, MEMORY_COUNT, REALM_NODES_DEFAULT, REALM_ID_DEFAULT);
}

static void
option_take(struct options *options, int option, const char *value)
{
	switch (option) {
	case 'l':
		options->listen = program_address("listen", value);
		break;
	case 's':
		options->seconds = (double)program_number("seconds", value, 0, 86400);
		break;
	case 'n':
		options->realm.nodes = (uint32_t)program_number("nodes", value, 1, REALM_NODES_MAX);
		break;
	case 'r':
		options->realm.id = (uint32_t)program_number("realm", value, 1, UINT32_MAX);
		break;
	case 'k':
		options->master = value;
		break;
	case 'c':
		program_pin((unsigned)program_number("cpu", value, 0, 1023));
		break;
	case 'm':
		options->is_memory = true;
		break;
	case 'w':
		options->is_held = true;
		break;
	case 'h':
		usage();
		exit(0);
	default:
		exit(2);
	}
}

static struct options
options_parse(int argc, char **argv)
{
	static const struct option known[] = {
		{"listen", required_argument, NULL, 'l'},
		{"seconds", required_argument, NULL, 's'},
		{"nodes", required_argument, NULL, 'n'},
		{"realm", required_argument, NULL, 'r'},
		{"master", required_argument, NULL, 'k'},
		{"cpu", required_argument, NULL, 'c'},
		{"memory", no_argument, NULL, 'm'},
		{"hold", no_argument, NULL, 'w'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct options options = {
		.listen = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
		.realm = {.id = REALM_ID_DEFAULT, .nodes = REALM_NODES_DEFAULT},
		.seconds = 5,
	};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
		option_take(&options, option, optarg);
	if (optind < argc)
		program_fail("'%s' is one word too many (see --help)", argv[optind]);
	return options;
}

/* ---- sockets ---- */

/* Beyond the system's limit where we may; else what it allows. */
static void
socket_buffer_set(int fd)
{
	const int size = BUFFER_SIZE;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

static int
socket_open(const struct sockaddr_in *address)
{
	const struct timeval timeout = {.tv_usec = POLL_MS * 1000};
	struct sockaddr_in bound;
	socklen_t size = sizeof(bound);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0)
		program_fail("no socket: %s", strerror(errno));
	socket_buffer_set(fd);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) != 0)
		program_fail(
			"cannot listen on port %u: %s", ntohs(address->sin_port), strerror(errno));
	getsockname(fd, (struct sockaddr *)&bound, &size);
	printf("{\"listening\": %u}\n", ntohs(bound.sin_port));
	fflush(stdout);
	return fd;
}

/* Datagrams that found no room in the socket's buffer. */
static uint32_t
socket_drops(int fd)
{
	uint32_t memory[SK_MEMINFO_VARS] = {0};
	socklen_t size = sizeof(memory);

	getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &size);
	return memory[SK_MEMINFO_DROPS];
}

static void
receiver_init(struct receiver *receiver, const struct sockaddr_in *address)
{
	unsigned i;

	receiver->fd = socket_open(address);
	for (i = 0; i < BATCH; i++) {
		receiver->vectors[i] = (struct iovec){
			.iov_base = receiver->messages[i],
			.iov_len = MESSAGE_SIZE_MAX,
		};
		receiver->headers[i].msg_hdr = (struct msghdr){
			.msg_iov = &receiver->vectors[i],
			.msg_iovlen = 1,
		};
	}
}

static void
batch_judge(struct receiver *receiver, struct judge *judge, unsigned count)
{
	const uint64_t now_us = realm_now_us();
	unsigned i;

	if (receiver->received == 0) {
		receiver->first_us = now_us;
		getrusage(RUSAGE_SELF, &receiver->before);
	}
	for (i = 0; i < count; i++)
		judge_message(judge, receiver->messages[i], receiver->headers[i].msg_len, now_us);
	receiver->received += count;
	receiver->last_us = now_us;
}

/* After a signal: until nothing is left of what had come by then. */
static void
receive(struct receiver *receiver, struct judge *judge, double seconds)
{
	const uint64_t end_us = realm_now_us() + (uint64_t)(seconds * 1e6);

	do {
		int count = recvmmsg(receiver->fd, receiver->headers, BATCH, MSG_WAITFORONE, NULL);

		if (count > 0)
			batch_judge(receiver, judge, (unsigned)count);
		else if (errno != EAGAIN && errno != EINTR)
			program_fail("recvmmsg: %s", strerror(errno));
		else if (is_ended)
			break;
	} while (seconds == 0 || realm_now_us() < end_us);
}

static double
seconds_between(struct timeval begin, struct timeval end)
{
	return (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_usec - begin.tv_usec) * 1e-6;
}

static void
refusals_print(const struct judge *judge)
{
	const uint64_t *counts = judge_counts(judge);
	const char *separator = "";
	unsigned i;

	printf("\"refused\": {");
	for (i = VERDICT_ACCEPTED + 1; i < VERDICT_COUNT; i++) {
		if (counts[i] == 0)
			continue;
		printf("%s\"%s\": %" PRIu64, separator, verdict_text(i), counts[i]);
		separator = ", ";
	}
	printf("}");
}

static void
receiver_report(const struct receiver *receiver, const struct judge *judge)
{
	const uint64_t accepted = judge_counts(judge)[VERDICT_ACCEPTED];
	struct rusage after;

	getrusage(RUSAGE_SELF, &after);
	printf("{\"program\": \"%s\", \"received\": %" PRIu64 ", \"accepted\": %" PRIu64 ", ",
		mac_program, receiver->received, accepted);
	refusals_print(judge);
	printf(", \"dropped\": %u, \"elapsed_s\": %.6f, \"cpu_user_s\": %.6f, "
	       "\"cpu_system_s\": %.6f}\n",
		socket_drops(receiver->fd), (double)(receiver->last_us - receiver->first_us) * 1e-6,
		receiver->received ? seconds_between(receiver->before.ru_utime, after.ru_utime) : 0,
		receiver->received ? seconds_between(receiver->before.ru_stime, after.ru_stime)
				   : 0);
}

static void
sockets_run(const struct options *options, struct judge *judge)
{
	static struct receiver receiver;

	receiver_init(&receiver, &options->listen);
	if (options->is_held)
		program_hold_wait();
	receive(&receiver, judge, options->seconds);
	receiver_report(&receiver, judge);
	close(receiver.fd);
}

/* ---- in memory ---- */

/* CPU nanoseconds for each credential of one round. */
static double
round_judge(struct judge *judge, const struct corpus *corpus)
{
	const double begin_s = program_seconds(CLOCK_THREAD_CPUTIME_ID);
	uint64_t now_us = 0;
	size_t i;

	for (i = 0; i < corpus->count; i++) {
		if (i % BATCH == 0)
			now_us = realm_now_us();
		judge_message(judge, corpus->msgs + i * CORPUS_CRED_SIZE, CORPUS_CRED_SIZE, now_us);
	}
	return (program_seconds(CLOCK_THREAD_CPUTIME_ID) - begin_s) * 1e9 / (double)corpus->count;
}

static double
round_run(struct judge *judge, const struct realm *realm)
{
	const struct corpus_params params = {
		.scheme = (enum corpus_scheme)corpus_scheme_find(mac_scheme),
		.count = MEMORY_COUNT,
	};
	struct corpus corpus;
	int status = corpus_mint(&corpus, realm, &params);
	double ns;

	if (status != 0)
		program_fail("cannot mint: %s", strerror(-status));
	ns = round_judge(judge, &corpus);
	corpus_free(&corpus);
	return ns;
}

/* All are genuine and fresh. The round that touches memory for the first time is left out. */
static void
memory_run(const struct options *options, struct judge *judge)
{
	const double end_s = program_seconds(CLOCK_MONOTONIC) + options->seconds;
	static double ns[MEMORY_ROUNDS_MAX];
	unsigned rounds = 0;

	round_run(judge, &options->realm);
	do
		ns[rounds++] = round_run(judge, &options->realm);
	while (!is_ended && rounds < MEMORY_ROUNDS_MAX && program_seconds(CLOCK_MONOTONIC) < end_s);
	if (judge_counts(judge)[VERDICT_ACCEPTED] != (rounds + 1) * (uint64_t)MEMORY_COUNT)
		program_fail("a genuine credential was refused");
	printf("{\"program\": \"%s\", \"nodes\": %u, \"rounds\": %u, \"ns\": %.2f}\n", mac_program,
		options->realm.nodes, rounds, program_median(ns, rounds));
}

/* ---- main ---- */

/* SIGUSR1 waits until --hold asks for it; the others interrupt what blocks. */
static void
signals_init(void)
{
	const struct sigaction action = {.sa_handler = end};

	program_hold_prepare();
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
}

int
main(int argc, char **argv)
{
	struct options options = options_parse(argc, argv);
	struct judge *judge;
	int status;

	if (sodium_init() < 0)
		program_fail("libsodium does not start");
	signals_init();
	status = realm_init(&options.realm, options.realm.id, options.realm.nodes, options.master);
	if (status != 0)
		program_fail(
			"cannot read the master secret %s: %s", options.master, strerror(-status));
	judge = judge_create(&options.realm);
	if (judge == NULL)
		program_fail("no memory for %u nodes, or no such MAC", options.realm.nodes);
	if (options.is_memory)
		memory_run(&options, judge);
	else
		sockets_run(&options, judge);
	judge_destroy(judge);
	return 0;
}
