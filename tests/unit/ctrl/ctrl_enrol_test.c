/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Enrolment without sockets: what each request gets, once, from where, for how long, and what is
 * left after a restart or a crash in the middle. The gateway is real but for its dataplane. Then
 * the sockets: what a stranger may cost.
 */
#include "tests/unit/ctrl/ctrl_rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sodium.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <time.h>

#include "crypto/join.h"
#include "crypto/kdf.h"
#include "ctrl/address.h"
#include "ctrl/enrol.h"
#include "ctrl/enrol_judge.h"
#include "ctrl/enrol_limit.h"
#include "ctrl/registry_codes.h"

static struct enrol_judge judge; /* a second one, on the same key: the first belongs to sockets */
static uint16_t port;

static void
gateway_start(void)
{
	rig_start();
	judge = (struct enrol_judge){.ctrl = &ctrl};
	assert_int_equal(enrol_key_open(&judge.key, fixture_path("state"), &reason), 0);
}

static void
gateway_stop(void)
{
	enrol_key_close(&judge.key);
	rig_stop();
}

static void
gateway_restart(void)
{
	gateway_stop();
	gateway_start();
}

static int
setup(void **state)
{
	if (rig_dirs(state) != 0)
		return -1;
	rig_master("lab");
	port = rig_port_find();
	rig_config(RIG_LAB "enrol: {listen: \"127.0.0.1:%u\"}\n", 80u, port);
	gateway_start();
	return 0;
}

static int
teardown(void **state)
{
	gateway_stop();
	return fixture_teardown(state);
}

/* ---- asking ---- */

/* A verb with arguments as JSON text; the result, or NULL with `reason`. */
static json_t *
verb(const char *name, const char *arguments)
{
	return rig_call(name, rig_args(arguments));
}

static void
verb_must(const char *name, const char *arguments)
{
	json_decref(rig_must(name, rig_args(arguments)));
}

static struct join_code
invite(const char *arguments)
{
	json_t *result = verb("node.invite", arguments);
	struct join_code code;
	const char *text;

	if (result == NULL)
		fail_msg("%s", reason.text);
	text = json_string_value(json_object_get(result, "code"));
	assert_int_equal(join_code_decode(&code, text, strlen(text)), 0);
	json_decref(result);
	return code;
}

struct node {
	uint8_t secret[32];
	uint8_t request[JOIN_REQUEST_SIZE];
	struct join_body body;
	struct enrol_answer answer;
};

static struct node
node_make(void)
{
	struct node node = {0};

	randombytes_buf(node.secret, sizeof(node.secret));
	return node;
}

/* What the request in `node` gets from an address: a status, or minus the kind of a plain answer. */
static int
ask_again(struct node *node, const struct join_code *code, const char *from)
{
	uint8_t source[16], bits;
	uint32_t retry_ms;
	int kind;

	assert_null(address_parse(from, source, &bits));
	enrol_judge(&judge, node->request, sizeof(node->request), source, &node->answer);
	if (node->answer.size == 0)
		return 0;
	kind = join_answer_parse(node->answer.bytes, node->answer.size, &retry_ms);
	if (kind != JOIN_SEALED)
		return -kind;
	assert_int_equal(join_answer_open(&node->body, node->answer.bytes, node->request, code,
				 node->secret),
		0);
	return (int)node->body.status;
}

static int
ask(struct node *node, const struct join_code *code, const char *name, const char *from)
{
	assert_int_equal(join_request_make(node->request, code, node->secret, name), 0);
	return ask_again(node, code, from);
}

static struct registry_node
find(const char *name)
{
	struct registry_node node;

	if (registry_node_find(ctrl.registry, 7, "lab", name, 0, &node, &reason) != 0)
		fail_msg("%s", reason.text);
	return node;
}

static struct registry_code
code_of(const struct join_code *code)
{
	struct registry_code row;

	assert_int_equal(registry_code_find(ctrl.registry, code->id, &row, &reason), 1);
	return row;
}

static void
key_is(const struct node *node, const char *name, uint16_t epoch)
{
	struct registry_node known = find(name);
	uint8_t key[32];

	assert_int_equal(node->body.key.realm, 7);
	assert_int_equal(node->body.key.node, known.node);
	assert_int_equal(node->body.key.epoch, epoch);
	assert_string_equal(node->body.name, name);
	kdf_node(key, ctrl.secrets[0].key, known.node, epoch);
	assert_memory_equal(node->body.key.key, key, sizeof(key));
}

#define REFUSED (-JOIN_REFUSED)

/* ---- what a code is good for ---- */

