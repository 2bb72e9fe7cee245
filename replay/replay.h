/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The door of replay/: serial windows and the retransmission cache; libc only, no allocation. */

#include "replay/retransmit.h"
#include "replay/window.h"
