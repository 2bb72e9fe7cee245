/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What the CPU can run, and what the kernel of the operating system saves for us on a context
 * switch. Asked at start, never on the packet path. Any thread.
 */

#include <stdbool.h>

/* AES-NI with SSE4.1: the least a tag kernel needs. */
bool cpu_has_aesni(void);

/* VAES on 512-bit registers, and everything else tag_vaes512.c is compiled for. */
bool cpu_has_vaes512(void);
