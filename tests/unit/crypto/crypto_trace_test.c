/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What one tag kernel executes, named by the argument, does not depend on secrets. A child process
 * is stepped instruction by instruction (ptrace) through verify, seal and unseal, and the addresses
 * of all instructions go into a hash: the same for any keys, plaintext and tags, good or bad, as
 * long as what is public (headers, suites, sizes, counts) stays. With "kdf" in a kernel's place: the
 * same of key derivation and subkeys.
 *
 * Addresses of data that depend on a secret are seen by crypto_memcheck_test.c, but valgrind cannot
 * run vaes512. For that one the general registers go into a second hash: they are the same at every
 * instruction for any keys and plaintext, as long as the same tags are right, and no gather or
 * scatter is executed; so no address can be made of a secret.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/kdf.h"
#include "tests/unit/crypto/fixture.h"
#include "tests/unit/crypto/oracle.h"

/* A step takes some microseconds: as few inputs as reach every way through a kernel. */
#define UNIFORM_COUNT 17u /* groups of 8 and of 16 lanes, and one left over */
#define MIXED_COUNT   9u
#define TRACED_MAX    UNIFORM_COUNT

/* Public: the same in every variant. */
static const uint16_t mixed_sizes[8] = {80, 203, 97, 81, 96, 111, 80, 160};

/* What a variant of the secrets is made of; the first is what the others are compared with. */
enum variant {
	VARIANT_GOOD,
	VARIANT_OTHER, /* keys, plaintext and all bytes of the tags */
	VARIANT_ZEROES,
	VARIANT_ONES,
	VARIANT_KEYS_COUNT, /* from here on only tags are wrong in another way */
	VARIANT_BAD_LAST_BIT = VARIANT_KEYS_COUNT,
	VARIANT_EVERY_OTHER_BAD,
	VARIANT_COUNT
};

struct trace {
	uint64_t hash;      /* of the addresses of all instructions */
	uint64_t registers; /* of the general registers before each of them */
	uint64_t steps;
	uint64_t gathers; /* instructions with addresses in vector registers */
	uint64_t stack;   /* pointer at the call of what is traced; 0 before it and after */
};

/* Inputs of the traced calls, at the same addresses in every variant. */
static struct {
	struct key_slot slots[TRACED_MAX];
	const struct key_slot *slot_list[TRACED_MAX];
	uint8_t bytes[TRACED_MAX][CRED_SIZE_MAX];
	uint8_t *rows[TRACED_MAX];
	uint8_t *payloads[TRACED_MAX];
	uint16_t sizes[TRACED_MAX];
	uint16_t payload_sizes[TRACED_MAX];
	uint64_t serials[TRACED_MAX];
	uint32_t salts[TRACED_MAX];
	struct tag_identity ids[TRACED_MAX];
	uint8_t node_key[KDF_KEY_SIZE];
	uint8_t right_tag[CRED_TAG_SIZE]; /* of input 0, spoiled or not */
	unsigned count;
} in;

static struct tag_engine *engine;
static struct random secrets = {1};
static volatile uint64_t sink;

static void
run_nothing(void)
{
}

static void
run_verify(void)
{
	sink = tag_batch_verify(
		engine, in.slot_list, (const uint8_t *const *)in.rows, in.sizes, in.ids, in.count);
}

static void
run_seal(void)
{
	tag_batch_seal(engine, in.slot_list, in.rows, in.sizes, in.count);
}

static void
run_unseal(void)
{
	tag_batch_unseal(engine, in.slot_list, in.serials, in.salts,
		(const uint8_t *const *)in.payloads, in.payloads, in.payload_sizes, in.count);
}

static void
run_subkey(void)
{
	uint8_t k1[AES_BLOCK_SIZE];

	tag_subkey(k1, in.slots[0].tag_key, 16);
	tag_subkey(k1, in.slots[0].tag_key, 32);
}

