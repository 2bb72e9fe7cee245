// SPDX-License-Identifier: BSD-3-Clause
//
// What the whole packet path costs per credential, in memory: from Ethernet frames of fresh
// credentials to verdict records in a ring, with headers, keys, origin, audience, time, tag,
// decryption, replay window and delivery. Beside it, in the same run, what IPsec-MB's job interface
// needs for the AES-CMAC of the same bytes alone.
//
// Each pass takes 8,192 credentials from nodes drawn at random, minted anew before it, untimed: a
// serial is accepted only once. Passes of the row, of its peer and of the row it is compared with
// take turns, so that all meet the machine in the same moments. kHarness says what rows and counters
// there are. A row in which any credential got another verdict than it had to reports an error.

#include <algorithm>
#include <cstring>
#include <list>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "perf/harness.h"
#include "perf/path_pair.h"
#include "perf/path_rig.h"
#include "perf/peer_ipsecmb.h"

namespace
{

constexpr Harness kHarness = {
	"path_bench",
	R"(The packet path in memory. A row is path/what/size/nodes; `size` is the credentials' bytes.
`what` says how they are and what the row is compared with:
  accepted     genuine, sealed AES-128, checksums vouched for by a NIC; x_growth: to 64 nodes
  accepted_K   the same on tag kernel K (aesni: a machine without AVX-512)
  software     the path checks the checksums itself
  forgedN      N in 100 have a wrong tag, all else right; x_accept
  forged_epochs  all have, half of them under their node's second epoch; x_accept
  replayed     every serial was used before; x_accept
  duplicates   the same, and all want a reply: answered again; x_accept, to replies
  unknown      the realm has room for such nodes, but does not know them; x_accept
  malformed    the length field lies; x_accept
  unsealed     AES-128-CMAC; x_sealed
  suites       a quarter of the nodes each of the four suites
  replies      all want a reply
  replies10    10 in 100 do
  epochs       half are of their node's second epoch
  audiences    64 audiences
  rules        100 rules for eight roles: of each node 16 that compare its uid with a range
  rules_all    100 rules that concern every node, each with a range of uids of its own
  limits       a rate limit of each node, and one that all share
  draining     two keys of every node live, a twentieth of the nodes still on the other one
  trust        rules, limits and draining together
  ipv6, vlan   as they say; the same and those above: x_plain
  workers2          two workers on two CPUs, frames at their node's owner; x_scale
  workers2_handoff  the same, half the frames at the other worker
  stages, stages_W  cycles by stage, as row accepted or W
size `mixed`: 90 in 100 of 96 bytes, 10 of 300.

Counters, medians of all passes, per credential:
  ns, cycles   CPU time (of two workers: wall clock / credentials of both), the same in TSC cycles
  peer_ns      IPsec-MB jobs, CMAC alone, keys expanded beforehand (of two workers: one)
  x_peer       peer_ns / ns (of two workers: x_scale)
  base_ns      the row compared with: of as many nodes, accepted; but for x_growth
  x_growth     ns / base_ns      x_plain    ns / base_ns
  x_accept     base_ns / ns      x_sealed   base_ns / ns
  x_scale      rate of two workers / mean rate of one on each of their CPUs, by pairs of passes
  rtt_ns       round trip of a cache line between the two CPUs
  retried      pairs in which it changed by more than 1.5, or a thread lost its CPU: taken again
  busy         refused because a hand-off ring was full, of all
  memory_mib   keys, windows, rings       window_bits   of each node
  stage_S      TSC cycles of stage S, by bursts; stage_S_fast the fastest decile's; stages the sum,
               without stage_empty: a burst that has no frames
Options of our own: --quick, --kernel=NAME (of all rows that do not name one).)",
	"0.2",
	"^path/(accepted/96/(64|4096|65536)|accepted/mixed/4096|forged100/96/4096"
	"|(workers2|workers2_handoff|stages)/96/4096|trust/96/65536)$",
};

constexpr uint32_t kFrames = 8192;
// 100 rules: twelve for each of eight roles, and four for all.
constexpr uint32_t kRulesOfNode = 12 + 4;
constexpr double kBurst = 64;
constexpr uint32_t kCredSizeMin = 96;
constexpr unsigned kRetriesMax = 20;
constexpr double kRttChange = 1.5;
constexpr const char *kStages[PATH_STAGES] = {
	"empty", "parse", "admit", "verify", "handoff", "own", "deliver"};

