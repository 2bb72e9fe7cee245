/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CREDGATE_CREDGATE_H
#define CREDGATE_CREDGATE_H

/*
 * libcredgate: issue credentials, ask a gateway, read verdicts. Link with `pkg-config --libs
 * credgate`. Functions return 0 or a positive count, or a negative errno; cg_error() has one line
 * of text for a person about the last failure in this thread.
 */

#include <credgate/consume.h>
#include <credgate/exchange.h>
#include <credgate/members.h>
#include <credgate/mint.h>
#include <credgate/verdict.h>

#endif
