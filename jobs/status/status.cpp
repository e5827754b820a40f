#include "jobs/status/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/text/counted.h"
#include "jobs/listing/item_reader.h"
#include "jobs/manifest/manifest.h"
#include "jobs/pieces/piece_folder.h"
#include "jobs/status/database_status.h"
#include "jobs/text/json_text.h"

namespace mmbatch {
namespace {

namespace fs = std::filesystem;
using State = PartStatus::State;

/// The databases of a folder. Where there are results.db and results.0-of-8.db, the first is what the others
/// were merged into, and would count them twice.
std::vector<fs::path> databases_in(const fs::path& folder, StatusReport& report) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".db" && entry.is_regular_file()) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  const auto is_part_of = [](const fs::path& part, const fs::path& whole) {
    return part.stem().string().rfind(whole.stem().string() + ".", 0) == 0;
  };
  std::vector<fs::path> parts;
  for (const fs::path& file : found) {
    const bool whole = std::any_of(found.begin(), found.end(),
                                   [&](const fs::path& other) { return is_part_of(other, file); });
    if (whole)
      report.notes.push_back(fmt::format("{}: not counted beside its parts", file.string()));
    else
      parts.push_back(file);
  }
  if (parts.empty()) {
    throw UsageError(
        fmt::format("{}: holds no databases (*.db), and no pieces of --shards-from", folder.string()));
  }
  return parts;
}

void add_pieces(const fs::path& folder, StatusReport& report) {
  constexpr double kLongSilence = 120;
  PiecePlan plan;
  std::map<std::string, PartStatus> workers;
  std::uint64_t taken = 0, done = 0;
  for (const PieceState& piece : read_pieces(folder, plan)) {
    if (piece.kind == PieceState::Kind::waiting) continue;
    PartStatus& worker = workers[piece.progress.worker];
    worker.name = piece.progress.worker;
    worker.done += piece.progress.items;
    worker.failed += piece.progress.failed;
    if (piece.kind == PieceState::Kind::done) {
      ++done;
      if (worker.state == State::waiting) worker.state = State::finished;
      continue;
    }
    ++taken;
    const bool silent = piece.seconds_silent > kLongSilence;
    worker.state = silent ? State::stopped : State::running;
    if (silent)
      report.notes.push_back(fmt::format(
          "piece {}: nothing was heard of worker {} for {:.0f} s; when its lease ends, another takes it",
          piece.piece, worker.name, piece.seconds_silent));
    else
      worker.items_per_second = std::max(worker.items_per_second, piece.progress.items_per_second);
  }
  // Whoever ended while pieces are left has finished its own.
  for (auto& [name, worker] : workers) report.parts.push_back(std::move(worker));
  report.items = report.items.value_or(0) + plan.items;
  report.pieces = report.pieces.value_or(0) + plan.pieces;
  report.pieces_done = report.pieces_done.value_or(0) + done;
  report.pieces_taken = report.pieces_taken.value_or(0) + taken;
}

/// Items of the manifests that the databases name; none where one cannot be read here.
std::optional<std::uint64_t> count_all(const std::set<std::string>& manifests, StatusReport& report) {
  std::uint64_t all = 0;
  for (const std::string& manifest : manifests) {
    try {
      all += count_items(read_manifest(manifest));
    } catch (const FatalError& e) {
      report.notes.push_back(fmt::format("how many items there are is not known: {}", e.what()));
      return {};
    }
  }
  return all;
}

const char* name_of(State state) {
  switch (state) {
    case State::waiting:
      return "waiting";
    case State::running:
      return "running";
    case State::finished:
      return "finished";
    case State::interrupted:
      return "interrupted";
    case State::failed:
      return "failed";
    case State::stopped:
      return "stopped";
  }
  return "stopped";
}