// ---- what is measured ----

// IPsec-MB, with keys of both sizes as far as there are any.
class Peer
{
      public:
	explicit Peer(const path_rig *rig)
	{
		const uint32_t count = path_rig_key_count(rig);

		for (uint32_t i = 0; i < count; i++) {
			unsigned size = 0;
			const uint8_t *key = path_rig_key(rig, i, &size);

			sizes.push_back(static_cast<uint8_t>(size));
			if (size == 0)
				continue;
			auto &peer = peers[size];
			if (peer == nullptr)
				peer = std::make_unique<PeerIpsecmb>(size, count);
			peer->key_set(i, key);
		}
	}

	void
	load(const path_rig *rig)
	{
		for (auto &peer : peers)
			peer.second->messages_clear();
		counts.clear();
		for (uint32_t i = 0; i < kFrames; i++) {
			const uint32_t key = path_rig_key_index(rig, i);

			peers[sizes[key]]->message_add(
				path_rig_msg(rig, i), path_rig_span_size(rig, i), key);
			counts[sizes[key]]++;
		}
	}

	void
	pass()
	{
		for (auto &peer : peers)
			peer.second->pass();
	}

	// The last frame of a round is never bad, so that its tag can be compared.
	bool
	agrees(const path_rig *rig)
	{
		const uint32_t last = kFrames - 1;
		const unsigned size = sizes[path_rig_key_index(rig, last)];

		return memcmp(peers[size]->tag(counts[size] - 1),
			       path_rig_msg(rig, last) + path_rig_span_size(rig, last), 16) == 0;
	}

      private:
	std::vector<uint8_t> sizes; // of the keys
	std::map<unsigned, std::unique_ptr<PeerIpsecmb>> peers;
	std::map<unsigned, unsigned> counts; // of messages
};

struct RigFree {
	void
	operator()(path_rig *rig) const
	{
		path_rig_destroy(rig);
	}
};

struct Rig {
	std::string name;
	std::unique_ptr<path_rig, RigFree> rig;
	std::unique_ptr<Peer> peer;
};

template <typename Function>
double
timed_ns(Function pass)
{
	const double begin_ns = cpu_ns();

	pass();
	return (cpu_ns() - begin_ns) / kFrames;
}

// After another that brings nodes and code back into the caches, as the peer has one.
double
path_pass(path_rig *rig)
{
	path_rig_mint(rig);
	path_rig_walk(rig, 0);
	path_rig_mint(rig);
	return timed_ns([&] { path_rig_walk(rig, 0); });
}

// A benchmark's function is called several times, and rows share what they are compared with: the
// last few rigs are kept, since those of many nodes take long to make.
Rig &
rig_get(const std::string &name, const path_rig_params &params)
{
	constexpr size_t kKept = 4;
	static std::list<Rig> rigs;
	const auto found = std::find_if(
		rigs.begin(), rigs.end(), [&](const Rig &rig) { return rig.name == name; });

	if (found != rigs.end()) {
		rigs.splice(rigs.begin(), rigs, found);
		return rigs.front();
	}
	if (rigs.size() == kKept)
		rigs.pop_back();
	rigs.push_front({name, nullptr, nullptr});
	rigs.front().rig.reset(path_rig_create(&params));
	if (rigs.front().rig == nullptr)
		exit(1); // it has said why
	return rigs.front();
}

// ---- rows ----

struct Row {
	std::string name;
	path_rig_params params;
	std::string base;  // row to compare with; empty: none
	std::string ratio; // counter
};

std::map<std::string, Row> rows;
unsigned cpus[2];
bool has_two_cpus;
bool has_failed; // some row was wrong: the program says so at its end

double
peer_pass(Rig &rig)
{
	rig.peer->load(rig.rig.get());
	rig.peer->pass();
	return timed_ns([&] { rig.peer->pass(); });
}

void
check(benchmark::State &state, bool is_right, const char *wrong)
{
	if (is_right)
		return;
	has_failed = true;
	state.SkipWithError(wrong);
}

void
check(benchmark::State &state, const path_rig *rig)
{
	check(state, path_rig_is_right(rig), "a credential got another verdict than it had to");
}

void
report_memory(benchmark::State &state, const path_rig *rig)
{
	state.counters["memory_mib"] = static_cast<double>(path_rig_memory(rig)) / (1 << 20);
	state.counters["window_bits"] = path_rig_window_bits(rig);
}

