/* SPDX-License-Identifier: BSD-3-Clause */

#include "dataplane/frame.h"

#include "dataplane/checksum.h"

#define ETHER_TYPE_IPV4 0x0800u
#define ETHER_TYPE_ARP  0x0806u
#define ETHER_TYPE_VLAN 0x8100u
#define ETHER_TYPE_IPV6 0x86ddu

#define IPV4_FRAGMENT_BITS 0x3fffu /* more fragments, and the offset */
#define IPV6_SIZE          40u
#define ARP_SIZE           28u
#define ICMP_SIZE          8u
#define NDP_SOLICIT_SIZE   24u

#define PROTOCOL_ICMP  1u
#define PROTOCOL_UDP   17u
#define PROTOCOL_ICMP6 58u

#define ICMP_ECHO         8u
#define ICMP6_ECHO        128u
#define ICMP6_NDP_SOLICIT 135u

/* A frame on its way through the headers. */
struct frame_parts {
	const struct worker_port *port;
	const uint8_t *data;
	const uint8_t *ip; /* the IP header */
	uint32_t left;     /* bytes from there to the end of the frame */
	bool is_trusted;   /* the NIC vouches for the checksums */
	bool is_to_us;     /* the destination MAC is the port's */
};

static struct frame_address
address_load(const uint8_t ipv6[16])
{
	struct frame_address address;

	memcpy(&address, ipv6, sizeof(address));
	return address;
}

static bool
address_is_mapped(struct frame_address address)
{
	return address.high == 0 && (uint32_t)address.low == 0xffff0000;
}

static bool
address_is_ours(const struct worker_port *port, struct frame_address address)
{
	unsigned i;

	for (i = 0; i < port->address_count; i++) {
		const struct frame_address ours = address_load(port->addresses[i].address);

		if (((ours.high ^ address.high) | (ours.low ^ address.low)) == 0)
			return true;
	}
	return false;
}

/* Our IPv4 addresses are kept mapped, and must not be had that way. */
static bool
address_is_ours_ipv6(const struct worker_port *port, const uint8_t ipv6[16])
{
	const struct frame_address address = address_load(ipv6);

	return !address_is_mapped(address) && address_is_ours(port, address);
}

/* Not multicast and not unspecified. */
static bool
ipv6_is_sender(const uint8_t ipv6[16])
{
	return ipv6[0] != 0xff && (load_be64(ipv6) | load_be64(ipv6 + 8)) != 0;
}

/*
 * A kernel that expects a NIC to finish the sum leaves that of the pseudo-header in the field,
 * folded and not complemented; on a virtual link nobody finishes it.
 */
bool
frame_udp_is_right(const struct worker_port *port, const uint8_t *udp, uint32_t size,
	const uint8_t *addresses, uint32_t addresses_size)
{
	const uint64_t pseudo =
		checksum_add(checksum_be16(PROTOCOL_UDP) + checksum_be16((uint16_t)size), addresses,
			addresses_size);
	uint16_t field;

	if ((udp[6] | udp[7]) == 0)
		return addresses_size == 8;
	if (port->checksum == SETUP_CHECKSUM_TRUST ||
		checksum_fold(checksum_add(pseudo, udp, size)) == 0xffff)
		return true;
	memcpy(&field, udp + 6, sizeof(field));
	return port->checksum == SETUP_CHECKSUM_PARTIAL && field == checksum_fold(pseudo);
}

/* A NIC's word is enough, but for a checksum that is not there. */
static bool
udp_is_good(const struct frame_parts *parts, const uint8_t *udp, uint32_t size,
	const uint8_t *addresses, uint32_t addresses_size)
{
	if (parts->is_trusted && (udp[6] | udp[7]) != 0)
		return true;
	return frame_udp_is_right(parts->port, udp, size, addresses, addresses_size);
}

/* `addresses`: source and destination as in the header, 8 or 32 bytes. */
static enum frame_class
parse_udp(const struct frame_parts *parts, const uint8_t *udp, uint32_t left,
	const uint8_t *addresses, uint32_t addresses_size, struct frame_datagram *datagram)
{
	uint32_t size;

	if (left < FRAME_UDP_SIZE)
		return FRAME_BAD;
	size = load_be16(udp + 4);
	if (size < FRAME_UDP_SIZE || size > left)
		return FRAME_BAD;
	if (load_be16(udp + 2) != parts->port->udp_port)
		return FRAME_NOT_OURS;
	if (!udp_is_good(parts, udp, size, addresses, addresses_size))
		return FRAME_BAD;
	datagram->source_port = load_be16(udp);
	datagram->payload = udp + FRAME_UDP_SIZE;
	datagram->payload_size = size - FRAME_UDP_SIZE;
	return FRAME_CREDENTIAL;
}

