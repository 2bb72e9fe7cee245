/* SPDX-License-Identifier: BSD-3-Clause */
/* Policies without a gateway: what is wrong with a file, and which rule decides. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctrl/cli/policy_text.h"
#include "ctrl/cli/request.h"
#include "ctrl/cli/value.h"
#include "ctrl/cli/verbs.h"
#include "ctrl/policy_explain.h"

/* ---- policy check ---- */

enum {
	CHECK_REALM = CLI_ID_FIRST,
};

static const struct cli_option check_options[] = {
	{"realm", CHECK_REALM, "REALM", "look its audiences up in the configuration"},
	{NULL, 0, NULL, NULL},
};

static int
take_realm(struct cli *cli, void *context, int id, const char *value)
{
	(void)cli;
	(void)id;
	*(const char **)context = value;
	return CLI_DONE;
}

static int
check_print(struct cli *cli, const char *path, const struct policy *policy,
	const struct policy_findings *found, const char *error)
{
	if (cli->has_json) {
		json_t *result =
			json_pack("{s:s, s:b, s:i, s:o}", "file", path, "ok", policy != NULL,
				"warnings", (int)found->count, "findings", policy_text_json(found));

		if (error)
			json_object_set_new(result, "error", json_string(error));
		request_print_json(result);
		json_decref(result);
	} else if (policy) {
		policy_text_print(stdout, path, found);
		printf("%s: rules: %u, limits: %u, warnings: %u\n", path, policy->rule_count,
			policy->limit_count, found->count);
	}
	if (error)
		return cli_fail(cli, "%s", error);
	return cli_finish(cli, found->count > 0 ? POLICY_WARNED : CLI_DONE);
}

/* The realm of the configuration; *realm stays NULL if none was asked for. */
static int
realm_find(struct cli *cli, const char *name, struct config **config,
	const struct config_realm **realm)
{
	struct config_caller caller = {.uid = geteuid(), .gid = getegid()};
	struct reason reason;
	int index;

	if (!name)
		return CLI_GO;
	*config = config_load(cli_config_path(cli), &caller, &reason);
	if (!*config)
		return cli_fail(cli, "%s", reason.text);
	index = config_realm_find(*config, name);
	if (index < 0)
		return cli_fail(cli, "%s has no realm '%s'", (*config)->path, name);
	*realm = &(*config)->realms[index];
	return CLI_GO;
}

static int
check_file(struct cli *cli, const char *path, const struct config_realm *realm)
{
	struct policy_findings found;
	struct policy *policy;
	struct reason reason;
	size_t size = 0;
	char *text = policy_text_read(cli, path, &size);
	int code;

	if (!text)
		return CLI_FAILED;
	policy = policy_text_check(path, text, size, realm, &found, &reason);
	code = check_print(cli, path, policy, &found, policy ? NULL : reason.text);
	policy_findings_fini(&found);
	policy_destroy(policy);
	free(text);
	return code;
}

static int
check_run(struct cli *cli)
{
	const struct config_realm *realm = NULL;
	struct config *config = NULL;
	const char *name = NULL;
	int code = cli_parse(cli, take_realm, &name);

	if (code == CLI_GO)
		code = realm_find(cli, name, &config, &realm);
	if (code == CLI_GO)
		code = check_file(cli, cli->argv[0], realm);
	if (config)
		config_destroy(config);
	return code;
}

const struct cli_verb verb_policy_check = {
	.name = "policy check",
	.operands = "FILE",
	.summary = "Look for mistakes in a policy, without a gateway",
	.detail = "Beside errors it finds rules that are empty (match nothing), shadowed (earlier\n"
		  "rules decide all that they would, alike), contradictory (the other way),\n"
		  "unreachable (some alike, some not), wide (allow every node and user), and with\n"
		  "--realm unknown audiences. Earlier rules are taken together, not one by one.\n",
	.examples = "credgate policy check lab.policy\n"
		    "credgate policy check lab.policy --realm lab --json | jq '.findings[]'\n",
	.exits = "0\tnothing was found\n1\tthe file has a mistake and cannot be applied\n"
		 "2\tthe command line is wrong\n3\tit can be applied, but there are warnings\n",
	.options = {check_options},
	.common = CLI_TAKES_JSON | CLI_TAKES_CONFIG,
	.operands_min = 1,
	.operands_max = 1,
	.run = check_run,
};