// Of "x_growth" and "x_plain" less is better, of the others more.
void
report_base(benchmark::State &state, const Row &row, double ns, double base_ns)
{
	const bool is_cost = row.ratio == "x_growth" || row.ratio == "x_plain";

	state.counters["base_ns"] = base_ns;
	state.counters[row.ratio] = is_cost ? ns / base_ns : base_ns / ns;
}

void
row_run(benchmark::State &state, const Row &row)
{
	Rig *base = row.base.empty() ? nullptr : &rig_get(row.base, rows.at(row.base).params);
	Rig &rig = rig_get(row.name, row.params);
	std::vector<double> ours, peers, bases;

	if (rig.peer == nullptr)
		rig.peer = std::make_unique<Peer>(rig.rig.get());
	for (auto _ : state) {
		ours.push_back(path_pass(rig.rig.get()));
		peers.push_back(peer_pass(rig));
		if (base != nullptr)
			bases.push_back(path_pass(base->rig.get()));
	}
	check(state, rig.rig.get());
	check(state, rig.peer->agrees(rig.rig.get()), "IPsec-MB and the path disagree");
	harness_report(state, median(ours), median(peers), "IPsec-MB jobs, CMAC alone");
	if (base != nullptr) {
		check(state, base->rig.get());
		report_base(state, row, median(ours), median(bases));
	}
	report_memory(state, rig.rig.get());
}

// ---- two workers ----

struct Pairs {
	std::vector<double> one_ns, two_ns, ratios, rtt_ns, busy;
	unsigned retried = 0;
};

bool
pair_is_steady(const path_pair_time &time)
{
	const double change = time.rtt_ns[1] / time.rtt_ns[0];

	return time.is_whole && change < kRttChange && change > 1 / kRttChange;
}

// As path_pass, in threads on CPUs of their own.
path_pair_time
pair_pass(path_rig *rig, unsigned workers, const unsigned *on)
{
	path_pair_time time{};

	path_rig_mint(rig);
	path_pair_walk(rig, workers, on, nullptr, &time);
	path_rig_mint(rig);
	path_pair_walk(rig, workers, on, nullptr, &time);
	return time;
}

// One worker on the first CPU, two, one worker on the second CPU: neighbours in time.
bool
pair_take(Pairs &pairs, path_rig *pair, path_rig *const ones[2])
{
	const path_pair_time first = pair_pass(ones[0], 1, &cpus[0]);
	const path_pair_time both = pair_pass(pair, 2, cpus);
	const path_pair_time second = pair_pass(ones[1], 1, &cpus[1]);

	if (!first.is_whole || !second.is_whole || !pair_is_steady(both))
		return false;
	// Only what was not refused for want of room counts as work done.
	const double busy = static_cast<double>(both.busy);
	const double one_ns = (first.ns + second.ns) / 2 / kFrames;
	const double two_ns = both.ns / (2 * kFrames - busy);

	pairs.one_ns.push_back(one_ns);
	pairs.two_ns.push_back(two_ns);
	pairs.ratios.push_back(one_ns / two_ns);
	pairs.rtt_ns.push_back((both.rtt_ns[0] + both.rtt_ns[1]) / 2);
	pairs.busy.push_back(busy / (2 * kFrames));
	return true;
}

void
pairs_report(benchmark::State &state, const Pairs &pairs)
{
	const double tries = static_cast<double>(pairs.ratios.size() + pairs.retried);

	harness_report(state, median(pairs.two_ns), median(pairs.one_ns), "one worker");
	state.counters["x_peer"] = state.counters["x_scale"] = median(pairs.ratios);
	state.counters["rtt_ns"] = median(pairs.rtt_ns);
	state.counters["retried"] = pairs.retried / tries;
	state.counters["busy"] = std::accumulate(pairs.busy.begin(), pairs.busy.end(), 0.0) /
				 static_cast<double>(pairs.busy.size());
}