static void
run_soft_block(void)
{
	uint8_t block[AES_BLOCK_SIZE];

	memcpy(block, in.bytes[0] + CRED_SEALED_FIRST, sizeof(block));
	aes_soft_block(block, in.slots[0].tag_key, 16);
}

static void
run_kdf(void)
{
	struct key_slot slot = {0};
	uint8_t key[KDF_KEY_SIZE];

	kdf_realm(key, in.node_key, 7);
	kdf_node(key, in.node_key, 0x01020304, 5);
	kdf_slot_request(&slot, in.node_key, CRED_SUITE_SEALED128);
	kdf_slot_reply(&slot, in.node_key, CRED_SUITE_SEALED256);
}

/* Deliberately wrong: it stops at the first byte of the tag that differs. */
static void
run_leaky_compare(void)
{
	const uint8_t *tag = in.bytes[0] + in.sizes[0];
	unsigned i;

	for (i = 0; i < CRED_TAG_SIZE && tag[i] == in.right_tag[i]; i++)
		sink = i;
}

/* Deliberately wrong: the usual slip in doubling, a branch on the bit shifted out. */
static void
run_leaky_branch(void)
{
	if (in.slots[0].tag_key[0] & 0x80)
		sink = sink ^ 0x87;
}

/* Deliberately wrong: the usual slip in an S-box, a table read at a secret index. */
static void
run_leaky_index(void)
{
	static const uint8_t table[256] = {1};

	sink = table[in.slots[0].tag_key[0]];
}

static void
secret_fill(enum variant variant, void *bytes, size_t size)
{
	if (variant == VARIANT_ZEROES)
		memset(bytes, 0, size);
	else if (variant == VARIANT_ONES)
		memset(bytes, 0xff, size);
	else
		random_fill(&secrets, bytes, size);
}

/* Spoils the tag of input i, if this variant is one of bad tags. */
static void
tag_spoil(enum variant variant, unsigned i)
{
	uint8_t *tag = in.bytes[i] + in.sizes[i];

	if (variant == VARIANT_OTHER)
		random_fill(&secrets, tag, CRED_TAG_SIZE);
	else if (variant == VARIANT_BAD_LAST_BIT)
		tag[CRED_TAG_SIZE - 1] ^= 0x01;
	else if (variant == VARIANT_EVERY_OTHER_BAD && i % 2 == 0)
		tag[CRED_TAG_SIZE / 2] ^= 0x10;
}

/* Header and what else is public of input i, the same in every variant. */
static void
public_fill(unsigned i, uint8_t suite, uint16_t size)
{
	memset(&in.slots[i], (int)i, sizeof(in.slots[i]));
	in.slots[i].suite = suite;
	in.slot_list[i] = &in.slots[i];
	in.rows[i] = in.bytes[i];
	in.payloads[i] = in.bytes[i] + CRED_AT_PAYLOAD;
	in.sizes[i] = size;
	in.payload_sizes[i] = size - CRED_HEADER_SIZE;
	memset(in.bytes[i], (int)(i + 1), CRED_SEALED_FIRST);
	in.serials[i] = load_be64(in.bytes[i] + CRED_AT_SERIAL);
	memcpy(&in.salts[i], in.bytes[i] + CRED_AT_SALT, sizeof(in.salts[i]));
}

/* Suite 0: all of them, and mixed sizes. */
static void
inputs_fill(enum variant variant, uint8_t suite)
{
	unsigned i;

	in.count = suite != 0 ? UNIFORM_COUNT : MIXED_COUNT;
	for (i = 0; i < in.count; i++) {
		struct key_slot *slot = &in.slots[i];

		public_fill(i, suite != 0 ? suite : (uint8_t)(1 + i % 4),
			suite != 0 ? 80 : mixed_sizes[i % 8]);
		secret_fill(variant, slot->tag_key, sizeof(slot->tag_key));
		secret_fill(variant, slot->seal_key, sizeof(slot->seal_key));
		oracle_k1(slot->k1, slot->tag_key, cred_suite_key_size(slot->suite));
		secret_fill(variant, in.bytes[i] + CRED_SEALED_FIRST,
			CRED_SIZE_MAX - CRED_SEALED_FIRST);
		oracle_seal(slot, in.bytes[i], in.sizes[i]);
		if (i == 0)
			memcpy(in.right_tag, in.bytes[0] + in.sizes[0], CRED_TAG_SIZE);
		tag_spoil(variant, i);
	}
	secret_fill(variant, in.node_key, sizeof(in.node_key));
}

