/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A UDP peer that makes real replies with a node's reply keys, and says what a test tells it to.
 * No gateway: it judges nothing.
 */

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/tag.h"
#include "wire/reply.h"

#define RESPONDER_REQUESTS_MAX 64u

struct responder;

/* Called for datagram `number` (from 1), in the responder's thread. */
typedef void (*responder_handler_t)(
	struct responder *responder, unsigned number, const uint8_t *request, size_t size);

struct responder {
	responder_handler_t handler;
	struct key_slot slot; /* reply keys */
	struct tag_engine *engine;
	pthread_t thread;
	int fd;
	char port[8];
	struct sockaddr_in peer; /* of the last request */
	uint64_t serial;
	_Atomic unsigned count;
	size_t sizes[RESPONDER_REQUESTS_MAX];
	uint8_t requests[RESPONDER_REQUESTS_MAX][CRED_SIZE_MAX];
	uint16_t ports[RESPONDER_REQUESTS_MAX]; /* they came from, network order */
};

/* Listens on 127.0.0.1; `port` says where. Ends the program on failure. */
void responder_start(
	struct responder *responder, const struct key_slot *slot, responder_handler_t handler);
void responder_stop(struct responder *responder);

/* A genuine reply to `request`, sealed and tagged; serial and time are filled in. */
size_t responder_build(struct responder *responder, uint8_t reply[CRED_SIZE_MAX],
	const uint8_t *request, size_t size, const struct reply_fields *fields);

/* Sends bytes to whom the last request came from. */
void responder_send(struct responder *responder, const void *bytes, size_t size);

/* Both. */
void responder_reply(struct responder *responder, const uint8_t *request, size_t size,
	const struct reply_fields *fields);

/* Seals and tags what a test has built or changed, so that only that is wrong. */
void responder_seal(struct responder *responder, uint8_t *reply, size_t size);