void
pair_run(benchmark::State &state, const Row &row)
{
	path_rig_params one = row.params;
	Pairs pairs;

	if (!has_two_cpus) {
		state.SkipWithError("two workers need two CPUs");
		return;
	}
	one.worker_count = 1;
	path_rig *const ones[2] = {
		rig_get(row.base + "#0", one).rig.get(), rig_get(row.base + "#1", one).rig.get()};
	path_rig *pair = rig_get(row.name, row.params).rig.get();
	for (auto _ : state)
		for (unsigned n = 0; !pair_take(pairs, pair, ones) && n < kRetriesMax; n++)
			pairs.retried++;
	check(state, pair);
	check(state, ones[0]);
	check(state, ones[1]);
	if (pairs.ratios.empty()) {
		state.SkipWithError("no steady moment: CPUs taken, or their distance changing");
		return;
	}
	pairs_report(state, pairs);
	report_memory(state, pair);
}

// ---- stages ----

// Of all bursts' cycles in one stage, per credential: at `share` of them, 0.5 being the median.
double
stage_cycles(const std::vector<uint32_t> &cycles, unsigned stage, double share)
{
	std::vector<uint32_t> values;

	for (size_t i = stage; i < cycles.size(); i += PATH_STAGES)
		values.push_back(cycles[i]);
	const auto at =
		values.begin() + static_cast<ptrdiff_t>(static_cast<double>(values.size()) * share);
	std::nth_element(values.begin(), at, values.end());
	return *at / kBurst;
}

void
stages_report(benchmark::State &state, const std::vector<uint32_t> &cycles)
{
	double sum = 0;

	for (unsigned stage = 0; stage < PATH_STAGES; stage++) {
		const std::string name = std::string("stage_") + kStages[stage];
		const double middle = stage_cycles(cycles, stage, 0.5);

		state.counters[name] = middle;
		state.counters[name + "_fast"] = stage_cycles(cycles, stage, 0.1);
		sum += stage == PATH_STAGE_EMPTY ? 0 : middle;
	}
	state.counters["stages"] = sum;
}

bool
stages_agree(const Row &row)
{
	static std::map<std::string, bool> known;

	if (known.count(row.name) == 0)
		known[row.name] = path_rig_stages_agree(&row.params);
	return known[row.name];
}

// Two workers by stages, each on its CPU; steady passes only.
void
pair_stages_run(benchmark::State &state, const Row &row)
{
	std::vector<uint32_t> pass[2], cycles;
	std::vector<double> times;
	path_pair_time time{};

	if (!has_two_cpus) {
		state.SkipWithError("two workers need two CPUs");
		return;
	}
	path_rig *rig = rig_get(row.base, row.params).rig.get();
	for (auto &values : pass)
		values.resize(size_t{path_rig_bursts(rig)} * PATH_STAGES);
	uint32_t *const into[2] = {pass[0].data(), pass[1].data()};
	for (auto _ : state) {
		path_rig_mint(rig);
		path_pair_walk(rig, 2, cpus, into, &time);
		if (!pair_is_steady(time))
			continue;
		times.push_back(time.ns / 2 / kFrames);
		for (const auto &values : pass)
			cycles.insert(cycles.end(), values.begin(), values.end());
	}
	check(state, rig);
	if (times.empty()) {
		state.SkipWithError("no steady moment: CPUs taken, or their distance changing");
		return;
	}
	harness_report(state, median(times));
	stages_report(state, cycles);
}

// Passes that read the clock between stages, in turn with passes that do not.
void
stages_run(benchmark::State &state, const Row &row)
{
	path_rig *rig = rig_get(row.base, row.params).rig.get();
	std::vector<uint32_t> pass(size_t{path_rig_bursts(rig)} * PATH_STAGES);
	std::vector<uint32_t> cycles;
	std::vector<double> whole;

	for (auto _ : state) {
		whole.push_back(path_pass(rig));
		path_rig_mint(rig);
		path_rig_walk_stages(rig, 0, pass.data());
		cycles.insert(cycles.end(), pass.begin(), pass.end());
	}
	check(state, rig);
	check(state, stages_agree(row), "the path and its stages one by one disagree");
	harness_report(state, median(whole));
	stages_report(state, cycles);
}

// ---- which rows there are ----

using Run = void (*)(benchmark::State &state, const Row &row);

std::string
row_name(const std::string &what, const std::string &size, uint32_t nodes)
{
	return what + "/" + size + "/" + std::to_string(nodes);
}

void
row_register(const Row &row, Run run)
{
	const Row &kept = rows[row.name] = row;

	benchmark::RegisterBenchmark(("path/" + row.name).c_str(),
		[run, &kept](benchmark::State &state) { run(state, kept); })
		->Unit(benchmark::kMicrosecond);
}

