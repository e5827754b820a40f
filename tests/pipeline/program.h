#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace mmbatch {

/// What a run of the program printed, and how it ended.
struct ProgramEnd {
  int code = -1;
  std::string text;  // stdout and stderr
};

/// Runs the real program through a shell, with settings of the environment ("NAME=VALUE") before it.
inline ProgramEnd program_with(const std::string& environment, const std::string& arguments) {
  ProgramEnd outcome;
  FILE* pipe =
      ::popen((environment + " '" + std::string(MMBATCH_PROGRAM) + "' " + arguments + " 2>&1").c_str(), "r");
  char buffer[4096];
  while (const std::size_t got = std::fread(buffer, 1, sizeof(buffer), pipe))
    outcome.text.append(buffer, got);
  const int status = ::pclose(pipe);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

inline ProgramEnd program(const std::string& arguments) {
  return program_with("", arguments);
}

inline std::string file_content(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// A way to a folder without spaces and letters that a shell or YAML takes for something else, wherever the
/// project is.
class PlainWay {
 public:
  explicit PlainWay(const std::string& folder) : path_(folder) {
    const std::string plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+";
    if (folder.find_first_not_of(plain) == std::string::npos) return;
    link_folder_ = (std::filesystem::temp_directory_path() / "mmbatch-way-XXXXXX").string();
    ::mkdtemp(link_folder_.data());
    path_ = link_folder_ + "/way";
    std::filesystem::create_directory_symlink(folder, path_);
  }
  ~PlainWay() {
    if (!link_folder_.empty()) std::filesystem::remove_all(link_folder_);
  }
  PlainWay(const PlainWay&) = delete;
  PlainWay& operator=(const PlainWay&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_, link_folder_;
};

inline const std::string& demo_folder() {
  static const PlainWay way(MMBATCH_DEMO);
  return way.path();
}

/// tests/data/reference/NAME.
inline std::string reference_folder(const std::string& name) {
  static const PlainWay way(MMBATCH_TEST_DATA);
  return way.path() + "/reference/" + name;
}

/// A folder of a test's own that goes with it, with a few files of the demo at hand.
class Workplace {
 public:
  Workplace() {
    std::string name = (std::filesystem::temp_directory_path() / "mmbatch-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~Workplace() { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string write(const std::string& name, const std::string& content) const {
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return path(name);
  }
  static std::string demo(const std::string& name) { return demo_folder() + "/" + name; }
  /// Images of the demo, in order of their names.
  static std::vector<std::string> images() {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(demo("images"))) {
      if (entry.path().extension() == ".png") files.push_back(entry.path().string());
    }
    std::sort(files.begin(), files.end());
    return files;
  }

 private:
  std::filesystem::path folder_;
};

/// The rows of `mmbatch query … --format jsonl`.
inline std::vector<nlohmann::json> rows(const std::string& database, const std::string& more = "") {
  const ProgramEnd outcome = program("query " + database + " --format jsonl " + more);
  std::vector<nlohmann::json> rows;
  std::istringstream lines(outcome.text);
  for (std::string line; std::getline(lines, line);) rows.push_back(nlohmann::json::parse(line));
  return rows;
}

}  // namespace mmbatch
