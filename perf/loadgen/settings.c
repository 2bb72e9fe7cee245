/* SPDX-License-Identifier: BSD-3-Clause */

#include "perf/loadgen/settings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/loadgen/fail.h"
#include "wire/cred.h"

#define SHARE_ONE ((uint64_t)1 << 32)

/* X(ID, "name", "ARGUMENT" or NULL, "help") */
#define OPTIONS(X)                                                                                 \
	X(PORT, "port", "SPEC",                                                                    \
		"device: net_memif0,role=client,... net_af_packet0,iface=X, or a PCI address")     \
	X(CORE, "core", "N", "CPU of the busy loop (default: the last allowed one)")               \
	X(HUGEPAGES, "hugepages", NULL, "use 2 MB pages for packets (default: none needed)")       \
	X(MEMORY, "memory", "MB", "DPDK's memory (default 256)")                                   \
	X(FILE_PREFIX, "file-prefix", "NAME", "DPDK's run-time directory (default: by process)")   \
	X(QUEUES, "queues", "N", "transmit queues, bursts in turn (default 1)")                    \
	X(DESCRIPTORS, "descriptors", "N",                                                         \
		"of each queue (default 1024, where the device lets choose)")                      \
	X(MASTER, "master", "FILE", "the realm's master secret: keys of nodes 1 to N")             \
	X(KEYS, "keys", "DIR", "node key files (*.key) instead")                                   \
	X(REALM, "realm-id", "N", "the realm (with --master)")                                     \
	X(EPOCH, "epoch", "N", "the nodes' epoch (default 1; with --master)")                      \
	X(NODES, "nodes", "N", "nodes 1 to N speak (default 1; up to 1048576)")                    \
	X(ORDER, "node-order", "ORDER", "random (default) or round-robin")                         \
	X(SUITE, "suite", "LIST",                                                                  \
		"cmac128, cmac256, sealed128 (default), sealed256; several: node by node in turn") \
	X(KERNEL, "kernel", "NAME", "auto (default), ipsecmb, aesni, vaes512")                     \
	X(PAYLOAD, "payload", "LIST", "bytes (default 0), or several with weights: 0:90,204:10")   \
	X(KIND, "kind", "KIND", "assert (default) or beacon")                                      \
	X(AUDIENCE, "audience", "N", "number of the service (default 0, any)")                     \
	X(TTL, "ttl", "S", "time to live (default 0: the realm's)")                                \
	X(UID, "uid", "N", "who speaks (default 1000)")                                            \
	X(GID, "gid", "N", "likewise the group (default 1000)")                                    \
	X(TO, "to", "IP[:PORT]", "the gateway, [V6]:PORT for IPv6 (default port 7475)")            \
	X(TO_MAC, "to-mac", "MAC", "its hardware address (default: asked by ARP or NDP)")          \
	X(FROM, "from", "IP[/BITS]", "source and origin; a prefix gives each node an address")     \
	X(FROM_PORT, "from-port", "N[:COUNT]", "source ports, node by node (default 40000:1)")     \
	X(VLAN, "vlan", "N", "802.1Q tag, 1 to 4094")                                              \
	X(CHECKSUM, "checksum", "WHICH", "of UDP: full (default), partial (as kernels do), none")  \
	X(RATE, "rate", "PPS",                                                                     \
		"packets per second, as 250000, 250k or 1.5M (default 0: flat out)")               \
	X(SECONDS, "seconds", "S", "how long (default 10)")                                        \
	X(COUNT, "count", "N", "stop after N packets")                                             \
	X(FORGED, "forged", "PCT", "share with a wrong tag, of known nodes")                       \
	X(REPLAYED, "replayed", "PCT", "share of bytes that were sent before")                     \
	X(MALFORMED, "malformed", "PCT", "share that is no credential")                            \
	X(UNKNOWN, "unknown", "PCT", "share of nodes that are not there")                          \
	X(REPLY, "reply", "PCT", "share of the genuine that asks for a reply")                     \
	X(SEED, "seed", "N", "of the shares, lengths and order (default 1)")                       \
	X(VERDICTS, "verdicts", "SOCKET", "read verdicts too: the gateway's consumer socket")      \
	X(GROUP, "group", "NAME", "of consumers (with --verdicts)")                                \
	X(VERDICTS_AS, "verdicts-as", "UID[:GID]", "attach as the group's reader (needs root)")    \
	X(SAMPLE, "sample", "N", "time one in N, a power of two (default 1; flat out 16)")         \
	X(TX_WAIT, "tx-wait", "US",                                                                \
		"offer again what the port does not take (default 100; flat "                      \
		"out: until taken)")                                                               \
	X(LINGER, "linger", "MS",                                                                  \
		"go on receiving at the end (default 200, or 0 if nothing comes)")                 \
	X(STATS_PORT, "stats-port", NULL, "all counters of the device in the report")              \
	X(MINT_ONLY, "mint-only", NULL, "no port: what minting costs alone")                       \
	X(RAW, "raw", NULL, "send frames minted before, again and again")                          \
	X(JSON, "json", NULL, "report as JSON on standard output; no progress")                    \
	X(HELP, "help", NULL, "this text")