path_rig_params
params_of(uint32_t nodes, const char *kernel)
{
	path_rig_params params{};

	params.nodes = nodes;
	params.frames = kFrames;
	params.kernel = kernel;
	return params;
}

void
size_set(path_rig_params &params, const std::string &size)
{
	if (size == "mixed") {
		params.long_percent = 10;
		params.long_payload_size = 300 - kCredSizeMin;
	} else {
		params.payload_size = static_cast<uint32_t>(std::stoul(size)) - kCredSizeMin;
	}
}

// Of a row that is there: its rig is used.
void
row_register_stages(const char *what, const Row &of)
{
	Row row = of;

	row.base = of.name;
	row.name = what + of.name.substr(of.name.find('/'));
	row_register(row, of.params.worker_count > 1 ? pair_stages_run : stages_run);
}

// By stages at once: a rig of many nodes takes long to make.
void
rows_register_growth(const char *kernel)
{
	const std::string small = row_name("accepted", "96", 64);

	for (uint32_t nodes : {64u, 4096u, 65536u, 1048576u}) {
		const Row row = {row_name("accepted", "96", nodes), params_of(nodes, kernel),
			nodes == 64 ? "" : small, "x_growth"};

		row_register(row, row_run);
		row_register_stages("stages", row);
	}
}

void
rows_register_sizes(const char *kernel)
{
	for (const char *size : {"300", "mixed"}) {
		Row row = {row_name("accepted", size, 4096), params_of(4096, kernel),
			row_name("accepted", "96", 4096), "x_plain"};

		size_set(row.params, size);
		row_register(row, row_run);
	}
}

void
rows_register_kernels()
{
	const char *why;

	for (const char *kernel : {"aesni", "ipsecmb"}) {
		if (path_rig_kernel(kernel, &why) == nullptr)
			continue;
		for (const char *size : {"96", "300", "mixed"}) {
			Row row = {row_name(std::string("accepted_") + kernel, size, 4096),
				params_of(4096, kernel), "", ""};

			size_set(row.params, size);
			row_register(row, row_run);
		}
	}
}

// Rows that differ from `accepted` of as many nodes by what `change` does.
template <typename Change>
void
row_register_changed(
	const char *what, uint32_t nodes, const char *ratio, const char *kernel, Change change)
{
	Row row = {row_name(what, "96", nodes), params_of(nodes, kernel),
		row_name("accepted", "96", nodes), ratio};

	change(row.params);
	row_register(row, row_run);
}

void
rows_register_refused(const char *kernel)
{
	using Params = path_rig_params;

	for (uint32_t percent : {10u, 50u, 90u})
		row_register_changed(("forged" + std::to_string(percent)).c_str(), 4096, "x_accept",
			kernel, [=](Params &params) { params.forged_percent = percent; });
	for (uint32_t nodes : {64u, 4096u, 65536u})
		row_register_changed("forged100", nodes, "x_accept", kernel,
			[](Params &params) { params.forged_percent = 100; });
	row_register_changed("forged_epochs", 4096, "x_accept", kernel, [](Params &params) {
		params.forged_percent = 100;
		params.second_epoch = true;
	});
	Row large = {row_name("forged100", "300", 4096), params_of(4096, kernel),
		row_name("accepted", "300", 4096), "x_accept"};
	size_set(large.params, "300");
	large.params.forged_percent = 100;
	row_register(large, row_run);
	row_register_changed("replayed", 4096, "x_accept", kernel,
		[](Params &params) { params.traffic = PATH_REPLAYED; });
	Row again = {row_name("duplicates", "96", 4096), params_of(4096, kernel),
		row_name("replies", "96", 4096), "x_accept"};
	again.params.traffic = PATH_REPLAYED;
	again.params.reply_percent = 100;
	row_register(again, row_run);
	row_register_changed("unknown", 4096, "x_accept", kernel,
		[](Params &params) { params.traffic = PATH_UNKNOWN; });
	row_register_changed("malformed", 4096, "x_accept", kernel,
		[](Params &params) { params.traffic = PATH_MALFORMED; });
}

