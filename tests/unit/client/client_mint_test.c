/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What is minted parses, proves with the gateway's own batch verifier under a key derived apart,
 * says what the claim said, and repeats neither serial nor salt; and every wrong claim is refused
 * without spending a serial.
 */

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

#include <credgate/credgate.h>

#include "client/key_priv.h"
#include "crypto/tag.h"
#include "fixture.h"

#define FORK_SALTS 300

static struct fixture fixture;
static struct cg_key *key;
static struct tag_engine *engine;

static int
setup(void **state)
{
	(void)state;
	fixture_init(&fixture);
	engine = tag_engine_create(TAG_KERNEL_AESNI);
	assert_non_null(engine);
	assert_int_equal(key_open(&key, fixture.key, fixture.boot_id), 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	cg_key_close(key);
	tag_engine_destroy(engine);
	fixture_fini(&fixture);
	return 0;
}

static void
reopen_with_suite(uint8_t suite)
{
	cg_key_close(key);
	fixture_key(&fixture, suite);
	assert_int_equal(key_open(&key, fixture.key, fixture.boot_id), 0);
	assert_int_equal(cg_key_suite(key), suite);
}

static uint64_t
serial_of(const uint8_t *credential)
{
	return load_be64(credential + CRED_AT_SERIAL);
}

static uint64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* As a gateway: parse, prove, unseal. Returns the claim that comes out, payload in `payload`. */
static struct cg_claim
judge(const uint8_t *credential, size_t size, uint8_t *payload)
{
	const struct key_slot *slots[1];
	struct tag_identity id;
	struct wire_cred cred;
	struct key_slot slot;
	struct cg_claim claim = {.size = sizeof(claim)};
	const uint8_t *source = credential + CRED_AT_PAYLOAD;
	uint16_t payload_size = (uint16_t)(size - CRED_SIZE_MIN);
	uint32_t salt;

	fixture_slot(&fixture, &slot);
	slots[0] = &slot;
	assert_int_equal(cred_parse(credential, size, &cred), WIRE_OK);
	assert_int_equal(tag_batch_verify(engine, slots, &cred.msg, &cred.span_size, &id, 1), 1);
	memcpy(&salt, credential + CRED_AT_SALT, 4);
	tag_batch_unseal(engine, slots, &cred.serial, &salt, &source, &payload, &payload_size, 1);
	assert_int_equal(cred.realm, fixture.node.realm);
	assert_int_equal(cred.node, fixture.node.node);
	assert_int_equal(cred.epoch, fixture.node.epoch);
	assert_int_equal(cred.suite, fixture.node.suite);
	claim.kind = cred.kind;
	claim.wants_reply = cred.flags;
	claim.ttl_s = cred.ttl_s;
	claim.audience = cred.audience;
	claim.uid = load_be32(id.bytes);
	claim.gid = load_be32(id.bytes + 4);
	claim.auth_uid = load_be32(id.bytes + 8);
	claim.auth_gid = load_be32(id.bytes + 12);
	memcpy(claim.origin, credential + CRED_AT_ORIGIN, 16);
	claim.issued_us = cred.issued_us;
	claim.payload_size = payload_size;
	return claim;
}

static struct cg_claim
full_claim(const void *payload, size_t payload_size)
{
	static const uint8_t origin[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 17};
	struct cg_claim claim = {
		.size = sizeof(claim),
		.kind = CG_KIND_BEACON,
		.wants_reply = 1,
		.ttl_s = 60,
		.audience = 9,
		.uid = 1000,
		.gid = 100,
		.auth_uid = 2000,
		.auth_gid = 200,
		.issued_us = 1767225600000001,
		.payload = payload,
		.payload_size = payload_size,
	};

	memcpy(claim.origin, origin, sizeof(origin));
	return claim;
}

static void
must_say(const struct cg_claim *said, const struct cg_claim *claim, const uint8_t *payload)
{
	assert_int_equal(said->kind, claim->kind);
	assert_int_equal(said->wants_reply, claim->wants_reply);
	assert_int_equal(said->ttl_s, claim->ttl_s);
	assert_int_equal(said->audience, claim->audience);
	assert_int_equal(said->uid, claim->uid);
	assert_int_equal(said->gid, claim->gid);
	assert_int_equal(said->auth_uid, claim->auth_uid);
	assert_int_equal(said->auth_gid, claim->auth_gid);
	assert_memory_equal(said->origin, claim->origin, 16);
	assert_int_equal(said->issued_us, claim->issued_us);
	assert_int_equal(said->payload_size, claim->payload_size);
	if (claim->payload_size != 0)
		assert_memory_equal(payload, claim->payload, claim->payload_size);
}

/* ---- what is good ---- */

static void
test_every_suite_and_size_proves(void **state)
{
	static const size_t sizes[] = {0, 1, 15, 16, 17, 64, 1135, 1136};
	uint8_t payload[CG_PAYLOAD_MAX], out[CG_PAYLOAD_MAX], credential[CG_CREDENTIAL_MAX];
	struct cg_claim claim, said;
	uint8_t suite;
	size_t i;
	int size;

	(void)state;
	for (i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 11 + 3);
	for (suite = 1; suite <= 4; suite++) {
		reopen_with_suite(suite);
		for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			claim = full_claim(payload, sizes[i]);
			size = cg_mint(key, &claim, credential, sizeof(credential));
			assert_int_equal(size, CRED_SIZE_MIN + sizes[i]);
			said = judge(credential, (size_t)size, out);
			must_say(&said, &claim, out);
		}
	}
}

