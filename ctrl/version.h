/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* CREDGATE_VERSION comes from the build. */
#define CTRL_VERSION_TEXT CREDGATE_VERSION
