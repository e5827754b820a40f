#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mmbatch {

/// A node of a JSON file from outside (config.json, tokenizer_config.json, a safetensors header), read with
/// bounds: size, nesting depth, types and ranges are checked, and every error names file and key.
/// Cheap to copy; shares the parsed document. Thread-safe.
class Config {
 public:
  static constexpr std::size_t kMaxFileBytes = 64u << 20;
  static constexpr int kMaxDepth = 64;

  /// An empty object, as if read from `source`.
  explicit Config(std::string source = "config");
  /// @param source what errors name, such as the file's path.  @throws ModelError
  static Config parse(std::string_view json, const std::string& source);
  /// @throws ModelError when the file is missing, too large or not a JSON object.
  static Config read(const std::filesystem::path& file);
  /// The file's content, or an empty object when there is no such file.
  static Config read_if_present(const std::filesystem::path& file);

  /// True when the key is there and not null.
  bool has(const std::string& key) const;
  /// True when the key is there and null: for classes that mean something else by it than by its absence.
  bool is_null(const std::string& key) const;
  /// The first of `keys` that is there and not null, else the empty string.
  std::string first_of(std::initializer_list<const char*> keys) const;

  struct Range {
    std::int64_t min = 1;
    std::int64_t max = 1 << 24;
  };
  /// Value of `key`, or the default when it is absent or null.  @throws ModelError on another type or range.
  std::int64_t integer(const std::string& key, std::int64_t otherwise, Range range) const;
  std::int64_t integer(const std::string& key, std::int64_t otherwise) const;
  double number(const std::string& key, double otherwise) const;
  bool flag(const std::string& key, bool otherwise) const;
  std::string text(const std::string& key, const std::string& otherwise) const;
  /// Integers of a key that holds one integer or a list of them; empty when absent.
  std::vector<std::int64_t> integers(const std::string& key) const;
  std::vector<double> numbers(const std::string& key) const;
  std::vector<std::string> texts(const std::string& key) const;
  /// An object below `key`, empty when absent.  @throws ModelError on another type
  Config object(const std::string& key) const;
  /// Whatever is below `key`, an empty object when absent.
  Config child(const std::string& key) const;
  /// The elements of a list below `key`; scalars are reachable through as_text() and as_integer().
  std::vector<Config> list(const std::string& key) const;
  /// Members of this object in file order.
  std::vector<std::pair<std::string, Config>> members() const;

  bool is_object() const;
  bool is_text() const;
  bool is_list() const;
  bool is_integer() const;
  bool is_number() const;
  bool is_flag() const;
  std::string as_text() const;
  std::int64_t as_integer() const;
  double as_number() const;
  bool as_flag() const;
  /// The elements of this list; empty when it is not a list.
  std::vector<Config> elements() const;
  /// This node as JSON text.
  std::string dump() const;

  /// "file: key 'a.b'", for errors.
  std::string where(const std::string& key) const;
  const std::string& source() const { return source_; }
  [[noreturn]] void fail(const std::string& key, const std::string& problem) const;

 private:
  struct Node;
  Config(std::shared_ptr<const Node> root, const void* json, std::string source, std::string path);
  const void* find(const std::string& key) const;

  std::shared_ptr<const Node> root_;
  const void* json_ = nullptr;  // into *root_
  std::string source_;
  std::string path_;
};

}  // namespace mmbatch