static void
test_a_node_joins_once(void **state)
{
	struct join_code code = invite("{\"realm\":\"lab\",\"name\":\"n1\"}");
	struct node node = node_make(), thief = node_make();
	uint8_t first[JOIN_SEALED_SIZE];

	(void)state;
	assert_int_equal(ask(&node, &code, "", "10.0.0.9"), JOIN_WELCOME);
	assert_true(node.answer.is_honest && node.answer.is_changed);
	key_is(&node, "n1", 1);
	memcpy(first, node.answer.bytes, sizeof(first));
	/* The answer was lost: the same key again, sealed anew, and no further epoch. */
	assert_int_equal(ask_again(&node, &code, "10.0.0.9"), JOIN_WELCOME);
	assert_false(node.answer.is_honest || node.answer.is_changed);
	key_is(&node, "n1", 1);
	assert_memory_not_equal(first, node.answer.bytes, sizeof(first));
	assert_int_equal(find("n1").highest, 1);
	/* Another key, though it knows the code, from wherever. */
	assert_int_equal(ask(&thief, &code, "", "10.0.0.9"), JOIN_SPENT);
	assert_true(thief.body.key.realm == 0 && sodium_is_zero(thief.body.key.key, 32));
	assert_non_null(strstr(thief.body.text, "10.0.0.9"));
	assert_int_equal(find("n1").highest, 1);
}

static void
test_name_and_place_bind(void **state)
{
	struct join_code code = invite("{\"realm\":\"lab\",\"name\":\"n1\","
				       "\"prefixes\":[\"10.1.0.0/20\",\"fd00:1::/33\"]}");
	struct node node = node_make();

	(void)state;
	assert_int_equal(ask(&node, &code, "n2", "10.1.0.1"), JOIN_WRONG_NAME);
	assert_string_equal(node.body.name, "n1");
	assert_int_equal(ask(&node, &code, "n1", "10.1.16.1"), JOIN_WRONG_PLACE);
	assert_int_equal(ask(&node, &code, "n1", "fd00:1:8000::1"), JOIN_WRONG_PLACE);
	assert_int_equal(ask(&node, &code, "n1", "10.2.0.1"), JOIN_WRONG_PLACE);
	/* Nothing is spent by that. */
	assert_int_equal(code_of(&code).state, REGISTRY_CODE_OPEN);
	assert_int_equal(ask(&node, &code, "n1", "10.1.15.255"), JOIN_WELCOME);
	assert_int_equal(find("n1").prefix_count, 2);
	code = invite("{\"realm\":\"lab\",\"name\":\"n3\",\"prefixes\":[\"fd00:1::/33\"]}");
	assert_int_equal(ask(&node, &code, "", "fd00:1:7fff::1"), JOIN_WELCOME);
}

static void
test_bound_address_is_the_prefix(void **state)
{
	struct join_code code = invite("{\"realm\":\"lab\",\"name\":\"n1\",\"bind_address\":true}");
	struct node node = node_make();
	struct registry_node known;
	uint8_t source[16], bits;

	(void)state;
	assert_int_equal(ask(&node, &code, "", "10.1.2.3"), JOIN_WELCOME);
	known = find("n1");
	address_parse("10.1.2.3", source, &bits);
	assert_int_equal(known.prefix_count, 1);
	assert_int_equal(known.prefixes[0].bits, 128);
	assert_memory_equal(known.prefixes[0].address, source, 16);
}

static void
test_suite_as_asked(void **state)
{
	struct join_code code = invite("{\"realm\":\"lab\",\"name\":\"n1\",\"suite\":2}");
	struct node node = node_make();

	(void)state;
	assert_int_equal(ask(&node, &code, "", "10.1.2.3"), JOIN_WELCOME);
	assert_int_equal(node.body.key.suite, 2);
	/* Again, without one: as it was. */
	code = invite("{\"realm\":\"lab\",\"name\":\"n1\"}");
	assert_int_equal(ask(&node, &code, "", "10.1.2.3"), JOIN_WELCOME);
	assert_int_equal(node.body.key.suite, 2);
	key_is(&node, "n1", 2);
}

/* ---- when it ends ---- */