/* ---- policy explain ---- */

enum {
	EXPLAIN_FILE = CLI_ID_FIRST,
	EXPLAIN_NODE,
	EXPLAIN_ROLE,
	EXPLAIN_UID,
	EXPLAIN_GID,
	EXPLAIN_AUDIENCE,
	EXPLAIN_KIND,
	EXPLAIN_ORIGIN,
};

static const struct cli_option explain_options[] = {
	{"file", EXPLAIN_FILE, "FILE", "ask this file instead of the running gateway"},
	{"node", EXPLAIN_NODE, "NAME", "the node; the gateway knows its roles"},
	{"role", EXPLAIN_ROLE, "ROLE", "a role of the node; may be repeated"},
	{"uid", EXPLAIN_UID, "UID", "who issues, by number or name"},
	{"gid", EXPLAIN_GID, "GID", "with which group"},
	{"audience", EXPLAIN_AUDIENCE, "NAME", "for which service; any: for none in particular"},
	{"kind", EXPLAIN_KIND, "KIND", "assert, beacon or ask"},
	{"origin", EXPLAIN_ORIGIN, "ADDRESS", "the origin that the credential states"},
	{NULL, 0, NULL, NULL},
};

struct explain {
	const char *file;
	struct policy_question question;
	const char *roles[REGISTRY_ROLES_MAX];
	const char *origin;
	const char *kind;
};

static int
take_kind(struct cli *cli, struct explain *explain, const char *value)
{
	static const char *const names[] = {"assert", "beacon", "ask"};
	unsigned i;

	for (i = 0; i < 3; i++)
		if (strcmp(names[i], value) == 0)
			explain->question.kind = i + 1;
	explain->kind = value;
	return explain->question.kind
		       ? CLI_DONE
		       : cli_bad_value(cli, EXPLAIN_KIND, value, "assert, beacon or ask");
}

static int
take_role(struct cli *cli, struct explain *explain, const char *value)
{
	if (explain->question.role_count == REGISTRY_ROLES_MAX)
		return cli_usage(cli, "a node has at most %u roles", REGISTRY_ROLES_MAX);
	explain->roles[explain->question.role_count++] = value;
	explain->question.has_roles = true;
	return CLI_DONE;
}

static int
take_explain(struct cli *cli, void *context, int id, const char *value)
{
	struct explain *explain = context;
	struct policy_question *question = &explain->question;

	switch (id) {
	case EXPLAIN_FILE:
		explain->file = value;
		return CLI_DONE;
	case EXPLAIN_NODE:
		question->node = value;
		return CLI_DONE;
	case EXPLAIN_ROLE:
		return take_role(cli, explain, value);
	case EXPLAIN_UID:
		question->has_uid = value_uid(value, false, &question->uid) == 0;
		return question->has_uid ? CLI_DONE
					 : cli_bad_value(cli, id, value, "a number or user name");
	case EXPLAIN_GID:
		question->has_gid = value_gid(value, false, &question->gid) == 0;
		return question->has_gid ? CLI_DONE
					 : cli_bad_value(cli, id, value, "a number or group name");
	case EXPLAIN_AUDIENCE:
		question->audience = value;
		return CLI_DONE;
	case EXPLAIN_KIND:
		return take_kind(cli, explain, value);
	default:
		explain->origin = value;
		question->has_origin = value_address(value, question->origin) == 0;
		return question->has_origin ? CLI_DONE
					    : cli_bad_value(cli, id, value, "an address");
	}
}

/* The question as the admin protocol has it. */
static json_t *
question_json(const struct cli *cli, const struct explain *explain)
{
	const struct policy_question *question = &explain->question;
	json_t *arguments = json_pack("{s:s, s:s*, s:s*, s:s*, s:s*}", "realm", cli->argv[0],
		"node", question->node, "audience", question->audience, "kind", explain->kind,
		"origin", explain->origin);
	json_t *roles = json_array();
	unsigned i;

	for (i = 0; i < question->role_count; i++)
		json_array_append_new(roles, json_string(question->roles[i]));
	if (question->has_roles)
		json_object_set(arguments, "roles", roles);
	json_decref(roles);
	if (question->has_uid)
		json_object_set_new(arguments, "uid", json_integer(question->uid));
	if (question->has_gid)
		json_object_set_new(arguments, "gid", json_integer(question->gid));
	return arguments;
}

