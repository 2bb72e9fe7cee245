/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * peer-send: mints credentials beforehand and sends them over an ordinary UDP socket, flat out or
 * at a rate. With --segment the kernel cuts each run of credentials into datagrams itself
 * (UDP_SEGMENT, Linux 4.18), which is the cheapest way out of a socket: one core sends more.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/udp.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "perf/peers/corpus.h"
#include "perf/peers/program.h"

#define BATCH       64u
#define SEGMENT_MAX 64u /* datagrams out of one message: UDP_MAX_SEGMENTS of older kernels */
#define COUNT_MAX   (64u << 20)

struct options {
	struct sockaddr_in to;
	struct sockaddr_in from;
	struct realm realm;
	struct corpus_params corpus;
	const char *master;
	uint64_t rate; /* per second; 0: flat out */
	unsigned segment;
	bool is_held;
};

/* ---- command line ---- */

static void
usage(void)
{
	printf("Usage: peer-send --to ADDRESS:PORT [options]\n\n"
	       "Mints credentials, then sends them, and says as JSON what and how fast.\n\n"
	       "  --from ADDRESS     bind to it and state it as the origin (default 127.0.0.1)\n"
	       "  --count N          credentials (default 1000000)\n"
	       "  --rate N           per second (default 0: flat out)\n"
	       "  --forged P         percent with a wrong tag (default 0)\n"
	       "  --replayed P       percent that repeat the genuine one before (default 0)\n"
	       "  --scheme S         cmac128 (default), or hmac for peer-recvmmsg-sodium\n"
	       "  --segment N        N datagrams (at most 64) out of one message (default 1)\n"
	       "  --nodes N          of nodes 1 to N (default %u)\n"
	       "  --realm ID         (default %u)\n"
	       "  --master FILE      the realm's master secret (default: one that everybody "
	       "knows)\n"
	       "  --hold             mint, say so, and send at SIGUSR1\n"
	       "  --cpu N            stay on that CPU\n",
		REALM_NODES_DEFAULT, REALM_ID_DEFAULT);
}

static enum corpus_scheme
scheme_parse(const char *name)
{
	int scheme = corpus_scheme_find(name);

	if (scheme < 0)
		program_fail("--scheme %s: give cmac128 or hmac", name);
	return (enum corpus_scheme)scheme;
}

static void
option_take(struct options *options, int option, const char *value)
{
	switch (option) {
	case 't':
		options->to = program_address("to", value);
		break;
	case 'f':
		options->from = program_address("from", value);
		break;
	case 'N':
		options->corpus.count = program_number("count", value, 1, COUNT_MAX);
		break;
	case 'R':
		options->rate = program_number("rate", value, 0, 1000000000);
		break;
	case 'F':
		options->corpus.forged_percent = (unsigned)program_number("forged", value, 0, 100);
		break;
	case 'P':
		options->corpus.replayed_percent =
			(unsigned)program_number("replayed", value, 0, 100);
		break;
	case 'S':
		options->corpus.scheme = scheme_parse(value);
		break;
	case 'g':
		options->segment = (unsigned)program_number("segment", value, 1, SEGMENT_MAX);
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
	case 'w':
		options->is_held = true;
		break;
	case 'c':
		program_pin((unsigned)program_number("cpu", value, 0, 1023));
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
		{"to", required_argument, NULL, 't'},
		{"from", required_argument, NULL, 'f'},
		{"count", required_argument, NULL, 'N'},
		{"rate", required_argument, NULL, 'R'},
		{"forged", required_argument, NULL, 'F'},
		{"replayed", required_argument, NULL, 'P'},
		{"scheme", required_argument, NULL, 'S'},
		{"segment", required_argument, NULL, 'g'},
		{"nodes", required_argument, NULL, 'n'},
		{"realm", required_argument, NULL, 'r'},
		{"master", required_argument, NULL, 'k'},
		{"hold", no_argument, NULL, 'w'},
		{"cpu", required_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct options options = {
		.from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
		.realm = {.id = REALM_ID_DEFAULT, .nodes = REALM_NODES_DEFAULT},
		.corpus = {.scheme = CORPUS_CMAC128, .count = 1000000},
		.segment = 1,
	};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
		option_take(&options, option, optarg);
	if (optind < argc)
		program_fail("'%s' is one word too many (see --help)", argv[optind]);
	if (options.to.sin_port == 0)
		program_fail("say where to: --to ADDRESS:PORT (see --help)");
	return options;
}

/* ---- sending ---- */

static int
socket_open(const struct options *options)
{
	const int segment_size = CORPUS_CRED_SIZE;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0)
		program_fail("no socket: %s", strerror(errno));
	if (bind(fd, (const struct sockaddr *)&options->from, sizeof(options->from)) != 0)
		program_fail("cannot send from that address: %s", strerror(errno));
	if (connect(fd, (const struct sockaddr *)&options->to, sizeof(options->to)) != 0)
		program_fail("no way to that address: %s", strerror(errno));
	if (options->segment > 1 &&
		setsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment_size, sizeof(segment_size)) != 0)
		program_fail("--segment: %s; leave it out", strerror(errno));
	return fd;
}

