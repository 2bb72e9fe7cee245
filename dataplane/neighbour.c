/* SPDX-License-Identifier: BSD-3-Clause */

#include "dataplane/neighbour.h"

#include <string.h>

#include "wire/bytes.h"

#define MAC_SIZE           6u
#define ETHER_SIZE         14u
#define ETHER_AT_SOURCE    6u
#define ETHER_AT_TYPE      12u
#define ETHER_TYPE_IPV4    0x0800u
#define ETHER_TYPE_ARP     0x0806u
#define ETHER_TYPE_VLAN    0x8100u
#define ETHER_TYPE_IPV6    0x86ddu
#define VLAN_SIZE          4u
#define ARP_SIZE           28u
#define IPV4_SIZE          20u
#define IPV4_PROTOCOL_ICMP 1u
#define IPV6_SIZE          40u
#define IPV6_NEXT_ICMP     58u
#define HOP_LIMIT          64u
#define HOP_LIMIT_NDP      255u /* RFC 4861 section 7.1.1: proves that no router forwarded it */
#define ECHO_SIZE          8u
#define SOLICITATION_SIZE  24u
#define OPTION_SIZE        8u /* of a link-layer address option on Ethernet */

/* A frame, taken apart as far as its link header. */
struct question {
	const uint8_t *frame;
	size_t link_size; /* 14, or 18 with a tag */
	uint16_t type;
	const uint8_t *packet;
	size_t packet_size;
};

static const uint8_t ipv4_mapped[12] = {[10] = 0xff, [11] = 0xff};
static const uint8_t ipv6_unspecified[16];
static const uint8_t ipv6_all_nodes[16] = {0xff, 0x02, [15] = 1};
static const uint8_t mac_all_nodes[MAC_SIZE] = {0x33, 0x33, 0, 0, 0, 1};

/* Adds big-endian 16-bit words (RFC 1071); only the last piece of a sum may have an odd size. */
static uint32_t
sum_add(uint32_t sum, const uint8_t *data, size_t size)
{
	for (; size > 1; data += 2, size -= 2)
		sum += load_be16(data);
	return size ? sum + ((uint32_t)data[0] << 8) : sum;
}

static uint16_t
sum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Checksum of an ICMPv6 message in the IPv6 packet at `packet`; 0 if the one inside is right. */
static uint16_t
icmp6_sum(const uint8_t *packet, size_t message_size)
{
	uint32_t sum = sum_add(IPV6_NEXT_ICMP + (uint32_t)message_size, packet + 8, 32);

	return sum_fold(sum_add(sum, packet + IPV6_SIZE, message_size));
}

static bool
mac_is_group(const uint8_t *mac)
{
	return mac[0] & 1;
}

static bool
address_is_ours(const struct worker_port *port, const uint8_t address[16])
{
	for (unsigned i = 0; i < port->address_count; i++)
		if (memcmp(port->addresses[i].address, address, 16) == 0)
			return true;
	return false;
}

static bool
ipv4_is_ours(const struct worker_port *port, const uint8_t *address)
{
	uint8_t mapped[16];

	memcpy(mapped, ipv4_mapped, sizeof(ipv4_mapped));
	memcpy(mapped + sizeof(ipv4_mapped), address, 4);
	return address_is_ours(port, mapped);
}

/* Not "this network", loopback, multicast, reserved or broadcast. */
static bool
ipv4_is_host(const uint8_t *address)
{
	return address[0] != 0 && address[0] != 127 && address[0] < 224;
}

static bool
question_parse(struct question *question, const struct worker_port *port, const uint8_t *frame,
	size_t size)
{
	if (size < ETHER_SIZE + VLAN_SIZE)
		return false;
	question->frame = frame;
	question->link_size = ETHER_SIZE;
	question->type = load_be16(frame + ETHER_AT_TYPE);
	if (question->type == ETHER_TYPE_VLAN) {
		question->link_size += VLAN_SIZE;
		question->type = load_be16(frame + ETHER_AT_TYPE + VLAN_SIZE);
	}
	question->packet = frame + question->link_size;
	question->packet_size = size - question->link_size;
	/* A promiscuous port sees frames for others; nobody is called by a group address. */
	return (mac_is_group(frame) || memcmp(frame, port->mac, MAC_SIZE) == 0) &&
	       !mac_is_group(frame + ETHER_AT_SOURCE);
}