static enum frame_class
parse_ipv4(const struct frame_parts *parts, struct frame_datagram *datagram)
{
	const uint8_t *ip = parts->ip;
	uint32_t header_size, size;

	if (parts->left < FRAME_IPV4_SIZE)
		return FRAME_BAD;
	header_size = (ip[0] & 15u) * 4;
	size = load_be16(ip + 2); /* a short frame is padded: what follows is not the packet's */
	if (ip[0] >> 4 != 4 || header_size < FRAME_IPV4_SIZE || size < header_size ||
		size > parts->left)
		return FRAME_BAD;
	if (!parts->is_to_us || !address_is_ours(parts->port, frame_address_map(ip + 16)))
		return FRAME_NOT_OURS;
	if (load_be16(ip + 6) & IPV4_FRAGMENT_BITS || !frame_ipv4_is_sender(ip + 12))
		return FRAME_BAD;
	if (!parts->is_trusted && checksum_fold(checksum_add(0, ip, header_size)) != 0xffff)
		return FRAME_BAD;
	if (ip[9] == PROTOCOL_ICMP && size - header_size >= ICMP_SIZE &&
		ip[header_size] == ICMP_ECHO)
		return FRAME_NEIGHBOUR;
	if (ip[9] != PROTOCOL_UDP)
		return FRAME_NOT_OURS;
	datagram->source = frame_address_map(ip + 12);
	return parse_udp(parts, ip + header_size, size - header_size, ip + 12, 8, datagram);
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
	if (!address_is_ours_ipv6(parts->port, target))
		return FRAME_NOT_OURS;
	if (!parts->is_to_us && !mac_is_solicited(parts->data, target))
		return FRAME_NOT_OURS;
	if (memcmp(local, target, 16) != 0 && !address_is_solicited(local, target))
		return FRAME_NOT_OURS;
	return FRAME_NEIGHBOUR;
}

static enum frame_class
parse_ipv6(const struct frame_parts *parts, struct frame_datagram *datagram)
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
	if (!parts->is_to_us || !address_is_ours_ipv6(parts->port, ip + 24))
		return FRAME_NOT_OURS;
	if (!ipv6_is_sender(ip + 8))
		return FRAME_BAD;
	if (ip[6] == PROTOCOL_ICMP6 && size >= ICMP_SIZE && ip[IPV6_SIZE] == ICMP6_ECHO)
		return FRAME_NEIGHBOUR;
	if (ip[6] != PROTOCOL_UDP)
		return FRAME_NOT_OURS;
	datagram->source = address_load(ip + 8);
	class = parse_udp(parts, ip + IPV6_SIZE, size, ip + 8, 32, datagram);
	if (class == FRAME_CREDENTIAL && address_is_mapped(datagram->source))
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

	if (parts->left < ARP_SIZE)
		return FRAME_BAD;
	if (memcmp(arp, ethernet_ipv4_request, sizeof(ethernet_ipv4_request)) != 0)
		return FRAME_NOT_OURS;
	if (!parts->is_to_us && memcmp(parts->data, broadcast, sizeof(broadcast)) != 0)
		return FRAME_NOT_OURS;
	return address_is_ours(parts->port, frame_address_map(arp + 24)) ? FRAME_NEIGHBOUR
									 : FRAME_NOT_OURS;
}

/* A NIC that calls a checksum wrong is believed, unless sums on this link may be unfinished. */
static bool
frame_is_damaged(const struct worker_port *port, const struct burst_frame *frame)
{
	return frame->checksum == BURST_CHECKSUM_BAD && port->checksum != SETUP_CHECKSUM_PARTIAL;
}

/* A reply would go to the sender's MAC, so it must be one station's. */
static bool
mac_is_sender(const uint8_t *mac)
{
	return (mac[0] & 1) == 0;
}

enum frame_class
frame_parse(const struct worker_port *port, const struct burst_frame *frame,
	struct frame_datagram *datagram)
{
	struct frame_parts parts = {.port = port, .data = frame->data};
	uint32_t type;

