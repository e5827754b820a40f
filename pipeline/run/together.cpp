#include "pipeline/run/together.h"

#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/output/message.h"
#include "engine/kernels/product/precision_choice.h"
#include "engine/parallel/message.h"
#include "fusion/sliced/model_follower.h"
#include "fusion/sliced/model_parts.h"

namespace mmbatch {
namespace {

/// How loading went, and of which checkpoint: its fingerprint's beginning, as numbers that all can gather.
using LoadReport = std::array<float, 4>;
constexpr float kLoaded = 1;

LoadReport report_of(const ModelFiles& files) {
  LoadReport report{kLoaded};
  const std::string fingerprint = files.weights->fingerprint(FingerprintScope::samples);
  for (std::size_t i = 1; i < report.size(); ++i) {
    unsigned number = 0;
    for (std::size_t digit = 0; digit < 4; ++digit)
      number = number * 16 + static_cast<unsigned char>(fingerprint.at(4 * i + digit)) % 16 +
               (fingerprint.at(4 * i + digit) >= 'a' ? 9 : 0);
    report[i] = static_cast<float>(number);  // exactly
  }
  return report;
}

/// @throws ModelError that names a process
void check_reports(Communicator& processes, const LoadReport& own) {
  std::vector<LoadReport> all(processes.size());
  processes.gather(own.data(), own.size(), all.front().data());
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    if (all[rank] == own) continue;
    throw ModelError(fmt::format(
        "process {} of {} {}", rank, processes.size(),
        all[rank][0] == kLoaded ? "found another checkpoint in the model's folder: all must have the same"
                                : "could not load its part of the model, and says why"));
  }
}

/// A path that holds in another process's folder; what is no path but a name stays one.
std::string place_text(const std::filesystem::path& place) {
  std::error_code failed;
  const bool is_path = std::filesystem::exists(place, failed);
  return (is_path ? std::filesystem::absolute(place) : place).string();
}

void put_place(MessageWriter& message, const ModelFiles& files) {
  message.put(place_text(files.folder));
  message.put(place_text(files.parts.projector));
  message.put(files.parts.adapters.size());
  for (const AdapterPlace& adapter : files.parts.adapters) {
    message.put(place_text(adapter.folder));
    message.put(adapter.scale);
  }
}

ModelPlace take_place(MessageReader& message) {
  ModelPlace place(std::filesystem::path(message.take_text()));
  place.parts.projector = message.take_text();
  place.parts.adapters.resize(message.take<std::size_t>());
  for (AdapterPlace& adapter : place.parts.adapters) {
    adapter.folder = message.take_text();
    adapter.scale = message.take<double>();
  }
  return place;
}

/// A process that follows, with the model that it has a part of.
class Follower {
 public:
  Follower(std::shared_ptr<Communicator> processes, Arena& arena)
      : processes_(std::move(processes)), arena_(arena) {}

  void load(MessageReader message) {
    const ModelPlace place = take_place(message);
    const auto precision = message.take<Precision>();
    const auto count = message.take<std::size_t>();
    model_.reset();
    LoadReport report{};
    try {
      const auto slices = std::make_shared<const Slices>(count, processes_);
      const auto files = std::make_shared<const ModelFiles>(place);
      std::shared_ptr<const Model> model;
      arena_.run([&] { model = std::make_shared<const Model>(files, precision, slices); });
      model_.emplace(model, slices);
      report = report_of(*files);
    } catch (const std::exception& e) {
      say(fmt::format("mmbatch, process {} of {}: {}", processes_->rank(), processes_->size(), e.what()));
    }
    processes_->gather(report.data(), report.size(), nullptr);
  }
  void compute(const MessageReader& message) {
    try {
      arena_.run([&] { model_.value().follow(message); });
    } catch (const std::exception& e) {
      processes_->end_all(e.what());  // they wait for this one
    }
  }

 private:
  std::shared_ptr<Communicator> processes_;
  Arena& arena_;
  std::optional<ModelFollower> model_;
};

}  // namespace

Leader::~Leader() {
  processes_.send(MessageWriter(MessageKind::end).bytes());
}

void follow(const std::shared_ptr<Communicator>& processes, Arena& arena) {
  // Whoever leads decides when the run ends.
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGTERM, SIG_IGN);
  Follower follower(processes, arena);
  for (;;) {
    const std::vector<std::byte> bytes = processes->receive();
    const MessageReader message(bytes);
    if (message.kind() == MessageKind::end) return;
    if (message.kind() == MessageKind::load)
      follower.load(message);
    else
      follower.compute(message);
  }
}

bool computes_together(const RunOptions& options) {
  return options.tensor_parallel > 0 || (options.shard.is_all() && options.pieces.folder.empty());
}

std::shared_ptr<const Slices> slices_for(const RunOptions& options,
                                         const std::shared_ptr<Communicator>& processes) {
  constexpr std::size_t kUsual = 4;  // so that 1, 2 and 4 processes give the same answers
  std::size_t count = options.tensor_parallel;
  if (count == 0) count = processes->size() == 1 ? 1 : std::max(kUsual, processes->size());
  if (count == 1 && processes->size() == 1) return nullptr;
  return std::make_shared<const Slices>(count, processes);
}

int threads_beside(const Communicator& processes) {
  cpu_set_t usable;
  CPU_ZERO(&usable);
  const bool known = ::sched_getaffinity(0, sizeof usable, &usable) == 0;
  const int all = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)), own = known ? CPU_COUNT(&usable) : all;
  if (own < all) return own;  // the launcher has shared them out
  return std::max(1, all / static_cast<int>(processes.size_here()));
}

std::shared_ptr<const Model> load_together(const std::shared_ptr<const ModelFiles>& files,
                                           Precision precision, const std::shared_ptr<const Slices>& slices) {
  if (!slices) return std::make_shared<const Model>(files, precision);
  check_sliced(*files, slices->count());
  for (const std::string& message : kept_whole(files->spec, slices->count()))
    say(fmt::format("{} slices: {}", slices->count(), message));
  Communicator& processes = slices->processes();
  MessageWriter message(MessageKind::load);
  put_place(message, *files);
  message.put(precision);
  message.put(slices->count());
  processes.send(message.bytes());
  std::shared_ptr<const Model> model;
  std::exception_ptr failure;
  try {
    model = std::make_shared<const Model>(files, precision, slices);
  } catch (...) {
    failure = std::current_exception();  // told when the others are done
  }
  const LoadReport own = failure ? LoadReport{} : report_of(*files);
  if (failure) {
    std::vector<LoadReport> all(processes.size());
    processes.gather(own.data(), own.size(), all.front().data());
    std::rethrow_exception(failure);
  }
  check_reports(processes, own);
  return model;
}

std::string computed_in(const Model& model, const RunOptions& options) {
  const Precision precision = model.precision();
  const std::string text =
      precision_text(precision, choose_kv_precision(options.engine.kv_precision, precision));
  if (!options.slices) return text;
  // Before encoders were divided too, they were computed whole: those are other answers.
  const bool all = slices_divide_encoders(model.spec(), options.slices->count());
  return fmt::format("{}, {} slices{}", text, options.slices->count(), all ? " of all" : "");
}

}  // namespace mmbatch
