/* SPDX-License-Identifier: BSD-3-Clause */
/* What a gateway requires to be signed, and how far its serials have come. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ctrl/ctrl.h"
#include "ctrl/filecheck.h"
#include "ctrl/signature.h"

#define RULE_SIZE_MAX 16384u
#define SIG_SIZE_MAX  4096u

static void
rule_path(char path[PATH_MAX], const struct signature_rule *rule)
{
	snprintf(path, PATH_MAX, "%s/" SIGNATURE_RULE_NAME, rule->state_dir);
}

/* ---- the file ---- */

static struct signature_serial *
serial_find(const struct signature_rule *rule, const char *purpose)
{
	for (unsigned i = 0; i < rule->serial_count; i++)
		if (strcmp(rule->serials[i].purpose, purpose) == 0)
			return (struct signature_serial *)(uintptr_t)&rule->serials[i];
	return NULL;
}

static int
serial_set(struct signature_rule *rule, const char *purpose, uint64_t serial)
{
	struct signature_serial *place = serial_find(rule, purpose);

	if (place == NULL && rule->serial_count < SIGNATURE_SERIALS_MAX) {
		place = &rule->serials[rule->serial_count++];
		snprintf(place->purpose, sizeof(place->purpose), "%.47s", purpose);
	}
	if (place == NULL)
		return -ENOSPC;
	place->serial = serial;
	return 0;
}

/* "gateway HEX", "key TEXT|none", "serial PURPOSE NUMBER" */
static int
rule_line_parse(struct signature_rule *rule, const char *line)
{
	char word[SIGNATURE_KEY_TEXT_SIZE + 1];
	uint64_t serial;
	int end = 0;

	if (sscanf(line, "gateway %16[0-9a-f]%n", rule->gateway, &end) == 1 && line[end] == '\0')
		return 0;
	if (strcmp(line, "key none") == 0)
		return 0;
	if (sscanf(line, "key %49s%n", word, &end) == 1 && line[end] == '\0') {
		rule->has_key = signature_public_parse(rule->key, word) == 0;
		return rule->has_key ? 0 : -EBADMSG;
	}
	if (sscanf(line, "serial %47s %20" SCNu64 "%n", word, &serial, &end) == 2 &&
		line[end] == '\0')
		return serial_set(rule, word, serial);
	return -EBADMSG;
}

static int
rule_parse(struct signature_rule *rule, char *text)
{
	int error = 0;

	for (char *line = text, *next; error == 0 && *line != '\0'; line = next) {
		next = line + strcspn(line, "\n");
		if (*next == '\0')
			return -EBADMSG; /* every line ends */
		*next++ = '\0';
		error = rule_line_parse(rule, line);
	}
	return error == 0 && strlen(rule->gateway) == SIGNATURE_GATEWAY_SIZE - 1 ? 0 : -EBADMSG;
}

int
signature_rule_load(
	struct signature_rule *rule, const char *state_dir, uid_t owner, struct reason *reason)
{
	char path[PATH_MAX], *text;
	size_t size;
	int error;

	memset(rule, 0, sizeof(*rule));
	snprintf(rule->state_dir, sizeof(rule->state_dir), "%s", state_dir);
	rule_path(path, rule);
	error = filecheck_read(path, owner, RULE_SIZE_MAX, &text, &size, reason);
	if (error == -ENOENT)
		return 0;
	if (error != 0)
		return error;
	if (strlen(text) != size || rule_parse(rule, text) != 0)
		error = reason_set(reason, EBADMSG,
			"%s is damaged; restore it from its backup: it says which signatures are "
			"required",
			path);
	free(text);
	return error;
}

static int
rule_store(const struct signature_rule *rule, struct reason *reason)
{
	char path[PATH_MAX], text[RULE_SIZE_MAX], key[SIGNATURE_KEY_TEXT_SIZE + 1] = "none";
	size_t size;

	if (rule->has_key)
		signature_public_text(key, rule->key);
	size = (size_t)snprintf(text, sizeof(text), "gateway %s\nkey %s\n", rule->gateway, key);
	for (unsigned i = 0; i < rule->serial_count; i++)
		size += (size_t)snprintf(text + size, sizeof(text) - size,
			"serial %s %" PRIu64 "\n", rule->serials[i].purpose,
			rule->serials[i].serial);
	rule_path(path, rule);
	return filecheck_replace(path, text, size, reason);
}

/* ---- checking ---- */

uint64_t
signature_rule_serial(const struct signature_rule *rule, const char *purpose)
{
	const struct signature_serial *place = serial_find(rule, purpose);

	return place != NULL ? place->serial : 0;
}

int
signature_rule_check(const struct signature_rule *rule, const char *purpose,
	const uint8_t digest[SIGNATURE_DIGEST_SIZE], const char *text, uint64_t *serial,
	struct reason *reason)
{
	uint64_t last = signature_rule_serial(rule, purpose);
	int error;