enum option_id {
	OPTION_NONE = 255, /* behind all characters */
#define OPTION_ID(ID, name, argument, help) OPTION_##ID,
	OPTIONS(OPTION_ID)
#undef OPTION_ID
};

static const struct option long_options[] = {
#define OPTION_LONG(ID, name, argument, help) \
	{name, (argument) != NULL ? required_argument : no_argument, NULL, OPTION_##ID},
	OPTIONS(OPTION_LONG)
#undef OPTION_LONG
		{NULL, 0, NULL, 0},
};

static void
help_line(const char *name, const char *argument, const char *help)
{
	char left[40];

	snprintf(left, sizeof(left), "--%s%s%s", name, argument ? " " : "",
		argument ? argument : "");
	printf("  %-24s %s\n", left, help);
}

static void
help_show(void)
{
	printf("usage: credgate-loadgen --port SPEC --master FILE --realm-id N --to IP --from IP "
	       "[OPTION...]\n"
	       "       credgate-loadgen --mint-only --master FILE --realm-id N [OPTION...]\n\n"
	       "Mints genuine credentials of many nodes and sends them at a set rate or flat out.\n"
	       "Progress goes to standard error, the report to standard output.\n\n");
#define OPTION_HELP(ID, name, argument, help) help_line(name, argument, help);
	OPTIONS(OPTION_HELP)
#undef OPTION_HELP
	printf("\nExit: 0 sent, 1 failed, 2 wrong command line. See docs/loadgen.md.\n");
}

/* ---- values ---- */

static int
number_take(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 0);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || *number < min ||
		*number > max)
		return fail("--%s: '%s' is no number from %llu to %llu", option, text,
			(unsigned long long)min, (unsigned long long)max);
	return 0;
}

/* A number that goes to a narrower field. */
#define NUMBER_TAKE(field, option, text, min, max)                      \
	({                                                              \
		uint64_t taken_ = 0;                                    \
		int rc_ = number_take(option, text, min, max, &taken_); \
		if (rc_ == 0)                                           \
			(field) = (__typeof__(field))taken_;            \
		rc_;                                                    \
	})

static int
real_take(const char *option, const char *text, double max, double *value)
{
	char *end;

	*value = strtod(text, &end);
	if (end != text && (*end == 'k' || *end == 'M'))
		*value *= *end++ == 'k' ? 1e3 : 1e6;
	if (end == text || *end != '\0' || !isfinite(*value) || *value < 0 || *value > max)
		return fail("--%s: '%s' is no number from 0 to %g", option, text, max);
	return 0;
}

static int
share_take(const char *option, const char *text, uint64_t *share)
{
	double percent;

	if (real_take(option, text, 100, &percent) != 0)
		return -1;
	*share = (uint64_t)(percent / 100 * (double)SHARE_ONE);
	return 0;
}

