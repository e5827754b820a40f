#include "text/template/jinja/value/value.h"

#include <algorithm>
#include <cmath>
#include <new>

#include "engine/base/text/utf8.h"
#include "text/template/jinja/value/print.h"

namespace mmbatch::jinja {
namespace {

/// A text by which equal keys are found: 1, 1.0 and True are one key.
std::string key_of(const Value& key, int depth = 0) {
  if (depth > kMaxNesting) throw RenderError("maximum recursion depth exceeded in a key");
  if (const std::string* text = key.string()) {
    charge(text->size() / 8);
    return "s" + *text;
  }
  if (key.is_none()) return "n";
  if (key.is_undefined()) return "u";
  if (const auto integer = key.integer()) return "i" + print_integer(*integer);
  if (const double* number = key.get<double>()) {
    const bool whole = std::floor(*number) == *number && std::abs(*number) < 1e18;
    return "i" + (whole ? print_integer(static_cast<Int>(*number)) : print_float(*number));
  }
  if (const TupleRef* tuple = key.get<TupleRef>()) {
    std::string text = "t";
    for (const Value& item : *tuple->items) {
      const std::string part = key_of(item, depth + 1);
      charge(part.size());  // tuples that hold one another double it at every level
      text += std::to_string(part.size()) + ":" + part;
    }
    return text;
  }
  if (const auto* object = key.get<std::shared_ptr<Object>>()) {
    return "o" + std::to_string(reinterpret_cast<std::uintptr_t>(object->get()));
  }
  throw RenderError("unhashable type: '" + type_name(key) + "'");
}

thread_local std::size_t budget_left = static_cast<std::size_t>(-1);

}  // namespace

void charge(std::size_t work) {
  if (work > budget_left) {
    throw RenderError("the template takes too many steps, or makes too much text", RenderError::Kind::limit);
  }
  budget_left -= work;
}

Budget::Budget(std::size_t work) : before_(budget_left) {
  budget_left = work;
}

Budget::~Budget() {
  budget_left = before_;
}

Value Value::undefined(std::string message) {
  charge(message.size());
  return Value(Variant(Undefined{std::make_shared<const std::string>(std::move(message))}));
}

Value Value::list(List items) {
  charge(items.size() * sizeof(Value));
  return Value(Variant(ListRef{std::make_shared<const List>(std::move(items))}));
}

Value Value::tuple(List items) {
  charge(items.size() * sizeof(Value));
  return Value(Variant(TupleRef{std::make_shared<const List>(std::move(items))}));
}

Value Value::dict(Dict dict) {
  charge(dict.size() * 4 * sizeof(Value));
  return Value(Variant(DictRef{std::make_shared<const Dict>(std::move(dict))}));
}

const std::string* Value::string() const {
  const Text* text = get<Text>();
  return text == nullptr ? nullptr : text->text.get();
}

const List* Value::items() const {
  if (const ListRef* list = get<ListRef>()) return list->items.get();
  if (const TupleRef* tuple = get<TupleRef>()) return tuple->items.get();
  return nullptr;
}

const Dict* Value::dict() const {
  const DictRef* ref = get<DictRef>();
  return ref == nullptr ? nullptr : ref->dict.get();
}

void Value::let_go() {
  static constexpr int kMostNested = 100;
  thread_local int depth = 0;
  thread_local std::vector<Variant>* later = nullptr;
  if (depth >= kMostNested) {
    try {
      later->push_back(std::move(v_));
      return;
    } catch (const std::bad_alloc&) {  // then deeper, for as long as the stack lasts
    }
  }
  std::vector<Variant> own;
  if (depth == 0) later = &own;
  ++depth;
  v_ = None{};
  while (!own.empty()) {
    const Variant next = std::move(own.back());
    own.pop_back();
  }
  if (--depth == 0) later = nullptr;
}

std::optional<Int> Value::integer() const {
  if (const Int* value = get<Int>()) return *value;
  if (const bool* value = get<bool>()) return static_cast<Int>(*value);
  return std::nullopt;
}

std::optional<double> Value::number() const {
  if (const double* value = get<double>()) return *value;
  if (const auto value = integer()) return static_cast<double>(*value);
  return std::nullopt;
}

void Dict::set(const Value& key, Value value) {
  const auto [found, is_new] = index_.emplace(key_of(key), entries_.size());
  if (is_new) {
    entries_.emplace_back(key, std::move(value));
  } else {
    entries_[found->second].second = std::move(value);
  }
}

const Value* Dict::find(const Value& key) const {
  const auto found = index_.find(key_of(key));
  return found == index_.end() ? nullptr : &entries_[found->second].second;
}

const Value* Dict::find(std::string_view key) const {
  if (entries_.size() > 8) return find(Value(key));
  for (const auto& [known, value] : entries_) {
    const std::string* text = known.string();
    if (text != nullptr && *text == key) return &value;
  }
  return nullptr;
}

const Value* Arguments::find(std::size_t place, std::string_view name) const {
  if (place < positional.size()) return &positional[place];
  for (const auto& [known, value] : named) {
    if (known == name) return &value;
  }
  return nullptr;
}

bool Arguments::flag(std::size_t place, std::string_view name, bool otherwise) const {
  const Value* value = find(place, name);
  return value == nullptr ? otherwise : truth(*value);
}

void Arguments::check(std::string_view function, std::size_t most,
                      std::initializer_list<std::string_view> names) const {
  if (positional.size() > most) throw RenderError(std::string(function) + "() takes fewer arguments");
  for (const auto& [name, value] : named) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      throw RenderError(std::string(function) + "() got an unexpected keyword argument '" + name + "'");
    }
  }
}