static void
test_defaults_are_the_process_and_now(void **state)
{
	uint8_t credential[CG_CREDENTIAL_MAX], out[CG_PAYLOAD_MAX];
	struct cg_claim claim, said;
	uint64_t before_us = now_us();
	int size;

	(void)state;
	cg_claim_init(&claim);
	assert_int_equal(claim.size, sizeof(claim));
	size = cg_mint(key, &claim, credential, CRED_SIZE_MIN);
	assert_int_equal(size, CRED_SIZE_MIN);
	said = judge(credential, (size_t)size, out);
	assert_in_range(said.issued_us, before_us, now_us());
	claim.issued_us = said.issued_us;
	must_say(&said, &claim, out);
	assert_int_equal(said.kind, CG_KIND_ASSERT);
	assert_int_equal(said.uid, geteuid());
	assert_int_equal(said.gid, getegid());
	assert_int_equal(said.auth_uid, CG_ANYONE);
	assert_int_equal(said.auth_gid, CG_ANYONE);
}

/* A batch is the same credentials with consecutive serials, whatever its size and mix. */
static void
test_batch_equals_single(void **state)
{
	enum {
		COUNT = 150
	};
	uint8_t(*room)[CG_CREDENTIAL_MAX] = calloc(COUNT, sizeof(*room));
	uint8_t payload[CG_PAYLOAD_MAX] = "mixed", out[CG_PAYLOAD_MAX];
	struct cg_claim claims[COUNT], said;
	void *buffers[COUNT];
	size_t sizes[COUNT], counts[] = {1, 2, 63, 64, 65, COUNT}, i, k;
	uint64_t last = 0;

	(void)state;
	for (i = 0; i < COUNT; i++) {
		claims[i] = full_claim(payload, i * 97 % (CG_PAYLOAD_MAX + 1));
		claims[i].uid = (uint32_t)i;
		buffers[i] = room[i];
	}
	for (k = 0; k < sizeof(counts) / sizeof(counts[0]); k++) {
		assert_int_equal(
			cg_mint_batch(key, claims, counts[k], buffers, CG_CREDENTIAL_MAX, sizes),
			counts[k]);
		for (i = 0; i < counts[k]; i++) {
			assert_int_equal(sizes[i], CRED_SIZE_MIN + claims[i].payload_size);
			said = judge(room[i], sizes[i], out);
			must_say(&said, &claims[i], out);
			if (last != 0)
				assert_int_equal(serial_of(room[i]), last + 1);
			last = serial_of(room[i]);
		}
	}
	free(room);
}

static void
test_text_there_and_back(void **state)
{
	uint8_t credential[CG_CREDENTIAL_MAX], back[CG_CREDENTIAL_MAX],
		payload[CG_PAYLOAD_MAX] = "x";
	struct cg_claim claim = full_claim(payload, sizeof(payload));
	char text[CG_TEXT_MAX];
	int size = cg_mint(key, &claim, credential, sizeof(credential)), length;

	(void)state;
	assert_int_equal(size, CG_CREDENTIAL_MAX);
	length = cg_text_encode(text, sizeof(text), credential, (size_t)size);
	assert_int_equal(length, CG_TEXT_MAX - 1);
	assert_int_equal(strlen(text), length);
	assert_int_equal(cg_text_decode(back, sizeof(back), text, (size_t)length), size);
	assert_memory_equal(back, credential, size);
	assert_int_equal(cg_text_encode(text, 10, credential, (size_t)size), -ENOSPC);
	assert_int_equal(cg_text_encode(text, sizeof(text), credential, 95), -EINVAL);
	assert_int_equal(cg_text_decode(back, 100, text, (size_t)length), -EBADMSG);
	assert_int_equal(cg_text_decode(back, sizeof(back), "CGC1:****:", 10), -EBADMSG);
	assert_int_equal(cg_text_decode(back, sizeof(back), NULL, 0), -EINVAL);
}

