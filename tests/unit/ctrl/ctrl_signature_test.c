/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signatures: good ones only, for their purpose, their key and their time; and the requirement,
 * which its own key alone takes back.
 */
#include "tests/unit/ctrl/ctrl_fixture.h"

#include <sodium.h>

#include "ctrl/config.h"
#include "ctrl/filecheck.h"
#include "ctrl/signature.h"

static uint8_t seed[SIGNATURE_SEED_SIZE], key[SIGNATURE_PUBLIC_SIZE];
static uint8_t other_seed[SIGNATURE_SEED_SIZE], other_key[SIGNATURE_PUBLIC_SIZE];
static uint8_t digest[SIGNATURE_DIGEST_SIZE];

static int
setup(void **state)
{
	if (sodium_init() < 0 || fixture_setup(state) != 0)
		return -1;
	randombytes_buf(seed, sizeof(seed));
	randombytes_buf(other_seed, sizeof(other_seed));
	signature_public_of(key, seed);
	signature_public_of(other_key, other_seed);
	signature_digest(digest, "text", 4);
	return chmod(fixture_dir, 0700);
}

static void
test_texts_of_keys(void **state)
{
	char text[SIGNATURE_KEY_TEXT_SIZE + 2];
	uint8_t back[SIGNATURE_PUBLIC_SIZE];

	(void)state;
	signature_public_text(text, key);
	assert_int_equal(strlen(text), SIGNATURE_KEY_TEXT_SIZE);
	assert_int_equal(signature_public_parse(back, text), 0);
	assert_memory_equal(back, key, sizeof(key));
	assert_int_equal(signature_seed_parse(back, text), -EBADMSG);
	memcpy(text + SIGNATURE_KEY_TEXT_SIZE, "\n", 2);
	assert_int_equal(signature_public_parse(back, text), 0);
	memcpy(text + SIGNATURE_KEY_TEXT_SIZE, "x", 2);
	assert_int_equal(signature_public_parse(back, text), -EBADMSG);
	assert_int_equal(signature_public_parse(back, "CGP1:AAAA:"), -EBADMSG);
	assert_int_equal(signature_public_parse(back, ""), -EBADMSG);
}

static void
test_signature_is_of_text_purpose_key_and_serial(void **state)
{
	char text[SIGNATURE_TEXT_SIZE + 1];
	uint8_t changed[SIGNATURE_DIGEST_SIZE];
	struct reason reason;
	uint64_t serial;

	(void)state;
	signature_make(text, seed, "config", 1795385000, digest);
	assert_int_equal(strlen(text), SIGNATURE_TEXT_SIZE);
	assert_int_equal(signature_check(text, key, "config", digest, &serial, &reason), 0);
	assert_int_equal(serial, 1795385000);
	signature_digest(changed, "texT", 4);
	assert_int_equal(
		signature_check(text, key, "config", changed, &serial, &reason), -EKEYREJECTED);
	assert_int_equal(
		signature_check(text, key, "policy/lab", digest, &serial, &reason), -EKEYREJECTED);
	assert_int_equal(
		signature_check(text, other_key, "config", digest, &serial, &reason), -ENOKEY);
	/* Any character of it, serial and key id included. */
	for (size_t i = 0; i < SIGNATURE_TEXT_SIZE; i++) {
		char old = text[i];

		text[i] = old == 'A' ? 'B' : 'A';
		if (signature_check(text, key, "config", digest, &serial, &reason) == 0)
			fail_msg("character %zu may be another one", i);
		text[i] = old;
	}
	text[SIGNATURE_TEXT_SIZE - 1] = '\0';
	assert_int_equal(signature_check(text, key, "config", digest, &serial, &reason), -EBADMSG);
}

static void
rule_open(struct signature_rule *rule)
{
	struct reason reason;

	if (signature_rule_load(rule, fixture_dir, getuid(), &reason) != 0)
		fail_msg("%s", reason.text);
}

/* A signature by `by` of the statement that `new_key` (NULL: nothing) be required. */
static const char *
statement_sign(const struct signature_rule *rule, const uint8_t *by, const uint8_t *new_key,
	uint64_t serial)
{
	static char text[SIGNATURE_TEXT_SIZE + 1];
	char statement[SIGNATURE_STATEMENT_SIZE], key_text[SIGNATURE_KEY_TEXT_SIZE + 1] = "none";
	uint8_t own[SIGNATURE_DIGEST_SIZE];

	if (new_key != NULL)
		signature_public_text(key_text, new_key);
	signature_statement(statement, rule->gateway, key_text);
	signature_digest(own, statement, strlen(statement));
	signature_make(text, by, SIGNATURE_FOR_REQUIREMENT, serial, own);
	return text;
}