const Value& Arguments::require(std::size_t place, std::string_view name, std::string_view function) const {
  const Value* found = find(place, name);
  if (found == nullptr) {
    throw RenderError(std::string(function) + "() missing 1 required positional argument: '" +
                      std::string(name) + "'");
  }
  return *found;
}

std::optional<Value> Sequence::element(Int index) {
  if (kind_ != Kind::range) return std::nullopt;
  const auto size = static_cast<Int>(items_.size());
  if (index < 0) index += size;
  if (index < 0 || index >= size) return std::nullopt;
  return items_[static_cast<std::size_t>(index)];
}

std::string Sequence::print(int depth) const {
  if (kind_ == Kind::range) return printed_;
  std::string out = type_ + "(";
  append_repr(Value::list(items_), out, depth + 1);
  return out + ")";
}

std::optional<Value> Namespace::attribute(std::string_view name) {
  const Value* found = values_.find(name);
  return found == nullptr ? std::nullopt : std::optional<Value>(*found);
}

std::string Namespace::print(int depth) const {
  if (printing_) return "<Namespace {...}>";
  struct Printing {
    bool& now;
    explicit Printing(bool& flag) : now(flag) { now = true; }
    ~Printing() { now = false; }
  } const printing(printing_);
  std::string out = "<Namespace ";
  append_repr(Value::dict(values_), out, depth + 1);
  return out + ">";
}

Int integer_from(double value) {
  if (!std::isfinite(value)) throw RenderError("cannot convert float infinity or NaN to integer");
  if (std::abs(value) > 1e38)
    throw RenderError("an integer too large for this program", RenderError::Kind::limit);
  return static_cast<Int>(value);
}

std::string type_name(const Value& value) {
  struct Name {
    std::string operator()(const Undefined&) const { return "Undefined"; }
    std::string operator()(const None&) const { return "NoneType"; }
    std::string operator()(bool) const { return "bool"; }
    std::string operator()(Int) const { return "int"; }
    std::string operator()(double) const { return "float"; }
    std::string operator()(const Text& text) const { return text.safe ? "Markup" : "str"; }
    std::string operator()(const ListRef&) const { return "list"; }
    std::string operator()(const TupleRef&) const { return "tuple"; }
    std::string operator()(const DictRef&) const { return "dict"; }
    std::string operator()(const std::shared_ptr<Object>& object) const { return object->type_name(); }
  };
  return std::visit(Name{}, value.variant());
}

bool truth(const Value& value) {
  struct Truth {
    bool operator()(const Undefined&) const { return false; }
    bool operator()(const None&) const { return false; }
    bool operator()(bool v) const { return v; }
    bool operator()(Int v) const { return v != 0; }
    bool operator()(double v) const { return v != 0; }
    bool operator()(const Text& v) const { return !v.text->empty(); }
    bool operator()(const ListRef& v) const { return !v.items->empty(); }
    bool operator()(const TupleRef& v) const { return !v.items->empty(); }
    bool operator()(const DictRef& v) const { return v.dict->size() != 0; }
    bool operator()(const std::shared_ptr<Object>& v) const { return v->truth(); }
  };
  return std::visit(Truth{}, value.variant());
}

void charge_looking(const Value& value) {
  if (const std::string* text = value.string()) charge(text->size() / 8);
}

List iterate(const Value& value) {
  if (value.is_undefined()) return {};
  if (const List* items = value.items()) {
    charge(items->size() * sizeof(Value));
    return *items;
  }
  if (const std::string* text = value.string()) {
    List characters;
    for (std::size_t at = 0; at < text->size();) {
      const std::size_t begin = at;
      next_code_point(*text, at);
      characters.emplace_back(text->substr(begin, at - begin));
    }
    return characters;
  }
  if (const Dict* dict = value.dict()) {
    List keys;
    charge(dict->size() * sizeof(Value));
    for (const auto& entry : dict->entries()) keys.push_back(entry.first);
    return keys;
  }
  if (const auto* object = value.get<std::shared_ptr<Object>>()) {
    if (auto items = (*object)->iterate()) {
      charge(items->size() * sizeof(Value));
      return std::move(*items);
    }
  }
  throw RenderError("'" + type_name(value) + "' object is not iterable");
}

std::size_t length(const Value& value) {
  if (value.is_undefined()) return 0;
  if (const List* items = value.items()) return items->size();
  if (const Dict* dict = value.dict()) return dict->size();
  if (const std::string* text = value.string()) {
    charge(text->size() / 8);
    return static_cast<std::size_t>(std::count_if(
        text->begin(), text->end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
  }
  if (const auto* object = value.get<std::shared_ptr<Object>>()) {
    if (const auto size = (*object)->length()) return *size;
  }
  throw RenderError("object of type '" + type_name(value) + "' has no len()");
}

void fail_undefined(const Value& value) {
  throw RenderError(value.is_undefined() ? *value.get<Undefined>()->message : "a value is undefined");
}

}  // namespace mmbatch::jinja
