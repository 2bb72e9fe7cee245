/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What each issuing thread has for itself, made at its first call and freed when it ends: a tag
 * engine, and random bytes for salts. So threads share nothing but the serial state, and a fork
 * needs no care: the child goes on with the engine of the thread that forked, and the kernel wipes
 * the random bytes (MADV_WIPEONFORK), so that parent and child never use the same ones.
 */

#include <stdint.h>

#include "crypto/tag.h"

struct client_salts; /* opaque here: thread.c */

struct client_thread {
	struct tag_engine *engine;
	struct client_salts *salts;
};

/* The calling thread's own; NULL with errno and cg_error set: no AES instructions, no memory. */
struct client_thread *client_thread_get(void);

/* Four fresh random bytes. 0, or a negative errno with cg_error set. */
int client_thread_salt(struct client_thread *thread, uint8_t salt[4]);