void
rows_register_mixes(const char *kernel)
{
	using Params = path_rig_params;

	row_register_changed("software", 4096, "x_plain", kernel,
		[](Params &params) { params.verify_checksum = true; });
	row_register_changed("unsealed", 4096, "x_sealed", kernel,
		[](Params &params) { params.suites = PATH_SUITE_UNSEALED; });
	row_register_changed("suites", 4096, "x_plain", kernel,
		[](Params &params) { params.suites = PATH_SUITES_ALL; });
	row_register_changed("replies10", 4096, "x_plain", kernel,
		[](Params &params) { params.reply_percent = 10; });
	row_register_changed("replies", 4096, "x_plain", kernel,
		[](Params &params) { params.reply_percent = 100; });
	row_register_changed("epochs", 4096, "x_plain", kernel,
		[](Params &params) { params.second_epoch = true; });
	row_register_changed("audiences", 4096, "x_plain", kernel,
		[](Params &params) { params.many_audiences = true; });
	for (uint32_t nodes : {4096u, 65536u}) {
		row_register_changed("rules", nodes, "x_plain", kernel,
			[](Params &params) { params.rules = kRulesOfNode; });
		row_register_changed("rules_all", nodes, "x_plain", kernel,
			[](Params &params) { params.rules = 100; });
		row_register_changed("limits", nodes, "x_plain", kernel,
			[](Params &params) { params.is_limited = true; });
		row_register_changed("draining", nodes, "x_plain", kernel,
			[](Params &params) { params.is_draining = true; });
		row_register_changed("trust", nodes, "x_plain", kernel, [](Params &params) {
			params.rules = kRulesOfNode;
			params.is_draining = true;
			params.is_limited = true;
		});
	}
	row_register_changed(
		"ipv6", 4096, "x_plain", kernel, [](Params &params) { params.ipv6 = true; });
	row_register_changed(
		"vlan", 4096, "x_plain", kernel, [](Params &params) { params.vlan = true; });
}

void
rows_register_pairs(const char *kernel)
{
	for (uint32_t nodes : {4096u, 65536u}) {
		Row row = {row_name("workers2", "96", nodes), params_of(nodes, kernel),
			row_name("accepted", "96", nodes), "x_scale"};

		row.params.worker_count = 2;
		row.params.is_steered = true;
		row_register(row, pair_run);
		row.name = row_name("workers2_handoff", "96", nodes);
		row.params.is_steered = false;
		row_register(row, pair_run);
	}
}

void
rows_register_stages()
{
	for (const char *name : {"accepted/300/4096", "accepted/mixed/4096"})
		row_register_stages("stages", rows.at(name));
	row_register_stages("stages_forged100", rows.at("forged100/96/4096"));
	row_register_stages("stages_replayed", rows.at("replayed/96/4096"));
	row_register_stages("stages_replies10", rows.at("replies10/96/4096"));
	row_register_stages("stages_suites", rows.at("suites/96/4096"));
	row_register_stages("stages_epochs", rows.at("epochs/96/4096"));
	row_register_stages("stages_rules", rows.at("rules/96/4096"));
	row_register_stages("stages_limits", rows.at("limits/96/4096"));
	row_register_stages("stages_trust", rows.at("trust/96/65536"));
	row_register_stages("stages_workers2", rows.at("workers2/96/4096"));
	row_register_stages("stages_workers2_handoff", rows.at("workers2_handoff/96/4096"));
	if (rows.count("accepted_aesni/96/4096") != 0)
		row_register_stages("stages_aesni", rows.at("accepted_aesni/96/4096"));
}

// Takes --kernel=NAME out of the arguments; NULL if it is not there.
const char *
kernel_take(int &argc, char **argv)
{
	static constexpr char kOption[] = "--kernel=";
	const char *kernel = nullptr;
	int left = 1;

	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], kOption, sizeof(kOption) - 1) == 0)
			kernel = argv[i] + sizeof(kOption) - 1;
		else
			argv[left++] = argv[i];
	}
	argc = left;
	return kernel;
}

} // namespace

int
main(int argc, char **argv)
{
	const char *why;
	const char *kernel = path_rig_kernel(kernel_take(argc, argv), &why);

	if (kernel == nullptr) {
		fprintf(stderr, "path_bench: %s\n", why);
		return 1;
	}
	benchmark::AddCustomContext("kernel chosen", why);
	has_two_cpus = path_pair_cpus(cpus);
	rows_register_growth(kernel);
	rows_register_sizes(kernel);
	rows_register_kernels();
	rows_register_refused(kernel);
	rows_register_mixes(kernel);
	rows_register_pairs(kernel);
	rows_register_stages();
	const int status = harness_run(argc, argv, kHarness);

	return has_failed ? 1 : status;
}