static int
suite_find(const char *name, size_t length)
{
	static const char *const names[] = {NULL, "cmac128", "cmac256", "sealed128", "sealed256"};
	int suite;

	for (suite = 1; suite < (int)CRED_SUITE_COUNT; suite++)
		if (strlen(names[suite]) == length && strncmp(names[suite], name, length) == 0)
			return suite;
	return 0;
}

static int
suites_take(struct settings *s, const char *text)
{
	s->suite_count = 0;
	for (;;) {
		const size_t length = strcspn(text, ",");
		const int suite = suite_find(text, length);

		if (suite == 0 || s->suite_count == SETTINGS_SUITES_MAX)
			return fail("--suite: '%s' is none: write cmac128, cmac256, sealed128, "
				    "sealed256, or up to four with commas",
				text);
		s->suites[s->suite_count++] = (uint8_t)suite;
		if (text[length] == '\0')
			return 0;
		text += length + 1;
	}
}

/* "204", "0:90,204:10" */
static int
payloads_take(struct settings *s, const char *text)
{
	const char *at = text;

	for (s->payload_count = 0; s->payload_count < SETTINGS_PAYLOADS_MAX; s->payload_count++) {
		unsigned size, weight = 1;
		int used = 0, more = 0;

		if (sscanf(at, "%4u%n:%6u%n", &size, &used, &weight, &more) < 1)
			break;
		at += more > used ? more : used;
		if (size > CRED_PAYLOAD_SIZE_MAX || weight == 0)
			break;
		s->payload_sizes[s->payload_count] = (uint16_t)size;
		s->payload_weights[s->payload_count] = weight;
		if (*at == '\0') {
			s->payload_count++;
			return 0;
		}
		if (*at++ != ',')
			break;
	}
	return fail("--payload: '%s' is none: write bytes from 0 to %u, or up to %u such with "
		    "weights, as 0:90,204:10",
		text, CRED_PAYLOAD_SIZE_MAX, SETTINGS_PAYLOADS_MAX);
}

static int
address_take(const char *option, const char *text, uint8_t address[16])
{
	memset(address, 0, 16);
	if (inet_pton(AF_INET6, text, address) == 1)
		return 0;
	memset(address + 10, 0xff, 2);
	if (inet_pton(AF_INET, text, address + 12) == 1)
		return 0;
	return fail("--%s: '%s' is no address: write 10.77.0.1 or fd77::1", option, text);
}

static int
to_take(struct settings *s, const char *text)
{
	char host[64];
	const char *port = NULL;

	snprintf(host, sizeof(host), "%s", text[0] == '[' ? text + 1 : text);
	if (text[0] == '[') {
		char *end = strchr(host, ']');

		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return fail("--to: '%s': write [V6] or [V6]:PORT", text);
		*end = '\0';
		port = end[1] == ':' ? end + 2 : NULL;
	} else if (strchr(host, ':') != NULL && strchr(host, ':') == strrchr(host, ':')) {
		*strchr(host, ':') = '\0';
		port = strchr(text, ':') + 1;
	}
	if (port != NULL && NUMBER_TAKE(s->to_port, "to", port, 1, 65535) != 0)
		return -1;
	return address_take("to", host, s->to);
}

static int
from_take(struct settings *s, const char *text)
{
	const char *slash = strchr(text, '/');
	unsigned bits_max;
	char host[64];

	snprintf(host, sizeof(host), "%.*s", slash ? (int)(slash - text) : (int)strlen(text), text);
	if (address_take("from", host, s->from) != 0)
		return -1;
	bits_max = settings_is_ipv4(s->from) ? 32 : 128;
	s->from_bits = bits_max;
	return slash ? NUMBER_TAKE(s->from_bits, "from", slash + 1, 8, bits_max) : 0;
}