/* ---- what is not ---- */

/* Neither a byte in the buffer nor a serial may be spent on a wrong claim. */
static void
must_refuse(const struct cg_claim *claim, size_t room, int error, const char *says)
{
	uint8_t credential[CG_CREDENTIAL_MAX] = {0}, zeroes[CG_CREDENTIAL_MAX] = {0};
	uint64_t before = key->serial.state->next;

	assert_int_equal(cg_mint(key, claim, credential, room), -error);
	if (strstr(cg_error(), says) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", cg_error(), says);
	assert_int_equal(key->serial.state->next, before);
	assert_memory_equal(credential, zeroes, sizeof(zeroes));
}

static void
test_wrong_claims_are_refused(void **state)
{
	const struct cg_claim good = full_claim("payload", 7);
	struct cg_claim claim;

	(void)state;
	must_refuse(NULL, CG_CREDENTIAL_MAX, EINVAL, "NULL");
	must_refuse(&good, 102, ENOSPC, "buffer of 102 bytes");
	claim = good;
	claim.size = sizeof(claim) - 1;
	must_refuse(&claim, CG_CREDENTIAL_MAX, EINVAL, "size");
	claim = good;
	claim.kind = 0;
	must_refuse(&claim, CG_CREDENTIAL_MAX, EINVAL, "kind 0");
	claim.kind = CRED_KIND_ASK;
	must_refuse(&claim, CG_CREDENTIAL_MAX, EINVAL, "kind 3");
	claim.kind = 256 + CG_KIND_ASSERT;
	must_refuse(&claim, CG_CREDENTIAL_MAX, EINVAL, "kind 257");
	claim = good;
	claim.payload_size = CG_PAYLOAD_MAX + 1;
	must_refuse(&claim, CG_CREDENTIAL_MAX, EMSGSIZE, "1137");
	claim = good;
	claim.payload = NULL;
	must_refuse(&claim, CG_CREDENTIAL_MAX, EINVAL, "payload is NULL");
	claim = good;
	claim.issued_us = CRED_ISSUED_US_LIMIT;
	must_refuse(&claim, CG_CREDENTIAL_MAX, EINVAL, "issued_us");
	claim = good;
	claim.uid = CG_ANYONE;
	must_refuse(&claim, CG_CREDENTIAL_MAX, EINVAL, "uid");
	claim = good;
	claim.gid = CG_ANYONE;
	must_refuse(&claim, CG_CREDENTIAL_MAX, EINVAL, "gid");
}

static void
test_wrong_origins_are_refused(void **state)
{
	static const struct {
		uint8_t origin[16];
		const char *says; /* NULL: good */
	} cases[] = {
		{{0}, NULL},
		{{[15] = 1}, NULL},
		{{0x20, 0x01, 0x0d, 0xb8, [15] = 1}, NULL},
		{{[10] = 0xff, 0xff, 127, 0, 0, 1}, NULL},
		{{[12] = 192, 0, 2, 17}, "last bytes"},
		{{192, 0, 2, 17}, "first bytes"},
		{{0xff, 0x02, [15] = 1}, "multicast"},
		{{[10] = 0xff, 0xff, 224, 0, 0, 1}, "no packet"},
		{{[10] = 0xff, 0xff, 255, 255, 255, 255}, "no packet"},
		{{[10] = 0xff, 0xff, 0, 0, 0, 0}, "no packet"},
	};
	uint8_t credential[CG_CREDENTIAL_MAX];
	struct cg_claim claim = full_claim("payload", 7);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(claim.origin, cases[i].origin, 16);
		if (cases[i].says == NULL)
			assert_true(cg_mint(key, &claim, credential, sizeof(credential)) > 0);
		else
			must_refuse(&claim, CG_CREDENTIAL_MAX, EINVAL, cases[i].says);
	}
}