	*serial = 0;
	if (!rule->has_key)
		return 0;
	if (text == NULL)
		return reason_set(reason, ENOKEY,
			"a signature is required and there is none; credgate sign FILE --for %s",
			purpose);
	error = signature_check(text, rule->key, purpose, digest, serial, reason);
	if (error == 0 && *serial < last)
		error = reason_set(reason, ESTALE,
			"the signature is good and old: its serial %" PRIu64 " is behind %" PRIu64
			", which was in force; sign the text again if it is meant",
			*serial, last);
	return error;
}

int
signature_rule_accept(
	struct signature_rule *rule, const char *purpose, uint64_t serial, struct reason *reason)
{
	struct signature_rule next = *rule;
	int error;

	if (!rule->has_key || serial == signature_rule_serial(rule, purpose))
		return 0;
	if (serial_set(&next, purpose, serial) != 0)
		return reason_set(reason, ENOSPC, "too many realms have signed policies");
	error = rule_store(&next, reason);
	if (error == 0)
		*rule = next;
	return error;
}

/* ---- the requirement itself ---- */

void
signature_statement(
	char statement[SIGNATURE_STATEMENT_SIZE], const char *gateway, const char *key_text)
{
	snprintf(statement, SIGNATURE_STATEMENT_SIZE, "credgate: gateway %s requires %s\n", gateway,
		key_text);
}

/* The holder of the current key alone may take it out of force, once, at this gateway. */
static int
statement_check(const struct signature_rule *rule, const uint8_t *key, const char *signature,
	uint64_t *serial, struct reason *reason)
{
	char statement[SIGNATURE_STATEMENT_SIZE], key_text[SIGNATURE_KEY_TEXT_SIZE + 1] = "none";
	uint8_t digest[SIGNATURE_DIGEST_SIZE];
	int error;

	if (key != NULL)
		signature_public_text(key_text, key);
	signature_statement(statement, rule->gateway, key_text);
	if (signature == NULL)
		return reason_set(reason, EPERM,
			"signatures are required already; only a statement signed by the key that "
			"is required changes that: credgate sign require %s --key SECRET",
			key_text);
	signature_digest(digest, statement, strlen(statement));
	error = signature_rule_check(
		rule, SIGNATURE_FOR_REQUIREMENT, digest, signature, serial, reason);
	if (error == 0 && *serial <= signature_rule_serial(rule, SIGNATURE_FOR_REQUIREMENT))
		error = reason_set(reason, ESTALE,
			"the statement was used before; sign a new one, with a higher serial");
	return error;
}

int
signature_rule_set(struct signature_rule *rule, const uint8_t *key, const char *signature,
	struct reason *reason)
{
	struct signature_rule next = *rule;
	uint64_t serial = 0;
	uint8_t id[8];
	int error = 0;

	if (rule->has_key)
		error = statement_check(rule, key, signature, &serial, reason);
	else if (key == NULL)
		error = reason_set(reason, EALREADY, "no signature is required as it is");
	if (error != 0)
		return error;
	if (rule->has_key && serial_set(&next, SIGNATURE_FOR_REQUIREMENT, serial) != 0)
		return reason_set(reason, ENOSPC, "too many realms have signed policies");
	if (next.gateway[0] == '\0') {
		randombytes_buf(id, sizeof(id));
		sodium_bin2hex(next.gateway, sizeof(next.gateway), id, sizeof(id));
	}
	next.has_key = key != NULL;
	if (key != NULL)
		memcpy(next.key, key, SIGNATURE_PUBLIC_SIZE);
	error = rule_store(&next, reason);
	if (error == 0)
		*rule = next;
	return error;
}

/* ---- texts that are put in force ---- */

int
signature_config_check(const struct signature_rule *rule, const struct config *config, uid_t owner,
	uint64_t *serial, struct reason *reason)
{
	char path[CONFIG_PATH_SIZE + 8], *line = NULL;
	struct reason why;
	size_t size;
	int error;

	*serial = 0;
	if (!rule->has_key)
		return 0;
	snprintf(path, sizeof(path), "%s.sig", config->path);
	error = filecheck_read(path, owner, SIG_SIZE_MAX, &line, &size, &why);
	if (error == -ENOENT)
		error = signature_rule_check(
			rule, SIGNATURE_FOR_CONFIG, config->digest, NULL, serial, &why);
	else if (error != 0)
		return reason_set(reason, -error, "%s", why.text);
	else
		error = signature_rule_check(
			rule, SIGNATURE_FOR_CONFIG, config->digest, line, serial, &why);
	free(line);
	return error == 0 ? 0 : reason_set(reason, -error, "%s: %.600s", config->path, why.text);
}

bool
signature_is_required(const struct ctrl *ctrl)
{
	return ctrl->signature.has_key;
}

int
signature_text_check(const struct ctrl *ctrl, const char *purpose, const char *text,
	const char *signature, uint64_t *serial, struct reason *reason)
{
	uint8_t digest[SIGNATURE_DIGEST_SIZE];

	signature_digest(digest, text, strlen(text));
	return signature_rule_check(&ctrl->signature, purpose, digest, signature, serial, reason);
}