	if (frame->size < FRAME_ETHER_SIZE + FRAME_VLAN_SIZE || frame_is_damaged(port, frame) ||
		!mac_is_sender(frame->data + 6))
		return FRAME_BAD;
	parts.is_to_us = memcmp(frame->data, port->mac, 6) == 0;
	parts.is_trusted = frame->checksum == BURST_CHECKSUM_GOOD;
	type = load_be16(frame->data + 12);
	datagram->l3 = FRAME_ETHER_SIZE;
	if (type == ETHER_TYPE_VLAN) {
		type = load_be16(frame->data + 16);
		datagram->l3 = FRAME_ETHER_SIZE + FRAME_VLAN_SIZE;
	}
	parts.ip = frame->data + datagram->l3;
	parts.left = frame->size - datagram->l3;
	if (type == ETHER_TYPE_IPV4)
		return parse_ipv4(&parts, datagram);
	if (type == ETHER_TYPE_IPV6)
		return parse_ipv6(&parts, datagram);
	return type == ETHER_TYPE_ARP ? parse_arp(&parts) : FRAME_NOT_OURS;
}

/* ---- the usual frame ---- */

/* A shape before it is cut into pieces. */
struct shape_plan {
	uint8_t bytes[FRAME_SHAPE_SIZE];
	uint8_t mask[FRAME_SHAPE_SIZE];
};

static void
plan_set(struct shape_plan *plan, unsigned at, const uint8_t *bytes, unsigned size, uint8_t mask)
{
	memcpy(plan->bytes + at, bytes, size);
	memset(plan->mask + at, mask, size);
}

static void
plan_set_be16(struct shape_plan *plan, unsigned at, uint16_t value, uint16_t mask)
{
	store_be16(plan->bytes + at, value);
	store_be16(plan->mask + at, mask);
}

static void
plan_cut(const struct shape_plan *plan, struct frame_shape *shape)
{
	static const unsigned first[FRAME_SHAPE_PIECES] = {0, 16, FRAME_SHAPE_LAST};
	unsigned i;

	for (i = 0; i < FRAME_SHAPE_PIECES; i++) {
		memcpy(&shape->bytes[i], plan->bytes + first[i], sizeof(shape->bytes[i]));
		memcpy(&shape->mask[i], plan->mask + first[i], sizeof(shape->mask[i]));
	}
}

static void
shape_fill(struct frame_shape *shape, const struct worker_port *port, const uint8_t ipv4[4])
{
	struct shape_plan plan = {{0}, {0}};

	plan_set(&plan, 0, port->mac, 6, 0xff);
	plan_set(&plan, 6, (const uint8_t[]){0}, 1, 0x01); /* from one station */
	plan_set_be16(&plan, 12, ETHER_TYPE_IPV4, 0xffff);
	plan_set(&plan, 14, (const uint8_t[]){0x45}, 1, 0xff); /* no options */
	plan_set_be16(&plan, 20, 0, IPV4_FRAGMENT_BITS);
	plan_set(&plan, 23, (const uint8_t[]){PROTOCOL_UDP}, 1, 0xff);
	plan_set(&plan, 30, ipv4, 4, 0xff);
	plan_set_be16(&plan, 36, port->udp_port, 0xffff);
	plan_cut(&plan, shape);
	shape->size_min = FRAME_SHAPE_SIZE + CRED_SIZE_MIN;
}

void
frame_shape_init(struct frame_shape *shape, const struct worker_port *port)
{
	unsigned i;

	memset(shape, 0, sizeof(*shape));
	shape->size_min = UINT32_MAX; /* no frame is that long */
	shape->is_udp_trusted = port->checksum == SETUP_CHECKSUM_TRUST;
	for (i = 0; i < port->address_count; i++) {
		if (!address_is_mapped(address_load(port->addresses[i].address)))
			continue;
		shape_fill(shape, port, port->addresses[i].address + 12);
		return;
	}
}

/* The addresses of the pseudo-header lie before the UDP header, so they are summed with it. */
bool
frame_sums_are_right(const struct frame_shape *shape, const uint8_t *ip, uint32_t size)
{
	const uint8_t *udp = ip + FRAME_IPV4_SIZE;
	const uint64_t pseudo =
		checksum_be16(PROTOCOL_UDP) + checksum_be16((uint16_t)(size - FRAME_IPV4_SIZE));

	if (checksum_fold(checksum_add(0, ip, FRAME_IPV4_SIZE)) != 0xffff)
		return false;
	return shape->is_udp_trusted || (udp[6] | udp[7]) == 0 ||
	       checksum_fold(checksum_add(pseudo, udp - 8, size - (FRAME_IPV4_SIZE - 8))) == 0xffff;
}
