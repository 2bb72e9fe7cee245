/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The door of wire/: credential formats, byte by byte; no I/O, no keys, libc only. */

#include "wire/cred.h"
#include "wire/cred_parse.h"
#include "wire/format.h"
#include "wire/reply.h"
#include "wire/text.h"