/* The question's link header, turned round. Returns where the packet goes. */
static uint8_t *
link_build(uint8_t *answer, const struct question *question, const struct worker_port *port)
{
	memcpy(answer, question->frame + ETHER_AT_SOURCE, MAC_SIZE);
	memcpy(answer + ETHER_AT_SOURCE, port->mac, MAC_SIZE);
	memcpy(answer + ETHER_AT_TYPE, question->frame + ETHER_AT_TYPE,
		question->link_size - ETHER_AT_TYPE);
	return answer + question->link_size;
}

static size_t
arp_answer(const struct question *question, const struct worker_port *port, uint8_t *answer,
	size_t room)
{
	/* Ethernet, IPv4, their address sizes, request. */
	static const uint8_t request[8] = {0, 1, 8, 0, 6, 4, 0, 1};
	const uint8_t *arp = question->packet;
	const uint8_t *sender = arp + 14, *target = arp + 24;
	uint8_t *to;

	if (question->packet_size < ARP_SIZE || room < question->link_size + ARP_SIZE ||
		memcmp(arp, request, sizeof(request)) != 0 || mac_is_group(arp + 8))
		return 0;
	/* Sender 0.0.0.0 asks whether the address is in use (RFC 5227); a sender that is our own
	 * address announces itself and asks nothing. */
	if (!ipv4_is_ours(port, target) || memcmp(sender, target, 4) == 0)
		return 0;
	to = link_build(answer, question, port);
	memcpy(to, request, sizeof(request));
	to[7] = 2;
	memcpy(to + 8, port->mac, MAC_SIZE);
	memcpy(to + 14, target, 4);
	memcpy(to + 18, arp + 8, MAC_SIZE);
	memcpy(to + 24, sender, 4);
	return question->link_size + ARP_SIZE;
}

/* Header without options: a question's options are not repeated. DF, so that no id is needed. */
static void
ipv4_build(uint8_t *to, const uint8_t *packet, size_t message_size)
{
	memset(to, 0, IPV4_SIZE);
	to[0] = 0x45;
	store_be16(to + 2, (uint16_t)(IPV4_SIZE + message_size));
	to[6] = 0x40;
	to[8] = HOP_LIMIT;
	to[9] = IPV4_PROTOCOL_ICMP;
	memcpy(to + 12, packet + 16, 4);
	memcpy(to + 16, packet + 12, 4);
	store_be16(to + 10, sum_fold(sum_add(0, to, IPV4_SIZE)));
}

/* Copies an echo request as its reply; the checksum is written by the caller. */
static void
echo_build(uint8_t *to, const uint8_t *message, size_t size, uint8_t type)
{
	memcpy(to, message, size);
	to[0] = type;
	store_be16(to + 2, 0);
}

/* Bytes of the IPv4 header if it is whole, right and no fragment's; else 0. */
static size_t
ipv4_header_size(const uint8_t *packet, size_t packet_size)
{
	size_t size;

	if (packet_size < IPV4_SIZE || packet[0] >> 4 != 4)
		return 0;
	size = (packet[0] & 15u) * 4;
	if (size < IPV4_SIZE || size > packet_size || load_be16(packet + 2) < size ||
		load_be16(packet + 2) > packet_size || (load_be16(packet + 6) & 0x3fff) != 0)
		return 0;
	return sum_fold(sum_add(0, packet, size)) == 0 ? size : 0;
}

