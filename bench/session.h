#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/machine/ceilings.h"
#include "bench/result.h"
#include "engine/base/threads.h"
#include "engine/kernels/product/precision_choice.h"

namespace mmbatch::bench {

/// Whether to measure the real thing or to see that measuring works.
enum class Scale { full, quick };

struct BenchOptions {
  Precision precision = Precision::f32;
  std::string stored_as;                    // what Precision::stored finds, see find_stored_mix()
  std::optional<KvPrecision> kv_precision;  // none: as a run would choose
  Scale scale = Scale::full;
  std::size_t repeat = 0;         // samples per case; 0: as many as the workload thinks fit
  int threads = 0;                // 0: one per core
  std::string model;              // shape of the checkpoint that is measured; empty: the workload's own
  std::filesystem::path scratch;  // where checkpoints made for measuring are kept
};

/// What a workload measures with and reports to.
class Session {
 public:
  explicit Session(BenchOptions options);

  const BenchOptions& options() const { return options_; }
  KvPrecision kv_precision() const { return choose_kv_precision(options_.kv_precision, options_.precision); }
  bool quick() const { return options_.scale == Scale::quick; }
  Arena& arena() { return arena_; }
  const Ceilings& ceilings() const { return ceilings_; }
  const std::vector<CaseResult>& results() const { return results_; }

  /// Measures the ceilings (again: the machine may have been busy before), then takes cases of `workload`.
  void begin(std::string_view workload);
  /// Measures `work` inside the arena, and how fast memory is before and after it: on a machine that others
  /// share it is another from minute to minute.  @param samples unless the command line says otherwise
  Timing time(std::size_t samples, const std::function<void()>& work);
  void add(Measured measured) { add(std::move(measured), options_.precision); }
  void add(Measured measured, Precision peak);
  /// The shape that the command line names, or `otherwise`; tiny when quick.
  std::string model(const std::string& otherwise) const;
  /// A case's name, with the shape that the command line names.
  std::string case_of_model(const std::string& name) const;
  /// Says on stderr what is going on.
  void say(std::string_view text) const;
  /// A checkpoint folder of this shape, made if it does not exist yet.
  std::filesystem::path checkpoint(const std::string& shape);

 private:
  BenchOptions options_;
  Arena arena_;
  ReadMeter meter_;
  Ceilings ceilings_;
  std::optional<double> read_bytes_;  // around the last time(), until it is reported
  std::string workload_;
  std::vector<CaseResult> results_;
};

}  // namespace mmbatch::bench