std::string rough_duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  if (whole >= 86400) return fmt::format("{} d {} h", whole / 86400, whole / 3600 % 24);
  if (whole >= 3600) return fmt::format("{} h {} min", whole / 3600, whole / 60 % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace

bool StatusReport::is_running() const {
  return std::any_of(parts.begin(), parts.end(),
                     [](const PartStatus& p) { return p.state == State::running; });
}

bool StatusReport::is_well() const {
  return failed == 0 && std::all_of(parts.begin(), parts.end(), [](const PartStatus& part) {
           return part.state == State::waiting || part.state == State::running ||
                  part.state == State::finished;
         });
}

std::optional<double> StatusReport::seconds_left() const {
  if (!items || items_per_second <= 0) return {};
  return static_cast<double>(*items - std::min(done, *items)) / items_per_second;
}

StatusReport read_status(const std::vector<fs::path>& parts, std::optional<std::uint64_t> items) {
  StatusReport report;
  std::set<std::string> manifests;
  const auto add = [&](const fs::path& database) {
    DatabaseStatus status = read_database_status(database);
    if (!status.manifest.empty()) manifests.insert(status.manifest);
    report.parts.push_back(std::move(status.part));
  };
  for (const fs::path& part : parts) {
    if (is_piece_folder(part))
      add_pieces(part, report);
    else if (fs::is_directory(part))
      for (const fs::path& database : databases_in(part, report)) add(database);
    else
      add(part);
  }
  for (const PartStatus& part : report.parts) {
    report.done += part.done;
    report.failed += part.failed;
    report.items_per_second += part.items_per_second;
  }
  if (items)
    report.items = items;
  else if (!report.items)
    report.items = count_all(manifests, report);
  return report;
}

std::string to_text(const StatusReport& report) {
  std::string text;
  std::size_t width = 0;
  for (const PartStatus& part : report.parts) width = std::max(width, part.name.size());
  for (const PartStatus& part : report.parts) {
    text +=
        fmt::format("{:<{}}  {:<11}  {}", part.name, width, name_of(part.state), counted(part.done, "item"));
    if (part.failed > 0) text += fmt::format(", {} failed", part.failed);
    if (part.state == State::running) text += fmt::format(" · {:.1f} items/s", part.items_per_second);
    if (!part.holder.empty()) text += fmt::format(" · {}", part.holder);
    text += "\n";
  }
  if (report.pieces) {
    text += fmt::format("{} of {} done, {} taken\n", *report.pieces_done, counted(*report.pieces, "piece"),
                        *report.pieces_taken);
  }
  text += report.items ? fmt::format("{} of {}", report.done, counted(*report.items, "item"))
                       : counted(report.done, "item");
  if (report.failed > 0) text += fmt::format(", {} failed", report.failed);
  if (report.items_per_second > 0) text += fmt::format(" · {:.1f} items/s", report.items_per_second);
  if (const auto left = report.seconds_left()) text += fmt::format(" · {} left", rough_duration(*left));
  text += "\n";
  for (const std::string& note : report.notes) text += note + "\n";
  return text;
}

std::string to_json(const StatusReport& report) {
  const auto or_null = [](const auto& value) {
    return value ? fmt::format("{}", *value) : std::string("null");
  };
  std::string parts, notes;
  for (const PartStatus& part : report.parts) {
    parts += fmt::format(
        R"({}{{"name":{},"state":"{}","done":{},"failed":{},"items_per_second":{:.3f},"holder":{}}})",
        parts.empty() ? "" : ",", json_string(part.name), name_of(part.state), part.done, part.failed,
        part.items_per_second, part.holder.empty() ? "null" : json_string(part.holder));
  }
  for (const std::string& note : report.notes) notes += (notes.empty() ? "" : ",") + json_string(note);
  const auto left = report.seconds_left();
  return fmt::format(
      R"({{"running":{},"done":{},"failed":{},"items":{},"items_per_second":{:.3f},"seconds_left":{},)"
      R"("pieces":{},"pieces_done":{},"pieces_taken":{},"parts":[{}],"notes":[{}]}})",
      report.is_running(), report.done, report.failed, or_null(report.items), report.items_per_second,
      left ? fmt::format("{:.0f}", *left) : "null", or_null(report.pieces), or_null(report.pieces_done),
      or_null(report.pieces_taken), parts, notes);
}

}  // namespace mmbatch