static void
test_requirement_is_set_once(void **state)
{
	struct signature_rule rule;
	struct reason reason;
	char gateway[SIGNATURE_GATEWAY_SIZE], old[SIGNATURE_TEXT_SIZE + 1];

	(void)state;
	rule_open(&rule);
	assert_false(rule.has_key);
	assert_int_equal(signature_rule_set(&rule, NULL, NULL, &reason), -EALREADY);
	assert_int_equal(signature_rule_set(&rule, key, NULL, &reason), 0);
	rule_open(&rule);
	assert_true(rule.has_key);
	assert_memory_equal(rule.key, key, sizeof(key));
	memcpy(gateway, rule.gateway, sizeof(gateway));

	/* Neither without a signature, nor with another's, nor with a statement of something else. */
	assert_int_equal(signature_rule_set(&rule, other_key, NULL, &reason), -EPERM);
	assert_int_equal(signature_rule_set(&rule, NULL, NULL, &reason), -EPERM);
	assert_int_equal(signature_rule_set(
				 &rule, NULL, statement_sign(&rule, other_seed, NULL, 1), &reason),
		-ENOKEY);
	assert_int_equal(
		signature_rule_set(&rule, NULL, statement_sign(&rule, seed, other_key, 1), &reason),
		-EKEYREJECTED);
	memcpy(rule.gateway, "0123456789abcdef", sizeof(rule.gateway));
	snprintf(old, sizeof(old), "%s", statement_sign(&rule, seed, NULL, 1));
	memcpy(rule.gateway, gateway, sizeof(gateway));
	assert_int_equal(signature_rule_set(&rule, NULL, old, &reason), -EKEYREJECTED);

	snprintf(old, sizeof(old), "%s", statement_sign(&rule, seed, NULL, 5));
	assert_int_equal(signature_rule_set(&rule, NULL, old, &reason), 0);
	rule_open(&rule);
	assert_false(rule.has_key);
	assert_string_equal(rule.gateway, gateway);

	/* Set again, the old statement does not clear it a second time. */
	assert_int_equal(signature_rule_set(&rule, key, NULL, &reason), 0);
	assert_int_equal(signature_rule_set(&rule, NULL, old, &reason), -ESTALE);
	assert_int_equal(signature_rule_set(&rule, other_key,
				 statement_sign(&rule, seed, other_key, 6), &reason),
		0);
	assert_memory_equal(rule.key, other_key, sizeof(other_key));
}

static void
test_serials_never_go_back(void **state)
{
	char text[SIGNATURE_TEXT_SIZE + 1];
	struct signature_rule rule;
	struct reason reason;
	uint64_t serial;

	(void)state;
	rule_open(&rule);
	signature_make(text, seed, "policy/lab", 7, digest);
	assert_int_equal(
		signature_rule_check(&rule, "policy/lab", digest, NULL, &serial, &reason), 0);
	assert_int_equal(signature_rule_set(&rule, key, NULL, &reason), 0);
	assert_int_equal(
		signature_rule_check(&rule, "policy/lab", digest, NULL, &serial, &reason), -ENOKEY);
	assert_int_equal(
		signature_rule_check(&rule, "policy/lab", digest, text, &serial, &reason), 0);
	assert_int_equal(signature_rule_accept(&rule, "policy/lab", serial, &reason), 0);
	rule_open(&rule);
	assert_int_equal(signature_rule_serial(&rule, "policy/lab"), 7);
	/* The same again may be, an older one not; another purpose has a count of its own. */
	assert_int_equal(
		signature_rule_check(&rule, "policy/lab", digest, text, &serial, &reason), 0);
	signature_make(text, seed, "policy/lab", 6, digest);
	assert_int_equal(
		signature_rule_check(&rule, "policy/lab", digest, text, &serial, &reason), -ESTALE);
	signature_make(text, seed, "config", 1, digest);
	assert_int_equal(signature_rule_check(&rule, "config", digest, text, &serial, &reason), 0);
}

