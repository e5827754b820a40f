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
  using TextNode = flow::async_node<Ticket, TextEncoded>;
  using FuseNode = flow::multifunction_node<Both, std::tuple<Fused, Outcome>>;
  using DecodeNode = flow::async_node<Fused, Outcome>;
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
  TextNode encode_text(graph, flow::unlimited, [&](const Ticket& ticket, TextNode::gateway_type& gateway) {
    gateway.reserve_wait();
    stages.encode_text(ticket, [&gateway](TextEncoded encoded) {
      gateway.try_put(std::move(encoded));
      gateway.release_wait();
    });
  });
  flow::join_node<Both, flow::key_matching<std::uint64_t>> join(graph, number_of_images, number_of_text);
  FuseNode fuse(graph, flow::unlimited, [&](const Both& both, FuseNode::output_ports_type& ports) {
    auto fused = std::apply(stages.fuse, both);
    if (auto* prompt = std::get_if<Fused>(&fused))
      std::get<0>(ports).try_put(std::move(*prompt));
    else
      std::get<1>(ports).try_put(std::get<Outcome>(std::move(fused)));
  });
  DecodeNode decode(graph, flow::unlimited, [&](const Fused& fused, DecodeNode::gateway_type& gateway) {
    gateway.reserve_wait();
    stages.decode(fused, [&gateway](Outcome outcome) {
      gateway.try_put(std::move(outcome));
      gateway.release_wait();
    });
  });
  flow::function_node<Outcome, flow::continue_msg> store(graph, flow::serial, [&](const Outcome& outcome) {
    if (!fatal.happened()) fatal.keep([&] { stages.store(outcome); });
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
  fatal.rethrow();
}

}  // namespace mmbatch