/*
 * Calls `run` with all general registers zero but its address in rax and the stack pointer: what
 * this program has left in them differs from one child to the next.
 */
void run_bare(void (*run)(void));

__asm__(".text\n"
	".type run_bare, @function\n"
	"run_bare:\n\t"
	"endbr64\n\t"
	"push %rbx\n\t"
	"push %rbp\n\t"
	"push %r12\n\t"
	"push %r13\n\t"
	"push %r14\n\t"
	"push %r15\n\t"
	"sub $8, %rsp\n\t" /* the stack is aligned at a call */
	"mov %rdi, %rax\n\t"
	"xor %ebx, %ebx\n\t"
	"xor %ecx, %ecx\n\t"
	"xor %edx, %edx\n\t"
	"xor %esi, %esi\n\t"
	"xor %edi, %edi\n\t"
	"xor %ebp, %ebp\n\t"
	"xor %r8d, %r8d\n\t"
	"xor %r9d, %r9d\n\t"
	"xor %r10d, %r10d\n\t"
	"xor %r11d, %r11d\n\t"
	"xor %r12d, %r12d\n\t"
	"xor %r13d, %r13d\n\t"
	"xor %r14d, %r14d\n\t"
	"xor %r15d, %r15d\n\t"
	"call *%rax\n\t"
	"add $8, %rsp\n\t"
	"pop %r15\n\t"
	"pop %r14\n\t"
	"pop %r13\n\t"
	"pop %r12\n\t"
	"pop %rbp\n\t"
	"pop %rbx\n\t"
	"ret\n\t"
	".size run_bare, . - run_bare");

/* The child: what runs between the two stops is what is traced. */
__attribute__((noreturn)) static void
traced_child(void (*run)(void))
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		_exit(77);
	raise(SIGSTOP);
	run_bare(run);
	raise(SIGSTOP);
	_exit(0);
}

static void
hash_add(uint64_t *hash, uint64_t value)
{
	*hash = (*hash ^ value) * 0x100000001b3;
}

/*
 * Is it VGATHER, VPGATHER or their scatters, VEX or EVEX coded (Intel SDM volume 2, appendix A)? A
 * forked child has its code where we have ours.
 */
static bool
is_gather(const uint8_t *code)
{
	uint8_t opcode;

	if (code[0] == 0xc4 && (code[1] & 0x1f) == 2)
		opcode = code[3];
	else if (code[0] == 0x62 && (code[1] & 0x07) == 2)
		opcode = code[4];
	else
		return false;
	return (opcode >= 0x90 && opcode <= 0x93) || (opcode >= 0xa0 && opcode <= 0xa3);
}

static void
trace_registers(struct trace *trace, const struct user_regs_struct *r)
{
	const uint64_t general[] = {r->rax, r->rbx, r->rcx, r->rdx, r->rsi, r->rdi, r->rbp, r->rsp,
		r->r8, r->r9, r->r10, r->r11, r->r12, r->r13, r->r14, r->r15};

	for (size_t i = 0; i < sizeof(general) / sizeof(general[0]); i++)
		hash_add(&trace->registers, general[i]);
}

/* Registers count from the call of `run` to its return, when the stack is shorter than there. */
static void
trace_add(struct trace *trace, pid_t child, void (*run)(void))
{
	struct user_regs_struct r;

	if (ptrace(PTRACE_GETREGS, child, NULL, &r) != 0) {
		perror("PTRACE_GETREGS");
		exit(1);
	}
	if (r.rip == (uintptr_t)run)
		trace->stack = r.rsp;
	if (r.rsp > trace->stack)
		trace->stack = 0;
	if (trace->stack != 0)
		trace_registers(trace, &r);
	hash_add(&trace->hash, r.rip);
	trace->gathers += is_gather((const uint8_t *)r.rip);
	trace->steps++;
}

