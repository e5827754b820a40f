#include "pipeline/graph/flow_graph.h"

#include <oneapi/tbb/flow_graph.h>

#include <atomic>
#include <memory>
#include <tuple>

#include "pipeline/graph/node_bodies.h"

namespace mmbatch {
namespace {

namespace flow = tbb::flow;

std::size_t concurrency(Stage stage) {
  return row_of(stage).lanes == Lanes::one ? flow::serial : flow::unlimited;
}
/// Emits the item that the reader gave, or ends reading.
ReadItem emit(std::optional<ReadItem> item, tbb::flow_control& control) {
  if (!item) control.stop();
  return item ? std::move(*item) : ReadItem{};
}
/// Sends a variant out at the port of its alternative.
template <class Message, class Ports>
void emit(std::variant<Message, Outcome> message, Ports& ports) {
  if (auto* onward = std::get_if<Message>(&message))
    std::get<0>(ports).try_put(std::move(*onward));
  else
    std::get<1>(ports).try_put(std::get<Outcome>(std::move(message)));
}
/// Sends the first message that it is given; the graph waits until then. Where none comes any more, because
/// whoever was to make it has let go of it, the item is abandoned, and the run ends.
template <class Message, class Gateway>
class Emission {
 public:
  Emission(Gateway& gateway, NodeBodies& bodies, TicketPtr ticket)
      : gateway_(gateway), bodies_(bodies), ticket_(std::move(ticket)) {
    gateway_.reserve_wait();
  }
  Emission(const Emission&) = delete;
  Emission& operator=(const Emission&) = delete;
  ~Emission() {
    if (sent_) return;
    bodies_.keep_lost();
    send({std::move(ticket_), Abandoned{}});
  }
  void send(Message message) {
    if (sent_.exchange(true)) return;
    bodies_.keep([&] { gateway_.try_put(std::move(message)); });
    gateway_.release_wait();
  }

 private:
  Gateway& gateway_;
  NodeBodies& bodies_;
  TicketPtr ticket_;
  std::atomic<bool> sent_{false};
};
template <class Message, class Gateway>
Done<Message> emitter(Gateway& gateway, NodeBodies& bodies, const TicketPtr& ticket) {
  const auto emission = std::make_shared<Emission<Message, Gateway>>(gateway, bodies, ticket);
  return [emission](Message message) { emission->send(std::move(message)); };
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
  using AdmitNode = flow::multifunction_node<ReadItem, std::tuple<TicketPtr, Outcome>>;
  using ImagesNode = flow::async_node<TicketPtr, ImagesEncoded>;
  using TextNode = flow::async_node<TicketPtr, TextEncoded>;
  using FuseNode = flow::multifunction_node<Both, std::tuple<Fused, Outcome>>;
  using DecodeNode = flow::async_node<Fused, Outcome>;
  NodeBodies bodies(stages, stop);
  flow::graph graph;

  flow::input_node<ReadItem> read(graph,
                                  [&](tbb::flow_control& control) { return emit(bodies.read(), control); });
  flow::limiter_node<ReadItem> limit(graph, in_flight);
  AdmitNode admit(graph, concurrency(Stage::admit),
                  [&](const ReadItem& item, auto& ports) { emit(bodies.admit(item), ports); });
  ImagesNode encode_images(graph, flow::unlimited, [&](const TicketPtr& ticket, auto& gateway) {
    bodies.encode_images(ticket, emitter<ImagesEncoded>(gateway, bodies, ticket));
  });
  TextNode encode_text(graph, flow::unlimited, [&](const TicketPtr& ticket, auto& gateway) {
    bodies.encode_text(ticket, emitter<TextEncoded>(gateway, bodies, ticket));
  });
  flow::join_node<Both, flow::key_matching<std::uint64_t>> join(graph, number_of_images, number_of_text);
  FuseNode fuse(graph, concurrency(Stage::fuse),
                [&](const Both& both, auto& ports) { emit(bodies.fuse(both), ports); });
  DecodeNode decode(graph, flow::unlimited, [&](const Fused& fused, auto& gateway) {
    bodies.decode(fused, emitter<Outcome>(gateway, bodies, fused.ticket));
  });
  flow::function_node<Outcome> store(graph, concurrency(Stage::store), [&](const Outcome& outcome) {
    bodies.store(outcome);
    return flow::continue_msg();
  });

  flow::make_edge(read, limit);
  flow::make_edge(limit, admit);
  flow::make_edge(flow::output_port<0>(admit), encode_images);
  flow::make_edge(flow::output_port<0>(admit), encode_text);
  flow::make_edge(flow::output_port<1>(admit), store);
  flow::make_edge(encode_images, flow::input_port<0>(join));
  flow::make_edge(encode_text, flow::input_port<1>(join));
  flow::make_edge(join, fuse);
  flow::make_edge(flow::output_port<0>(fuse), decode);
  flow::make_edge(flow::output_port<1>(fuse), store);
  flow::make_edge(decode, store);
  flow::make_edge(store, limit.decrementer());

  read.activate();
  graph.wait_for_all();
  bodies.rethrow();
}

}  // namespace mmbatch