static int
from_port_take(struct settings *s, const char *text)
{
	char first[16];
	const char *colon = strchr(text, ':');

	snprintf(first, sizeof(first), "%.*s", (int)strcspn(text, ":"), text);
	if (NUMBER_TAKE(s->from_port, "from-port", first, 1, 65535) != 0)
		return -1;
	return colon ? NUMBER_TAKE(s->from_ports, "from-port", colon + 1, 1, 65536u - s->from_port)
		     : 0;
}

static int
mac_take(struct settings *s, const char *text)
{
	int used = 0;

	if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &s->to_mac[0], &s->to_mac[1],
		    &s->to_mac[2], &s->to_mac[3], &s->to_mac[4], &s->to_mac[5], &used) != 6 ||
		text[used] != '\0')
		return fail("--to-mac: '%s' is none: write it as 02:c6:00:00:00:01", text);
	s->has_to_mac = true;
	return 0;
}

static int
verdicts_as_take(struct settings *s, const char *text)
{
	const char *colon = strchr(text, ':');
	char uid[16];

	snprintf(uid, sizeof(uid), "%.*s", (int)strcspn(text, ":"), text);
	if (NUMBER_TAKE(s->verdicts_uid, "verdicts-as", uid, 0, UINT32_MAX - 1) != 0)
		return -1;
	s->has_verdicts_as = true;
	s->verdicts_gid = s->verdicts_uid;
	return colon ? NUMBER_TAKE(s->verdicts_gid, "verdicts-as", colon + 1, 0, UINT32_MAX - 1)
		     : 0;
}

/* One of two or three words; its index, or -1. */
static int
word_take(const char *option, const char *text, const char *const *words, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		if (strcmp(text, words[i]) == 0)
			return (int)i;
	return fail("--%s: '%s' is not known: write %s, %s%s%s", option, text, words[0], words[1],
		count > 2 ? " or " : "", count > 2 ? words[2] : "");
}

static int
order_take(struct settings *s, const char *text)
{
	const int word =
		word_take("node-order", text, (const char *const[]){"random", "round-robin"}, 2);

	s->is_round_robin = word == 1;
	return word < 0 ? -1 : 0;
}

static int
kind_take(struct settings *s, const char *text)
{
	const int word = word_take("kind", text, (const char *const[]){"assert", "beacon"}, 2);

	s->kind = word == 1 ? CRED_KIND_BEACON : CRED_KIND_ASSERT;
	return word < 0 ? -1 : 0;
}

static int
checksum_take(struct settings *s, const char *text)
{
	const int word =
		word_take("checksum", text, (const char *const[]){"full", "partial", "none"}, 3);

	s->checksum = (enum settings_checksum)word;
	return word < 0 ? -1 : 0;
}

static int
sample_take(struct settings *s, const char *text)
{
	if (NUMBER_TAKE(s->sample, "sample", text, 1, 65536) != 0)
		return -1;
	if ((s->sample & (s->sample - 1)) != 0)
		return fail("--sample: %u is no power of two", s->sample);
	return 0;
}

/* ---- options ---- */

