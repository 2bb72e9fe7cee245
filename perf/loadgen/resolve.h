/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Learning the gateway's hardware address: ARP (RFC 826), or neighbour discovery (RFC 4861). */

#include "perf/loadgen/port.h"

/* Asks three times within 3 s. 0 and `mac`, or -1 and said why. */
int resolve_mac(const struct port *port, const struct settings *settings, uint8_t mac[6]);
