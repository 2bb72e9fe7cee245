/* SPDX-License-Identifier: BSD-3-Clause */

#include "perf/loadgen/resolve.h"

#include <string.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "dataplane/checksum.h"
#include "perf/loadgen/clock.h"
#include "perf/loadgen/fail.h"
#include "wire/bytes.h"

#define TYPE_IPV4      0x0800u
#define TYPE_ARP       0x0806u
#define TYPE_VLAN      0x8100u
#define TYPE_IPV6      0x86ddu
#define ARP_SIZE       28u
#define ARP_REPLY      2u
#define IPV6_SIZE      40u
#define NDP_SIZE       32u /* with one option */
#define ICMP6          58u
#define NDP_SOLICIT    135u
#define NDP_ADVERTISE  136u
#define OPTION_SOURCE  1u
#define OPTION_TARGET  2u
#define ASK_COUNT      3
#define ASK_NS         1000000000ull
#define FRAME_SIZE_MAX 128u

static uint8_t *
ether_store(uint8_t *frame, const struct port *port, const struct settings *s,
	const uint8_t to_mac[6], uint16_t type)
{
	uint8_t *at = frame + 12;

	memcpy(frame, to_mac, 6);
	memcpy(frame + 6, port->mac, 6);
	if (s->vlan != 0) {
		store_be16(at, TYPE_VLAN);
		store_be16(at + 2, s->vlan);
		at += 4;
	}
	store_be16(at, type);
	return at + 2;
}

static uint16_t
arp_build(uint8_t *frame, const struct port *port, const struct settings *s)
{
	static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	static const uint8_t request[8] = {0, 1, 8, 0, 6, 4, 0, 1}; /* Ethernet, IPv4, who has */
	uint8_t *arp = ether_store(frame, port, s, everybody, TYPE_ARP);

	memcpy(arp, request, sizeof(request));
	memcpy(arp + 8, port->mac, 6);
	memcpy(arp + 14, s->from + 12, 4);
	memset(arp + 18, 0, 6);
	memcpy(arp + 24, s->to + 12, 4);
	return (uint16_t)(arp + ARP_SIZE - frame);
}

static void
ndp_checksum(uint8_t *ip)
{
	uint64_t sum = checksum_be16(ICMP6) + checksum_be16(NDP_SIZE);
	uint16_t folded;

	folded = (uint16_t)~checksum_fold(checksum_add(sum, ip + 8, 32 + NDP_SIZE));
	memcpy(ip + IPV6_SIZE + 2, &folded, sizeof(folded));
}

/* To the solicited-node group ff02::1:ffXX:XXXX of the address (RFC 4291, section 2.7.1). */
static uint16_t
ndp_build(uint8_t *frame, const struct port *port, const struct settings *s)
{
	static const uint8_t group[13] = {0xff, 2, [11] = 1, [12] = 0xff};
	const uint8_t mac[6] = {0x33, 0x33, 0xff, s->to[13], s->to[14], s->to[15]};
	uint8_t *ip = ether_store(frame, port, s, mac, TYPE_IPV6), *ndp = ip + IPV6_SIZE;

	memset(ip, 0, IPV6_SIZE + NDP_SIZE);
	ip[0] = 0x60;
	store_be16(ip + 4, NDP_SIZE);
	ip[6] = ICMP6;
	ip[7] = 255;
	memcpy(ip + 8, s->from, 16);
	memcpy(ip + 24, group, sizeof(group));
	memcpy(ip + 37, s->to + 13, 3);
	ndp[0] = NDP_SOLICIT;
	memcpy(ndp + 8, s->to, 16);
	ndp[24] = OPTION_SOURCE;
	ndp[25] = 1;
	memcpy(ndp + 26, port->mac, 6);
	ndp_checksum(ip);
	return (uint16_t)(ndp + NDP_SIZE - frame);
}

/* Is it the answer? Then `mac` is the gateway's. */
static bool
answer_take(const uint8_t *frame, uint32_t size, const struct settings *s, uint8_t mac[6])
{
	const uint8_t *at = frame + 12, *ndp;

	if (size < 14 + 4 + IPV6_SIZE + NDP_SIZE && size < 14 + ARP_SIZE)
		return false;
	if (load_be16(at) == TYPE_VLAN)
		at += 4;
	size -= (uint32_t)(at + 2 - frame);
	if (load_be16(at) == TYPE_ARP && size >= ARP_SIZE && at[9] == ARP_REPLY &&
		memcmp(at + 16, s->to + 12, 4) == 0) {
		memcpy(mac, at + 10, 6);
		return true;
	}
	ndp = at + 2 + IPV6_SIZE;
	if (load_be16(at) != TYPE_IPV6 || size < IPV6_SIZE + NDP_SIZE || at[2 + 6] != ICMP6 ||
		ndp[0] != NDP_ADVERTISE || memcmp(ndp + 8, s->to, 16) != 0 ||
		ndp[24] != OPTION_TARGET)
		return false;
	memcpy(mac, ndp + 26, 6);
	return true;
}

static bool
answer_poll(const struct port *port, const struct settings *s, uint8_t mac[6])
{
	struct rte_mbuf *mbufs[32];
	bool is_found = false;

	for (uint16_t queue = 0; queue < port->queues; queue++) {
		const uint16_t count = rte_eth_rx_burst(port->id, queue, mbufs, 32);

		for (uint16_t i = 0; i < count; i++) {
			if (!is_found)
				is_found = answer_take(rte_pktmbuf_mtod(mbufs[i], uint8_t *),
					rte_pktmbuf_data_len(mbufs[i]), s, mac);
			rte_pktmbuf_free(mbufs[i]);
		}
	}
	return is_found;
}

int
resolve_mac(const struct port *port, const struct settings *settings, uint8_t mac[6])
{
	uint8_t frame[FRAME_SIZE_MAX];
	const bool is_ipv4 = settings_is_ipv4(settings->to);
	const uint16_t size =
		is_ipv4 ? arp_build(frame, port, settings) : ndp_build(frame, port, settings);

	for (int i = 0; i < ASK_COUNT; i++) {
		const uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + ASK_NS;

		port_send(port, frame, size);
		while (clock_ns(CLOCK_MONOTONIC) < end_ns) {
			if (answer_poll(port, settings, mac))
				return 0;
			usleep(100);
		}
	}
	return fail("--to: nobody answers %s for it within 3 s: check the address, or give "
		    "--to-mac",
		is_ipv4 ? "ARP" : "neighbour discovery");
}