/* The signal the child stopped with; 0 if it ended instead, with *status. */
static int
child_wait(pid_t child, int *status)
{
	if (waitpid(child, status, 0) != child) {
		perror("waitpid");
		exit(1);
	}
	return WIFSTOPPED(*status) ? WSTOPSIG(*status) : 0;
}

/* Steps from the first stop to the second. False if there is no ptrace here. */
static bool
trace_run(void (*run)(void), struct trace *trace)
{
	pid_t child = fork();
	int status, stop;

	if (child == 0)
		traced_child(run);
	*trace = (struct trace){.hash = 0xcbf29ce484222325, .registers = 0xcbf29ce484222325};
	if (child_wait(child, &status) == 0)
		return false;
	for (;;) {
		if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0)
			break;
		stop = child_wait(child, &status);
		if (stop != SIGTRAP)
			break;
		trace_add(trace, child, run);
	}
	if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGSTOP) {
		fprintf(stderr, "the traced child ended with status %#x\n", (unsigned)status);
		exit(1);
	}
	kill(child, SIGKILL);
	child_wait(child, &status);
	return true;
}

/* How many of the first `variants` run otherwise than the very first. */
static unsigned
variants_that_differ(const char *what, void (*run)(void), uint8_t suite, unsigned variants)
{
	struct trace nothing, first, other;
	unsigned variant, differ = 0;

	inputs_fill(VARIANT_GOOD, suite);
	assert_true(trace_run(run_nothing, &nothing) && trace_run(run, &first));
	assert_true(first.steps > nothing.steps);
	for (variant = VARIANT_GOOD + 1; variant < variants; variant++) {
		inputs_fill((enum variant)variant, suite);
		assert_true(trace_run(run, &other));
		differ += other.hash != first.hash;
	}
	print_message("%s: %lu instructions, %u of %u variants differ\n", what,
		(unsigned long)(first.steps - nothing.steps), differ, variants - 1);
	return differ;
}

/* The same of the registers; all tags are right, or `run` does not look at them. */
static unsigned
variants_that_address_otherwise(const char *what, void (*run)(void), uint8_t suite)
{
	static const enum variant variants[] = {VARIANT_ZEROES, VARIANT_ONES};
	struct trace first, again, other;
	unsigned differ = 0;
	size_t v;

	inputs_fill(VARIANT_GOOD, suite);
	assert_true(trace_run(run, &first) && trace_run(run, &again));
	assert_int_equal(first.registers, again.registers);
	differ += first.gathers > 0;
	for (v = 0; v < sizeof(variants) / sizeof(variants[0]); v++) {
		inputs_fill(variants[v], suite);
		assert_true(trace_run(run, &other));
		differ += other.registers != first.registers;
	}
	print_message("%s: registers of %u of 2 variants differ\n", what, differ);
	return differ;
}

/* The method can tell: without these, the tests below could not fail. */
static void
leaks_are_seen(void **state)
{
	(void)state;
	assert_true(variants_that_differ("leaky compare", run_leaky_compare, 1, VARIANT_COUNT) > 0);
	assert_true(variants_that_differ("leaky branch", run_leaky_branch, 1, VARIANT_COUNT) > 0);
	assert_int_equal(
		variants_that_differ("leaky index", run_leaky_index, 1, VARIANT_KEYS_COUNT), 0);
	assert_true(variants_that_address_otherwise("leaky index", run_leaky_index, 1) > 0);
}

