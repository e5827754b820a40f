#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace mmbatch::jinja {

/// Lists within lists, expressions within expressions: deeper ones are an error, as recursion is in Python.
constexpr int kMaxNesting = 200;

/// What Python calls an exception: rendering ends. `is_own` when the template itself raised it.
class RenderError : public std::runtime_error {
 public:
  enum class Kind { of_language, raised_by_template, limit };
  explicit RenderError(const std::string& message, Kind kind = Kind::of_language)
      : std::runtime_error(message), kind_(kind) {}
  Kind kind() const { return kind_; }

 private:
  Kind kind_;
};

/// Takes from what one rendering may use: about a byte made, or looked at eight times.
/// @throws RenderError of kind limit when nothing is left.
void charge(std::size_t work);
/// While it lives, renderings of this thread use this much.
class Budget {
 public:
  explicit Budget(std::size_t work);
  ~Budget();
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

 private:
  std::size_t before_;
};

/// Python's integers, as far as templates need them; what does not fit is an error.
using Int = __int128;

class Value;
class Object;
class Dict;
using List = std::vector<Value>;

/// A name, attribute or element that is not there, and what is said when it is used all the same.
struct Undefined {
  std::shared_ptr<const std::string> message;
};
struct None {};
/// A string; `safe` (Markup) ones escape what they are joined with.
struct Text {
  std::shared_ptr<const std::string> text;
  bool safe = false;
};
struct ListRef {
  std::shared_ptr<const List> items;
};
struct TupleRef {
  std::shared_ptr<const List> items;
};
struct DictRef {
  std::shared_ptr<const Dict> dict;
};

/// A value of a template, as Python would have it. Cheap to copy: what is large is shared, and never changes.
/// However deep values are nested, letting one go takes little of the stack.
class Value {
 public:
  using Variant = std::variant<Undefined, None, bool, Int, double, Text, ListRef, TupleRef, DictRef,
                               std::shared_ptr<Object>>;

  Value() : v_(None{}) {}
  Value(bool value) : v_(value) {}                                    // NOLINT: values are made in passing
  Value(Int value) : v_(value) {}                                     // NOLINT
  Value(double value) : v_(value) {}                                  // NOLINT
  Value(std::string text) : v_(make_text(std::move(text), false)) {}  // NOLINT
  Value(std::string_view text) : Value(std::string(text)) {}          // NOLINT
  Value(const char* text) : Value(std::string(text)) {}               // NOLINT
  Value(std::shared_ptr<Object> object) : v_(std::move(object)) {}    // NOLINT
  Value(const Value&) = default;
  Value(Value&&) = default;
  Value& operator=(const Value&) = default;
  Value& operator=(Value&&) = default;
  ~Value() {
    if (items() != nullptr || is<DictRef>() || is<std::shared_ptr<Object>>()) let_go();
  }
  static Value undefined(std::string message);
  static Value text(std::string text, bool safe) { return Value(Variant(make_text(std::move(text), safe))); }
  static Value list(List items);
  static Value tuple(List items);
  static Value dict(Dict dict);
  static Value integer(std::int64_t value) { return Value(static_cast<Int>(value)); }
  static Value size(std::size_t value) { return Value(static_cast<Int>(value)); }

  template <typename T>
  const T* get() const {
    return std::get_if<T>(&v_);
  }
  template <typename T>
  bool is() const {
    return std::holds_alternative<T>(v_);
  }
  const Variant& variant() const { return v_; }

  bool is_undefined() const { return is<Undefined>(); }
  bool is_none() const { return is<None>(); }
  /// The text of a string; nullptr for any other value.
  const std::string* string() const;
  bool is_safe() const { return is<Text>() && std::get<Text>(v_).safe; }
  /// The items of a list or tuple; nullptr for any other value.
  const List* items() const;
  const Dict* dict() const;
  /// Of an object of this class; nullptr for any other value.
  template <typename T>
  std::shared_ptr<T> object() const {
    const auto* found = get<std::shared_ptr<Object>>();
    return found == nullptr ? nullptr : std::dynamic_pointer_cast<T>(*found);
  }
  /// An integer or boolean.
  std::optional<Int> integer() const;
  /// An integer, boolean or float.
  std::optional<double> number() const;

 private:
  explicit Value(Variant v) : v_(std::move(v)) {}
  static Text make_text(std::string text, bool safe) {
    charge(text.size() + sizeof(Value));
    return {std::make_shared<const std::string>(std::move(text)), safe};
  }

  /// Forgets what it holds: at once, or where values are nested deeply after the outermost one.
  void let_go();

  Variant v_;
};

/// Keys and values in the order in which keys came.
class Dict {
 public:
  /// @throws RenderError for a key that Python could not hash.
  void set(const Value& key, Value value);
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
  const std::vector<std::pair<Value, Value>>& entries() const { return entries_; }
  std::size_t size() const { return entries_.size(); }

