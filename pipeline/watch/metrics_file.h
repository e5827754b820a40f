#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "pipeline/graph/ticket.h"
#include "pipeline/watch/summary.h"

namespace mmbatch {

enum class RunPhase { running, ended };

/// A run's numbers in Prometheus' text format (version 0.0.4), as node_exporter's textfile collector takes
/// them.
std::string prometheus_text(const RunSummary& summary, std::optional<std::uint64_t> total, RunPhase phase);

/// A file of them that is replaced at once, so that a reader never sees half of it. Not thread-safe.
class MetricsFile {
 public:
  /// @param file empty: nothing is ever written
  explicit MetricsFile(std::filesystem::path file) : file_(std::move(file)) {}

  bool is_due() const;
  /// @throws OutputError when it cannot be written
  void write(const std::string& text);

 private:
  std::filesystem::path file_;
  std::optional<Clock::time_point> written_;
};

}  // namespace mmbatch
