#include "jobs/pieces/piece_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/base/files/small_file.h"
#include "engine/base/output/output_error.h"
#include "engine/base/output/output_file.h"
#include "jobs/results/database_error.h"
#include "jobs/text/json_text.h"

namespace mmbatch {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPlan = "plan.json";
/// Written at once and over what was there, so that a reader finds one or the other.
constexpr std::size_t kProgressBytes = 512;
constexpr std::uint64_t kMostPieces = 1'000'000;

void write_new(const fs::path& file, const std::string& text) {
  std::ofstream stream(file, std::ios::binary);
  stream << text;
  stream.close();
  if (!stream)
    throw fs::filesystem_error("cannot be written", file, std::make_error_code(std::errc::io_error));
}

fs::path make_new_folder(const fs::path& parent) {
  fs::create_directories(parent);
  for (;;) {
    const fs::path made = temporary_name(parent);
    if (::mkdir(made.c_str(), 0777) == 0) return made;
    if (errno != EEXIST)
      throw fs::filesystem_error("cannot be made", made, std::error_code(errno, std::generic_category()));
  }
}

/// An object with what a file of the folder says; of one that is no JSON, or no file, nothing.
nlohmann::json json_of(const fs::path& file, std::size_t most) {
  const auto text = read_small_file(file, most);
  return nlohmann::json::parse(text ? shallow_json(text.value()) : "", nullptr, false);
}

}  // namespace

std::string piece_name(std::uint64_t piece) {
  return fmt::format("{:06}", piece);
}

const char* name_of(Shard::By by) {
  return by == Shard::By::item ? "item" : by == Shard::By::image ? "image" : "auto";
}

std::vector<PieceFile> list_pieces(const fs::path& folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), ::closedir);
  if (!dir) throw DatabaseError(fmt::format("--shards-from: {}: {}", folder.string(), std::strerror(errno)));
  std::vector<PieceFile> files;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name = entry->d_name;
    PieceFile file;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), file.piece);
    if (error != std::errc{}) continue;
    const auto digits = static_cast<std::size_t>(end - name.data());
    if (name.substr(0, digits) != piece_name(file.piece)) continue;
    if (digits < name.size()) {
      if (name[digits] != '.') continue;
      file.worker = name.substr(digits + 1);
    }
    file.path = folder / name;
    files.push_back(std::move(file));
  }
  std::sort(files.begin(), files.end(),
            [](const PieceFile& a, const PieceFile& b) { return a.piece < b.piece; });
  return files;
}

std::optional<std::int64_t> modified_ns(const fs::path& file) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return {};
  struct stat now {};
  const bool known = ::fstat(fd, &now) == 0;
  ::close(fd);
  if (!known) return {};
  return std::int64_t{now.st_mtim.tv_sec} * 1'000'000'000 + now.st_mtim.tv_nsec;
}

bool is_piece_folder(const fs::path& folder) {
  std::error_code none;
  return fs::is_regular_file(folder / kPlan, none);
}

void make_piece_folder(const fs::path& folder, const PiecePlan& plan) {
  const fs::path place = folder.has_filename() ? folder : folder.parent_path();
  fs::path part;
  try {
    part = make_new_folder(place.has_parent_path() ? place.parent_path() : ".");
    for (const char* name : {"waiting", "taken", "done", "workers"}) fs::create_directories(part / name);
    for (std::uint64_t piece = 0; piece < plan.pieces; ++piece)
      write_new(part / "waiting" / piece_name(piece), "");
    const nlohmann::json text = {
        {"pieces", plan.pieces}, {"by", name_of(plan.by)}, {"items", plan.items}, {"work", plan.work}};
    write_new(part / kPlan, text.dump() + "\n");
    if (::rename(part.c_str(), place.c_str()) == 0) return;
    const int reason = errno;
    fs::remove_all(part);                // this process made it
    if (is_piece_folder(place)) return;  // another worker was quicker
    if (reason == EEXIST || reason == ENOTEMPTY || reason == ENOTDIR) {
      throw UsageError(fmt::format(
          "--shards-from {}: something else is there: name a folder that is new or empty", folder.string()));
    }
    throw OutputError(fmt::format("--shards-from {}: {}", folder.string(), std::strerror(reason)));
  } catch (const fs::filesystem_error& e) {
    std::error_code none;
    if (!part.empty()) fs::remove_all(part, none);
    throw OutputError(
        fmt::format("--shards-from {}: the folder cannot be made: {}", folder.string(), e.code().message()));
  }
}

