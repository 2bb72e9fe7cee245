/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Bytes of strangers, addresses and times as a person may see them. */

#include <stddef.h>
#include <stdint.h>

/*
 * Writes `size` bytes as printable ASCII: \n, \r, \t, \\ and \xNN stand for what is not, so that no
 * payload can steer a terminal. What does not fit `room` (at least 8) is cut and ends in "...".
 * Returns the length of the NUL-terminated text.
 */
size_t print_escape(char *text, size_t room, const void *bytes, size_t size);

/* 16 bytes, IPv4 as ::ffff:a.b.c.d shown as a.b.c.d. */
#define PRINT_ADDRESS_SIZE 48
void print_address(char text[PRINT_ADDRESS_SIZE], const uint8_t address[16]);

/* "10.0.0.1:7475", "[fd00::1]:7475" */
#define PRINT_ENDPOINT_SIZE 56
void print_endpoint(char text[PRINT_ENDPOINT_SIZE], const uint8_t address[16], uint16_t port);

/* Local time of the real-time clock: "14:03:59.123456", and with the date. */
#define PRINT_TIME_SIZE 32
void print_time(char text[PRINT_TIME_SIZE], uint64_t time_us);
void print_date_time(char text[PRINT_TIME_SIZE], uint64_t time_us);

/* "3 s", "12 min", "5 h", "4 d": how long, roughly. */
#define PRINT_AGE_SIZE 24
void print_age(char text[PRINT_AGE_SIZE], uint64_t duration_us);