 private:
  std::vector<std::pair<Value, Value>> entries_;
  std::unordered_map<std::string, std::size_t> index_;  // by key_of()
};

/// Arguments of a call.
struct Arguments {
  List positional;
  std::vector<std::pair<std::string, Value>> named;

  /// The argument at a place or by its name; nullptr when it is not given.
  const Value* find(std::size_t place, std::string_view name) const;
  /// Whether the argument counts as true.
  bool flag(std::size_t place, std::string_view name, bool otherwise) const;
  /// @throws RenderError when there are more positional ones than `most`, or a named one that is not in
  /// `names`.
  void check(std::string_view function, std::size_t most,
             std::initializer_list<std::string_view> names) const;
  const Value& require(std::size_t place, std::string_view name, std::string_view function) const;
};

/// A value of a kind of its own: a function, a macro, a namespace, a view of a dictionary, an iterator …
class Object {
 public:
  virtual ~Object() = default;
  virtual std::string type_name() const = 0;
  /// Python's str().  @param depth how many values it is inside of
  virtual std::string print(int /*depth*/) const { return "<" + type_name() + ">"; }
  virtual bool truth() const { return true; }
  virtual std::optional<Value> attribute(std::string_view) { return std::nullopt; }
  virtual bool callable() const { return false; }
  virtual Value call(const Arguments&) { throw RenderError("'" + type_name() + "' object is not callable"); }
  /// The items, where it can be iterated over; an iterator gives them once.
  virtual std::optional<List> iterate() { return std::nullopt; }
  virtual std::optional<std::size_t> length() const { return std::nullopt; }
  /// An element by its number, where there are such.
  virtual std::optional<Value> element(Int) { return std::nullopt; }
  virtual bool is_sequence() const { return false; }
};

/// A function of the host.
class Function : public Object {
 public:
  using Body = std::function<Value(const Arguments&)>;
  Function(std::string name, Body body) : name_(std::move(name)), body_(std::move(body)) {}
  std::string type_name() const override { return "function"; }
  std::string print(int) const override { return "<function " + name_ + ">"; }
  bool callable() const override { return true; }
  Value call(const Arguments& arguments) override { return body_(arguments); }

 private:
  std::string name_;
  Body body_;
};

/// What a filter such as map gives: its items, once.
class Generator : public Object {
 public:
  explicit Generator(List items, std::string type = "generator")
      : items_(std::move(items)), type_(std::move(type)) {}
  std::string type_name() const override { return type_; }
  std::string print(int) const override { return "<" + type_ + " object>"; }
  std::optional<List> iterate() override { return std::exchange(items_, {}); }

 private:
  List items_;
  std::string type_;
};

/// What stays the same while it is iterated over: range, and the views of a dictionary.
class Sequence : public Object {
 public:
  enum class Kind { range, view };
  /// @param printed what a range prints as; a view prints its type and items
  Sequence(List items, Kind kind, std::string type, std::string printed = {})
      : items_(std::move(items)), kind_(kind), type_(std::move(type)), printed_(std::move(printed)) {}
  std::string type_name() const override { return type_; }
  std::string print(int depth) const override;
  bool truth() const override { return !items_.empty(); }
  std::optional<List> iterate() override { return items_; }
  std::optional<std::size_t> length() const override { return items_.size(); }
  std::optional<Value> element(Int index) override;
  bool is_sequence() const override { return kind_ == Kind::range; }

 private:
  List items_;
  Kind kind_;
  std::string type_, printed_;
};

/// namespace(): the one thing whose attributes a template may set.
class Namespace : public Object {
 public:
  std::string type_name() const override { return "Namespace"; }
  std::optional<Value> attribute(std::string_view name) override;
  void set(const std::string& name, Value value) { values_.set(Value(name), std::move(value)); }
  /// So that none that is its own attribute, or that of one of its attributes, outlives the rendering.
  void clear() { values_ = {}; }
  std::string print(int depth) const override;

 private:
  Dict values_;
  mutable bool printing_ = false;
};

/// A float without what is behind its point.  @throws RenderError for what is no number, or too large.
Int integer_from(double value);
/// Python's name of a value's type: str, int, NoneType, …
std::string type_name(const Value& value);
bool truth(const Value& value);
/// Takes for looking at all of a text; nothing for other values.  @throws RenderError
void charge_looking(const Value& value);
/// The items to iterate over.  @throws RenderError for what cannot be iterated over
List iterate(const Value& value);
/// len().  @throws RenderError
std::size_t length(const Value& value);
[[noreturn]] void fail_undefined(const Value& value);

}  // namespace mmbatch::jinja
