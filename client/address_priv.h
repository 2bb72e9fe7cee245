/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Addresses as credentials carry them: 16 bytes in network order, IPv4 as ::ffff:a.b.c.d. */

#include <stdint.h>
#include <sys/socket.h>

/* The address of a socket, or :: for another family. */
void client_address_of(uint8_t address[16], const struct sockaddr *socket_address);

/* Why it cannot be the address a packet comes from, or NULL. :: passes: not stated. */
const char *client_address_fault(const uint8_t address[16]);
