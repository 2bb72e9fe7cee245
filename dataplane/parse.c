/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Stage 1: frames to credentials. Ethernet, at most one 802.1Q tag, IPv4 (options are skipped,
 * fragments refused) or IPv6 (extension headers are not ours), UDP, then the credential's own
 * layout. No length from inside a frame is believed beyond the frame's size.
 *
 * What is not for us is only counted; what is for us but damaged below UDP is counted apart; what
 * reaches our UDP port and is no credential has a verdict.
 */

#include "dataplane/burst.h"
#include "dataplane/checksum.h"
#include "wire/cred_parse.h"

/*
 * How many frames ahead the loop fetches: far enough that a line from L3 is there in time, near
 * enough that three lines a frame stay within the CPU's outstanding misses.
 */
#define PARSE_PREFETCH_FRAMES 8u

#define ETHER_SIZE      14u
#define VLAN_SIZE       4u
#define ETHER_TYPE_IPV4 0x0800u
#define ETHER_TYPE_ARP  0x0806u
#define ETHER_TYPE_VLAN 0x8100u
#define ETHER_TYPE_IPV6 0x86ddu

#define IPV4_SIZE          20u
#define IPV4_FRAGMENT_BITS 0x3fffu /* more fragments, and the offset */
#define IPV6_SIZE          40u
#define UDP_SIZE           8u
#define ARP_SIZE           28u
#define ICMP_SIZE          8u
#define NDP_SOLICIT_SIZE   24u

#define PROTOCOL_ICMP  1u
#define PROTOCOL_UDP   17u
#define PROTOCOL_ICMP6 58u

#define ICMP_ECHO         8u
#define ICMP6_ECHO        128u
#define ICMP6_NDP_SOLICIT 135u

enum frame_class {
	FRAME_CREDENTIAL, /* a datagram to our port */
	FRAME_MAPPED,     /* the same, from an IPv4-mapped IPv6 address */
	FRAME_NEIGHBOUR,  /* ARP, NDP or echo for one of our addresses */
	FRAME_NOT_OURS,
	FRAME_BAD,
};

/* What the headers below the credential say. */
struct frame_parts {
	const struct worker_port *port;
	const uint8_t *data;
	const uint8_t *ip; /* the IP header and what is left of the frame from there */
	uint32_t left;
	bool is_trusted; /* the NIC vouches for the checksums */
	const uint8_t *payload;
	uint16_t payload_size;
};

static bool
mac_is_ours(const struct frame_parts *parts)
{
	return memcmp(parts->data, parts->port->mac, 6) == 0;
}

/* A reply would go there, so it must be one station's. */
static bool
mac_is_sender(const uint8_t *mac)
{
	return (mac[0] & 1) == 0;
}

static bool
address_is_ours(const struct worker_port *port, const uint8_t address[16])
{
	unsigned i;

	for (i = 0; i < port->address_count; i++)
		if (memcmp(port->addresses[i].address, address, 16) == 0)
			return true;
	return false;
}

static bool
address_is_mapped(const uint8_t address[16])
{
	return load_be64(address) == 0 && load_be32(address + 8) == 0xffff;
}

static void
address_map(uint8_t address[16], const uint8_t ipv4[4])
{
	memset(address, 0, 10);
	memset(address + 10, 0xff, 2);
	memcpy(address + 12, ipv4, 4);
}

/* 0.0.0.0/8, multicast and all above (broadcast): nobody sends from there. */
static bool
ipv4_is_sender(const uint8_t ipv4[4])
{
	return ipv4[0] - 1u < 223u;
}

/* Not multicast and not unspecified. */
static bool
ipv6_is_sender(const uint8_t ipv6[16])
{
	return ipv6[0] != 0xff && (load_be64(ipv6) | load_be64(ipv6 + 8)) != 0;
}

/*
 * The UDP checksum. `pseudo` is the pseudo-header's sum. A kernel that expects a NIC to finish the
 * sum leaves just that in the field, folded and not complemented; on a virtual link nobody does.
 */
