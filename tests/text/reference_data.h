#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "text/tokenizer/tokenizer.h"

namespace mmbatch::testing {

inline const std::filesystem::path kReference = std::filesystem::path(MMBATCH_TEST_DATA) / "reference";

/// Reference folders whose tokenizer can answer (all but the dual encoder's, which has no such cases).
inline const std::vector<std::string> kTokenizerFolders = {"llava-gqa", "llava-mqa-full", "llava-next",
                                                           "paligemma", "llama",          "llama-scaled-rope",
                                                           "gemma",     "gemma2",         "mistral-window"};

inline std::string read_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  EXPECT_TRUE(stream) << file;
  return {std::istreambuf_iterator<char>(stream), {}};
}

inline void write_file(const std::filesystem::path& file, const std::string& content) {
  std::ofstream(file, std::ios::binary) << content;
}

inline nlohmann::json expected(const std::string& folder) {
  return nlohmann::json::parse(read_file(kReference / folder / "expected.json"));
}

inline std::shared_ptr<const Tokenizer> load_reference(const std::string& folder) {
  return load_tokenizer(kReference / folder / "model");
}

/// A model folder of its own for one test, removed with it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "mmbatch-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no folder for the test");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

  /// Copies the tokenizer's files of a reference folder.
  void copy_tokenizer(const std::string& folder) const {
    for (const char* name : {"tokenizer.model", "spiece.model", "tokenizer_config.json",
                             "special_tokens_map.json", "added_tokens.json"}) {
      const auto source = kReference / folder / "model" / name;
      if (std::filesystem::exists(source)) write_file(path_ / name, read_file(source));
    }
  }

 private:
  std::filesystem::path path_;
};

}  // namespace mmbatch::testing