static size_t
ipv4_answer(const struct question *question, const struct worker_port *port, uint8_t *answer,
	size_t room)
{
	const uint8_t *packet = question->packet;
	size_t header_size = ipv4_header_size(packet, question->packet_size);
	const uint8_t *message = packet + header_size;
	size_t message_size, size;
	uint8_t *to;

	if (header_size == 0 || packet[9] != IPV4_PROTOCOL_ICMP || mac_is_group(question->frame) ||
		!ipv4_is_host(packet + 12) || !ipv4_is_ours(port, packet + 16))
		return 0;
	message_size = load_be16(packet + 2) - header_size;
	size = question->link_size + IPV4_SIZE + message_size;
	if (message_size < ECHO_SIZE || room < size || message[0] != 8 || message[1] != 0 ||
		sum_fold(sum_add(0, message, message_size)) != 0)
		return 0;
	to = link_build(answer, question, port);
	ipv4_build(to, packet, message_size);
	to += IPV4_SIZE;
	echo_build(to, message, message_size, 0);
	store_be16(to + 2, sum_fold(sum_add(0, to, message_size)));
	return size;
}

static void
ipv6_build(uint8_t *to, const uint8_t *source, const uint8_t *destination, size_t message_size,
	uint8_t hop_limit)
{
	store_be32(to, 6u << 28);
	store_be16(to + 4, (uint16_t)message_size);
	to[6] = IPV6_NEXT_ICMP;
	to[7] = hop_limit;
	memcpy(to + 8, source, 16);
	memcpy(to + 24, destination, 16);
}

static size_t
echo6_answer(const struct question *question, const struct worker_port *port, size_t message_size,
	uint8_t *answer, size_t room)
{
	const uint8_t *packet = question->packet;
	size_t size = question->link_size + IPV6_SIZE + message_size;
	uint8_t *to;

	if (message_size < ECHO_SIZE || room < size || mac_is_group(question->frame) ||
		memcmp(packet + 8, ipv6_unspecified, 16) == 0 ||
		!address_is_ours(port, packet + 24))
		return 0;
	to = link_build(answer, question, port);
	ipv6_build(to, packet + 24, packet + 8, message_size, HOP_LIMIT);
	echo_build(to + IPV6_SIZE, packet + IPV6_SIZE, message_size, 129);
	store_be16(to + IPV6_SIZE + 2, icmp6_sum(to, message_size));
	return size;
}

/* Are the options whole, and is there no source link-layer address where it is forbidden? */
static bool
solicitation_options_are_good(const uint8_t *options, size_t size, bool is_unspecified)
{
	while (size > 0) {
		size_t option_size = size < 2 ? 0 : options[1] * 8u;

		if (option_size == 0 || option_size > size || (is_unspecified && options[0] == 1))
			return false;
		options += option_size;
		size -= option_size;
	}
	return true;
}

/* ff02::1:ff00:0/104 and the last 24 bits of the target (RFC 4291 section 2.7.1). */
static bool
address_is_solicited_node(const uint8_t *address, const uint8_t *target)
{
	static const uint8_t prefix[13] = {0xff, 0x02, [11] = 1, [12] = 0xff};

	return memcmp(address, prefix, 13) == 0 && memcmp(address + 13, target + 13, 3) == 0;
}

/* The rules of RFC 4861 section 7.1.1, and that the target is one of our addresses. */
static bool
solicitation_is_good(const struct worker_port *port, const uint8_t *packet, size_t message_size)
{
	const uint8_t *message = packet + IPV6_SIZE, *target = message + 8;
	bool is_unspecified = memcmp(packet + 8, ipv6_unspecified, 16) == 0;

	if (message_size < SOLICITATION_SIZE || packet[7] != HOP_LIMIT_NDP ||
		!address_is_ours(port, target) || address_is_ours(port, packet + 8))
		return false;
	if (!address_is_solicited_node(packet + 24, target) &&
		(is_unspecified || memcmp(packet + 24, target, 16) != 0))
		return false;
	return solicitation_options_are_good(
		message + SOLICITATION_SIZE, message_size - SOLICITATION_SIZE, is_unspecified);
}