static bool
udp_checksum_is_good(
	const struct frame_parts *parts, const uint8_t *udp, uint16_t size, uint64_t pseudo)
{
	uint16_t field;

	if (parts->is_trusted || parts->port->checksum == SETUP_CHECKSUM_TRUST)
		return true;
	if (checksum_fold(checksum_add(pseudo, udp, size)) == 0xffff)
		return true;
	memcpy(&field, udp + 6, sizeof(field));
	return parts->port->checksum == SETUP_CHECKSUM_PARTIAL && field == checksum_fold(pseudo);
}

/* `addresses`: source and destination as in the header, `address_size` bytes both. */
static enum frame_class
parse_udp(struct frame_parts *parts, const uint8_t *udp, uint32_t left, const uint8_t *addresses,
	uint32_t addresses_size, struct burst_item *item)
{
	const bool is_ipv4 = addresses_size == 8;
	uint64_t pseudo;
	uint16_t size;

	if (left < UDP_SIZE)
		return FRAME_BAD;
	size = load_be16(udp + 4);
	if (size < UDP_SIZE || size > left)
		return FRAME_BAD;
	if (load_be16(udp + 2) != parts->port->udp_port)
		return FRAME_NOT_OURS;
	if (load_be16(udp + 6) != 0) {
		pseudo = checksum_add(checksum_be16(PROTOCOL_UDP) + checksum_be16(size), addresses,
			addresses_size);
		if (!udp_checksum_is_good(parts, udp, size, pseudo))
			return FRAME_BAD;
	} else if (!is_ipv4) {
		return FRAME_BAD; /* RFC 8200 section 8.1 */
	}
	item->source_port = load_be16(udp);
	parts->payload = udp + UDP_SIZE;
	parts->payload_size = size - UDP_SIZE;
	return FRAME_CREDENTIAL;
}

static enum frame_class
parse_ipv4(struct frame_parts *parts, struct burst_item *item)
{
	const uint8_t *ip = parts->ip;
	uint32_t header_size, size;
	uint8_t local[16];

	if (parts->left < IPV4_SIZE)
		return FRAME_BAD;
	header_size = (ip[0] & 15u) * 4;
	size = load_be16(ip + 2); /* a short frame is padded: what follows is not ours */
	if (ip[0] >> 4 != 4 || header_size < IPV4_SIZE || size < header_size || size > parts->left)
		return FRAME_BAD;
	address_map(local, ip + 16);
	if (!mac_is_ours(parts) || !address_is_ours(parts->port, local))
		return FRAME_NOT_OURS;
	if (load_be16(ip + 6) & IPV4_FRAGMENT_BITS || !ipv4_is_sender(ip + 12))
		return FRAME_BAD;
	if (!parts->is_trusted && checksum_fold(checksum_add(0, ip, header_size)) != 0xffff)
		return FRAME_BAD;
	if (ip[9] == PROTOCOL_ICMP && size - header_size >= ICMP_SIZE &&
		ip[header_size] == ICMP_ECHO)
		return FRAME_NEIGHBOUR;
	if (ip[9] != PROTOCOL_UDP)
		return FRAME_NOT_OURS;
	address_map(item->source, ip + 12);
	return parse_udp(parts, ip + header_size, size - header_size, ip + 12, 8, item);
}

/* Is `address` the solicited-node address (RFC 4291 section 2.7.1) of `target`? */
static bool
address_is_solicited(const uint8_t address[16], const uint8_t target[16])
{
	static const uint8_t prefix[13] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};

	return memcmp(address, prefix, sizeof(prefix)) == 0 &&
	       memcmp(address + 13, target + 13, 3) == 0;
}

static bool
mac_is_solicited(const uint8_t mac[6], const uint8_t target[16])
{
	static const uint8_t prefix[3] = {0x33, 0x33, 0xff};

	return memcmp(mac, prefix, sizeof(prefix)) == 0 && memcmp(mac + 3, target + 13, 3) == 0;
}

