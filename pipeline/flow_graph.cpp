#include "pipeline/flow_graph.h"

#include <oneapi/tbb/flow_graph.h>

#include <exception>
#include <mutex>
#include <tuple>

namespace mmbatch {
namespace {

namespace flow = tbb::flow;

/// The first fault that ends the run. No exception may leave a node's body: it would cancel the whole graph.
class Fatal {
 public:
  template <class Body>
  void keep(Body&& body) {
    try {
      body();
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!first_) first_ = std::current_exception();
      happened_ = true;
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
  using DecodeNode = flow::async_node<Fused, Decoded>;
  Fatal fatal;
  flow::graph graph;

  flow::input_node<ReadItem> read(graph, [&](tbb::flow_control& control) {
    std::optional<ReadItem> item;
    if (!stop && !fatal.happened()) fatal.keep([&] { item = stages.read(); });
    if (!item) control.stop();
    return item ? std::move(*item) : ReadItem{};
  });
  flow::limiter_node<ReadItem> limit(graph, in_flight);
  flow::function_node<ReadItem, Ticket> admit(graph, flow::unlimited, stages.admit);
  ImageNode encode_image(graph, flow::unlimited, [&](const Ticket& ticket, ImageNode::gateway_type& gateway) {
    gateway.reserve_wait();
    stages.encode_image(ticket, [&gateway](ImagesEncoded encoded) {
      gateway.try_put(std::move(encoded));
      gateway.release_wait();
    });
  });
  flow::function_node<Ticket, TextEncoded> encode_text(graph, flow::unlimited, stages.encode_text);
  flow::join_node<Both, flow::key_matching<std::uint64_t>> join(graph, number_of_images, number_of_text);
  flow::function_node<Both, Fused> fuse(graph, flow::unlimited,
                                        [&](const Both& both) { return std::apply(stages.fuse, both); });
  DecodeNode decode(graph, flow::unlimited, [&](const Fused& fused, DecodeNode::gateway_type& gateway) {
    gateway.reserve_wait();
    stages.decode(fused, [&gateway](Decoded decoded) {
      gateway.try_put(std::move(decoded));
      gateway.release_wait();
    });
  });
  flow::function_node<Decoded, flow::continue_msg> store(graph, flow::serial, [&](const Decoded& decoded) {
    if (!fatal.happened()) fatal.keep([&] { stages.store(decoded); });
    return flow::continue_msg();
  });

  flow::make_edge(read, limit);
  flow::make_edge(limit, admit);
  flow::make_edge(admit, encode_image);
  flow::make_edge(admit, encode_text);
  flow::make_edge(encode_image, flow::input_port<0>(join));
  flow::make_edge(encode_text, flow::input_port<1>(join));
  flow::make_edge(join, fuse);
  flow::make_edge(fuse, decode);
  flow::make_edge(decode, store);
  flow::make_edge(store, limit.decrementer());

  read.activate();
  graph.wait_for_all();
  fatal.rethrow();
}

}  // namespace mmbatch
