#include "pipeline/graph/flow_graph.h"

#include <oneapi/tbb/flow_graph.h>

#include <exception>
#include <limits>
#include <memory>
#include <mutex>
#include <tuple>

namespace mmbatch {
namespace {

namespace flow = tbb::flow;

/// The first fault that ends the run. No exception may leave a node's body: it would cancel the whole graph,
/// and what is on its way would be lost.
class Fatal {
 public:
  template <class Body>
  void keep(Body&& body) {
    try {
      body();
    } catch (...) {
      note();
    }
  }
  /// To be called where an exception is handled.
  void note() {
    const std::lock_guard lock(mutex_);
    if (!first_) first_ = std::current_exception();
    happened_ = true;
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

/// The branches of an item that a fatal fault took out; it is not stored, and a resume takes it again.
const Fault kLost{Stage::read, {ErrorCode::internal, "the run ends"}};

bool is_lost(const Outcome& outcome) {
  const auto* fault = std::get_if<Fault>(&outcome.answer);
  return fault != nullptr && fault->error.message == kLost.error.message;
}

/// Stands for an item that was not let in.
Ticket lost_ticket() {
  static std::atomic<std::uint64_t> next{std::numeric_limits<std::uint64_t>::max()};  // far from any other
  auto ticket = std::make_shared<Admitted>();
  ticket->number = next--;
  ticket->item = std::make_shared<const Item>();
  ticket->fault = kLost;
  return ticket;
}

/// Starts work that calls `done` once, with what it makes or, when it throws before, with `lost`; the graph
/// waits for that.
template <class Message, class Gateway, class Work>
void start(Gateway& gateway, Fatal& fatal, Message lost, Work&& work) {
  gateway.reserve_wait();
  const auto is_done = std::make_shared<std::atomic<bool>>(false);
  const auto done = [&gateway, is_done](Message message) {
    if (is_done->exchange(true)) return;
    gateway.try_put(std::move(message));
    gateway.release_wait();
  };
  try {
    work(done);
  } catch (...) {
    fatal.note();
    done(std::move(lost));
  }
}

std::uint64_t number_of_images(const ImagesEncoded& message) {
  return message.ticket->number;
}
std::uint64_t number_of_text(const TextEncoded& message) {
  return message.ticket->number;
}

}  // namespace

void run_flow_graph(const FlowStages& stages, std::size_t in_flight, const std::atomic<bool>& stop) {
  using Both = std::tuple<ImagesEncoded, TextEncoded>;
  using ImageNode = flow::async_node<Ticket, ImagesEncoded>;
  using TextNode = flow::async_node<Ticket, TextEncoded>;
  using FuseNode = flow::multifunction_node<Both, std::tuple<Fused, Outcome>>;
  using DecodeNode = flow::async_node<Fused, Outcome>;
  Fatal fatal, storing;  // what is on its way is stored unless storing itself fails
  flow::graph graph;

  flow::input_node<ReadItem> read(graph, [&](tbb::flow_control& control) {
    std::optional<ReadItem> item;
    if (!stop && !fatal.happened() && !storing.happened()) fatal.keep([&] { item = stages.read(); });
    if (stages.end_reading && (fatal.happened() || storing.happened())) stages.end_reading();
    if (!item) control.stop();
    return item ? std::move(*item) : ReadItem{};
  });
  flow::limiter_node<ReadItem> limit(graph, in_flight);
  flow::function_node<ReadItem, Ticket> admit(graph, flow::unlimited, [&](const ReadItem& item) {
    Ticket ticket;
    fatal.keep([&] { ticket = stages.admit(item); });
    return ticket ? ticket : lost_ticket();
  });
  ImageNode encode_image(graph, flow::unlimited, [&](const Ticket& ticket, ImageNode::gateway_type& gateway) {
    start(gateway, fatal, ImagesEncoded{ticket, kLost.error},
          [&](EncodeImage::Done done) { stages.encode_image(ticket, std::move(done)); });
  });
  TextNode encode_text(graph, flow::unlimited, [&](const Ticket& ticket, TextNode::gateway_type& gateway) {
    start(gateway, fatal, TextEncoded{ticket, kLost.error},
          [&](EmbedText::Done done) { stages.encode_text(ticket, std::move(done)); });
  });
  flow::join_node<Both, flow::key_matching<std::uint64_t>> join(graph, number_of_images, number_of_text);
  FuseNode fuse(graph, flow::unlimited, [&](const Both& both, FuseNode::output_ports_type& ports) {
    std::variant<Fused, Outcome> fused = Outcome{std::get<0>(both).ticket, kLost, {}};
    fatal.keep([&] { fused = std::apply(stages.fuse, both); });
    if (auto* prompt = std::get_if<Fused>(&fused))
      std::get<0>(ports).try_put(std::move(*prompt));
    else
      std::get<1>(ports).try_put(std::get<Outcome>(std::move(fused)));
  });
  DecodeNode decode(graph, flow::unlimited, [&](const Fused& fused, DecodeNode::gateway_type& gateway) {
    start(gateway, fatal, Outcome{fused.ticket, kLost, {}},
          [&](Decode::Done done) { stages.decode(fused, std::move(done)); });
  });
  flow::function_node<Outcome, flow::continue_msg> store(graph, flow::serial, [&](const Outcome& outcome) {
    if (!is_lost(outcome) && !storing.happened()) storing.keep([&] { stages.store(outcome); });
    return flow::continue_msg();
  });

  flow::make_edge(read, limit);
  flow::make_edge(limit, admit);
  flow::make_edge(admit, encode_image);
  flow::make_edge(admit, encode_text);
  flow::make_edge(encode_image, flow::input_port<0>(join));
  flow::make_edge(encode_text, flow::input_port<1>(join));
  flow::make_edge(join, fuse);
  flow::make_edge(flow::output_port<0>(fuse), decode);
  flow::make_edge(flow::output_port<1>(fuse), store);
  flow::make_edge(decode, store);
  flow::make_edge(store, limit.decrementer());

  read.activate();
  graph.wait_for_all();
  storing.rethrow();
  fatal.rethrow();
}

}  // namespace mmbatch
