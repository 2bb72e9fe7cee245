/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What a request to join gets (docs/enrolment.md): the decision, without the sockets. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctrl/enrol_key.h"
#include "ctrl/log.h"

struct ctrl;

struct enrol_judge {
	struct ctrl *ctrl;
	struct enrol_key key;
	struct log_limit strangers; /* lines that anybody can cause */
	uint64_t noted_us;          /* monotonic clock at the last refusal in the audit log */
};

struct enrol_answer {
	uint8_t bytes[JOIN_SEALED_SIZE];
	size_t size;     /* 0: say nothing, what came is no request */
	bool is_honest;  /* the code was used for the first time */
	bool is_changed; /* the key table has a key more: answer when the workers have it */
};

/*
 * Judges a request of JOIN_REQUEST_SIZE bytes that came from `source`. Writes to the registry only
 * for whoever knows a code, or at most REGISTRY_CODE_WRONG_MAX times for one who knows its id. The
 * answer may hold a sealed key; the caller sends it. Control's one thread; a join costs what
 * node.add costs.
 */
void enrol_judge(struct enrol_judge *judge, const uint8_t *request, size_t size,
	const uint8_t source[16], struct enrol_answer *answer);
