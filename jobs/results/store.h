#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "jobs/item/item.h"
#include "jobs/item/job.h"
#include "jobs/media/media.h"

namespace mmbatch {

/// What a run takes up of what an earlier one left: what is not answered and did not fail, failed items too,
/// or all.
enum class ResumePolicy { resume, retry_failed, fresh };

enum class RunStatus { running, finished, interrupted, failed };

struct ModelInfo {
  std::string folder;
  std::string fingerprint;
  std::string family;
  std::string precision;       // as stored with the model, such as "int8" or "int8, kv int8"
  std::string details = "{}";  // JSON: sizes, memory
};

/// What a run is. The same manifest, model, precision and settings again are the same run, which continues.
struct RunInfo {
  std::string manifest;  // absolute path
  ModelInfo model;
  std::string settings =
      "{}";  // JSON: what of command line and manifest shapes answers; part of the identity
  std::string environment = "{}";    // JSON: threads, memory, … ; no part of it
  std::string version;               // of the program
  std::string machine;               // host and processor
  std::vector<Job> jobs;             // in the order of Item::job
  std::vector<std::string> schemas;  // JSON Schemas of their answers, or empty texts; may be shorter
};

/// Why an item has no answer: the columns `error_stage`, `error_code` and `error_message`.
struct Failure {
  std::string stage;
  ErrorCode code = ErrorCode::internal;
  std::string message;
  bool answer_incomplete = false;  // its answer was cut, and is kept: then the code is `answer_incomplete`

  std::string_view code_name() const { return answer_incomplete ? "answer_incomplete" : to_string(code); }
};

/// The outcome of one item: one answer per sequence, or a failure.
struct ItemResult {
  struct Answer {
    std::string text;
    std::string
        finish_reason;  // stop | length | stop_string | choice | repetition; empty when nothing was written
    std::optional<double> logprob;  // sum over the answer's tokens
    int answer_tokens = 0;
    std::string details;                // JSON: token log-probabilities, probabilities of choices; or empty
    std::string probabilities = {};     // JSON object: label to probability, the likeliest first; or empty
    std::vector<float> embedding = {};  // of length 1; or empty
    std::string reasoning = {};         // what the model thought before it
    std::optional<int> reasoning_tokens = {};  // none: it did not think
    std::string regions = {};                  // JSON list: where something is in the picture; or empty
    std::optional<bool> closed = {};  // brought to its end before max_new_tokens; none: not asked for
  };
  struct Timings {  // milliseconds; absent when the item did not come so far
    std::optional<double> vision, text, queue, prefill, decode, total;
  };

  std::shared_ptr<const Item> item;
  std::string content_key;                // hex; empty when the item failed before it was known
  std::vector<std::string> image_sha256;  // as far as known
  std::vector<Answer> answers;            // by sequence; at least one unless `failure`, where they were cut
  std::optional<Failure> failure;
  std::optional<int> prompt_tokens;
  Timings ms;
};

/// What the database knows of an item that is about to be computed.
enum class Known {
  no,        // compute it
  answered,  // nothing to do
  failed,    // it failed before with the same content, and the policy does not take it again
};

/// The results database, and the only writer to it. Thread-safe: look_up() and the digest cache read through
/// a connection of their own, while put() appends to the open transaction.
///
/// What is seen in the view `answers` is each item (by job name and item id) once: its latest outcome. A run
/// that is started again with the same manifest, model, precision and settings continues under its number;
/// items that are done stay as they are. An item whose content was answered before, in any run, by any item,
/// is not computed again: its answers are copied. An item that changed, another model or setting, and
/// `fresh`, make new rows; the former answers stay in the view `history`. A failed row is replaced by the
/// next outcome of the item in the same run.
class ResultsStore : public DigestCache {
 public:
  struct Options {
    std::size_t batch_items = 32768;             // commit after this many
    std::chrono::milliseconds batch_time{1000};  // or so long after the first of them: what kill -9 can cost
    /// Called after every commit with the number of outcomes in it and when it began. May be empty.
    std::function<void(std::size_t items, std::chrono::steady_clock::time_point begin)> on_commit = {};
  };

  /// @throws DatabaseError when the file is not a results database, is of a newer version, damaged, not
  /// writable, or held by another process (the message names it).
  static std::unique_ptr<ResultsStore> open_or_create(const std::filesystem::path& file,
                                                      const Options& options);
  static std::unique_ptr<ResultsStore> open_or_create(const std::filesystem::path& file) {
    return open_or_create(file, Options{});
  }
  ~ResultsStore() override;  // flushes; a failure to do so is logged

  /// Starts or continues a run and returns its number. One run at a time.
  std::int64_t begin_run(const RunInfo& info, ResumePolicy policy);
  /// When the database's first run began, as utc_now() writes it: what chat templates that ask for the time
  /// are told, so that a run that goes on makes the prompts that it made before. After begin_run().
  std::string first_started() const;
  /// Whether the item needs computing. When it is known from elsewhere, its rows are written.
  Known look_up(const std::shared_ptr<const Item>& item, const std::string& content_key,
                const std::vector<std::string>& image_sha256);
  /// Adds an outcome to the batch, and commits when it is full. `correct` and `score` come from
  /// score_answer().
  void put(const ItemResult& result);
  /// Commits when the first outcome of the batch is older than batch_time; to be called now and then.
  void flush_if_due();
  /// Commits: what was put is on the disk.
  void flush();
  /// The run's row is what it was before begin_run(), or there is none.
  /// @return false when its items have begun; then it stays as it is
  bool withdraw_run();
  /// @param stats JSON: counts, seconds, tokens per second, time by stage.
  void finish_run(RunStatus status, const std::string& stats);

  std::optional<std::string> find_digest(const FileStamp& stamp) override;
  void remember_digest(const FileStamp& stamp, const std::string& sha256) override;

 private:
  struct Impl;
  explicit ResultsStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mmbatch
