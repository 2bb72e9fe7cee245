/* SPDX-License-Identifier: BSD-3-Clause */

#include "perf/loadgen/report.h"

#include <inttypes.h>

static const char *const mode_names[] = {"mint", "raw", "mint-only"};
static const double quantiles[] = {0.5, 0.9, 0.99, 0.999};
static const char *const quantile_names[] = {"p50", "p90", "p99", "p99_9"};
#define QUANTILES (sizeof(quantiles) / sizeof(quantiles[0]))

static double
seconds_of(const struct results *r)
{
	return r->tsc_hz != 0 ? (double)r->tsc_spent / (double)r->tsc_hz : 0;
}

/* Cycles per credential in the median full burst; 0 if there was none. */
static double
mint_median(const struct results *r)
{
	return (double)histogram_quantile(&r->mint_bursts, 0.5) / MINT_BURST_MAX;
}

static double
per(double amount, double each)
{
	return each > 0 ? amount / each : 0;
}

/* ---- progress ---- */

void
report_progress(const struct results *results, const struct settings *settings)
{
	static uint64_t sent_before, accepted_before, replies_before;
	static unsigned second;
	const uint64_t sent = results_load(&results->sent);
	const uint64_t accepted = results_load(&results->accepted_seen);
	const uint64_t replies = results_load(&results->reply_count);

	if (second++ == 0)
		fprintf(stderr, "%8s %12s %12s %12s %12s\n", "second", "sent/s", "dropped",
			settings_wants_replies(settings) ? "replies/s" : "-",
			settings->verdicts != NULL ? "accepted/s" : "-");
	fprintf(stderr, "%8u %12" PRIu64 " %12" PRIu64 " %12" PRIu64 " %12" PRIu64 "\n", second,
		sent - sent_before, results_load(&results->tx_dropped), replies - replies_before,
		accepted - accepted_before);
	sent_before = sent;
	accepted_before = accepted;
	replies_before = replies;
}

/* ---- for people ---- */

static void
table_latency(FILE *to, const char *name, const struct histogram *h)
{
	unsigned i;

	if (h->count == 0)
		return;
	fprintf(to, "%-18s %" PRIu64 " times, in us: min %.1f", name, h->count,
		(double)h->min / 1e3);
	for (i = 0; i < QUANTILES; i++)
		fprintf(to, ", %s %.1f", quantile_names[i],
			(double)histogram_quantile(h, quantiles[i]) / 1e3);
	fprintf(to, ", max %.1f\n", (double)h->max / 1e3);
}

static void
table_classes(FILE *to, const struct results *r)
{
	unsigned i;

	for (i = 0; i < MINT_CLASSES; i++)
		if (r->sent_class[i] != 0)
			fprintf(to, "  %-16s %" PRIu64 "\n", mint_class_name((enum mint_class)i),
				r->sent_class[i]);
}

static void
table_replies(FILE *to, const struct results *r)
{
	unsigned i;

	fprintf(to, "%-18s %" PRIu64 " of %" PRIu64 " asked for\n", "replies", r->reply_count,
		r->sent_wanting);
	for (i = 0; i < VERDICT_COUNTERS; i++)
		if (r->replies[i] != 0)
			fprintf(to, "  %-16s %" PRIu64 "\n", verdict_text(i), r->replies[i]);
	if (r->replies_unproved + r->replies_unmatched != 0)
		fprintf(to, "  %-16s %" PRIu64 " not proved, %" PRIu64 " to nothing known\n",
			"ignored", r->replies_unproved, r->replies_unmatched);
}

void
report_table(FILE *to, const struct results *r, const struct settings *s, const struct mint *mint,
	const struct report_device *device)
{
	const double seconds = seconds_of(r);
	const double mint_cycles = per((double)r->mint_tsc, (double)r->minted);
	unsigned i;

	fprintf(to, "%-18s %" PRIu64 " in %.3f s: %.0f/s, %.3f Gbit/s of frames\n", "sent", r->sent,
		seconds, per((double)r->sent, seconds), per((double)r->sent_bytes * 8e-9, seconds));
	table_classes(to, r);
	fprintf(to, "%-18s %" PRIu64 " dropped, %" PRIu64 " bursts offered again\n", "port",
		r->tx_dropped, r->tx_retries);
	fprintf(to, "%-18s %.0f cycles, %.1f ns each; median of full bursts %.1f ns (%s)\n",
		"minting", mint_cycles, per(mint_cycles * 1e9, (double)r->tsc_hz),
		per(mint_median(r) * 1e9, (double)r->tsc_hz), tag_engine_name(mint->engine));
	if (settings_wants_replies(s))
		table_replies(to, r);
	if (s->verdicts != NULL)
		fprintf(to, "%-18s %" PRIu64 " accepted, %" PRIu64 " slots lost%s\n",
			"verdicts read", r->accepted_seen, r->verdicts_lost,
			r->is_gateway_gone ? "; the gateway went away" : "");
	table_latency(to, "send to reply", &r->send_to_reply);
	table_latency(to, "send to verdict", &r->send_to_verdict);
	for (i = 0; i < device->count; i++)
		fprintf(to, "  %-34s %" PRIu64 "\n", device->counters[i].name,
			device->counters[i].value);
}

/* ---- JSON ---- */

static void
json_text(FILE *to, const char *text)
{
	fputc('"', to);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', to);
		if ((unsigned char)*text >= 0x20)
			fputc(*text, to);
	}
	fputc('"', to);
}