static json_t *
explain_file(struct cli *cli, struct explain *explain)
{
	struct policy *policy;
	struct reason reason;
	json_t *result = NULL;
	size_t size = 0;
	char *text = policy_text_read(cli, explain->file, &size);

	if (!text)
		return NULL;
	policy = policy_parse(explain->file, text, size, &reason);
	if (policy)
		result = policy_explain(policy, &explain->question);
	else
		cli_fail(cli, "%s", reason.text);
	policy_destroy(policy);
	free(text);
	return result;
}

static void
print_rules(const json_t *result)
{
	const json_t *rule;
	size_t i;

	json_array_foreach(json_object_get(result, "rules"), i, rule)
	{
		const char *name = request_text(rule, "name"), *why = request_text(rule, "why");

		printf("rule %" PRIu64 " (%s%s%s, line %" PRIu64 "): %s%s%s\n",
			request_number(rule, "rule"), request_text(rule, "action"),
			*name ? " " : "", name, request_number(rule, "line"),
			request_text(rule, "match"), *why ? ": " : "", why);
	}
}

static void
print_limits(const json_t *result)
{
	const json_t *limit;
	size_t i;

	json_array_foreach(json_object_get(result, "limits"), i, limit)
	{
		const json_t *rate = json_object_get(limit, "rate");

		printf("limit of %s (line %" PRIu64 "%s): ", request_text(limit, "limit"),
			request_number(limit, "line"),
			json_is_true(json_object_get(limit, "shared")) ? ", shared" : "");
		if (rate)
			printf("%g per second, burst %g", json_number_value(rate),
				json_number_value(json_object_get(limit, "burst")));
		else
			printf("unlimited");
		printf("%s\n", strcmp(request_text(limit, "match"), "maybe") == 0 ? ", maybe" : "");
	}
}

static void
print_outcome(const json_t *result)
{
	const json_t *outcomes = json_object_get(result, "outcomes");
	const char *enforce = request_text(outcomes, "enforce");

	if (strcmp(request_text(result, "state"), "-") != 0 &&
		strcmp(request_text(result, "state"), "live") != 0)
		printf("the node is %s: that comes before any rule\n",
			request_text(result, "state"));
	if (!json_is_true(json_object_get(result, "certain")))
		printf("not certain: say more of the credential (--node, --uid, ...)\n");
	if (!json_is_null(json_object_get(result, "decides")))
		printf("rule %" PRIu64 " decides: %s\n", request_number(result, "decides"),
			enforce);
	else if (json_is_true(json_object_get(result, "has_rules")))
		printf("no rule decides: %s in mode enforce; in observe and permissive allow, "
		       "counted as would-refuse\n",
			enforce);
	else
		printf("there are no rules: allow, in every mode\n");
}

static int
explain_run(struct cli *cli)
{
	struct explain explain = {0};
	int code = cli_parse(cli, take_explain, &explain);
	json_t *result;

	if (code != CLI_GO)
		return code;
	if ((cli->argc == 0) == !explain.file)
		return cli_usage(cli, "it takes a realm of the running gateway, or --file FILE");
	explain.question.roles = explain.roles;
	result = explain.file ? explain_file(cli, &explain)
			      : request_once(cli, "policy.explain", question_json(cli, &explain));
	if (!result)
		return CLI_FAILED;
	if (cli->has_json) {
		request_print_json(result);
	} else {
		print_rules(result);
		print_limits(result);
		print_outcome(result);
	}
	json_decref(result);
	return cli_finish(cli, CLI_DONE);
}

const struct cli_verb verb_policy_explain = {
	.name = "policy explain",
	.operands = "[REALM]",
	.summary = "Say which rule decides about a credential, and why those before do not",
	.detail =
		"Asks the policy in force, or that of --file without a gateway. What is not said\n"
		"of the credential is open: rules that ask for it are shown as maybe.\n",
	.examples = "credgate policy explain lab --node n001 --uid 1000 --audience scheduler\n"
		    "credgate policy explain --file lab.policy --role batch --uid alice\n",
	.options = {explain_options},
	.common = CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_RUN_DIR,
	.operands_min = 0,
	.operands_max = 1,
	.run = explain_run,
};