static int
option_take(struct settings *s, enum option_id id, const char *text)
{
	switch (id) {
	case OPTION_PORT:
		s->port = text;
		return 0;
	case OPTION_CORE:
		return NUMBER_TAKE(s->core, "core", text, 0, 1023);
	case OPTION_HUGEPAGES:
		s->use_hugepages = true;
		return 0;
	case OPTION_MEMORY:
		return NUMBER_TAKE(s->memory_mb, "memory", text, 32, 1048576);
	case OPTION_FILE_PREFIX:
		s->file_prefix = text;
		return 0;
	case OPTION_QUEUES:
		return NUMBER_TAKE(s->queues, "queues", text, 1, SETTINGS_QUEUES_MAX);
	case OPTION_DESCRIPTORS:
		return NUMBER_TAKE(s->descriptors, "descriptors", text, 32, 32768);
	case OPTION_MASTER:
		s->master = text;
		return 0;
	case OPTION_KEYS:
		s->keys_dir = text;
		return 0;
	case OPTION_REALM:
		return NUMBER_TAKE(s->realm, "realm-id", text, 1, UINT32_MAX);
	case OPTION_EPOCH:
		return NUMBER_TAKE(s->epoch, "epoch", text, 1, UINT16_MAX);
	case OPTION_NODES:
		return NUMBER_TAKE(s->nodes, "nodes", text, 1, SETTINGS_NODES_MAX);
	case OPTION_ORDER:
		return order_take(s, text);
	case OPTION_SUITE:
		return suites_take(s, text);
	case OPTION_KERNEL:
		s->kernel = text;
		return 0;
	case OPTION_PAYLOAD:
		return payloads_take(s, text);
	case OPTION_KIND:
		return kind_take(s, text);
	case OPTION_AUDIENCE:
		return NUMBER_TAKE(s->audience, "audience", text, 0, UINT32_MAX);
	case OPTION_TTL:
		return NUMBER_TAKE(s->ttl_s, "ttl", text, 0, UINT32_MAX);
	case OPTION_UID:
		return NUMBER_TAKE(s->uid, "uid", text, 0, UINT32_MAX - 1);
	case OPTION_GID:
		return NUMBER_TAKE(s->gid, "gid", text, 0, UINT32_MAX - 1);
	case OPTION_TO:
		return to_take(s, text);
	case OPTION_TO_MAC:
		return mac_take(s, text);
	case OPTION_FROM:
		return from_take(s, text);
	case OPTION_FROM_PORT:
		return from_port_take(s, text);
	case OPTION_VLAN:
		return NUMBER_TAKE(s->vlan, "vlan", text, 1, 4094);
	case OPTION_CHECKSUM:
		return checksum_take(s, text);
	case OPTION_RATE:
		return real_take("rate", text, 1e9, &s->rate);
	case OPTION_SECONDS:
		return real_take("seconds", text, 1e6, &s->seconds);
	case OPTION_COUNT:
		return number_take("count", text, 1, UINT64_MAX / 2, &s->count);
	case OPTION_FORGED:
		return share_take("forged", text, &s->shares.forged);
	case OPTION_REPLAYED:
		return share_take("replayed", text, &s->shares.replayed);
	case OPTION_MALFORMED:
		return share_take("malformed", text, &s->shares.malformed);
	case OPTION_UNKNOWN:
		return share_take("unknown", text, &s->shares.unknown);
	case OPTION_REPLY:
		return share_take("reply", text, &s->shares.reply);
	case OPTION_SEED:
		return number_take("seed", text, 0, UINT64_MAX, &s->seed);
	case OPTION_VERDICTS:
		s->verdicts = text;
		return 0;
	case OPTION_GROUP:
		s->group = text;
		return 0;
	case OPTION_VERDICTS_AS:
		return verdicts_as_take(s, text);
	case OPTION_SAMPLE:
		return sample_take(s, text);
	case OPTION_TX_WAIT:
		return number_take("tx-wait", text, 0, 60000000, &s->tx_wait_us);
	case OPTION_LINGER:
		return NUMBER_TAKE(s->linger_ms, "linger", text, 0, 60000);
	case OPTION_STATS_PORT:
		s->has_xstats = true;
		return 0;
	case OPTION_MINT_ONLY:
		s->mode = SETTINGS_MINT_ONLY;
		return 0;
	case OPTION_RAW:
		s->mode = SETTINGS_RAW;
		return 0;
	case OPTION_JSON:
		s->is_json = true;
		return 0;
	case OPTION_HELP:
		help_show();
		return 1;
	case OPTION_NONE:
		break;
	}
	return fail("try --help");
}

/* ---- what must fit together ---- */

static int
keys_check(const struct settings *s)
{
	if ((s->master != NULL) == (s->keys_dir != NULL))
		return fail("give --master FILE and --realm-id N, or --keys DIR (docs/loadgen.md "
			    "says where a gateway has them)");
	if (s->master != NULL && s->realm == 0)
		return fail("--master needs --realm-id N, the realm's id in the configuration");
	return 0;
}

