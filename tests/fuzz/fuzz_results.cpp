// Results databases that others changed: lines of TABLE.COLUMN=VALUE are written into a small one; then all
// that commands read of databases is read, they are merged, and a run goes on in them.

#include <stdlib.h>

#include <fstream>
#include <iterator>
#include <sstream>

#include "engine/base/error.h"
#include "jobs/eval/fields/field_eval.h"
#include "jobs/merge/merge.h"
#include "jobs/query/table_query.h"
#include "jobs/report/report.h"
#include "jobs/results/store.h"
#include "jobs/results/table_check.h"
#include "jobs/status/database_status.h"
#include "tests/fuzz/input.h"

namespace {

namespace fs = std::filesystem;

struct Folder {
  Folder() {
    std::string name = (fs::temp_directory_path() / "mmbatch-fuzz-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) ::abort();
    path = name;
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  fs::path path;
};

mmbatch::RunInfo run_info() {
  mmbatch::RunInfo info;
  info.manifest = "/m.yaml";
  info.model = {"/model", "f00d", "tiny", "f32", "{}"};
  info.jobs.resize(1);
  info.jobs[0].name = "shapes";
  info.jobs[0].fields = {{"name", "text"}};
  info.schemas = {
      R"({"type": "object", "properties": {"name": {"type": "string"}, "n": {"type": "number"}, "of": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "integer"}}}}}})"};
  return info;
}

mmbatch::ItemResult result(std::uint64_t position) {
  mmbatch::Item item;
  item.position = position;
  item.id = std::to_string(position);
  item.prompt = "what is it?";
  item.images.push_back({"a.png", "/images/a.png", "", ""});
  item.references = {R"({"name": "a", "n": 1})"};
  item.metadata = R"({"name": "b"})";
  mmbatch::ItemResult result;
  result.item = std::make_shared<const mmbatch::Item>(std::move(item));
  result.content_key = std::string(64, static_cast<char>('0' + position));
  result.image_sha256 = {std::string(64, 'a')};
  result.ms.total = 1.5;
  return result;
}

mmbatch::ItemResult failure(std::uint64_t position) {
  mmbatch::ItemResult failed = result(position);
  failed.failure = mmbatch::Failure{"decode", mmbatch::ErrorCode::internal, "what went wrong"};
  return failed;
}

/// A small database of two answers and a failure.
std::string database_bytes(const fs::path& file) {
  {
    const auto store = mmbatch::ResultsStore::open_or_create(file);
    store->begin_run(run_info(), mmbatch::ResumePolicy::resume);
    for (const std::uint64_t position : {1, 2}) {
      mmbatch::ItemResult answered = result(position);
      answered.answers.push_back({.text = R"({"name": "a", "n": 1.5, "of": [{"x": 1}, {"x": 2}]})",
                                  .finish_reason = "stop",
                                  .logprob = -0.5,
                                  .answer_tokens = 2,
                                  .details = R"({"tokens": [{"token": "a", "logprob": -0.5}]})",
                                  .probabilities = R"({"a": 0.75, "b": 0.25})",
                                  .embedding = {0.6f, 0.8f},
                                  .regions = R"([{"kind": "box", "label": "a", "x1": 1, "y1": 1, "x2": 3, )"
                                             R"("y2": 3, "width": 4, "height": 4}])"});
      store->put(answered);
    }
    store->put(failure(3));
    store->finish_run(mmbatch::RunStatus::finished, R"({"seconds": 1.5, "decode_seconds": 1})");
  }
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

template <class Work>
void try_to(const Work& work) {
  try {
    work();
  } catch (const mmbatch::FatalError&) {
  }
}

/// Into every row of the table. What a constraint forbids stays as it was.
void change(mmbatch::Database& database, std::string_view line) {
  const std::size_t point = line.find('.'), equals = line.find('=');
  if (point == std::string::npos || equals == std::string::npos || equals < point) return;
  const std::string table(line.substr(0, point)), column(line.substr(point + 1, equals - point - 1));
  for (const mmbatch::ExpectedObject& object : mmbatch::expected_objects()) {
    if (object.kind != mmbatch::ExpectedObject::Kind::table || object.name != table) continue;
    if ((" " + std::string(object.details) + " ").find(" " + column + " ") == std::string::npos) continue;
    try_to([&] {
      database
          .prepare("UPDATE OR REPLACE " + table + " SET \"" + column + "\" = CASE typeof(\"" + column +
                   "\") WHEN 'blob' THEN CAST(?1 AS BLOB) ELSE ?1 END")
          .bind(1, line.substr(equals + 1))
          .run();
    });
  }
}

void read(const fs::path& file, mmbatch::OutputFormat format, std::ostream& out) {
  mmbatch::QueryOptions options;
  options.style.format = format;
  options.style.width = 80;
  try_to([&] { mmbatch::query(file, options, out); });
  try_to([&] { mmbatch::query_table(file, "shapes.of", options, out); });
  const mmbatch::QueryOptions all;
  try_to([&] { mmbatch::count_table_values(file, "shapes", all, out); });
  for (const auto what : {mmbatch::Summary::runs, mmbatch::Summary::jobs, mmbatch::Summary::failures})
    try_to([&] { mmbatch::summarize(file, what, all, out); });
  try_to([&] {
    mmbatch::QueryOptions nearest;
    nearest.contains = "a";
    nearest.nearest = mmbatch::find_embedding(file, "shapes/1");
    mmbatch::query(file, nearest, out);
  });
  try_to([&] {
    const mmbatch::EvalReport report = mmbatch::evaluate(file, {});
    out << to_text(report) << to_json(report);
  });
  try_to([&] {
    const auto fields = mmbatch::evaluate_fields(file, {});
    out << to_text(fields) << to_json(fields);
  });
  try_to([&] { mmbatch::write_report(file, {}, out); });
  try_to([&] { mmbatch::read_database_status(file); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Folder folder;
  static const std::string bytes = database_bytes(folder.path / "small.db");
  const fs::path file = folder.path / "changed.db", merged = folder.path / "merged.db";
  for (const fs::path& old : {file, merged}) {
    for (const char* end : {"", "-wal", "-shm", "-journal"}) fs::remove(old.string() + end);
  }
  std::ofstream(file, std::ios::binary) << bytes;
  {
    mmbatch::Database database(file, mmbatch::Database::Mode::create);
    std::istringstream lines(mmbatch::fuzz::text(data, size));
    for (std::string line; std::getline(lines, line);) change(database, line);
  }
  constexpr std::size_t kFormats = 6;
  std::ostringstream out;
  read(file, static_cast<mmbatch::OutputFormat>(size % kFormats), out);
  try_to([&] { to_text(mmbatch::merge_databases(merged, {file, folder.path / "small.db"})); });
  try_to([&] {
    const auto store = mmbatch::ResultsStore::open_or_create(file);
    store->begin_run(run_info(), mmbatch::ResumePolicy::resume);
    const mmbatch::ItemResult known = result(1);
    store->look_up(known.item, known.content_key, known.image_sha256);
    store->put(failure(2));
    store->finish_run(mmbatch::RunStatus::finished, "{}");
  });
  return 0;
}
