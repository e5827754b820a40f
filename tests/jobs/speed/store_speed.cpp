// How quickly results are stored and found again:
//   mmbatch_store_speed DATABASE [--rows 1000000] [--prompts distinct|few|none] [--no-write] [--no-read]
// Writes answered items of one image and one short answer each, as a run does (look up, then put), then times
// queries inside this process, their output thrown away: the best of five. With --prompts none, embeddings of
// width 768 are written, and --nearest is timed.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <random>
#include <sstream>

#include "engine/base/error.h"
#include "engine/base/sha256.h"
#include "jobs/query/query.h"
#include "jobs/results/store.h"

namespace {

using Clock = std::chrono::steady_clock;
using mmbatch::QueryOptions;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Of this process, on all cores: what a machine that is busy with other things does not change.
double cpu_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

constexpr std::array kColors = {"red", "green", "blue", "yellow", "gray", "black", "brown", "teal"};
constexpr std::array kShapes = {"circle", "rectangle", "triangle", "star"};

enum class Prompts { distinct, few, none };

constexpr std::size_t kWidth = 768;

/// A vector of length 1 in a direction of its own.
std::vector<float> make_embedding(std::uint64_t number) {
  std::mt19937_64 random(number);
  std::vector<float> vector(kWidth);
  float squares = 0;
  for (float& x : vector) {
    x = static_cast<float>(random() >> 40) * 0x1p-23f - 1;
    squares += x * x;
  }
  for (float& x : vector) x /= std::sqrt(squares);
  return vector;
}

mmbatch::Item make_item(std::uint64_t number, Prompts prompts) {
  mmbatch::Item item;
  item.id = fmt::format("item-{}", number);
  item.id_from = mmbatch::Item::IdFrom::listing;
  item.position = number + 1;
  item.prompt = fmt::format("is there a {} {} in the image?", kColors[number % 8], kShapes[number / 8 % 4]);
  if (prompts == Prompts::distinct)
    item.prompt = fmt::format("{} (picture {:x})", item.prompt, number * 2654435761u % 4294967291u);
  if (prompts == Prompts::none) item.prompt.clear();
  item.images.push_back(
      {fmt::format("{:06}.png", number / 5), fmt::format("/images/{:06}.png", number / 5), "", ""});
  item.references = {number % 3 == 0 ? "yes" : "no"};
  item.question_type = "yes-no";
  return item;
}

void write(const std::filesystem::path& file, std::uint64_t rows, Prompts prompts) {
  const auto begin = Clock::now();
  const double cpu_begin = cpu_seconds();
  {
    const auto store = mmbatch::ResultsStore::open_or_create(file);
    mmbatch::RunInfo info;
    info.manifest = "/speed.yaml";
    info.model = {"/model", "f00d", "none", "f32", "{}"};
    mmbatch::Job job;
    job.name = "speed";
    info.jobs.push_back(job);
    store->begin_run(info, mmbatch::ResumePolicy::resume);
    for (std::uint64_t i = 0; i < rows; ++i) {
      mmbatch::ItemResult result;
      result.item = std::make_shared<mmbatch::Item>(make_item(i, prompts));
      result.content_key = mmbatch::sha256_hex(result.item->id);
      result.image_sha256 = {mmbatch::sha256_hex(result.item->images[0].written)};
      if (store->look_up(result.item, result.content_key, result.image_sha256) != mmbatch::Known::no)
        continue;
      result.answers.push_back(
          {i % 2 == 0 ? "yes" : "no", i % 7 == 0 ? "length" : "stop", -0.5 / (1.0 + i % 1000), 2, ""});
      if (prompts == Prompts::none) {
        result.answers[0] = {};
        result.answers[0].embedding = make_embedding(i);
      }
      result.prompt_tokens = 31;
      result.ms = {0.5, 0.1, 2.0, 1.5, 3.5, 8.0};
      store->put(result);
      if ((i + 1) % 100'000 == 0) {
        fmt::print("{} rows after {:.1f} s\n", i + 1, seconds_since(begin));
        std::fflush(stdout);
      }
    }
    store->finish_run(mmbatch::RunStatus::finished, "{}");
  }
  const double seconds = seconds_since(begin);
  const double cpu = cpu_seconds() - cpu_begin;
  const auto count = static_cast<double>(rows);
  fmt::print("stored {} rows in {:.2f} s: {:.0f} rows/s; in processor time {:.2f} s: {:.0f} rows/s\n", rows,
             seconds, count / seconds, cpu, count / cpu);
}

void time_query(const std::filesystem::path& file, const char* name, const QueryOptions& options) {
  double best = 1e9;
  std::uint64_t rows = 0;
  for (int i = 0; i < 5; ++i) {
    std::ostringstream out;
    const auto begin = Clock::now();
    rows = mmbatch::query(file, options, out);
    best = std::min(best, seconds_since(begin));
  }
  fmt::print("{:<44}{:>8.1f} ms  {} rows\n", name, best * 1000, rows);
}

void read(const std::filesystem::path& file) {
  const auto with = [](auto change) {
    QueryOptions options;
    options.limit = 20;
    change(options);
    return options;
  };
  const auto timed = [&](const char* name, auto change) { time_query(file, name, with(change)); };
  timed("first rows", [](QueryOptions&) {});
  timed("--status failed", [](QueryOptions& o) { o.status = "failed"; });
  timed("--finish-reason length", [](QueryOptions& o) { o.finish_reason = "length"; });
  timed("--job speed", [](QueryOptions& o) { o.job = "speed"; });
  timed("--run 1", [](QueryOptions& o) { o.run = "1"; });
  timed("--contains triangle (a quarter of the rows)", [](QueryOptions& o) { o.contains = "triangle"; });
  timed("--contains yes (half of the answers)", [](QueryOptions& o) { o.contains = "yes"; });
  timed("--contains 'no' (two letters)", [](QueryOptions& o) { o.contains = "no"; });
  timed("--contains 'zq' (two letters, none)", [](QueryOptions& o) { o.contains = "zq"; });
  timed("--contains 'picture abc'", [](QueryOptions& o) { o.contains = "picture abc"; });
  timed("--contains zebra (none)", [](QueryOptions& o) { o.contains = "zebra"; });
  timed("--where \"id = 'item-777'\"", [](QueryOptions& o) { o.where = "id = 'item-777'"; });
  timed("--sort -logprob", [](QueryOptions& o) { o.sort = "-logprob"; });
  timed("--sort total_ms", [](QueryOptions& o) { o.sort = "total_ms"; });
  timed("--sort answer", [](QueryOptions& o) { o.sort = "answer"; });
  timed("--sort prompt", [](QueryOptions& o) { o.sort = "prompt"; });
  timed("--contains triangle --sort -logprob", [](QueryOptions& o) {
    o.contains = "triangle";
    o.sort = "-logprob";
  });
}

void read_nearest(const std::filesystem::path& file) {
  QueryOptions options;
  options.limit = 10;
  options.nearest = mmbatch::NearestTarget{make_embedding(~0ull), mmbatch::embedding_model(file).key, 0};
  time_query(file, "--nearest TEXT", options);
  const auto begin = Clock::now();
  options.nearest = mmbatch::find_embedding(file, "item-777");
  fmt::print("{:<44}{:>8.1f} ms\n", "finding an item's embedding", seconds_since(begin) * 1000);
  time_query(file, "--nearest item-777", options);
  options.job = "speed";
  time_query(file, "--nearest item-777 --job speed", options);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App program("Times storing results and finding them again");
  std::filesystem::path file;
  std::uint64_t rows = 1'000'000;
  std::string prompts = "distinct";
  bool no_write = false, no_read = false;
  program.add_option("database", file, "results database")->required();
  program.add_option("--rows", rows, "rows to write")->capture_default_str();
  program.add_option("--prompts", prompts, "distinct, few, or none: embeddings")
      ->check(CLI::IsMember({"distinct", "few", "none"}));
  program.add_flag("--no-write", no_write, "only read");
  program.add_flag("--no-read", no_read, "only write");
  CLI11_PARSE(program, argc, argv);
  try {
    const Prompts kind = prompts == "none"       ? Prompts::none
                         : prompts == "distinct" ? Prompts::distinct
                                                 : Prompts::few;
    if (!no_write) write(file, rows, kind);
    if (!no_read) kind == Prompts::none ? read_nearest(file) : read(file);
  } catch (const mmbatch::FatalError& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 3;
  }
  return 0;
}
