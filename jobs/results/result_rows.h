#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "jobs/metrics/fields/field_rules.h"
#include "jobs/results/database.h"
#include "jobs/results/search/phrases.h"
#include "jobs/results/store.h"

namespace mmbatch {

/// Which item a row belongs to, whatever its content.
struct ItemIdentity {
  std::int64_t job_key = 0;
  std::string id;
  std::uint64_t variant = 0;
};

/// SHA-256 of what an `items` row says beside identity and position.
std::string item_digest(const Item& item, const std::vector<std::string>& image_sha256);

/// The bytes of a hexadecimal key.
std::string from_hex(std::string_view hex);

/// An embedding as the bytes that are stored, and back: float32, little-endian.
std::string embedding_bytes(const std::vector<float>& embedding);
std::vector<float> embedding_of(std::string_view bytes);

/// Writes the rows of items and results, inside a transaction of the caller. Not thread-safe.
class ResultRows {
 public:
  explicit ResultRows(Database& database);
  /// How the fields of a job's answers are compared with those of references.
  void compare_by(std::int64_t job_key, FieldRules rules) { rules_[job_key] = std::move(rules); }
  /// Puts the outcome of an item in place of its current one. @param created empty: now.
  void write(std::int64_t run, std::int64_t job_key, const ItemResult& result, const std::string& created);
  /// To be called when the transaction was rolled back.
  void forget() { phrases_.forget(); }

 private:
  struct Older {
    std::int64_t key = 0;
    std::string digest;
  };
  std::vector<Older> older_items(const ItemIdentity& identity);
  bool is_written(std::int64_t run, std::int64_t item_key, const Failure& failure);
  void retire(std::int64_t run, const std::vector<Older>& items, const std::string& content_key);
  std::int64_t insert_item(const ItemIdentity& identity, const ItemResult& result, const std::string& digest);
  void insert_answers(std::int64_t run, std::int64_t item, const ItemResult& result, const FieldRules& rules,
                      const std::string& created);
  void bind_written(const ItemResult::Answer& answer);
  void insert_error(std::int64_t run, std::int64_t item, const ItemResult& result,
                    const std::string& created);
  void bind_common(std::int64_t run, std::int64_t item, const ItemResult& result, const std::string& created);

  Database& database_;
  Phrases phrases_;
  std::unordered_map<std::int64_t, FieldRules> rules_;  // by job
  Statement find_items_, insert_item_, find_error_, retire_, remove_, insert_result_, insert_embedding_;
};

/// What is known of contents, read through a connection of its own. Not thread-safe.
class KnownResults {
 public:
  explicit KnownResults(Database& database);

  /// The item's own outcome of this content in this run.
  struct Own {
    bool answered = false;
    bool in_place = false;  // current, and with the same references and metadata as the item has now
  };
  struct Found {
    std::optional<Own> own;
    /// Unless its own settles it: answers to this content in any run, of any item, without their item.
    std::optional<ItemResult> answers;
    std::string created;  // the time of `answers`
  };
  Found find(std::int64_t run, const ItemIdentity& identity, const std::string& content_key,
             const std::string& digest);

 private:
  std::optional<ItemResult> find_answers(const std::string& content_key, std::string& created);

  Statement own_, any_, rows_;
};

}  // namespace mmbatch
