/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/cli/policy_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctrl/cli/file.h"
#include "ctrl/cli/request.h"
#include "ctrl/filecheck.h"

char *
policy_text_read(struct cli *cli, const char *path, size_t *size)
{
	char *text = malloc(POLICY_SIZE_MAX + 1);
	int error;

	if (!text) {
		cli_fail(cli, "no memory to read %s", path);
		return NULL;
	}
	error = file_read(path, text, POLICY_SIZE_MAX, size);
	if (error == 0) {
		text[*size] = '\0';
		return text;
	}
	if (error == -EFBIG)
		cli_fail(cli, "%s is larger than %u bytes: is it the right file?", path,
			POLICY_SIZE_MAX);
	else
		cli_fail(cli, "%s: %s", path, strerror(-error));
	free(text);
	return NULL;
}

char *
policy_text_trust(struct cli *cli, const char *path, size_t *size)
{
	struct reason reason;
	char *text;

	if (strcmp(path, "-") == 0)
		return policy_text_read(cli, path, size);
	if (filecheck_read(path, geteuid(), POLICY_SIZE_MAX, &text, size, &reason) == 0)
		return text;
	cli_fail(cli, "%s", reason.text);
	return NULL;
}

struct policy *
policy_text_check(const char *path, const char *text, size_t size, const struct config_realm *realm,
	struct policy_findings *found, struct reason *reason)
{
	struct policy *policy = policy_parse(path, text, size, reason);

	*found = (struct policy_findings){0};
	if (!policy || policy_lint(policy, realm, found) == 0)
		return policy;
	policy_findings_fini(found);
	policy_destroy(policy);
	reason_set(reason, ENOMEM, "no memory to look at %s", path);
	return NULL;
}

void
policy_text_print(FILE *out, const char *path, const struct policy_findings *found)
{
	unsigned i;

	for (i = 0; i < found->count; i++)
		fprintf(out, "%s:%u: %s: %s\n", path, found->items[i].line,
			policy_finding_text(found->items[i].kind), found->items[i].text);
}

json_t *
policy_text_json(const struct policy_findings *found)
{
	json_t *list = json_array();
	unsigned i;

	for (i = 0; i < found->count; i++)
		json_array_append_new(
			list, json_pack("{s:i, s:s, s:s}", "line", (int)found->items[i].line,
				      "kind", policy_finding_text(found->items[i].kind), "text",
				      found->items[i].text));
	return list;
}

void
policy_text_warn(const char *path, const json_t *result)
{
	const json_t *warning;
	size_t i;

	json_array_foreach(json_object_get(result, "warnings"), i, warning)
	{
		fprintf(stderr, "%s:%" PRIu64 ": unmet: %s\n", path,
			request_number(warning, "line"), request_text(warning, "text"));
	}
}
