#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/config.h"

namespace mmbatch {

class GgufFile;
namespace gguf {
class Metadata;
}

/// The small files of a checkpoint: config.json, tokenizer.json, chat_template.jinja, … Where a model is one
/// file that holds all of it, what stands for them. Const and shared by all threads.
class CheckpointFiles {
 public:
  virtual ~CheckpointFiles() = default;

  /// What errors name: the checkpoint's folder.
  const std::filesystem::path& path() const { return path_; }

  /// @param name relative to the folder, such as "generation_config.json"
  virtual bool has_file(const std::string& name) const = 0;
  /// The bytes of a file; none when it is missing.
  /// @throws ModelError when it is longer than `max_bytes`, is not a regular file or cannot be read
  virtual std::optional<std::string> read_file(const std::string& name, std::size_t max_bytes) const = 0;
  /// The names of the files of a folder in the checkpoint, sorted; empty when it is missing.
  /// @throws ModelError when it cannot be read, or holds more than kMaxListed files
  virtual std::vector<std::string> list_files(const std::string& folder) const = 0;
  /// A JSON object; an empty one when the file is missing.  @throws ModelError when it is broken
  virtual Config json_file(const std::string& name) const;

  /// Where the model is a GGUF file, or was one before it was packed, its keys: its vocabulary is in them and
  /// in no small file. Null for other folders.
  virtual const gguf::Metadata* gguf() const { return nullptr; }
  /// Where the model is a GGUF file: the bytes of a tokenizer.gguf that goes with its small files; else
  /// empty.
  virtual std::string vocabulary_file() const { return {}; }

  /// What errors call a file.
  std::string source_of(const std::string& name) const { return (path_ / name).string(); }

  static constexpr std::size_t kMaxListed = 1000;

 protected:
  explicit CheckpointFiles(std::filesystem::path path) : path_(std::move(path)) {}
  CheckpointFiles(const CheckpointFiles&) = delete;
  CheckpointFiles& operator=(const CheckpointFiles&) = delete;

 private:
  std::filesystem::path path_;
};

/// The small files of a folder, whether it holds weights or not.
class FolderFiles final : public CheckpointFiles {
 public:
  /// The keys of a GGUF model that was packed: a GGUF file without tensors.
  static constexpr const char* kVocabularyFile = "tokenizer.gguf";

  /// @throws ModelError for a broken tokenizer.gguf
  explicit FolderFiles(std::filesystem::path folder);

  bool has_file(const std::string& name) const override;
  std::optional<std::string> read_file(const std::string& name, std::size_t max_bytes) const override;
  std::vector<std::string> list_files(const std::string& folder) const override;
  const gguf::Metadata* gguf() const override;

 private:
  std::shared_ptr<const GgufFile> vocabulary_;  // null: there is none
};

}  // namespace mmbatch
