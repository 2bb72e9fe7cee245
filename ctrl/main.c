/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * credgated, the control process. The order is the point: the starter is forked while there is no
 * secret and no socket that it could inherit, privileges are dropped before any is opened, and only
 * then is the gateway built.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ctrl/ctrl.h"
#include "ctrl/log.h"
#include "ctrl/memory.h"
#include "ctrl/options.h"
#include "ctrl/privilege.h"

#define EXIT_USAGE 2

static int
gateway_serve(struct ctrl *ctrl)
{
	struct reason reason;
	int code = 1;

	if (ctrl_init(ctrl, &reason) != 0)
		log_error("credgated", "%s", reason.text);
	else
		code = ctrl_run(ctrl);
	ctrl_fini(ctrl);
	return code;
}

/* With the starter behind us, nothing needs root any more. */
static int
privilege_leave(const struct ctrl *ctrl, struct reason *reason)
{
	int error = privilege_make_dirs(ctrl->config, reason);

	if (error == 0)
		error = privilege_become(&ctrl->config->control, reason);
	if (error == 0)
		error = memory_process_harden(reason);
	return error;
}

static int
gateway_run(struct ctrl *ctrl, const char *dataplane)
{
	const struct starter_config starter = {
		.program = dataplane,
		.uid = ctrl->config->dataplane_user.uid,
		.gid = ctrl->config->dataplane_user.gid,
	};
	struct reason reason;
	int code = 1;

	if (starter_fork(&ctrl->starter, &starter, &reason) != 0) {
		log_error("credgated", "%s", reason.text);
		return 1;
	}
	if (privilege_leave(ctrl, &reason) != 0)
		log_error("credgated", "%s", reason.text);
	else
		code = gateway_serve(ctrl);
	starter_stop(&ctrl->starter);
	return code;
}

/* Before a directory is made or a user taken as the file says. */
static int
signature_precheck(const struct ctrl *ctrl, bool is_check, struct reason *reason)
{
	struct signature_rule rule;
	uint64_t serial;
	int error = signature_rule_load(
		&rule, ctrl->config->state_dir, ctrl->config->control.uid, reason);

	/* Who only looks at a file may not see what is required. */
	if (error == -EACCES && is_check)
		return 0;
	if (error != 0)
		return error;
	return signature_config_check(&rule, ctrl->config, ctrl->caller.uid, &serial, reason);
}

int
main(int argc, char **argv)
{
	static struct ctrl ctrl;
	struct options options;
	char path[PATH_MAX];
	struct reason reason;
	int code = 0;

	code = options_parse(&options, argc, argv);
	if (code != 0)
		return code > 0 ? EXIT_SUCCESS : EXIT_USAGE;
	ctrl.caller = (struct config_caller){.uid = geteuid(), .gid = getegid()};
	ctrl.config = config_load(options.config, &ctrl.caller, &reason);
	if (ctrl.config == NULL) {
		fprintf(stderr, "%s\n", reason.text);
		return EXIT_FAILURE;
	}
	log_form_set(ctrl.config->log);
	/* As it is to be found again by a reload. */
	if (realpath(options.config, path) != NULL)
		snprintf(ctrl.config->path, sizeof(ctrl.config->path), "%.255s", path);
	if (signature_precheck(&ctrl, options.is_check, &reason) != 0) {
		fprintf(stderr, "%s\n", reason.text);
		config_destroy(ctrl.config);
		return EXIT_FAILURE;
	}
	if (options.is_check)
		config_print(ctrl.config, stdout);
	else
		code = gateway_run(&ctrl, options.dataplane);
	config_destroy(ctrl.config);
	log_tell(true);
	return code;
}