/* One wrong claim spoils the batch, before a serial is drawn for any. */
static void
test_wrong_batches_are_refused(void **state)
{
	uint8_t room[3][CG_CREDENTIAL_MAX];
	void *buffers[3] = {room[0], room[1], room[2]};
	struct cg_claim claims[3];
	uint64_t before = key->serial.state->next;
	size_t sizes[3], i;

	(void)state;
	for (i = 0; i < 3; i++)
		claims[i] = full_claim("payload", 7);
	claims[2].kind = 9;
	assert_int_equal(cg_mint_batch(key, claims, 3, buffers, CG_CREDENTIAL_MAX, sizes), -EINVAL);
	claims[2] = claims[1];
	claims[1].size = sizeof(claims[1]) + 8;
	assert_int_equal(cg_mint_batch(key, claims, 3, buffers, CG_CREDENTIAL_MAX, sizes), -E2BIG);
	assert_int_equal(cg_mint_batch(key, claims, 0, buffers, CG_CREDENTIAL_MAX, sizes), -EINVAL);
	assert_int_equal(
		cg_mint_batch(key, claims, SERIAL_TAKE_MAX + 1, buffers, CG_CREDENTIAL_MAX, sizes),
		-EINVAL);
	assert_int_equal(cg_mint_batch(key, claims, 1, NULL, CG_CREDENTIAL_MAX, sizes), -EINVAL);
	assert_int_equal(key->serial.state->next, before);
}

/* A claim of a later release: fine as long as it says nothing we would have to know. */
static void
test_claims_of_other_releases(void **state)
{
	struct {
		struct cg_claim claim;
		uint64_t more[2];
	} newer[2];
	uint8_t room[2][CG_CREDENTIAL_MAX], out[CG_PAYLOAD_MAX];
	void *buffers[2] = {room[0], room[1]};
	struct cg_claim said;
	size_t sizes[2], i;

	(void)state;
	memset(newer, 0, sizeof(newer));
	for (i = 0; i < 2; i++) {
		newer[i].claim = full_claim("payload", 7);
		newer[i].claim.size = sizeof(newer[i]);
		newer[i].claim.uid = 50 + (uint32_t)i;
	}
	assert_int_equal(
		cg_mint_batch(key, &newer[0].claim, 2, buffers, CG_CREDENTIAL_MAX, sizes), 2);
	said = judge(room[1], sizes[1], out);
	must_say(&said, &newer[1].claim, out);
	newer[1].more[1] = 1;
	assert_int_equal(
		cg_mint_batch(key, &newer[0].claim, 2, buffers, CG_CREDENTIAL_MAX, sizes), -E2BIG);
	assert_non_null(strstr(cg_error(), "update"));
}

/* ---- salts, forks, threads ---- */

static void
collect_salts(uint32_t *salts)
{
	uint8_t credential[CG_CREDENTIAL_MAX];
	struct cg_claim claim;
	unsigned i;

	cg_claim_init(&claim);
	for (i = 0; i < FORK_SALTS; i++) {
		if (cg_mint(key, &claim, credential, sizeof(credential)) < 0)
			_exit(1);
		salts[i] = load_be32(credential + CRED_AT_SALT);
	}
}

/*
 * Parent and child hold the same buffer of random bytes at the fork. If it were used, the child
 * would say what the parent says; by chance one of 300 agrees once in 14 million runs.
 */
