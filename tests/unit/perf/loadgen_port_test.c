/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The program itself, over a DPDK port that writes a capture file: every frame in it is judged by
 * the packet path, and the report says what was in it. argv[1]: credgate-loadgen. Exit 77: DPDK has
 * no pcap driver here.
 */

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "loadgen_judge.h"

#define CAPTURE_MAGIC    0xa1b2c3d4u
#define CAPTURE_MAGIC_NS 0xa1b23c4du
#define CAPTURE_HEADER   24u
#define ARGUMENTS_MAX    64u
#define RECORD_HEADER    16u
#define FRAME_SIZE_MAX   1536u
#define SECONDS          "1"
#define RATE             20000.0
#define LINGER_MS        "1500"

extern char **environ;

static int failures;

static void
check(const char *what, uint64_t got, uint64_t wanted)
{
	if (got == wanted)
		return;
	fprintf(stderr, "%s: %llu instead of %llu\n", what, (unsigned long long)got,
		(unsigned long long)wanted);
	failures++;
}

/* The program's exit code; its standard output goes to `report`. */
static int
run(const char *const *arguments, const char *report)
{
	char *words[ARGUMENTS_MAX] = {NULL};
	posix_spawn_file_actions_t actions;
	int status;
	pid_t pid;

	/* POSIX promises not to write to them, but has no const there. */
	for (unsigned i = 0; arguments[i] != NULL; i++)
		memcpy(&words[i], &arguments[i], sizeof(words[i]));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(
		&actions, STDOUT_FILENO, report, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (posix_spawn(&pid, words[0], &actions, NULL, words, environ) != 0)
		return -1;
	posix_spawn_file_actions_destroy(&actions);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* Judges all frames of the capture in bursts of up to 64; how many there were. */
static uint64_t
capture_judge(struct judge *judge, const char *path)
{
	static uint8_t memory[64][FRAME_SIZE_MAX];
	const uint8_t *frames[64];
	uint16_t sizes[64];
	uint32_t header[CAPTURE_HEADER / 4], record[RECORD_HEADER / 4];
	uint64_t total = 0;
	unsigned count = 0;
	FILE *file = fopen(path, "rb");

	if (file == NULL || fread(header, sizeof(header), 1, file) != 1 ||
		(header[0] != CAPTURE_MAGIC && header[0] != CAPTURE_MAGIC_NS)) {
		fprintf(stderr, "%s: is no capture\n", path);
		exit(1);
	}
	while (fread(record, sizeof(record), 1, file) == 1 && record[2] <= FRAME_SIZE_MAX &&
		fread(memory[count], record[2], 1, file) == 1) {
		frames[count] = memory[count];
		sizes[count++] = (uint16_t)record[2];
		total++;
		if (count == 64) {
			judge_frames(judge, frames, sizes, count);
			count = 0;
		}
	}
	judge_frames(judge, frames, sizes, count);
	fclose(file);
	return total;
}

/* The number behind `key` in the report. */
static uint64_t
reported(const char *report, const char *key)
{
	const char *at = strstr(report, key);

	if (at == NULL) {
		fprintf(stderr, "no %s in the report\n", key);
		failures++;
		return 0;
	}
	return strtoull(at + strlen(key), NULL, 10);
}

static char *
file_read(const char *path)
{
	static char text[65536];
	FILE *file = fopen(path, "r");

	if (file == NULL || fread(text, 1, sizeof(text) - 1, file) == 0) {
		fprintf(stderr, "%s: no report\n", path);
		exit(1);
	}
	fclose(file);
	return text;
}

static void
compare(struct judge *judge, const char *capture, const char *report)
{
	const char *text = file_read(report);
	const uint64_t sent = reported(text, "\"sent\": ");

	check("frames in the capture", capture_judge(judge, capture), sent);
	check("accepted", judge_count(judge, VERDICT_ACCEPTED), reported(text, "\"genuine\": "));
	check("bad-tag", judge_count(judge, VERDICT_BAD_TAG), reported(text, "\"forged\": "));
	check("replayed", judge_count(judge, VERDICT_REPLAYED), reported(text, "\"replayed\": "));
	check("malformed", judge_count(judge, VERDICT_MALFORMED),
		reported(text, "\"malformed\": "));
	check("unknown-node", judge_count(judge, VERDICT_UNKNOWN_NODE),
		reported(text, "\"unknown\": "));
	check("dropped", reported(text, "\"tx_dropped\": "), 0);
	/* A busy machine may hold the program up, never make it hurry. */
	check("something was sent", sent > 0, 1);
	check("no more than the rate", (double)sent <= RATE * atof(SECONDS) + 1, 1);
}

/* Does the program send over a device? It stays `linger` milliseconds. */
static bool
sends_to(const char *program, const char *master, const char *device, const char *linger)
{
	const char *const arguments[] = {program, "--port", device, "--master", master,
		"--realm-id", "7", "--to", "10.9.9.9", "--from", "10.1.2.3", "--to-mac",
		"02:c6:00:00:00:01", "--count", "1", "--linger", linger, NULL};

	return run(arguments, "/dev/null") == 0;
}

static double
clock_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Also if nobody answers: what lies in a memif ring goes when its port does. */
static void
stays_as_long_as_told(const char *program, const char *master)
{
	const double begin_s = clock_s();

	check("sends to nobody", sends_to(program, master, "net_null0,no-rx=1", LINGER_MS), 1);
	check("stays", clock_s() - begin_s >= atof(LINGER_MS) / 1000, 1);
}

int
main(int argc, char **argv)
{
	static const uint8_t suites[] = {CRED_SUITE_SEALED128, CRED_SUITE_CMAC256};
	char capture[96], device[128], report[96];
	struct judge judge;

	if (argc != 2)
		return 2;
	judge_init(&judge, suites, 2);
	snprintf(capture, sizeof(capture), "%s.pcap", judge.master);
	snprintf(report, sizeof(report), "%s.json", judge.master);
	snprintf(device, sizeof(device), "net_pcap0,tx_pcap=%s", capture);
	const char *const arguments[] = {argv[1], "--port", device, "--master", judge.master,
		"--realm-id", "7", "--nodes", "64", "--suite", "sealed128,cmac256", "--payload",
		"0:3,204:1", "--audience", "9", "--to", "10.9.9.9:4500", "--from", "10.1.2.0/24",
		"--to-mac", "02:c6:00:00:00:01", "--rate", "20k", "--seconds", SECONDS, "--forged",
		"10", "--replayed", "5", "--malformed", "5", "--unknown", "5", "--json", NULL};

	if (!sends_to(argv[1], judge.master, "net_pcap0,tx_pcap=/dev/null", "0") &&
		sends_to(argv[1], judge.master, "net_null0", "0")) {
		fprintf(stderr,
			"DPDK's pcap driver is not here: nothing to write a capture with\n");
		judge_fini(&judge);
		return 77;
	}
	stays_as_long_as_told(argv[1], judge.master);
	check("exit code", (uint64_t)run(arguments, report), 0);
	if (failures == 0)
		compare(&judge, capture, report);
	unlink(capture);
	unlink(report);
	judge_fini(&judge);
	return failures != 0;
}
