#pragma once

#include <atomic>
#include <exception>
#include <mutex>
#include <optional>
#include <tuple>
#include <utility>
#include <variant>

#include "pipeline/graph/flow_stages.h"

namespace mmbatch {

/// The first fault that ends the run. Thread-safe.
class Fatal {
 public:
  /// Runs `body`, and keeps what it throws.  @return whether it threw nothing
  template <class Body>
  bool keep(Body&& body) {
    try {
      body();
      return true;
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!first_) first_ = std::current_exception();
      happened_ = true;
      return false;
    }
  }
  bool happened() const { return happened_; }
  void rethrow() const {
    if (first_) std::rethrow_exception(first_);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr first_;
  std::atomic<bool> happened_{false};
};

/// What the nodes of the flow graph do: each calls its stage. No exception leaves a body: it would cancel the
/// graph, and what is on its way would be lost. The first one is kept and ends the run, and every body emits
/// something all the same, or the join would wait for ever.
class NodeBodies {
 public:
  NodeBodies(const FlowStages& stages, const std::atomic<bool>& stop) : stages_(stages), stop_(stop) {}

  /// Nothing when there is nothing more, or the run ends.
  std::optional<ReadItem> read();
  Admission admit(const ReadItem& item);
  void encode_images(const TicketPtr& ticket, const Done<ImagesEncoded>& emit);
  void encode_text(const TicketPtr& ticket, const Done<TextEncoded>& emit);
  std::variant<Fused, Outcome> fuse(const std::tuple<ImagesEncoded, TextEncoded>& both);
  void decode(const Fused& fused, const Done<Outcome>& emit);
  void store(const Outcome& outcome);

  /// Runs what a body does around its stage; the first fault ends the run.
  template <class Body>
  void keep(Body&& body) {
    fatal_.keep(std::forward<Body>(body));
  }
  /// Ends the run: a stage did not answer, and never will.
  void keep_lost();

  /// To be called when the graph has come to rest.  @throws what a stage threw first
  void rethrow() const;

 private:
  const FlowStages& stages_;
  const std::atomic<bool>& stop_;
  Fatal fatal_, storing_;  // what is on its way is stored, unless storing itself fails
};

}  // namespace mmbatch
