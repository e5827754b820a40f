#include "text/template/jinja/run/globals.h"

#include <algorithm>

#include "text/template/jinja/value/operators.h"
#include "text/template/jinja/value/print.h"

namespace mmbatch::jinja {
namespace {

constexpr Int kMaxRange = 100'000;

Value object(std::shared_ptr<Object> made) {
  return Value(std::move(made));
}

Value range(const Arguments& arguments) {
  Int bounds[3] = {0, 0, 1};
  const std::size_t count = arguments.positional.size();
  if (count < 1 || count > 3 || !arguments.named.empty())
    throw RenderError("range expected 1 to 3 arguments");
  for (std::size_t i = 0; i < count; ++i) {
    const Value& value = arguments.positional[i];
    if (value.is_undefined()) fail_undefined(value);
    if (!value.integer()) {
      throw RenderError("'" + type_name(value) + "' object cannot be interpreted as an integer");
    }
    bounds[count == 1 ? 1 : i] = *value.integer();
  }
  const auto [start, stop, step] = bounds;
  static constexpr Int kMost = Int{1} << 125;  // differences of such fit
  for (const Int bound : bounds) {
    if (bound < -kMost || bound > kMost)
      throw RenderError("an integer too large for this program", RenderError::Kind::limit);
  }
  if (step == 0) throw RenderError("range() arg 3 must not be zero");
  const Int size = step > 0 ? (stop > start ? (stop - start - 1) / step + 1 : Int{0})
                            : (start > stop ? (start - stop - 1) / -step + 1 : Int{0});
  if (size > kMaxRange) {
    throw RenderError("Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).");
  }
  List items;
  for (Int i = 0; i < size; ++i) items.emplace_back(start + i * step);
  charge(items.size() * sizeof(Value));
  std::string printed = "range(" + print_integer(start) + ", " + print_integer(stop);
  if (step != 1) printed += ", " + print_integer(step);
  return object(std::make_shared<Sequence>(std::move(items), Sequence::Kind::range, "range", printed + ")"));
}

/// The pairs of dict(…) and namespace(…): of a mapping or a list of pairs, and by name.
Dict pairs_of(const Arguments& arguments, std::string_view function) {
  Dict dict;
  if (arguments.positional.size() > 1)
    throw RenderError(std::string(function) + " expected at most 1 argument");
  if (!arguments.positional.empty()) {
    const Value& from = arguments.positional[0];
    if (from.dict() != nullptr) {
      dict = *from.dict();
    } else {
      for (const Value& pair : iterate(from)) {
        const List parts = iterate(pair);
        if (parts.size() != 2) throw RenderError("dictionary update sequence element is not a pair");
        dict.set(parts[0], parts[1]);
      }
    }
  }
  for (const auto& [name, value] : arguments.named) dict.set(Value(name), value);
  return dict;
}

Value make_namespace(Interpreter& interpreter, const Arguments& arguments) {
  const std::shared_ptr<Namespace> made = interpreter.make_namespace();
  const Dict pairs = pairs_of(arguments, "namespace");
  charge(pairs.size() * 4 * sizeof(Value));
  for (const auto& [key, value] : pairs.entries()) {
    const std::string name = print(key);
    if (name.starts_with('_')) {
      throw RenderError(
          "Chat templates cannot store underscore-prefixed attributes on a namespace, but got '" + name +
          "'. Please rename the attribute.");
    }
    made->set(name, value);
  }
  return object(made);
}

class DictType : public Object {
 public:
  std::string type_name() const override { return "type"; }
  std::string print(int) const override { return "<class 'dict'>"; }
  bool callable() const override { return true; }
  Value call(const Arguments& arguments) override { return Value::dict(pairs_of(arguments, "dict")); }
  std::optional<Value> attribute(std::string_view name) override {
    if (name != "fromkeys") return std::nullopt;
    return object(std::make_shared<Function>("fromkeys", [](const Arguments& arguments) {
      Dict dict;
      const Value* value = arguments.find(1, "value");
      for (const Value& key : jinja::iterate(arguments.require(0, "iterable", "fromkeys"))) {
        dict.set(key, value == nullptr ? Value() : *value);
      }
      return Value::dict(std::move(dict));
    }));
  }
};

/// What `self` is: nothing but its name is of use in a chat template.
class TemplateReference : public Object {
 public:
  std::string type_name() const override { return "TemplateReference"; }
  std::string print(int) const override { return "<TemplateReference None>"; }
};

class Cycler : public Object, public std::enable_shared_from_this<Cycler> {
 public:
  explicit Cycler(List items) : items_(std::move(items)) {}
  std::string type_name() const override { return "Cycler"; }
  std::optional<Value> attribute(std::string_view name) override {
    if (name == "current") return items_[at_];
    const auto function = [&](const char* known, auto body) {
      return object(std::make_shared<Function>(
          known, [self = shared_from_this(), body](const Arguments&) { return body(*self); }));
    };
    if (name == "next") {
      return function("next", [](Cycler& self) {
        const Value value = self.items_[self.at_];
        self.at_ = (self.at_ + 1) % self.items_.size();
        return value;
      });
    }
    if (name == "reset") {
      return function("reset", [](Cycler& self) {
        self.at_ = 0;
        return Value();
      });
    }
    return std::nullopt;
  }

 private:
  List items_;
  std::size_t at_ = 0;
};

class Joiner : public Object {
 public:
  explicit Joiner(Value separator) : separator_(std::move(separator)) {}
  std::string type_name() const override { return "Joiner"; }
  bool callable() const override { return true; }
  Value call(const Arguments&) override { return std::exchange(used_, true) ? separator_ : Value(""); }

 private:
  Value separator_;
  bool used_ = false;
};

Value format_time(const Arguments& arguments, const std::tm& now) {
  const Value& format = arguments.require(0, "format", "strftime_now");
  if (format.string() == nullptr)
    throw RenderError("strftime() argument 1 must be str, not " + type_name(format));
  if (format.string()->size() > 1024)
    throw RenderError("a format of more than 1024 bytes", RenderError::Kind::limit);
  if (format.string()->empty()) return Value("");
  std::string out(32 * format.string()->size() + 256, '\0');
  out.resize(std::strftime(out.data(), out.size(), format.string()->c_str(), &now));
  return Value(std::move(out));
}

}  // namespace

void set_globals(Interpreter& interpreter, const std::tm& now) {
  const auto add = [&](const char* name, Function::Body body) {
    interpreter.set(name, object(std::make_shared<Function>(name, std::move(body))));
  };
  add("range", range);
  add("namespace", [&](const Arguments& arguments) { return make_namespace(interpreter, arguments); });
  interpreter.set("dict", object(std::make_shared<DictType>()));
  interpreter.set("self", object(std::make_shared<TemplateReference>()));
  add("cycler", [](const Arguments& arguments) {
    if (arguments.positional.empty()) throw RenderError("at least one item has to be provided");
    return object(std::make_shared<Cycler>(arguments.positional));
  });
  add("joiner", [](const Arguments& arguments) {
    const Value* separator = arguments.find(0, "sep");
    return object(std::make_shared<Joiner>(separator == nullptr ? Value(", ") : *separator));
  });
  add("lipsum", [](const Arguments&) { return Value("Lorem ipsum dolor sit amet."); });
  add("raise_exception", [](const Arguments& arguments) -> Value {
    throw RenderError(print(arguments.require(0, "message", "raise_exception")),
                      RenderError::Kind::raised_by_template);
  });
  add("strftime_now", [now](const Arguments& arguments) { return format_time(arguments, now); });
}

}  // namespace mmbatch::jinja