/* Neighbour solicitation (RFC 4861 section 7.1.1) for one of our addresses? */
static enum frame_class
parse_solicit(const struct frame_parts *parts, const uint8_t *icmp, uint32_t left)
{
	const uint8_t *target = icmp + 8;
	const uint8_t *local = parts->ip + 24;

	if (left < NDP_SOLICIT_SIZE || icmp[1] != 0 || parts->ip[7] != 255)
		return FRAME_NOT_OURS;
	if (address_is_mapped(target) || !address_is_ours(parts->port, target))
		return FRAME_NOT_OURS;
	if (!mac_is_ours(parts) && !mac_is_solicited(parts->data, target))
		return FRAME_NOT_OURS;
	if (memcmp(local, target, 16) != 0 && !address_is_solicited(local, target))
		return FRAME_NOT_OURS;
	return FRAME_NEIGHBOUR;
}

static enum frame_class
parse_ipv6(struct frame_parts *parts, struct burst_item *item)
{
	const uint8_t *ip = parts->ip;
	enum frame_class class;
	uint32_t size;

	if (parts->left < IPV6_SIZE)
		return FRAME_BAD;
	size = load_be16(ip + 4);
	if (ip[0] >> 4 != 6 || size > parts->left - IPV6_SIZE)
		return FRAME_BAD;
	if (ip[6] == PROTOCOL_ICMP6 && size >= ICMP_SIZE && ip[IPV6_SIZE] == ICMP6_NDP_SOLICIT)
		return parse_solicit(parts, ip + IPV6_SIZE, size);
	/* Our IPv4 addresses are kept mapped, and must not be had that way. */
	if (!mac_is_ours(parts) || address_is_mapped(ip + 24) ||
		!address_is_ours(parts->port, ip + 24))
		return FRAME_NOT_OURS;
	if (!ipv6_is_sender(ip + 8))
		return FRAME_BAD;
	if (ip[6] == PROTOCOL_ICMP6 && size >= ICMP_SIZE && ip[IPV6_SIZE] == ICMP6_ECHO)
		return FRAME_NEIGHBOUR;
	if (ip[6] != PROTOCOL_UDP)
		return FRAME_NOT_OURS;
	memcpy(item->source, ip + 8, 16);
	class = parse_udp(parts, ip + IPV6_SIZE, size, ip + 8, 32, item);
	if (class == FRAME_CREDENTIAL && address_is_mapped(item->source))
		return FRAME_MAPPED;
	return class;
}

/* An ARP request (RFC 826) for one of our IPv4 addresses? */
static enum frame_class
parse_arp(const struct frame_parts *parts)
{
	static const uint8_t ethernet_ipv4_request[8] = {0, 1, 8, 0, 6, 4, 0, 1};
	static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	const uint8_t *arp = parts->ip;
	uint8_t target[16];

	if (parts->left < ARP_SIZE)
		return FRAME_BAD;
	if (memcmp(arp, ethernet_ipv4_request, sizeof(ethernet_ipv4_request)) != 0)
		return FRAME_NOT_OURS;
	if (!mac_is_ours(parts) && memcmp(parts->data, broadcast, sizeof(broadcast)) != 0)
		return FRAME_NOT_OURS;
	address_map(target, arp + 24);
	return address_is_ours(parts->port, target) ? FRAME_NEIGHBOUR : FRAME_NOT_OURS;
}

/* A NIC that calls a checksum wrong is believed, unless sums on this link may be unfinished. */
static bool
frame_is_damaged(const struct worker_port *port, const struct burst_frame *frame)
{
	return frame->checksum == BURST_CHECKSUM_BAD && port->checksum != SETUP_CHECKSUM_PARTIAL;
}

static enum frame_class
parse_frame(const struct burst_frame *frame, struct frame_parts *parts, struct burst_item *item)
{
	uint32_t type;

	if (frame->size < ETHER_SIZE + VLAN_SIZE || frame_is_damaged(parts->port, frame) ||
		!mac_is_sender(frame->data + 6))
		return FRAME_BAD;
	parts->data = frame->data;
	parts->is_trusted = frame->checksum == BURST_CHECKSUM_GOOD;
	type = load_be16(frame->data + 12);
	item->l3 = ETHER_SIZE;
	if (type == ETHER_TYPE_VLAN) {
		type = load_be16(frame->data + 16);
		item->l3 = ETHER_SIZE + VLAN_SIZE;
	}
	parts->ip = frame->data + item->l3;
	parts->left = frame->size - item->l3;
	if (type == ETHER_TYPE_IPV4)
		return parse_ipv4(parts, item);
	if (type == ETHER_TYPE_IPV6)
		return parse_ipv6(parts, item);
	return type == ETHER_TYPE_ARP ? parse_arp(parts) : FRAME_NOT_OURS;
}