/* Neighbour advertisement, with the target link-layer address option. */
static void
advertisement_build(uint8_t *to, const uint8_t *target, const uint8_t *mac, bool is_solicited)
{
	memset(to, 0, SOLICITATION_SIZE + OPTION_SIZE);
	to[0] = 136;
	to[4] = is_solicited ? 0x60 : 0x20; /* solicited, override */
	memcpy(to + 8, target, 16);
	to[SOLICITATION_SIZE] = 2;
	to[SOLICITATION_SIZE + 1] = 1;
	memcpy(to + SOLICITATION_SIZE + 2, mac, MAC_SIZE);
}

static size_t
solicitation_answer(const struct question *question, const struct worker_port *port,
	size_t message_size, uint8_t *answer, size_t room)
{
	const uint8_t *packet = question->packet, *source = packet + 8;
	const uint8_t *target = packet + IPV6_SIZE + 8;
	size_t size = question->link_size + IPV6_SIZE + SOLICITATION_SIZE + OPTION_SIZE;
	bool is_solicited;
	uint8_t *to;

	if (room < size || !solicitation_is_good(port, packet, message_size))
		return 0;
	is_solicited = memcmp(source, ipv6_unspecified, 16) != 0;
	to = link_build(answer, question, port);
	if (!is_solicited) {
		memcpy(answer, mac_all_nodes, MAC_SIZE);
		source = ipv6_all_nodes;
	}
	ipv6_build(to, target, source, SOLICITATION_SIZE + OPTION_SIZE, HOP_LIMIT_NDP);
	advertisement_build(to + IPV6_SIZE, target, port->mac, is_solicited);
	store_be16(to + IPV6_SIZE + 2, icmp6_sum(to, SOLICITATION_SIZE + OPTION_SIZE));
	return size;
}

static size_t
ipv6_answer(const struct question *question, const struct worker_port *port, uint8_t *answer,
	size_t room)
{
	const uint8_t *packet = question->packet;
	size_t message_size;

	if (question->packet_size < IPV6_SIZE || packet[0] >> 4 != 6 ||
		packet[6] != IPV6_NEXT_ICMP || packet[8] == 0xff)
		return 0;
	message_size = load_be16(packet + 4);
	if (message_size < 4 || message_size > question->packet_size - IPV6_SIZE ||
		packet[IPV6_SIZE + 1] != 0 || icmp6_sum(packet, message_size) != 0)
		return 0;
	switch (packet[IPV6_SIZE]) {
	case 128:
		return echo6_answer(question, port, message_size, answer, room);
	case 135:
		return solicitation_answer(question, port, message_size, answer, room);
	default:
		return 0;
	}
}

size_t
neighbour_answer(const struct worker_port *port, const uint8_t *frame, size_t size, uint8_t *answer,
	size_t room)
{
	struct question question;

	if (!question_parse(&question, port, frame, size))
		return 0;
	switch (question.type) {
	case ETHER_TYPE_ARP:
		return arp_answer(&question, port, answer, room);
	case ETHER_TYPE_IPV4:
		return ipv4_answer(&question, port, answer, room);
	case ETHER_TYPE_IPV6:
		return ipv6_answer(&question, port, answer, room);
	default:
		return 0;
	}
}

#define BUDGET_CREDIT_NS 1000000000ull

void
neighbour_budget_init(struct neighbour_budget *budget, uint32_t per_s, uint64_t mono_us)
{
	budget->cost_ns = per_s ? BUDGET_CREDIT_NS / per_s : UINT64_MAX;
	budget->credit_ns = BUDGET_CREDIT_NS;
	budget->last_us = mono_us;
}

bool
neighbour_budget_take(struct neighbour_budget *budget, uint64_t mono_us)
{
	if (mono_us > budget->last_us) {
		uint64_t gone_us = mono_us - budget->last_us;

		/* Capped before it is multiplied: a long pause must not overflow. */
		budget->credit_ns += gone_us < 1000000 ? gone_us * 1000 : BUDGET_CREDIT_NS;
		budget->last_us = mono_us;
	}
	if (budget->credit_ns > BUDGET_CREDIT_NS)
		budget->credit_ns = BUDGET_CREDIT_NS;
	if (budget->credit_ns < budget->cost_ns)
		return false;
	budget->credit_ns -= budget->cost_ns;
	return true;
}
