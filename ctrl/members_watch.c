/* SPDX-License-Identifier: BSD-3-Clause */
/* Membership in a running gateway: when to look, and when to save. */
#include <errno.h>

#include "ctrl/clock.h"
#include "ctrl/ctrl.h"
#include "ctrl/log.h"
#include "ctrl/members_priv.h"

#define SAVE_EACH_US 60000000u

int
members_begin(struct ctrl *ctrl, struct reason *reason)
{
	ctrl->members = members_create(ctrl->config, clock_real_us(), reason);
	return ctrl->members != NULL ? 0 : -ENOMEM;
}

static bool
is_serving(const struct ctrl *ctrl)
{
	return ctrl->supervise != NULL &&
	       supervise_status(ctrl->supervise)->state == SUPERVISE_RUNNING;
}

/* Tells once that it cannot be written, and once that it can again. */
static void
save_step(struct ctrl *ctrl, uint64_t now_us)
{
	struct members *members = ctrl->members;
	struct reason reason;
	int status;

	if (members->saving.fd < 0 && now_us - members->saved_mono_us < SAVE_EACH_US)
		return;
	status = members_save(members, ctrl->config->state_dir, &reason);
	if (status == 0)
		return;
	members->saved_mono_us = now_us;
	if (status < 0 && !members->has_save_failed)
		log_error("members", "%s", reason.text);
	if (status > 0 && members->has_save_failed)
		log_info("members", "%s/members is written again", ctrl->config->state_dir);
	members->has_save_failed = status < 0;
}

static void
look_due(evutil_socket_t fd, short what, void *context)
{
	struct ctrl *ctrl = context;
	struct members *members = ctrl->members;
	const struct members_moment now = {
		.real_us = clock_real_us(),
		.mono_us = clock_mono_us(),
		.is_serving = is_serving(ctrl),
	};

	(void)fd;
	(void)what;
	members_look(members, shared_meters(&ctrl->shared), MEMBERS_LOOK_MAX, &now);
	save_step(ctrl, now.mono_us);
	members->spent_us += clock_mono_us() - now.mono_us;
	members->looks++;
}

int
members_watch(struct ctrl *ctrl, struct reason *reason)
{
	const struct timeval each = {0, MEMBERS_LOOK_MS * 1000};
	struct members *members = ctrl->members;

	members_restore(members, ctrl->config->state_dir);
	members->saved_mono_us = clock_mono_us();
	members->event = event_new(ctrl->base, -1, EV_PERSIST, look_due, ctrl);
	if (members->event == NULL || event_add(members->event, &each) != 0)
		return reason_set(reason, ENOMEM, "members cannot be watched");
	return 0;
}

/* What is under way is finished, or begun and finished. */
void
members_end(struct ctrl *ctrl)
{
	struct members *members = ctrl->members;
	struct reason reason;
	int status = 0;

	if (members == NULL)
		return;
	if (members->event != NULL) {
		event_free(members->event);
		while (status == 0)
			status = members_save(members, ctrl->config->state_dir, &reason);
		if (status < 0)
			log_error("members", "%s", reason.text);
	}
	members_destroy(members);
	ctrl->members = NULL;
}
