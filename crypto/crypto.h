/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The door of crypto/: tag kernels, sealing, key derivation, constant-time helpers. */

#include "crypto/ct.h"
#include "crypto/kdf.h"
#include "crypto/slot.h"
#include "crypto/tag.h"