/* Buckets that hold something, as [greatest value in us, count]. */
static void
json_buckets(FILE *to, const struct histogram *h)
{
	const char *separator = "";
	unsigned i;

	fputs("\"buckets\": [", to);
	for (i = 0; i < HISTOGRAM_BUCKETS; i++) {
		if (h->buckets[i] == 0)
			continue;
		fprintf(to, "%s[%.3f, %" PRIu64 "]", separator, (double)histogram_high(i) / 1e3,
			h->buckets[i]);
		separator = ", ";
	}
	fputs("]", to);
}

static void
json_latency(FILE *to, const char *name, const struct histogram *h)
{
	unsigned i;

	fprintf(to, "  \"%s\": {\"unit\": \"us\", \"count\": %" PRIu64 ", \"min\": %.3f, ", name,
		h->count, h->count != 0 ? (double)h->min / 1e3 : 0.0);
	fprintf(to, "\"mean\": %.3f, ", per((double)h->sum / 1e3, (double)h->count));
	for (i = 0; i < QUANTILES; i++)
		fprintf(to, "\"%s\": %.3f, ", quantile_names[i],
			(double)histogram_quantile(h, quantiles[i]) / 1e3);
	fprintf(to, "\"max\": %.3f, ", (double)h->max / 1e3);
	json_buckets(to, h);
	fputs("},\n", to);
}

static void
json_number(FILE *to, const char *name, uint64_t value)
{
	fprintf(to, "  \"%s\": %" PRIu64 ",\n", name, value);
}

static void
json_settings(FILE *to, const struct settings *s, const struct mint *mint)
{
	unsigned i;

	fprintf(to, "  \"program\": \"credgate-loadgen\",\n  \"mode\": \"%s\",\n  \"port\": ",
		mode_names[s->mode]);
	json_text(to, s->port != NULL ? s->port : "");
	fprintf(to, ",\n  \"kernel\": \"%s\",\n  \"nodes\": %u,\n  \"payloads\": [",
		tag_engine_name(mint->engine), mint->keys->count);
	for (i = 0; i < s->payload_count; i++)
		fprintf(to, "%s{\"payload\": %u, \"frame\": %u, \"weight\": %u}", i ? ", " : "",
			s->payload_sizes[i], mint->shapes[i].frame_size, s->payload_weights[i]);
	fprintf(to, "],\n  \"suites\": [");
	for (i = 0; i < s->suite_count; i++)
		fprintf(to, "%s%u", i ? ", " : "", s->suites[i]);
	fprintf(to, "],\n  \"rate\": %.3f,\n", s->rate);
}

static void
json_sent(FILE *to, const struct results *r)
{
	const double seconds = seconds_of(r), hz = (double)r->tsc_hz;
	const double cycles = per((double)r->mint_tsc, (double)r->minted);
	unsigned i;

	json_number(to, "sent", r->sent);
	json_number(to, "sent_bytes", r->sent_bytes);
	json_number(to, "tx_dropped", r->tx_dropped);
	json_number(to, "tx_retries", r->tx_retries);
	fputs("  \"by_class\": {", to);
	for (i = 0; i < MINT_CLASSES; i++)
		fprintf(to, "%s\"%s\": %" PRIu64, i ? ", " : "",
			mint_class_name((enum mint_class)i), r->sent_class[i]);
	fprintf(to, "},\n  \"seconds\": %.6f,\n  \"pps\": %.1f,\n", seconds,
		per((double)r->sent, seconds));
	json_number(to, "tsc_hz", r->tsc_hz);
	fprintf(to, "  \"mint_cycles\": %.2f,\n  \"mint_ns\": %.3f,\n", cycles,
		per(cycles * 1e9, hz));
	fprintf(to, "  \"mint_cycles_p50\": %.2f,\n  \"mint_ns_p50\": %.3f,\n", mint_median(r),
		per(mint_median(r) * 1e9, hz));
	fprintf(to, "  \"late_us_max\": %.3f,\n", per((double)r->late_tsc_max * 1e6, hz));
}

static void
json_replies(FILE *to, const struct results *r)
{
	const char *separator = "";
	unsigned i;

	json_number(to, "reply_wanted", r->sent_wanting);
	json_number(to, "reply_count", r->reply_count);
	json_number(to, "reply_unmatched", r->replies_unmatched);
	json_number(to, "reply_unproved", r->replies_unproved);
	json_number(to, "received_other", r->received_other);
	fputs("  \"replies\": {", to);
	for (i = 0; i < VERDICT_COUNTERS; i++) {
		if (r->replies[i] == 0)
			continue;
		fprintf(to, "%s\"%s\": %" PRIu64, separator, verdict_text(i), r->replies[i]);
		separator = ", ";
	}
	fputs("},\n", to);
}

static void
json_device(FILE *to, const struct report_device *device)
{
	unsigned i;

	fputs("  \"device\": {", to);
	for (i = 0; i < device->count; i++) {
		fputs(i ? ", " : "", to);
		json_text(to, device->counters[i].name);
		fprintf(to, ": %" PRIu64, device->counters[i].value);
	}
	fputs("}\n", to);
}

void
report_json(FILE *to, const struct results *r, const struct settings *s, const struct mint *mint,
	const struct report_device *device)
{
	fputs("{\n", to);
	json_settings(to, s, mint);
	json_sent(to, r);
	json_replies(to, r);
	json_number(to, "accepted_seen", r->accepted_seen);
	json_number(to, "accepted_timed", r->accepted_timed);
	json_number(to, "verdict_slots_lost", r->verdicts_lost);
	json_number(to, "forgotten", r->forgotten);
	fprintf(to, "  \"gateway_gone\": %s,\n", r->is_gateway_gone ? "true" : "false");
	json_latency(to, "send_to_reply", &r->send_to_reply);
	json_latency(to, "send_to_verdict", &r->send_to_verdict);
	json_device(to, device);
	fputs("}\n", to);
}
