#pragma once

#include <functional>

#include "text/template/jinja/value/value.h"

namespace mmbatch::jinja {

/// The variable `loop` of a for statement.
class LoopVariable : public Object, public std::enable_shared_from_this<LoopVariable> {
 public:
  LoopVariable(List items, int depth) : items_(std::move(items)), depth_(depth) {}

  const List& items() const { return items_; }

  std::size_t index = 0;
  bool over = false;
  /// Renders the statement's body for other items: in a recursive loop, while it runs.
  std::function<Value(const Value& over)> again;

  /// Nothing may call it any more, nor may it hold what could be itself.
  void end() {
    over = true;
    again = nullptr;
    last_.reset();
  }

  std::string type_name() const override { return "LoopContext"; }
  std::optional<std::size_t> length() const override { return items_.size(); }
  bool callable() const override { return again != nullptr; }

  Value call(const Arguments& arguments) override {
    if (!again) throw RenderError("The loop must have the 'recursive' marker to be called recursively.");
    return again(arguments.require(0, "iterable", "loop"));
  }

  std::optional<Value> attribute(std::string_view name) override {
    const std::size_t size = items_.size();
    if (name == "index") return Value::size(index + 1);
    if (name == "index0") return Value::size(index);
    if (name == "revindex") return Value::size(size - index);
    if (name == "revindex0") return Value::size(size - index - 1);
    if (name == "first") return Value(index == 0);
    if (name == "last") return Value(index + 1 == size);
    if (name == "length") return Value::size(size);
    if (name == "depth") return Value::integer(depth_ + 1);
    if (name == "depth0") return Value::integer(depth_);
    if (name == "previtem")
      return index > 0 ? items_[index - 1] : Value::undefined("there is no previous item");
    if (name == "nextitem")
      return index + 1 < size ? items_[index + 1] : Value::undefined("there is no next item");
    if (name == "cycle")
      return function("cycle", [self = shared_from_this()](const Arguments& a) { return self->cycle(a); });
    if (name == "changed")
      return function("changed",
                      [self = shared_from_this()](const Arguments& a) { return self->changed(a); });
    return std::nullopt;
  }

 private:
  static Value function(std::string name, Function::Body body) {
    return Value(
        std::static_pointer_cast<Object>(std::make_shared<Function>(std::move(name), std::move(body))));
  }
  Value cycle(const Arguments& arguments) const {
    if (arguments.positional.empty()) throw RenderError("no items for cycling given");
    return arguments.positional[index % arguments.positional.size()];
  }
  Value changed(const Arguments& arguments);

  const List items_;
  int depth_;
  std::optional<Value> last_;
};

}  // namespace mmbatch::jinja