/* What only time would do. */
static void
database(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(fixture_path("state/registry.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void
test_expired_codes_are_refused(void **state)
{
	struct join_code code = invite("{\"realm\":\"lab\",\"name\":\"n1\",\"ttl_s\":60}");
	struct node node = node_make();

	(void)state;
	database("UPDATE codes SET expires_s = unixepoch()");
	assert_int_equal(ask(&node, &code, "", "10.0.0.9"), REFUSED);
	/* A clock that was put back does not make it live longer. */
	database("UPDATE codes SET expires_s = unixepoch() + 7200, made_s = unixepoch() + 3600");
	assert_int_equal(ask(&node, &code, "", "10.0.0.9"), REFUSED);
	database("UPDATE codes SET made_s = unixepoch()");
	assert_int_equal(ask(&node, &code, "", "10.0.0.9"), JOIN_WELCOME);
	/* Neither does it answer a lost answer for ever. */
	database("UPDATE codes SET expires_s = unixepoch()");
	assert_int_equal(ask_again(&node, &code, "10.0.0.9"), REFUSED);
	assert_int_equal(registry_codes_expire(ctrl.registry, time(NULL), &reason), 0);
	assert_int_equal(
		registry_code_find(ctrl.registry, code.id, &(struct registry_code){0}, &reason), 0);
}

static void
test_taken_back_codes_are_refused(void **state)
{
	struct join_code code = invite("{\"realm\":\"lab\",\"name\":\"n1\"}"), newer;
	struct node node = node_make();

	(void)state;
	verb_must("node.uninvite", "{\"realm\":\"lab\",\"name\":\"n1\"}");
	assert_int_equal(ask(&node, &code, "", "10.0.0.9"), REFUSED);
	assert_null(verb("node.uninvite", "{\"realm\":\"lab\",\"name\":\"n1\"}"));
	assert_int_equal(reason.error, ENOENT);
	/* A newer code is in the place of the older. */
	code = invite("{\"realm\":\"lab\",\"name\":\"n1\"}");
	newer = invite("{\"realm\":\"lab\",\"name\":\"n1\"}");
	assert_int_equal(ask(&node, &code, "", "10.0.0.9"), REFUSED);
	assert_int_equal(ask(&node, &newer, "", "10.0.0.9"), JOIN_WELCOME);
}

/* Whoever throws a node out does not want it back by a code of before. */
static void
test_revocation_ends_codes(void **state)
{
	struct join_code code = invite("{\"realm\":\"lab\",\"name\":\"n1\"}");
	struct node node = node_make(), again = node_make();

	(void)state;
	assert_int_equal(ask(&node, &code, "", "10.0.0.9"), JOIN_WELCOME);
	code = invite("{\"realm\":\"lab\",\"name\":\"n1\"}");
	verb_must("node.revoke", "{\"realm\":\"lab\",\"name\":\"n1\"}");
	assert_int_equal(ask(&again, &code, "", "10.0.0.9"), REFUSED);
	assert_false(find("n1").is_live);
	/* Invited anew it comes back, under a key of its own. */
	code = invite("{\"realm\":\"lab\",\"name\":\"n1\"}");
	verb_must("node.revoke", "{\"realm\":\"lab\",\"name\":\"n1\"}");
	assert_int_equal(ask(&again, &code, "", "10.0.0.9"), JOIN_WELCOME);
	key_is(&again, "n1", 2);
	assert_true(find("n1").is_live);
	/* Likewise a lost answer after a revocation, and a deleted node. */
	verb_must("node.revoke", "{\"realm\":\"lab\",\"name\":\"n1\"}");
	assert_int_equal(ask_again(&again, &code, "10.0.0.9"), REFUSED);
	code = invite("{\"realm\":\"lab\",\"name\":\"n1\"}");
	verb_must("node.delete", "{\"realm\":\"lab\",\"name\":\"n1\"}");
	assert_int_equal(ask(&again, &code, "", "10.0.0.9"), REFUSED);
}

/* However it is thrown out, or given another name. */
static void
test_mass_revocation_and_renaming_end_codes(void **state)
{
	struct join_code code;
	struct node node = node_make();

	(void)state;
	verb_must("node.add", "{\"realm\":\"lab\",\"name\":\"n1\",\"roles\":[\"gpu\"]}");
	verb_must("node.add", "{\"realm\":\"lab\",\"name\":\"n2\"}");
	code = invite("{\"realm\":\"lab\",\"name\":\"n1\"}");
	verb_must("node.revoke", "{\"realm\":\"lab\",\"role\":\"gpu\"}");
	assert_false(find("n1").is_live);
	assert_int_equal(ask(&node, &code, "", "10.0.0.9"), REFUSED);
	code = invite("{\"realm\":\"lab\",\"name\":\"n2\"}");
	verb_must("node.set", "{\"realm\":\"lab\",\"name\":\"n2\",\"rename\":\"n3\"}");
	assert_int_equal(ask(&node, &code, "", "10.0.0.9"), REFUSED);
	/* What is no matter of trust ends nothing, and a suspended node stays so. */
	code = invite("{\"realm\":\"lab\",\"name\":\"n3\"}");
	verb_must("node.suspend", "{\"realm\":\"lab\",\"name\":\"n3\"}");
	assert_int_equal(ask(&node, &code, "", "10.0.0.9"), JOIN_WELCOME);
	assert_true(find("n3").is_suspended);
}

static void
test_live_node_gets_a_further_key(void **state)
{
	struct join_code code;
	struct node node = node_make();
	struct registry_node known;

	(void)state;
	verb_must("node.add", "{\"realm\":\"lab\",\"name\":\"n1\",\"prefixes\":[\"10.0.0.0/24\"]}");
	code = invite("{\"realm\":\"lab\",\"name\":\"n1\"}");
	assert_int_equal(ask(&node, &code, "n1", "10.0.0.9"), JOIN_WELCOME);
	key_is(&node, "n1", 2);
	known = find("n1");
	assert_int_equal(known.epoch_count, 2);
	assert_int_equal(known.epochs[1].not_after_s, UINT32_MAX);
	assert_int_equal(known.prefix_count, 1);
	code = invite("{\"realm\":\"lab\",\"name\":\"n1\",\"close_old\":true,"
		      "\"prefixes\":[\"10.0.0.0/8\",\"fd00::/8\"],\"roles\":[\"gpu\"]}");
	node = node_make();
	assert_int_equal(ask(&node, &code, "n1", "10.0.0.9"), JOIN_WELCOME);
	key_is(&node, "n1", 3);
	known = find("n1");
	assert_true(known.epochs[1].not_after_s <= (uint32_t)time(NULL));
	assert_int_equal(known.epochs[0].not_after_s, UINT32_MAX);
	assert_int_equal(known.prefix_count, 2);
	assert_int_equal(known.role_count, 1);
	assert_string_equal(known.roles[0], "gpu");
}

/* ---- who does not know the code ---- */

static void
test_wrong_proofs_burn_the_code(void **state)
{
	struct join_code code = invite("{\"realm\":\"lab\",\"name\":\"n1\"}"), guess = code;
	struct node node = node_make();
	struct registry_code row;

	(void)state;
	guess.secret[3] ^= 1;
	for (unsigned i = 1; i < REGISTRY_CODE_WRONG_MAX; i++) {
		assert_int_equal(ask(&node, &guess, "", "10.0.0.9"), REFUSED);
		row = code_of(&code);
		assert_int_equal(row.wrong, i);
		assert_int_equal(row.state, REGISTRY_CODE_OPEN);
	}
	assert_int_equal(ask(&node, &guess, "", "10.0.0.9"), REFUSED);
	assert_int_equal(code_of(&code).state, REGISTRY_CODE_BURNT);
	assert_int_equal(ask(&node, &code, "", "10.0.0.9"), REFUSED);
	/* A burnt code takes no more writes. */
	assert_int_equal(ask(&node, &guess, "", "10.0.0.9"), REFUSED);
	assert_int_equal(code_of(&code).wrong, REGISTRY_CODE_WRONG_MAX);
	code = invite("{\"realm\":\"lab\",\"name\":\"n1\"}");
	assert_int_equal(ask(&node, &code, "", "10.0.0.9"), JOIN_WELCOME);
}

/* The same words to whoever has no code, a wrong one, or one for elsewhere. */
static void
test_strangers_learn_nothing(void **state)
{
	struct join_code code = invite("{\"realm\":\"lab\",\"name\":\"n1\"}"), other = code;
	struct node node = node_make();
	uint8_t refused[JOIN_PLAIN_SIZE], source[16] = {0};

	(void)state;
	join_plain_build(refused, JOIN_REFUSED, 0);
	other.id ^= 1;
	assert_int_equal(ask(&node, &other, "", "10.0.0.9"), REFUSED);
	assert_memory_equal(node.answer.bytes, refused, sizeof(refused));
	other = code;
	other.realm = 8;
	assert_int_equal(ask(&node, &other, "", "10.0.0.9"), REFUSED);
	assert_memory_equal(node.answer.bytes, refused, sizeof(refused));
	assert_int_equal(code_of(&code).wrong, 0);
	other = code;
	other.secret[0] ^= 1;
	assert_int_equal(ask(&node, &other, "", "10.0.0.9"), REFUSED);
	assert_memory_equal(node.answer.bytes, refused, sizeof(refused));
	/* What is no request gets no answer at all. */
	node.request[0] ^= 1;
	assert_int_equal(ask_again(&node, &code, "10.0.0.9"), 0);
	enrol_judge(&judge, node.request, 3, source, &node.answer);
	assert_int_equal(node.answer.size, 0);
}

/* Every byte of a proved request: changed, it is a wrong proof, an unknown code, or no request. */
static void
test_no_changed_request_joins(void **state)
{
	struct join_code code = {0};
	struct node node = node_make();
	uint8_t whole[JOIN_REQUEST_SIZE];

	(void)state;
	for (size_t i = 0; i < JOIN_REQUEST_SIZE; i++) {
		if (i % (REGISTRY_CODE_WRONG_MAX - 1) == 0)
			code = invite("{\"realm\":\"lab\",\"name\":\"n1\"}");
		assert_int_equal(join_request_make(node.request, &code, node.secret, "n1"), 0);
		memcpy(whole, node.request, sizeof(whole));
		node.request[i] ^= 0x40;
		assert_true(ask_again(&node, &code, "10.0.0.9") <= 0);
		assert_int_equal(code_of(&code).state, REGISTRY_CODE_OPEN);
	}
	assert_int_equal(registry_node_find(ctrl.registry, 7, "lab", "n1", 0,
				 &(struct registry_node){0}, &reason),
		-ENOENT);
	memcpy(node.request, whole, sizeof(whole));
	assert_int_equal(ask_again(&node, &code, "10.0.0.9"), JOIN_WELCOME);
}

/* ---- restarts and crashes ---- */

static void
test_a_restart_between_invite_and_join(void **state)
{
	struct join_code code = invite("{\"realm\":\"lab\",\"name\":\"n1\"}");
	struct node node = node_make();

	(void)state;
	gateway_restart();
	assert_int_equal(ask(&node, &code, "", "10.0.0.9"), JOIN_WELCOME);
	key_is(&node, "n1", 1);
	gateway_restart();
	assert_int_equal(ask_again(&node, &code, "10.0.0.9"), JOIN_WELCOME);
	key_is(&node, "n1", 1);
	assert_int_equal(keytable_counts(ctrl.keys, 0).live, 1);
}

/* Killed after the code was claimed and before there was a key, or before that was noted. */
static void
test_a_crash_after_the_claim(void **state)
{
	struct join_code code = invite("{\"realm\":\"lab\",\"name\":\"n1\"}");
	struct node node = node_make(), thief = node_make();
	uint8_t source[16], bits, public[32];

	(void)state;
	address_parse("10.0.0.9", source, &bits);
	join_public(public, node.secret);
	assert_int_equal(registry_code_claim(ctrl.registry, code.id, public, source, &reason), 0);
	assert_int_equal(
		registry_code_claim(ctrl.registry, code.id, public, source, &reason), -EALREADY);
	gateway_restart();
	assert_int_equal(ask(&thief, &code, "", "10.0.0.9"), JOIN_SPENT);
	assert_int_equal(ask(&node, &code, "", "10.0.0.9"), JOIN_WELCOME);
	key_is(&node, "n1", 1);
	database("UPDATE codes SET node = 0, epoch = 0");
	gateway_restart();
	assert_int_equal(ask_again(&node, &code, "10.0.0.9"), JOIN_WELCOME);
	key_is(&node, "n1", 2);
}

static void
test_a_lost_key_file_voids_codes(void **state)
{
	struct join_code code = invite("{\"realm\":\"lab\",\"name\":\"n1\"}");
	struct node node = node_make();
	struct stat st;

	(void)state;
	assert_int_equal(stat(fixture_path("state/enrol.key"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 32);
	assert_int_equal(unlink(fixture_path("state/enrol.key")), 0);
	gateway_restart();
	assert_memory_not_equal(judge.key.public, code.gateway, 32);
	assert_int_equal(ask(&node, &code, "", "10.0.0.9"), REFUSED);
	assert_int_equal(
		registry_code_find(ctrl.registry, code.id, &(struct registry_code){0}, &reason), 0);
}

static void
test_an_open_key_file_is_refused(void **state)
{
	struct enrol_key key;

	(void)state;
	assert_int_equal(chmod(fixture_path("state/enrol.key"), 0640), 0);
	assert_int_equal(enrol_key_open(&key, fixture_path("state"), &reason), -EPERM);
	assert_non_null(strstr(reason.text, "chmod 0600"));
}

/* The registry never holds what would let its reader join. */
static void
test_the_registry_holds_no_secret(void **state)
{
	struct join_code code = invite("{\"realm\":\"lab\",\"name\":\"n1\"}");
	static const char *const files[] = {"state/registry.db", "state/registry.db-wal"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		FILE *file = fopen(fixture_path(files[i]), "r");
		static uint8_t bytes[4 << 20];
		size_t size;

		assert_non_null(file);
		size = fread(bytes, 1, sizeof(bytes), file);
		fclose(file);
		assert_true(size < sizeof(bytes));
		assert_null(memmem(bytes, size, code.secret, sizeof(code.secret)));
		assert_null(memmem(bytes, size, judge.key.secrets, 32));
	}
}

static void
test_a_full_realm_says_so(void **state)
{
	struct join_code code = invite("{\"realm\":\"lab\",\"name\":\"late\"}");
	struct node node = node_make();
	char text[64];

	(void)state;
	for (unsigned i = 1; i <= 80; i++) {
		snprintf(text, sizeof(text), "{\"realm\":\"lab\",\"name\":\"m%u\"}", i);
		verb_must("node.add", text);
	}
	assert_int_equal(ask(&node, &code, "", "10.0.0.9"), JOIN_FAILED);
	assert_non_null(strstr(node.body.text, "full"));
	verb_must("node.delete", "{\"realm\":\"lab\",\"name\":\"m5\"}");
	assert_int_equal(ask_again(&node, &code, "10.0.0.9"), JOIN_WELCOME);
}

/* ---- verbs ---- */

static void
test_invites_are_listed_without_secrets(void **state)
{
	struct join_code code = invite("{\"realm\":\"lab\",\"name\":\"n1\",\"ttl_s\":60}");
	char text[JOIN_CODE_TEXT_SIZE + 1], *dump;
	struct node node = node_make();
	json_t *result, *item;

	(void)state;
	invite("{\"realm\":\"lab\",\"name\":\"n2\",\"bind_address\":true}");
	ask(&node, &code, "", "10.0.0.9");
	result = verb("node.invites", "{\"realm\":\"lab\"}");
	assert_non_null(result);
	assert_int_equal(json_array_size(json_object_get(result, "invites")), 2);
	item = json_array_get(json_object_get(result, "invites"), 0);
	assert_string_equal(json_string_value(json_object_get(item, "state")), "used");
	assert_string_equal(json_string_value(json_object_get(item, "source")), "10.0.0.9");
	item = json_array_get(json_object_get(result, "invites"), 1);
	assert_string_equal(json_string_value(json_object_get(item, "state")), "open");
	assert_true(json_is_true(json_object_get(item, "bind_address")));
	dump = json_dumps(result, 0);
	join_code_encode(text, &code);
	assert_null(strstr(dump, "CGJ1"));
	assert_null(strstr(dump, text));
	free(dump);
	json_decref(result);
}

static void
test_bad_invitations_are_refused(void **state)
{
	static const char *const bad[] = {
		"{\"realm\":\"lab\"}",
		"{\"realm\":\"lab\",\"name\":\"-x\"}",
		"{\"realm\":\"nix\",\"name\":\"n1\"}",
		"{\"realm\":\"lab\",\"name\":\"n1\",\"ttl_s\":0}",
		"{\"realm\":\"lab\",\"name\":\"n1\",\"ttl_s\":604801}",
		"{\"realm\":\"lab\",\"name\":\"n1\",\"suite\":5}",
		"{\"realm\":\"lab\",\"name\":\"n1\",\"bind_address\":1}",
		"{\"realm\":\"lab\",\"name\":\"n1\",\"prefixes\":[\"10.0.0.1/8\"]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_null(verb("node.invite", bad[i]));
}

/* ---- how often one may come ---- */

static void
test_limit_per_place(void **state)
{
	static struct enrol_limit limit;
	uint8_t a[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1}, b[16], bits;
	uint64_t now_us = 5000000;

	(void)state;
	enrol_limit_init(&limit);
	memcpy(b, a, sizeof(b));
	b[15] = 2;
	for (unsigned i = 0; i < ENROL_LIMIT_BURST; i++)
		assert_true(enrol_limit_take(&limit, a, now_us));
	assert_false(enrol_limit_take(&limit, a, now_us));
	assert_true(enrol_limit_take(&limit, b, now_us));
	now_us += 1000000 / ENROL_LIMIT_PER_S;
	assert_true(enrol_limit_take(&limit, a, now_us));
	assert_false(enrol_limit_take(&limit, a, now_us));
	/* Honest ones cost nothing. */
	for (unsigned i = 0; i < 1000; i++) {
		assert_true(enrol_limit_take(&limit, b, now_us));
		enrol_limit_give(&limit, b, now_us);
	}
	/* All of an IPv6 network of 64 bits is one place, its neighbour another. */
	address_parse("fd00::1", a, &bits);
	address_parse("fd00::ffff:1", b, &bits);
	for (unsigned i = 0; i < ENROL_LIMIT_BURST; i++)
		assert_true(enrol_limit_take(&limit, i % 2 ? a : b, now_us));
	assert_false(enrol_limit_take(&limit, a, now_us));
	address_parse("fd00:0:0:1::1", b, &bits);
	assert_true(enrol_limit_take(&limit, b, now_us));
}

/* Whoever has a million addresses cannot make the table refuse one that never came. */
static void
test_limit_cannot_be_filled(void **state)
{
	static struct enrol_limit limit;
	uint8_t many[16] = {0x20, 0x01}, honest[16] = {0xfd};

	(void)state;
	enrol_limit_init(&limit);
	for (uint32_t i = 0; i < 1000000; i++) {
		memcpy(many + 4, &i, sizeof(i));
		assert_true(enrol_limit_take(&limit, many, 5000000 + i));
		if (i % 100000 == 0)
			assert_true(enrol_limit_take(&limit, honest, 5000000 + i));
	}
}

/* ---- sockets ---- */

static int
client_connect_from(const char *from)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in own = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_int_equal(inet_pton(AF_INET, from, &own.sin_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof(own)), 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		assert_int_equal(errno, EINPROGRESS);
	return fd;
}

/* Turns the event loop until `fd` has something to say, or for that long. */
static ssize_t
loop_until(int fd, uint8_t *bytes, size_t room, unsigned ms)
{
	const struct timeval step = {0, 2000};

	for (unsigned i = 0; i < ms / 2; i++) {
		ssize_t n = fd >= 0 ? recv(fd, bytes, room, MSG_DONTWAIT) : -1;

		if (fd >= 0 && (n >= 0 || errno == ECONNRESET))
			return n < 0 ? 0 : n;
		event_base_loopexit(ctrl.base, &step);
		event_base_dispatch(ctrl.base);
	}
	return -1;
}

static void
test_a_node_joins_over_tcp(void **state)
{
	struct join_code code =
		invite("{\"realm\":\"lab\",\"name\":\"n1\",\"prefixes\":[\"127.0.0.0/8\"]}");
	struct node node = node_make();
	uint8_t answer[512];
	int fd = client_connect_from("127.0.0.1");

	(void)state;
	assert_int_equal(join_request_make(node.request, &code, node.secret, "n1"), 0);
	/* In two pieces, as TCP may. */
	loop_until(-1, NULL, 0, 20);
	assert_int_equal(send(fd, node.request, 100, 0), 100);
	loop_until(-1, NULL, 0, 20);
	assert_int_equal(send(fd, node.request + 100, 52, 0), 52);
	assert_int_equal(loop_until(fd, answer, sizeof(answer), 3000), JOIN_SEALED_SIZE);
	assert_int_equal(join_answer_open(&node.body, answer, node.request, &code, node.secret), 0);
	key_is(&node, "n1", 1);
	assert_int_equal(loop_until(fd, answer, sizeof(answer), 1000), 0);
	close(fd);
	assert_int_equal(enrol_counts(ctrl.enrol).open, 0);
	assert_int_equal(enrol_counts(ctrl.enrol).joined, 1);
}

static void
test_what_is_no_request_is_closed(void **state)
{
	uint8_t answer[512];
	int fd = client_connect_from("127.0.0.1");

	(void)state;
	loop_until(-1, NULL, 0, 20);
	assert_int_equal(send(fd, "GET / HTTP/1.0\r\n\r\n", 18, 0), 18);
	assert_int_equal(loop_until(fd, answer, sizeof(answer), 1000), 0);
	close(fd);
}

static void
silent_connect(int fds[], unsigned count, const char *from)
{
	for (unsigned i = 0; i < count; i++)
		fds[i] = client_connect_from(from);
	loop_until(-1, NULL, 0, 200);
}

static void
all_close(int fds[], unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		close(fds[i]);
}

static void
must_join_from(const char *from, const char *name)
{
	struct join_code code;
	struct node node = node_make();
	uint8_t answer[512];
	char text[64];
	int fd = client_connect_from(from);

	snprintf(text, sizeof(text), "{\"realm\":\"lab\",\"name\":\"%s\"}", name);
	code = invite(text);
	assert_int_equal(join_request_make(node.request, &code, node.secret, name), 0);
	loop_until(-1, NULL, 0, 20);
	assert_int_equal(send(fd, node.request, JOIN_REQUEST_SIZE, 0), JOIN_REQUEST_SIZE);
	assert_int_equal(loop_until(fd, answer, sizeof(answer), 3000), JOIN_SEALED_SIZE);
	close(fd);
}

/* Silent connections take no place from a node that comes later, be it behind their own address. */
static void
test_silent_connections_give_way(void **state)
{
	int silent[ENROL_CONNECTIONS_MAX];

	(void)state;
	silent_connect(silent, ENROL_LIMIT_BURST, "127.0.0.1");
	assert_int_equal(enrol_counts(ctrl.enrol).open, ENROL_LIMIT_BURST);
	must_join_from("127.0.0.1", "n1");
	must_join_from("127.0.0.2", "n2");
	silent_connect(silent + ENROL_LIMIT_BURST, ENROL_LIMIT_BURST, "127.0.0.3");
	assert_in_range(
		enrol_counts(ctrl.enrol).open, ENROL_CONNECTIONS_MAX - 2, ENROL_CONNECTIONS_MAX);
	must_join_from("127.0.0.1", "n3");
	must_join_from("127.0.0.2", "n4");
	assert_int_equal(enrol_counts(ctrl.enrol).put_off, 0);
	/* Their time ends. */
	for (unsigned i = 0; i < 200 && enrol_counts(ctrl.enrol).open > 0; i++)
		loop_until(-1, NULL, 0, 100);
	assert_int_equal(enrol_counts(ctrl.enrol).open, 0);
	all_close(silent, ENROL_CONNECTIONS_MAX);
}

/* Who came too often, and has no connection to give away, takes none from others. */
static void
test_too_often_is_put_off(void **state)
{
	int silent[ENROL_LIMIT_BURST], often[ENROL_LIMIT_BURST], fd;
	uint8_t answer[64];

	(void)state;
	silent_connect(often, ENROL_LIMIT_BURST, "127.0.0.2");
	all_close(often, ENROL_LIMIT_BURST);
	loop_until(-1, NULL, 0, 50);
	assert_int_equal(enrol_counts(ctrl.enrol).open, 0);
	silent_connect(silent, ENROL_LIMIT_BURST, "127.0.0.1");
	fd = -1;
	/* The bucket fills while the loop turns: a few are still let in. */
	for (unsigned i = 0; i < 100 && enrol_counts(ctrl.enrol).put_off == 0; i++) {
		if (fd >= 0)
			close(fd);
		fd = client_connect_from("127.0.0.2");
		loop_until(-1, NULL, 0, 20);
		if (enrol_counts(ctrl.enrol).put_off == 0)
			assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), 1);
		loop_until(-1, NULL, 0, 4);
	}
	assert_int_equal(enrol_counts(ctrl.enrol).put_off, 1);
	assert_int_equal(loop_until(fd, answer, sizeof(answer), 1000), JOIN_PLAIN_SIZE);
	assert_int_equal(answer[5], JOIN_BUSY);
	close(fd);
	assert_int_equal(enrol_counts(ctrl.enrol).open, ENROL_LIMIT_BURST);
	all_close(silent, ENROL_LIMIT_BURST);
}

int
main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_node_joins_once),
		TEST(test_name_and_place_bind),
		TEST(test_bound_address_is_the_prefix),
		TEST(test_suite_as_asked),
		TEST(test_expired_codes_are_refused),
		TEST(test_taken_back_codes_are_refused),
		TEST(test_revocation_ends_codes),
		TEST(test_mass_revocation_and_renaming_end_codes),
		TEST(test_live_node_gets_a_further_key),
		TEST(test_wrong_proofs_burn_the_code),
		TEST(test_strangers_learn_nothing),
		TEST(test_no_changed_request_joins),
		TEST(test_a_restart_between_invite_and_join),
		TEST(test_a_crash_after_the_claim),
		TEST(test_a_lost_key_file_voids_codes),
		TEST(test_an_open_key_file_is_refused),
		TEST(test_the_registry_holds_no_secret),
		TEST(test_a_full_realm_says_so),
		TEST(test_invites_are_listed_without_secrets),
		TEST(test_bad_invitations_are_refused),
		TEST(test_limit_per_place),
		TEST(test_limit_cannot_be_filled),
		TEST(test_a_node_joins_over_tcp),
		TEST(test_what_is_no_request_is_closed),
		TEST(test_silent_connections_give_way),
		TEST(test_too_often_is_put_off),
	};

	if (geteuid() != 0) {
		puts("skipped: needs root, as credgated does for its users");
		return FIXTURE_SKIP;
	}
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