static void
test_fork_drops_buffered_salts(void **state)
{
	uint32_t *child = mmap(NULL, FORK_SALTS * sizeof(*child), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint32_t parent[FORK_SALTS];
	unsigned i, same = 0;
	int status;
	pid_t pid;

	(void)state;
	assert_true(child != MAP_FAILED);
	collect_salts(parent); /* so that the buffer is half full */
	pid = fork();
	if (pid == 0) {
		collect_salts(child);
		_exit(0);
	}
	collect_salts(parent);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	for (i = 0; i < FORK_SALTS; i++)
		same += parent[i] == child[i];
	assert_int_equal(same, 0);
	munmap(child, FORK_SALTS * sizeof(*child));
}

#define GENERATIONS 64
#define CHILDREN    2 /* at the same time, while their parent mints as well */
#define LITTER      (CHILDREN + 1)

/* Serial and salt of one fresh credential. */
static void
collect_one(uint64_t *serial, uint64_t *salt)
{
	uint8_t credential[CG_CREDENTIAL_MAX];
	struct cg_claim claim;

	cg_claim_init(&claim);
	if (cg_mint(key, &claim, credential, sizeof(credential)) < 0)
		_exit(1);
	*serial = load_be64(credential + CRED_AT_SERIAL);
	*salt = load_be32(credential + CRED_AT_SALT);
}

/* Each child is forked right after its parent minted, mints once, and closes what it inherited. */
static void
test_children_repeat_nothing(void **state)
{
	enum {
		ALL = GENERATIONS * LITTER
	};
	uint64_t *serials = mmap(NULL, 2 * ALL * sizeof(*serials), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t *salts = serials + ALL;
	unsigned at, child;
	int status;

	(void)state;
	assert_true(serials != MAP_FAILED);
	for (at = 0; at < ALL; at += LITTER) {
		for (child = 1; child < LITTER; child++) {
			pid_t pid = fork();

			assert_true(pid >= 0);
			if (pid == 0) {
				collect_one(&serials[at + child], &salts[at + child]);
				cg_key_close(key);
				_exit(0);
			}
		}
		collect_one(&serials[at], &salts[at]);
		while (wait(&status) > 0)
			assert_int_equal(status, 0);
	}
	assert_int_equal(count_repeats(serials, ALL), 0);
	assert_true(serials[0] != 0); /* sorted now: nobody failed to mint */
	/* Of 192 salts of 32 bits two agree by chance once in 230,000 runs; two pairs do not. */
	assert_true(count_repeats(salts, ALL) < 2);
	munmap(serials, 2 * ALL * sizeof(*serials));
}

/* 4,000 random salts of 32 bits: more than a few repeats would be no randomness. */
static void
test_salts_differ(void **state)
{
	enum {
		ROUNDS = 14
	};
	uint64_t salts[ROUNDS * FORK_SALTS];
	uint32_t some[FORK_SALTS];
	unsigned round, i;

	(void)state;
	for (round = 0; round < ROUNDS; round++) {
		collect_salts(some);
		for (i = 0; i < FORK_SALTS; i++)
			salts[round * FORK_SALTS + i] = some[i];
	}
	assert_true(count_repeats(salts, ROUNDS * FORK_SALTS) < 4);
}

static void *
mint_in_thread(void *context)
{
	uint8_t *credential = context;
	struct cg_claim claim;

	cg_claim_init(&claim);
	return cg_mint(key, &claim, credential, CG_CREDENTIAL_MAX) > 0 ? context : NULL;
}

/* Threads come and go; each has an engine of its own, which leak checkers see freed. */
static void
test_threads_come_and_go(void **state)
{
	uint8_t credential[CG_CREDENTIAL_MAX], out[CG_PAYLOAD_MAX];
	uint64_t last = 0;
	pthread_t thread;
	void *result;
	unsigned i;

	(void)state;
	for (i = 0; i < 50; i++) {
		assert_int_equal(pthread_create(&thread, NULL, mint_in_thread, credential), 0);
		assert_int_equal(pthread_join(thread, &result), 0);
		assert_ptr_equal(result, credential);
		judge(credential, CRED_SIZE_MIN, out);
		assert_true(serial_of(credential) > last);
		last = serial_of(credential);
	}
}

static void
test_error_text_is_per_thread(void **state)
{
	struct cg_claim claim = full_claim("payload", 7);
	uint8_t credential[CG_CREDENTIAL_MAX];
	pthread_t thread;
	void *result;

	(void)state;
	claim.kind = 77;
	assert_int_equal(cg_mint(key, &claim, credential, sizeof(credential)), -EINVAL);
	assert_int_equal(pthread_create(&thread, NULL, mint_in_thread, credential), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_non_null(strstr(cg_error(), "kind 77"));
}

static void
test_verdict_texts(void **state)
{
	(void)state;
	assert_string_equal(cg_verdict_text(CG_ACCEPTED), "accepted");
	assert_string_equal(cg_verdict_text(CG_STORE_FULL), "store-full");
	assert_string_equal(cg_verdict_text(22), "unknown");
	assert_string_equal(cg_verdict_text(UINT32_MAX), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_suite_and_size_proves, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_defaults_are_the_process_and_now, setup, teardown),
		cmocka_unit_test_setup_teardown(test_batch_equals_single, setup, teardown),
		cmocka_unit_test_setup_teardown(test_text_there_and_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong_claims_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong_origins_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong_batches_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_claims_of_other_releases, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fork_drops_buffered_salts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_children_repeat_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_salts_differ, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threads_come_and_go, setup, teardown),
		cmocka_unit_test_setup_teardown(test_error_text_is_per_thread, setup, teardown),
		cmocka_unit_test(test_verdict_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