/* Not our own format's first bytes: another format's row, or none. */
static enum wire_result
parse_foreign(const uint8_t *msg, size_t size, struct wire_cred *cred)
{
	const struct wire_format *format = wire_format_find(msg, size);

	if (format != NULL)
		return format->parse(msg, size, cred);
	*cred = (struct wire_cred){.msg = msg, .size = (uint16_t)size};
	return wire_is_text(msg, size) ? WIRE_UNSUPPORTED : WIRE_MALFORMED;
}

static enum wire_result
parse_credential(const uint8_t *msg, size_t size, struct wire_cred *cred)
{
	if (size >= 4 && load_be32(msg) == CRED_MAGIC_BE32)
		return cred_parse_inline(msg, size, cred);
	return parse_foreign(msg, size, cred);
}

/* The credential's verdict; if there is none yet, its node's slot is on its way. */
static enum verdict
parse_item(const struct view *view, enum frame_class class, const struct frame_parts *parts,
	struct burst_item *item)
{
	enum wire_result result =
		parse_credential(parts->payload, parts->payload_size, &item->cred);

	if (class == FRAME_MAPPED)
		return VERDICT_MALFORMED;
	if (result != WIRE_OK)
		return result == WIRE_UNSUPPORTED ? VERDICT_UNSUPPORTED : VERDICT_MALFORMED;
	item->key.realm = view_realm(view, item->cred.realm);
	if (item->key.realm == NULL)
		return VERDICT_UNKNOWN_REALM;
	item->key.window = view_slot(view, item->key.realm, item->cred.node);
	view_slot_prefetch(view, item->key.window);
	return VERDICT_NONE;
}

/* What is no credential at all. */
static void
count_other(struct worker_stats *stats, enum frame_class class)
{
	if (class == FRAME_NEIGHBOUR)
		stat_add(&stats->rx_neighbour, 1);
	else if (class == FRAME_NOT_OURS)
		stat_add(&stats->rx_not_ours, 1);
	else
		stat_add(&stats->rx_bad_packet, 1);
}

/* Ethernet, IP and UDP headers and the fixed part of a credential. */
static void
prefetch_frame(const struct burst_frame *frame)
{
	__builtin_prefetch(frame->data);
	__builtin_prefetch(frame->data + 64);
	__builtin_prefetch(frame->data + 128);
}

unsigned
burst_parse(struct worker *worker, unsigned count, struct burst_result *result)
{
	struct burst *burst = &worker->burst;
	struct frame_parts parts;
	unsigned live = 0;
	unsigned i;

	for (i = 0; i < count && i < PARSE_PREFETCH_FRAMES; i++)
		prefetch_frame(&burst->frames[i]);
	for (i = 0; i < count; i++) {
		struct burst_item *item = &burst->items[i];
		enum frame_class class;
		enum verdict verdict;

		if (i + PARSE_PREFETCH_FRAMES < count)
			prefetch_frame(&burst->frames[i + PARSE_PREFETCH_FRAMES]);
		parts.port = &worker->ports[burst->frames[i].port];
		item->frame = (uint8_t)i;
		class = parse_frame(&burst->frames[i], &parts, item);
		if (class > FRAME_MAPPED) {
			result->neighbours |= (uint64_t)(class == FRAME_NEIGHBOUR) << i;
			count_other(worker->stats, class);
			continue;
		}
		verdict = parse_item(&burst->view, class, &parts, item);
		if (verdict != VERDICT_NONE)
			deliver_refused_item(worker, item, verdict);
		else
			burst->live[live++] = (uint8_t)i;
	}
	return live;
}
