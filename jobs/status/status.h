#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace mmbatch {

/// One part of the work: a database, or a worker that takes pieces.
struct PartStatus {
  enum class State {
    waiting,  // has not begun
    running,
    finished,
    interrupted,  // by Ctrl-C or SIGTERM
    failed,       // by a fault of the run
    stopped,      // it was running, and its process is gone
  };
  std::string name;
  State state = State::waiting;
  std::string holder;                  // the process that runs it, where it is known
  std::uint64_t done = 0, failed = 0;  // items; failed ones are done, too
  double items_per_second = 0;         // lately; 0 unless it is running
};

/// Where work stands that is done in parts.
struct StatusReport {
  std::vector<PartStatus> parts;
  std::uint64_t done = 0, failed = 0;
  std::optional<std::uint64_t> items;  // of the whole list
  double items_per_second = 0;
  std::optional<std::uint64_t> pieces, pieces_done, pieces_taken;  // of folders of pieces
  std::vector<std::string> notes;

  bool is_running() const;
  /// Everything ended as it should, and nothing failed.
  bool is_well() const;
  std::optional<double> seconds_left() const;
};

/// Reads databases (each one's run that is at work, or the last one), folders of databases, and folders of
/// pieces; all of them while they are written.
/// @param items of the whole list; none: counted in the manifests that the databases name
/// @throws UsageError, DatabaseError for what is neither, or cannot be read
StatusReport read_status(const std::vector<std::filesystem::path>& parts, std::optional<std::uint64_t> items);

std::string to_text(const StatusReport& report);
/// An object on one line.
std::string to_json(const StatusReport& report);

}  // namespace mmbatch