static int
way_check(struct settings *s)
{
	static const uint8_t none[16];

	if (s->mode == SETTINGS_MINT_ONLY) {
		if (memcmp(s->to, none, 16) == 0)
			address_take("to", "10.77.0.1", s->to);
		if (s->from_bits == 0)
			from_take(s, "10.77.0.2");
	} else if (s->port == NULL) {
		return fail("give --port SPEC, or --mint-only");
	}
	if (memcmp(s->to, none, 16) == 0)
		return fail("give --to IP, the gateway's address");
	if (s->from_bits == 0)
		return fail("give --from IP, an address of the nodes");
	if (settings_is_ipv4(s->to) != settings_is_ipv4(s->from))
		return fail("--to and --from: one is IPv4, the other IPv6; give both alike");
	if (s->checksum == SETTINGS_CHECKSUM_NONE && !settings_is_ipv4(s->to))
		return fail("--checksum none: IPv6 has no UDP without a checksum (RFC 8200, 8.1)");
	return 0;
}

static int
shares_check(const struct settings *s)
{
	const struct settings_shares *shares = &s->shares;

	if (shares->forged + shares->replayed + shares->malformed + shares->unknown > SHARE_ONE)
		return fail("--forged, --replayed, --malformed and --unknown are over 100 percent "
			    "together");
	if (shares->replayed > 0 && shares->reply == SHARE_ONE)
		return fail("--replayed: needs credentials that ask for no reply (what does and "
			    "comes again from the same socket is an honest retransmission); lower "
			    "--reply");
	if (s->mode == SETTINGS_RAW && shares->forged + shares->replayed + shares->malformed +
						       shares->unknown + shares->reply >
					       0)
		return fail("--raw sends one kind of frame: leave the shares out");
	if (s->group != NULL && s->verdicts == NULL)
		return fail("--group needs --verdicts SOCKET");
	if (s->verdicts != NULL && s->group == NULL)
		return fail("--verdicts needs --group NAME, as in the gateway's configuration");
	return 0;
}

/* Flat out, what the port does not take now is waited for, not thrown away. */
static void
defaults_finish(struct settings *s)
{
	if (s->tx_wait_us == UINT64_MAX && s->rate > 0)
		s->tx_wait_us = 100;
	if (s->sample == 0)
		s->sample = s->rate > 0 ? 1 : 16;
	if (s->linger_ms == SETTINGS_LINGER_DEFAULT)
		s->linger_ms = settings_wants_replies(s) || s->verdicts != NULL ? 200 : 0;
	if (s->count > 0 && s->seconds < 0)
		s->seconds = 1e6;
	else if (s->seconds < 0)
		s->seconds = s->mode == SETTINGS_MINT_ONLY ? 1 : 10;
}

int
settings_parse(struct settings *settings, int argc, char **argv)
{
	int id, rc;

	*settings = (struct settings){
		.core = -1,
		.memory_mb = 256,
		.queues = 1,
		.to_port = 7475,
		.from_port = 40000,
		.from_ports = 1,
		.epoch = 1,
		.nodes = 1,
		.suites = {CRED_SUITE_DEFAULT},
		.suite_count = 1,
		.kernel = "auto",
		.payload_weights = {1},
		.payload_count = 1,
		.kind = CRED_KIND_ASSERT,
		.uid = 1000,
		.gid = 1000,
		.seed = 1,
		.seconds = -1,
		.tx_wait_us = UINT64_MAX,
		.linger_ms = SETTINGS_LINGER_DEFAULT,
	};
	opterr = 0;
	while ((id = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		if (id == '?')
			return fail("%s: no such option; try --help", argv[optind - 1]);
		if (id == ':')
			return fail("%s: needs a value; try --help", argv[optind - 1]);
		rc = option_take(settings, (enum option_id)id, optarg);
		if (rc != 0)
			return rc;
	}
	if (optind < argc)
		return fail("'%s' belongs to no option; try --help", argv[optind]);
	if (keys_check(settings) != 0 || way_check(settings) != 0 || shares_check(settings) != 0)
		return -1;
	defaults_finish(settings);
	return 0;
}