/* Describes up to BATCH credentials as messages of `segment` each; returns how many messages. */
static unsigned
batch_fill(struct mmsghdr *headers, struct iovec *vectors, uint8_t *first, size_t count,
	unsigned segment)
{
	unsigned messages = 0;
	size_t i;

	for (i = 0; i < count; i += segment, messages++) {
		const size_t run = count - i < segment ? count - i : segment;

		vectors[messages] = (struct iovec){
			.iov_base = first + i * CORPUS_CRED_SIZE,
			.iov_len = run * CORPUS_CRED_SIZE,
		};
		headers[messages].msg_hdr = (struct msghdr){
			.msg_iov = &vectors[messages],
			.msg_iovlen = 1,
		};
	}
	return messages;
}

/* All of them, or the end: an error of an earlier datagram (ICMP) is not one of these. */
static void
batch_send(int fd, struct mmsghdr *headers, unsigned count)
{
	unsigned done = 0;

	while (done < count) {
		int sent = sendmmsg(fd, headers + done, count - done, 0);

		if (sent > 0)
			done += (unsigned)sent;
		else if (errno != ECONNREFUSED && errno != ENOBUFS && errno != EINTR)
			program_fail("sendmmsg: %s", strerror(errno));
	}
}

/* Sleeps until the batch that begins with credential number `index` is due. */
static void
due_wait(double begin_s, size_t index, uint64_t rate)
{
	const double at = begin_s + (double)index / (double)rate;
	const struct timespec due = {
		.tv_sec = (time_t)at,
		.tv_nsec = (long)((at - (double)(time_t)at) * 1e9),
	};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

static void
corpus_send(int fd, const struct corpus *corpus, const struct options *options)
{
	const double begin_s = program_seconds(CLOCK_MONOTONIC);
	struct mmsghdr headers[BATCH] = {0};
	struct iovec vectors[BATCH];
	size_t i;

	for (i = 0; i < corpus->count; i += BATCH) {
		const size_t count = corpus->count - i < BATCH ? corpus->count - i : BATCH;

		if (options->rate != 0)
			due_wait(begin_s, i, options->rate);
		batch_send(fd, headers,
			batch_fill(headers, vectors, corpus->msgs + i * CORPUS_CRED_SIZE, count,
				options->segment));
	}
}

static void
corpus_make(struct corpus *corpus, struct options *options)
{
	struct corpus_params *params = &options->corpus;
	int status;

	params->origin[10] = params->origin[11] = 0xff; /* ::ffff:a.b.c.d */
	memcpy(params->origin + 12, &options->from.sin_addr, 4);
	status = realm_init(
		&options->realm, options->realm.id, options->realm.nodes, options->master);
	if (status != 0)
		program_fail(
			"cannot read the master secret %s: %s", options->master, strerror(-status));
	status = corpus_mint(corpus, &options->realm, params);
	if (status != 0)
		program_fail("cannot mint %zu credentials: %s", params->count, strerror(-status));
}

int
main(int argc, char **argv)
{
	struct options options = options_parse(argc, argv);
	double begin_s, begin_cpu_s, elapsed_s;
	struct corpus corpus;
	int fd;

	program_hold_prepare();
	if (sodium_init() < 0)
		program_fail("libsodium does not start");
	corpus_make(&corpus, &options);
	fd = socket_open(&options);
	if (options.is_held) {
		printf("{\"minted\": %zu}\n", corpus.count);
		fflush(stdout);
		program_hold_wait();
	}
	begin_s = program_seconds(CLOCK_MONOTONIC);
	begin_cpu_s = program_seconds(CLOCK_THREAD_CPUTIME_ID);
	corpus_send(fd, &corpus, &options);
	elapsed_s = program_seconds(CLOCK_MONOTONIC) - begin_s;
	printf("{\"sent\": %zu, \"genuine\": %zu, \"forged\": %zu, \"replayed\": %zu, "
	       "\"elapsed_s\": %.6f, \"cpu_s\": %.6f}\n",
		corpus.count, corpus.genuine, corpus.forged, corpus.replayed, elapsed_s,
		program_seconds(CLOCK_THREAD_CPUTIME_ID) - begin_cpu_s);
	close(fd);
	corpus_free(&corpus);
	return 0;
}