static void
test_configuration_needs_its_signature(void **state)
{
	static struct config config;
	char text[SIGNATURE_TEXT_SIZE + 1];
	struct signature_rule rule;
	struct reason reason;
	uint64_t serial;

	(void)state;
	rule_open(&rule);
	snprintf(config.path, sizeof(config.path), "%s", fixture_path("c.yaml"));
	memcpy(config.digest, digest, sizeof(digest));
	assert_int_equal(signature_config_check(&rule, &config, getuid(), &serial, &reason), 0);
	assert_int_equal(signature_rule_set(&rule, key, NULL, &reason), 0);
	assert_int_equal(
		signature_config_check(&rule, &config, getuid(), &serial, &reason), -ENOKEY);
	signature_make(text, seed, "config", 9, digest);
	fixture_write_text("c.yaml.sig", text);
	assert_int_equal(signature_config_check(&rule, &config, getuid(), &serial, &reason), 0);
	assert_int_equal(serial, 9);
	chmod(fixture_path("c.yaml.sig"), 0666);
	assert_int_equal(
		signature_config_check(&rule, &config, getuid(), &serial, &reason), -EPERM);
	chmod(fixture_path("c.yaml.sig"), 0644);
	config.digest[0] ^= 1;
	assert_int_equal(
		signature_config_check(&rule, &config, getuid(), &serial, &reason), -EKEYREJECTED);
	assert_non_null(strstr(reason.text, "c.yaml"));
}

static void
test_damaged_rule_is_refused(void **state)
{
	static const char *const bad[] = {"", "gateway 0123456789abcdef\nkey CGP1:AA:\n",
		"gateway 01234567\nkey none\n", "gateway 0123456789abcdef\nkey none",
		"gateway 0123456789abcdef\nkey none\nserial config x\n",
		"gateway 0123456789abcdef\nkeys none\n"};
	struct signature_rule rule;
	struct reason reason;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fixture_write(SIGNATURE_RULE_NAME, bad[i], strlen(bad[i]), 0600);
		assert_int_equal(
			signature_rule_load(&rule, fixture_dir, getuid(), &reason), -EBADMSG);
	}
	fixture_write(SIGNATURE_RULE_NAME, "gateway 0123456789abcdef\nkey none\n", 34, 0622);
	assert_int_equal(signature_rule_load(&rule, fixture_dir, getuid(), &reason), -EPERM);
}

static void
test_files_are_checked(void **state)
{
	struct reason reason;
	char *bytes;
	size_t size;

	(void)state;
	fixture_write_text("f", "hello");
	assert_int_equal(filecheck_read(fixture_path("f"), getuid(), 5, &bytes, &size, &reason), 0);
	assert_int_equal(size, 5);
	assert_string_equal(bytes, "hello");
	free(bytes);
	assert_int_equal(
		filecheck_read(fixture_path("f"), getuid(), 4, &bytes, &size, &reason), -EFBIG);
	chmod(fixture_path("f"), 0664);
	assert_int_equal(
		filecheck_read(fixture_path("f"), getuid(), 5, &bytes, &size, &reason), -EPERM);
	assert_non_null(strstr(reason.text, "chmod go-w"));
	chmod(fixture_path("f"), 0644);
	if (geteuid() == 0) {
		assert_int_equal(chown(fixture_path("f"), 61009, 61009), 0);
		assert_int_equal(
			filecheck_read(fixture_path("f"), 0, 5, &bytes, &size, &reason), -EPERM);
		assert_int_equal(
			filecheck_read(fixture_path("f"), 61009, 5, &bytes, &size, &reason), 0);
		free(bytes);
	}
	assert_int_equal(mkfifo(fixture_path("p"), 0600), 0);
	assert_int_equal(
		filecheck_read(fixture_path("p"), getuid(), 5, &bytes, &size, &reason), -EINVAL);
	assert_int_equal(
		filecheck_read(fixture_path("q"), getuid(), 5, &bytes, &size, &reason), -ENOENT);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_texts_of_keys),
		TEST(test_signature_is_of_text_purpose_key_and_serial),
		TEST(test_requirement_is_set_once),
		TEST(test_serials_never_go_back),
		TEST(test_configuration_needs_its_signature),
		TEST(test_damaged_rule_is_refused),
		TEST(test_files_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