/* Only vaes512 has a way of its own for these, another one for each suite. */
static void
verify_uniform(void **state)
{
	const bool has_own_way = strcmp(tag_engine_name(engine), "vaes512") == 0;
	const uint8_t last = has_own_way ? CRED_SUITE_COUNT - 1 : CRED_SUITE_DEFAULT;
	uint8_t suite;

	(void)state;
	for (suite = has_own_way ? 1 : CRED_SUITE_DEFAULT; suite <= last; suite++)
		assert_int_equal(
			variants_that_differ("verify, one suite", run_verify, suite, VARIANT_COUNT),
			0);
}

static void
verify_mixed(void **state)
{
	(void)state;
	assert_int_equal(variants_that_differ("verify, mixed", run_verify, 0, VARIANT_COUNT), 0);
}

/* Likewise. */
static void
seal_uniform(void **state)
{
	uint8_t suite;

	(void)state;
	if (strcmp(tag_engine_name(engine), "vaes512") != 0)
		skip();
	for (suite = 1; suite < CRED_SUITE_COUNT; suite++)
		assert_int_equal(variants_that_differ(
					 "seal, one suite", run_seal, suite, VARIANT_KEYS_COUNT),
			0);
}

static void
seal_mixed(void **state)
{
	(void)state;
	assert_int_equal(variants_that_differ("seal, mixed", run_seal, 0, VARIANT_KEYS_COUNT), 0);
}

static void
unseal_mixed(void **state)
{
	(void)state;
	assert_int_equal(
		variants_that_differ("unseal, mixed", run_unseal, 0, VARIANT_KEYS_COUNT), 0);
}

/* The others are run by valgrind; and they do hold tags in general registers to compare them. */
static void
addresses_of_vaes512(void **state)
{
	uint8_t suite;

	(void)state;
	if (strcmp(tag_engine_name(engine), "vaes512") != 0)
		skip();
	for (suite = 1; suite < CRED_SUITE_COUNT; suite++) {
		assert_int_equal(
			variants_that_address_otherwise("verify, one suite", run_verify, suite), 0);
		assert_int_equal(
			variants_that_address_otherwise("seal, one suite", run_seal, suite), 0);
	}
	assert_int_equal(variants_that_address_otherwise("verify, mixed", run_verify, 0), 0);
	assert_int_equal(variants_that_address_otherwise("seal, mixed", run_seal, 0), 0);
	assert_int_equal(variants_that_address_otherwise("unseal, mixed", run_unseal, 0), 0);
}

static void
subkeys(void **state)
{
	(void)state;
	assert_int_equal(variants_that_differ("tag_subkey", run_subkey, 1, VARIANT_KEYS_COUNT), 0);
	assert_int_equal(
		variants_that_differ("aes_soft_block", run_soft_block, 1, VARIANT_KEYS_COUNT), 0);
}

static void
key_derivation(void **state)
{
	(void)state;
	assert_int_equal(variants_that_differ("kdf", run_kdf, 1, VARIANT_KEYS_COUNT), 0);
}

/* Child and parent on one CPU: they never run at once, and a wake-up across CPUs costs most. */
static void
cpu_pin(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)sched_getcpu(), &set);
	(void)sched_setaffinity(0, sizeof(set), &set); /* slower without, but right */
}

static int
kernel_run(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaks_are_seen),
		cmocka_unit_test(verify_uniform),
		cmocka_unit_test(verify_mixed),
		cmocka_unit_test(seal_uniform),
		cmocka_unit_test(seal_mixed),
		cmocka_unit_test(unseal_mixed),
		cmocka_unit_test(addresses_of_vaes512),
	};
	int failed;

	engine = fixture_engine(fixture_kernel(argc, argv));
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	tag_engine_destroy(engine);
	return failed;
}

static int
kdf_run(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaks_are_seen),
		cmocka_unit_test(subkeys),
		cmocka_unit_test(key_derivation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int
main(int argc, char **argv)
{
	struct trace trace;

	cpu_pin();
	if (!trace_run(run_leaky_branch, &trace)) {
		printf("skipped: this process may not trace its children (ptrace)\n");
		return 77;
	}
	return argc == 2 && strcmp(argv[1], "kdf") == 0 ? kdf_run() : kernel_run(argc, argv);
}
