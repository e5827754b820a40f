#include "bench/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "bench/checkpoint/writer.h"

namespace mmbatch::bench {

Session::Session(BenchOptions options)
    : options_(std::move(options)), arena_(options_.threads), meter_(arena_.threads()) {}

void Session::begin(std::string_view workload) {
  workload_ = workload;
  say("ceilings");
  ceilings_.raise_to(measure_ceilings(meter_, quick() ? 0.02 : 0.4));
}

Timing Session::time(std::size_t samples, const std::function<void()>& work) {
  Repeats repeats;
  repeats.samples = options_.repeat > 0 ? options_.repeat : quick() ? 2 : samples;
  if (quick()) repeats.min_sample_seconds = 0;
  const double look = quick() ? 0.01 : 0.03;
  const double before = meter_.bytes_a_second(look);
  Timing timing;
  arena_.run([&] { timing = measure(repeats, work); });
  read_bytes_ = std::max(before, meter_.bytes_a_second(look));
  ceilings_.read_bytes = std::max(ceilings_.read_bytes, *read_bytes_);
  return timing;
}

std::string Session::model(const std::string& otherwise) const {
  if (quick()) return "llava-tiny";
  return options_.model.empty() ? otherwise : options_.model;
}

std::string Session::case_of_model(const std::string& name) const {
  return quick() || options_.model.empty() ? name : fmt::format("{}, {}", options_.model, name);
}

void Session::add(Measured measured, Precision peak) {
  say(fmt::format("{}: {}", measured.name, seconds_text(measured.timing.median)));
  const std::string precision = precision_text(options_.precision, kv_precision());
  results_.push_back(
      {workload_,
       options_.stored_as.empty() ? precision : fmt::format("{} {}", precision, options_.stored_as),
       std::move(measured), peak, std::exchange(read_bytes_, std::nullopt)});
}

void Session::say(std::string_view text) const {
  fmt::print(stderr, "{}: {}\n", workload_, text);
}

std::filesystem::path Session::checkpoint(const std::string& shape) {
  const ModelShape& model = find_shape(shape);
  // Random weights have no history: a folder of another version is simply another folder.
  const auto folder = options_.scratch / fmt::format("{}-v{}", shape, kCheckpointVersion);
  if (std::filesystem::exists(folder)) return folder;
  say(fmt::format("writing a random {} to {}", shape, folder.string()));
  std::filesystem::create_directories(options_.scratch);
  arena_.run([&] { write_checkpoint(model, folder); });
  return folder;
}

}  // namespace mmbatch::bench