PiecePlan read_plan(const fs::path& folder) {
  constexpr std::size_t kMost = 4096;
  const auto json = json_of(folder / kPlan, kMost);
  PiecePlan plan;
  try {
    plan.pieces = json.at("pieces").get<std::uint64_t>();
    const auto by = json.at("by").get<std::string>();
    plan.by = by == "item" ? Shard::By::item : by == "image" ? Shard::By::image : Shard::By::automatic;
    plan.items = json.at("items").get<std::uint64_t>();
    plan.work = json.at("work").get<std::string>();
  } catch (const nlohmann::json::exception&) {
    plan.pieces = 0;
  }
  if (plan.pieces == 0 || plan.pieces > kMostPieces) {
    throw UsageError(fmt::format("{}: not a folder of pieces, or its {} is damaged: take another folder",
                                 folder.string(), kPlan));
  }
  return plan;
}

bool write_progress(const fs::path& file, const PieceProgress& progress) {
  const int fd = ::open(file.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) {
    if (errno == ENOENT) return false;
    throw DatabaseError(fmt::format("--shards-from: {}: {}", file.string(), std::strerror(errno)));
  }
  const nlohmann::json json = {{"worker", progress.worker},
                               {"items", progress.items},
                               {"failed", progress.failed},
                               {"items_per_second", progress.items_per_second}};
  std::string text = json.dump();
  text.resize(kProgressBytes - 1, ' ');
  text += '\n';
  // What is lacking here is lacking in `mmbatch status` alone.
  if (::pwrite(fd, text.data(), text.size(), 0) < 0) errno = 0;
  ::close(fd);
  return true;
}

PieceProgress read_progress(const fs::path& file) {
  const auto json = json_of(file, kProgressBytes);
  PieceProgress progress;
  try {
    progress.worker = json.at("worker").get<std::string>();
    progress.items = json.at("items").get<std::uint64_t>();
    progress.failed = json.at("failed").get<std::uint64_t>();
    progress.items_per_second = json.at("items_per_second").get<double>();
  } catch (const nlohmann::json::exception&) {
    return {};
  }
  return progress;
}

std::vector<PieceState> read_pieces(const fs::path& folder, PiecePlan& plan) {
  plan = read_plan(folder);
  timespec clock{};
  ::clock_gettime(CLOCK_REALTIME, &clock);
  const double now = static_cast<double>(clock.tv_sec) + static_cast<double>(clock.tv_nsec) / 1e9;
  std::vector<PieceState> pieces(plan.pieces);
  for (std::uint64_t i = 0; i < plan.pieces; ++i) pieces[i].piece = i;
  // In the order in which pieces move: one that moves meanwhile is seen where it went.
  using Kind = PieceState::Kind;
  for (const auto& [name, kind] : {std::pair("taken", Kind::taken), {"done", Kind::done}}) {
    for (const PieceFile& file : list_pieces(folder / name)) {
      if (file.piece >= plan.pieces) continue;
      PieceState& state = pieces[file.piece];
      state.kind = kind;
      state.progress = read_progress(file.path);
      if (kind != Kind::taken) continue;
      state.progress.worker = file.worker;
      if (const auto modified = modified_ns(file.path))
        state.seconds_silent = std::max(0.0, now - static_cast<double>(*modified) / 1e9);
    }
  }
  return pieces;
}

}  // namespace mmbatch
