/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/cli/stop.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t is_stopped;

static void
stop(int number)
{
	(void)number;
	is_stopped = 1;
}

void
stop_catch(int flags)
{
	const struct sigaction action = {.sa_handler = stop, .sa_flags = flags};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

bool
stop_is_asked(void)
{
	return is_stopped != 0;
}
